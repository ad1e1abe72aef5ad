"""`dsched why`: the decision behind a fire, or behind its absence."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli.cleaning import clean
from dsched_cli.errors import ApiError
from dsched_cli.finding import call_config, call_task, config_path, task_path
from dsched_cli.output import Column, write
from dsched_cli.session import Session, asks_api
from dsched_cli.times import parse_instant, show_time
from dsched_client.instants import rfc3339

_COLUMNS = (
    Column("SUBJECT", "subject"),
    Column("AT", "at", kind="time"),
    Column("VERDICT", "verdict", kind="state"),
    Column("SUMMARY", "summary"),
)


@click.command()
@asks_api
@click.argument("what", metavar="CONFIG|TASK")
@click.option("--at", metavar="TIME", help="Of a config: about this instant.  [default: the last]")
def why(session: Session, what: str, at: str | None) -> None:
    """Say why something fired, was skipped, came late or was missed."""
    query: dict[str, Any] = {}
    if at is not None:
        query["at"] = rfc3339(parse_instant(at, session.zone, session.now))
    if "@" in what and at is None:
        found = call_task(session, what, lambda one: session.api.get(task_path(one, "why")))
    else:
        found = _of_config_or_task(session, what, query)
    if session.output.format in ("table", "wide"):
        _draw(session, found)
    else:
        session.output.record(found, _COLUMNS, key="subject")


def _of_config_or_task(session: Session, what: str, query: Mapping[str, Any]) -> Any:
    """A name without ``@`` is a config's, or that of a task submitted by itself."""
    try:
        return session.api.get(config_path(what, "why"), **query)
    except ApiError as error:
        if error.kind != "not_found":
            raise
    if not query:
        try:
            return session.api.get(task_path(what, "why"))
        except ApiError as error:
            if error.kind != "not_found":
                raise
    return call_config(session, what, lambda one: session.api.get(config_path(one, "why"), **query))


def _draw(session: Session, found: Mapping[str, Any]) -> None:
    output = session.output
    at = show_time(found.get("at"), session.zone)
    verdict = clean(found.get("verdict", ""))
    write(f"{clean(found.get('subject', ''))}  {at}  {output.state(verdict)}")
    write(clean(found.get("summary", "")))
    for sentence in found.get("because") or []:
        write(f"  - {clean(sentence)}")
    near = found.get("neighbours") or {}
    shown = [
        f"{word} {show_time(near[key], session.zone)}"
        for key, word in (("before", "the one before:"), ("after", "the next:"))
        if near.get(key)
    ]
    if shown:
        write("; ".join(shown))
