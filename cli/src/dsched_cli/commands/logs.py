"""`dsched logs`: what a run said, so far or as it comes."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli import columns, runs
from dsched_cli.calling import PAGE_LIMIT
from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError
from dsched_cli.finding import call_task, task_path
from dsched_cli.output import say, write
from dsched_cli.session import Session, asks_api
from dsched_cli.times import show_time


@click.command()
@asks_api
@click.argument("task_id", metavar="TASK")
@click.option("--attempt", type=click.IntRange(1), help="Only of this attempt.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until the run has ended.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=1000, help="At most so many lines."
)
def logs(session: Session, task_id: str, *, attempt: int | None, follow: bool, limit: int) -> None:
    """Show what a task's run has logged; of a run of many, what its members have, each line with
    its step."""
    found = call_task(session, task_id, lambda one: session.api.get(task_path(one), full=True))
    path = task_path(str(found["id"]), "logs")
    many = runs.is_run(found)
    if follow and many:
        _check_endless(session)
        for record in runs.follow(session, str(found["id"]), attempt=attempt):
            _tell(session, record)
        return
    if follow:
        _follow(session, path, attempt)
        return
    if many:
        records = runs.lines_of(session, str(found["id"]), attempt=attempt, most=limit)
    else:
        records = _lines(session, path, attempt, limit)
    if session.output.format in ("table", "wide"):
        for record in records:
            _draw(session, record)
    else:
        session.output.records(records, columns.LOG_LINE, key="line")
    if len(records) == limit:
        say(f"only the first {limit} lines are shown; use --limit N")


def _lines(session: Session, path: str, attempt: int | None, most: int) -> list[Any]:
    """The lines so far, at most so many; their cursor goes on for ever, so no items end it."""
    records: list[Any] = []
    after: str | None = None
    while len(records) < most:
        limit = min(most - len(records), PAGE_LIMIT)
        page = session.api.get(path, attempt=attempt, after=after, limit=limit)
        records += page["items"]
        after = page.get("cursor")
        if len(page["items"]) < limit or not after:
            break
    return records


def _follow(session: Session, path: str, attempt: int | None) -> None:
    _check_endless(session)
    for event in session.api.events(path, follow=True, attempt=attempt):
        if event.kind == "end":
            return
        records = event.data if isinstance(event.data, list) else [event.data]
        for record in records:
            if not isinstance(record, dict) or "line" not in record:
                continue
            _tell(session, record)


def _check_endless(session: Session) -> None:
    if session.output.format not in ("table", "wide", "jsonl"):
        raise UsageError(
            f"-o {session.output.format} has an end, and --follow has none",
            todo="use -o jsonl, or leave one of them out",
        )


def _tell(session: Session, record: Mapping[str, Any]) -> None:
    if session.output.format == "jsonl":
        session.output.records([record], ())
    else:
        _draw(session, record)


def _draw(session: Session, record: Mapping[str, Any]) -> None:
    at = show_time(record.get("at"), session.zone)
    level = session.output.state(f"{clean(record.get('level', '')):<7}")
    step = f"{clean(record['member'])}  " if "member" in record else ""
    write(f"{at}  {level}  {step}{clean(record.get('line', ''))}")
