"""`dsched task`: single runs. Listing, submitting, waiting, cancelling, running once more."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli import columns, runs
from dsched_cli.bodies import payload_of, read_submissions
from dsched_cli.bulk import Many, many_options
from dsched_cli.cleaning import clean
from dsched_cli.completing import worker_ids
from dsched_cli.errors import ExitCode, UsageError
from dsched_cli.finding import call_task, task_path
from dsched_cli.output import Column, say
from dsched_cli.selecting import (
    LIVE,
    STATUSES,
    TERMINAL,
    configs_of,
    instant_of,
    meant_options,
    parse_labels,
    tasks_of,
)
from dsched_cli.session import Session, asks_api, list_options, reason_option
from dsched_cli.times import parse_instant
from dsched_cli.watching import (
    exit_code_of,
    wait_for_end,
    wait_options,
    watch,
    watch_option,
)
from dsched_client.instants import rfc3339

ID = click.argument("task_id", metavar="ID")
ONE = click.argument("task_id", metavar="[ID]", required=False)
_HOMES = ("delayed", "ready", "queue", "held", "lease", "open")
_RESULT = (
    Column("CODE", "code"),
    Column("MESSAGE", "message"),
    Column("DATA", "data"),
)
_ANSWERED = {
    "code": Column("RESULT CODE", "result.code"),
    "message": Column("RESULT MESSAGE", "result.message"),
    "data": Column("RESULT DATA", "result.data"),
}
_PARAMS = Column("PARAMS", "params")
_BATCH = (
    Column("ID", "id"),
    Column("OUTCOME", "outcome", kind="state"),
    Column("PROBLEM", "problem.detail"),
)


@click.group()
def task() -> None:
    """Single runs: list, look at, submit, wait, cancel, run once more."""


@task.command(name="list")
@asks_api
@meant_options(
    "Runs of a config, or of all that begin alike ('etl-*'): those that wait or run, then those "
    "that ended."
)
@click.option("--live-of", metavar="CONFIG", help="The same, only those that wait or run.")
@click.option("--status", type=click.Choice(STATUSES), help="Runs of this status.")
@click.option(
    "--since", metavar="TIME", help="Runs that ended since then, or have not: 2h, a date."
)
@click.option("--until", metavar="TIME", help="Runs that ended before then.")
@click.option("--home", type=click.Choice(_HOMES), help="Waiting or running ones, by where.")
@click.option("--worker", metavar="ID", help="What a worker has.", shell_complete=worker_ids)
@list_options
@watch_option
def list_(
    session: Session,
    of_config: str | None,
    *,
    labels: tuple[str, ...],
    owner: str | None,
    live_of: str | None,
    status: str | None,
    since: str | None,
    until: str | None,
    home: str | None,
    worker: str | None,
    limit: int | None,
    watches: bool,
) -> None:
    """List the latest tasks, or those that all options mean together: those that run, then those
    that ended, the latest end first."""
    configs = configs_of(of_config, labels, owner)
    ended = {"--of": of_config, "--since": since, "--until": until}
    narrowed = {"--live-of": live_of, "--label": labels or None, "--owner": owner}
    _check_alone({"--home": home, "--worker": worker}, ended | narrowed | {"--status": status})
    _check_alone({"--live-of": live_of}, ended)

    def show() -> bool:
        window = {"since": instant_of(session, since), "until": instant_of(session, until)}
        if live_of is None and (not configs.any or status in ("pending", "retrying")):
            most = None if limit is None else limit + 1
            found = tasks_of(session, configs, status=status, most=most, **window)
            session.show_items(found, columns.TASK, limit=limit)
            return watches
        query = configs.query(live_of=live_of, status=status, home=home, worker=worker, **window)
        session.show_list("/tasks", columns.TASK, limit=limit, **query)
        return watches

    watch(show) if watches else show()


def _check_alone(these: Mapping[str, object], others: Mapping[str, object]) -> None:
    """Refuse two kinds of list together."""
    first = [name for name, value in these.items() if value is not None]
    second = [name for name, value in others.items() if value is not None]
    if first and second:
        raise UsageError(
            f"{first[0]} and {second[0]} cannot be combined",
            why="each is a list of its own, and nothing loads all tasks",
            todo="keep one of them",
        )


@task.command()
@asks_api
@ID
@click.option("--full", is_flag=True, help="With what it runs.")
@watch_option
def get(session: Session, task_id: str, full: bool, watches: bool) -> None:
    """Show one task and its attempts; with --watch until it has ended. A run of many: its steps."""

    def show() -> bool:
        found = call_task(session, task_id, lambda one: session.api.get(task_path(one), full=True))
        many = runs.is_run(found)
        if many:
            found = runs.with_steps(session, found)
        if full:
            session.output.record(found, (*columns.TASK, *_FULL))
        else:
            show_with_result(session, found)
        if not many:
            _show_attempts(session, found)
        elif session.output.format in ("table", "wide"):
            runs.draw(session, found["steps"])
        return watches and found["status"] not in TERMINAL

    watch(show) if watches else show()


_FULL = (Column("SPEC", "spec"), Column("RESULT", "result"))


def show_with_result(session: Session, found: Mapping[str, Any]) -> None:
    """Write a task that was read in full, with its result and without what it ran."""
    told = {key: value for key, value in found.items() if key != "spec"}
    result = told.get("result") or {}
    answered = [column for name, column in _ANSWERED.items() if result.get(name) not in (None, "")]
    given = (_PARAMS,) if told.get("params") else ()
    session.output.record(told, (*columns.TASK, *given, *answered))


def _show_attempts(session: Session, found: Mapping[str, Any]) -> None:
    """Below a task that was tried more than once its attempts; data has them in the task."""
    attempts = found.get("attempts") or []
    if session.output.format in ("table", "wide") and len(attempts) > 1:
        click.echo()
        session.output.records(attempts, columns.ATTEMPT, key="number")


@task.command()
@asks_api
@ID
def result(session: Session, task_id: str) -> None:
    """Show what an ended task answered."""
    found = call_task(session, task_id, lambda one: session.api.get(task_path(one, "result")))
    session.output.record(found, _RESULT, key="code")


@task.command()
@asks_api
@ID
@click.option("--exit-status", is_flag=True, help="Exit with 1 unless it succeeds.")
@click.option(
    "--timeout",
    metavar="SPAN",
    default="10m",
    show_default=True,
    help="How long to wait; then exit with 124.",
)
def wait(session: Session, task_id: str, exit_status: bool, timeout: str) -> int:
    """Wait for a task's end and show it."""
    found = call_task(session, task_id, lambda one: session.api.get(task_path(one)))
    wait_for_end(session, str(found["id"]), timeout)
    ended = session.api.get(task_path(str(found["id"])), full=True)
    show_with_result(session, ended)
    return exit_code_of(ended, exit_status=exit_status)


