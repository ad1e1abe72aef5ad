"""`dsched next`: the instants to come of a cron expression or a config, DST oddities marked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dsched_cli.calling import path_of
from dsched_cli.errors import UsageError
from dsched_cli.finding import call_config
from dsched_cli.output import Column, say, write
from dsched_cli.session import Session, asks_api
from dsched_cli.times import ms_of, parse_instant, rfc3339

if TYPE_CHECKING:
    from dsched.model import Trigger

COLUMNS = (
    Column("LOCAL", lambda record: str(record["local"]).replace("T", " ")),
    Column("UTC", "time", wide=True),
    Column("IN", "in_ms", kind="ms"),
    Column("NOTE", "note"),
)


@click.command(name="next")
@asks_api
@click.argument("what", metavar="CRON|CONFIG")
@click.option(
    "-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many."
)
@click.option("--from", "start", metavar="TIME", help="From this instant on.  [default: now]")
@click.option("--until", metavar="TIME", help="Not after this instant.")
@click.option(
    "-f",
    "--file",
    "task_file",
    metavar="FILE",
    help="Look the config up in this task file, without a server.",
)
@click.option("--explain", "explained", is_flag=True, help="Also say in words what it means.")
@click.option("--id", "seed", metavar="ID", default="", help="The config's id, which spreads H.")
def upcoming(
    session: Session,
    what: str,
    count: int,
    start: str | None,
    until: str | None,
    task_file: str | None,
    explained: bool,
    seed: str,
) -> None:
    """Show what fires next: of a cron expression (offline) or a config.

    With a cron expression, --tz is the zone it runs in (default UTC). What is odd about an instant
    because clocks change stands in the last column.
    """
    now = session.now
    after = now if start is None else parse_instant(start, session.zone, now)
    end = None if until is None else parse_instant(until, session.zone, now)
    trigger = None
    if task_file is not None:
        trigger, zone = _from_file(task_file, what)
    elif _is_cron(what):
        zone = session.options.get("tz") or "UTC"
        trigger = _cron_trigger(what, zone, seed)
    if trigger is None:
        if explained:
            trigger, zone = _from_api(session, what)
            _explain(session, trigger)
        items, more = _ask(
            session, what, count, rfc3339(after), None if end is None else rfc3339(end)
        )
    else:
        if explained:
            _explain(session, trigger)
        after_ms = ms_of(after) - (start is not None)  # an instant that is named is wanted
        items, more = _plan(trigger, zone, count, after_ms, None if end is None else ms_of(end))
    _show(session, items, more=more and count >= 1000)


def _show(session: Session, items: list[Mapping[str, Any]], *, more: bool) -> None:
    """The API's fields stay as they are; the column of how long it takes is for people."""
    now_ms = ms_of(session.now)
    if session.output.format in ("table", "wide", "csv"):
        items = [{**item, "in_ms": _ms(item["time"]) - now_ms} for item in items]
    session.output.records(items, COLUMNS, key="time")
    if not items:
        say("nothing is to come within these bounds")
    elif more:
        say("there are more; ask again with --from")


def _is_cron(what: str) -> bool:
    return what.startswith("@") or " " in what.strip()


def _cron_trigger(expression: str, zone: str, seed: str) -> "Trigger":
    from dsched.model import CronTrigger

    return CronTrigger(expression=expression, timezone=zone, seed=seed)


def _from_file(path: str, config_id: str) -> "tuple[Trigger, str]":
    from dsched_cli.task_files import read_configs

    configs = {config.id: config for config in read_configs([path])}
    if config_id not in configs:
        from dsched_cli.tree import meant

        raise UsageError(
            f"{path} has no config {config_id!r}",
            why=f"it has {len(configs)} others",
            todo=meant(config_id, list(configs)) + "name one of its ids",
        )
    config = configs[config_id]
    return config.trigger, config.timezone


def _from_api(session: Session, config_id: str) -> "tuple[Trigger, str]":
    from dsched_cli.firing import trigger_of

    record = call_config(
        session, config_id, lambda found: session.api.get(path_of("configs", found))
    )
    return trigger_of(record)


def _ask(
    session: Session, config_id: str, count: int, after: str, until: str | None
) -> tuple[list[Mapping[str, Any]], bool]:
    query: dict[str, Any] = {"from": after}
    # The server answers with all of a span, or with so many.
    query |= {"limit": count} if until is None else {"to": until}
    answer = call_config(
        session,
        config_id,
        lambda found: session.api.get(path_of("configs", found, "upcoming"), **query),
    )
    items = answer["items"]
    return items[:count], bool(answer.get("truncated")) or len(items) > count


def _plan(
    trigger: "Trigger", zone: str, count: int, after_ms: int, until_ms: int | None
) -> tuple[list[Mapping[str, Any]], bool]:
    from dsched.planning import InvalidTriggerError
    from dsched.planning import upcoming as plan
    from dsched_cli.times import from_ms

    try:
        found = plan(trigger, timezone=zone, after_ms=after_ms, until_ms=until_ms, limit=count)
    except InvalidTriggerError as error:
        raise _invalid(error) from error
    items: list[Mapping[str, Any]] = [
        {"time": rfc3339(from_ms(one.at_ms)), "local": one.local, "note": one.note}
        for one in found.items
    ]
    return items, found.truncated


def _explain(session: Session, trigger: "Trigger") -> None:
    from dsched.planning import InvalidTriggerError
    from dsched_cli.explaining import explain

    try:
        lines = explain(trigger)
    except InvalidTriggerError as error:
        raise _invalid(error) from error
    out = write if session.output.format in ("table", "wide") else say
    for line in lines:
        out(line)
    out("")


def _invalid(error: Exception) -> UsageError:
    field, reason = getattr(error, "field", "trigger"), getattr(error, "reason", str(error))
    return UsageError(
        f"{field} cannot be meant",
        why=reason,
        todo="correct it; five fields: minute hour day-of-month month day-of-week",
    )


def _ms(text: object) -> int:
    from datetime import datetime

    return ms_of(datetime.fromisoformat(str(text)))
