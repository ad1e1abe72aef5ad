"""`dsched config`: what runs when. Reading, changing, pausing, skipping, backfilling."""

from datetime import datetime
from typing import Any

import click

from dsched_cli import columns
from dsched_cli.cleaning import clean
from dsched_cli.commands.backfill import backfill
from dsched_cli.completing import config_ids
from dsched_cli.errors import UsageError
from dsched_cli.finding import call_config, config_path
from dsched_cli.output import say
from dsched_cli.selecting import configs_of, meant_options
from dsched_cli.session import (
    Session,
    asks_api,
    confirm,
    list_options,
    reason_option,
    yes_option,
)
from dsched_cli.times import is_span, parse_instant, parse_span
from dsched_cli.watching import watch, watch_option
from dsched_client.instants import rfc3339

ID = click.argument("config_id", metavar="ID", shell_complete=config_ids)


@click.group()
def config() -> None:
    """What runs when: list, look at and change configs."""


@config.command(name="list")
@asks_api
@meant_options("Those whose ids begin alike: 'etl-*'.")
@list_options
@watch_option
def list_(
    session: Session,
    of_config: str | None,
    *,
    labels: tuple[str, ...],
    owner: str | None,
    limit: int | None,
    watches: bool,
) -> None:
    """List configs with their next and last instants."""
    query = configs_of(of_config, labels, owner).query(config=of_config)

    def show() -> bool:
        session.show_list("/configs", columns.CONFIG, limit=limit, **query)
        return watches

    watch(show) if watches else show()


@config.command()
@asks_api
@ID
def get(session: Session, config_id: str) -> None:
    """Show one config; -o yaml and -o json have its whole entry."""
    found = call_config(session, config_id, lambda one: session.api.get(config_path(one)))
    session.output.record(found, columns.CONFIG)


@config.command()
@asks_api
@ID
@click.option(
    "-f", "--file", "task_file", required=True, metavar="FILE", help="Task file that has it."
)
@click.option("--adopt", is_flag=True, help="Take it over from another origin.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def put(session: Session, config_id: str, *, task_file: str, adopt: bool, dry_run: bool) -> None:
    """Create or change one config from a task file. `dsched apply` does whole files."""
    from dsched_cli.declared import entries_of

    entry = next((one for one in entries_of(task_file) if one.id == config_id), None)
    if entry is None:
        raise UsageError(
            f"{task_file} has no config {clean(config_id)!r}", todo="name an id that it has"
        )
    query: dict[str, Any] = {"adopt": adopt or None, "dry_run": dry_run or None}
    answer = session.api.call("PUT", config_path(config_id), query=query, body=entry.content)
    outcome = clean(answer.headers.get("x-dsched-outcome", "done"))
    say(f"{config_id}: {'would be ' if dry_run else ''}{outcome}")
    for warning in answer.data.get("warnings") or ():
        say(f"warning: {clean(warning)}")
    session.output.record(answer.data, columns.CONFIG)


@config.command()
@asks_api
@ID
@click.option("--cancel", is_flag=True, help="Also cancel its tasks that wait or run.")
@reason_option(required=False)
@yes_option
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def delete(
    session: Session, config_id: str, *, cancel: bool, reason: str, yes: bool, dry_run: bool
) -> None:
    """Delete a config; its tasks that live finish unless --cancel is given."""
    if cancel and not reason:
        raise UsageError(
            "--cancel needs a reason",
            why="each task that it cancels is told",
            todo="add --reason TEXT, as for `dsched task cancel`",
        )
    found = call_config(session, config_id, lambda one: session.api.get(config_path(one)))
    full_id = str(found["id"])
    fate = "cancelled" if cancel else "left to finish"
    if dry_run:
        say(f"would delete {clean(full_id)}; live tasks would be {fate}")
        return
    confirm(f"Delete config {clean(full_id)}? Live tasks are {fate}.", yes=yes)
    query = {"cancel": cancel or None, "reason": reason or None}
    session.api.call("DELETE", config_path(full_id), query=query)
    say(f"{clean(full_id)} is deleted")


@config.command()
@asks_api
@ID
@click.option(
    "--until", metavar="TIME", help="Resume by itself at this instant, or after 2h, 3d, ..."
)
@reason_option(required=True)
def pause(session: Session, config_id: str, *, until: str | None, reason: str) -> None:
    """Stop firing until resumed. Instants in between are recorded as skipped."""
    end = {} if until is None else end_of_pause(session, until)
    _act(session, config_id, "pause", {"reason": reason, **end})


def end_of_pause(session: Session, text: str) -> dict[str, Any]:
    """A span is sent as it is: it counts from the cluster's now, not from this machine's."""
    span = text.strip().removeprefix("+")
    if is_span(span):
        parse_span(span)
        return {"for": span}
    return {"until": _instant(session, text)}


@config.command()
@asks_api
@ID
@reason_option(required=False)
def resume(session: Session, config_id: str, reason: str) -> None:
    """Fire again from the next instant on."""
    _act(session, config_id, "resume", {"reason": reason} if reason else {})


def _act(session: Session, config_id: str, act: str, body: dict[str, Any]) -> None:
    found = call_config(
        session, config_id, lambda one: session.api.post(config_path(one, act), body)
    )
    session.output.record(found, columns.CONFIG)


@config.command()
@asks_api
@ID
@list_options
def decisions(session: Session, config_id: str, limit: int | None) -> None:
    """List what was decided about its instants, the latest first."""
    found = call_config(session, config_id, lambda one: session.api.get(config_path(one)))
    path = config_path(str(found["id"]), "decisions")
    session.show_list(path, columns.DECISION, limit=limit)


@config.command()
@asks_api
@ID
@click.option("--at", metavar="TIME", help="The one instant to skip.")
@click.option("--from", "first", metavar="TIME", help="The first of several to skip.")
@click.option("--to", "last", metavar="TIME", help="The last of them.")
@reason_option(required=True)
def skip(
    session: Session,
    config_id: str,
    *,
    at: str | None,
    first: str | None,
    last: str | None,
    reason: str,
) -> None:
    """Leave out one instant, or those of a span, before they are due."""
    if (at is None) == (first is None and last is None) or (first is None) != (last is None):
        raise UsageError(
            "it is not clear what to skip", todo="give either --at, or --from and --to"
        )
    given = {"at": at, "from": first, "to": last}
    body = {name: _instant(session, text) for name, text in given.items() if text is not None}
    answer = call_config(
        session,
        config_id,
        lambda one: session.api.post(config_path(one, "skip"), {**body, "reason": reason}),
    )
    session.output.record(answer, columns.SKIP, key="first")


config.add_command(backfill)


def _instant(session: Session, text: str) -> str:
    found: datetime = parse_instant(text, session.zone, session.now)
    return rfc3339(found)