@task.command()
@asks_api
@ONE
@many_options(
    "Instead of ID: what waits or runs of a config, or of all that begin alike ('etl-*').",
    statuses=LIVE,
)
@reason_option(required=True)
def cancel(session: Session, task_id: str | None, many: Many, *, reason: str) -> int:
    """End a task that waits, or ask a running one to stop; or many of them at a time."""
    if task_id is None:
        return many.run(session, "cancel", reason)
    many.check_alone()
    answer = call_task(
        session, task_id, lambda one: session.api.post(task_path(one, "cancel"), {"reason": reason})
    )
    words = {"OK": "is cancelled", "REQUESTED": "is asked to stop", "ALREADY": "was asked already"}
    found = answer["task"]
    say(f"{clean(found['id'])} {words.get(str(answer['outcome']), clean(answer['outcome']))}")
    session.output.record(found, columns.TASK)
    return ExitCode.OK


@task.command()
@asks_api
@ONE
@many_options(
    "Instead of ID: what failed of a config, or of all that begin alike ('etl-*').",
    statuses=TERMINAL,
    window=True,
)
@reason_option(required=False)
@click.option(
    "--failed",
    is_flag=True,
    help="Of a run of many tasks: only what did not succeed, and what comes after that.",
)
@wait_options
def retry(
    session: Session,
    task_id: str | None,
    many: Many,
    *,
    reason: str,
    failed: bool,
    waits: bool,
    exit_status: bool,
    timeout: str,
) -> int:
    """Run an ended task once more, as a new task; or many of them at a time."""
    if task_id is None:
        many.check_without({"--failed": failed, "--wait": waits, "--exit-status": exit_status})
        return many.run(session, "retry", reason)
    many.check_alone()
    body: dict[str, Any] = {"reason": reason} if reason else {}
    if failed:
        body["failed"] = True
    found = call_task(session, task_id, lambda one: session.api.post(task_path(one, "retry"), body))
    return finish(session, found, waits=waits, exit_status=exit_status, timeout=timeout)


def finish(session: Session, found: Any, *, waits: bool, exit_status: bool, timeout: str) -> int:
    """Show a new task, or wait for its end first."""
    if waits or exit_status:
        say(f"{clean(found['id'])} is accepted; waiting")
        task_id = str(found["id"])
        wait_for_end(session, task_id, timeout)
        found = session.api.get(task_path(task_id), full=True)
        show_with_result(session, found)
    else:
        session.output.record(found, columns.TASK)
    return exit_code_of(found, exit_status=exit_status)


@task.command()
@asks_api
@click.option("--executor", metavar="NAME", help="What runs it: local, http, grpc, ...")
@click.option("--payload", metavar="JSON|@FILE", help="What the executor is told; - is stdin.")
@click.option("--id", "task_id", metavar="ID", help="Its id; the same again changes nothing.")
@click.option("--delay", metavar="SPAN", help="Not before this time from now.")
@click.option("--at", metavar="TIME", help="Not before this instant; one that has passed: now.")
@click.option("--task-timeout", metavar="SPAN", help="How long a run may take.")
@click.option("--max-retries", type=click.IntRange(0, 1_000_000), help="Tries after the first.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 first, 0 last.  [default: 5]")
@click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="A worker must have.")
@click.option("--batch", metavar="FILE", help="JSON lines, one task each; up to 10,000.")
@wait_options
def submit(
    session: Session,
    executor: str | None,
    *,
    payload: str | None,
    task_id: str | None,
    delay: str | None,
    at: str | None,
    task_timeout: str | None,
    max_retries: int | None,
    priority: int | None,
    labels: tuple[str, ...],
    batch: str | None,
    waits: bool,
    exit_status: bool,
    timeout: str,
) -> int:
    """Submit a task of its own, or a batch of them."""
    if batch is not None:
        return _submit_batch(session, batch)
    if executor is None:
        raise UsageError("--executor is missing", todo="name one that is installed, such as local")
    body: dict[str, Any] = {"executor": executor, "payload": payload_of(payload)}
    body |= {
        "id": task_id,
        "delay": delay,
        "at": _instant(session, at),
        "timeout": task_timeout,
        "priority": priority,
    }
    if max_retries is not None:
        body["retry"] = {"max_retries": max_retries}
    if labels:
        body["required_labels"] = parse_labels(labels)
    given = {name: value for name, value in body.items() if value is not None}
    found = session.api.post("/tasks", given)
    return finish(session, found, waits=waits, exit_status=exit_status, timeout=timeout)


def _submit_batch(session: Session, path: str) -> int:
    answers: list[Any] = []
    for part in read_submissions(path):
        answers += session.api.post("/tasks/batch", {"items": part})["items"]
    session.output.records(answers, _BATCH)
    refused = sum(one.get("outcome") not in ("OK", "DUP") for one in answers)
    if refused:
        say(f"{refused} of {len(answers)} were refused")
    return ExitCode.PARTLY if refused else ExitCode.OK


def _instant(session: Session, text: str | None) -> str | None:
    return None if text is None else rfc3339(parse_instant(text, session.zone, session.now))
