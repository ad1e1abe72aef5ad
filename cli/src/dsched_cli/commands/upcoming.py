"""`dsched next`: the instants to come of a cron expression or a config, DST oddities marked."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs
import click

from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError
from dsched_cli.finding import call_config
from dsched_cli.output import Column, say, write
from dsched_cli.session import Session, asks_api
from dsched_cli.times import from_ms, ms_of, parse_instant, show_time
from dsched_client.instants import rfc3339

if TYPE_CHECKING:
    from dsched.model import TaskConfig

COLUMNS = (
    Column("LOCAL", lambda record: str(record["local"]).replace("T", " ")),
    Column("UTC", "time", wide=True),
    Column("IN", "in_ms", kind="ms"),
    Column("NOTE", "note"),
)

MOST = 1000  # instants in one answer


@click.command(name="next")
@asks_api
@click.argument("what", metavar="CRON|CONFIG")
@click.option(
    "-n", "count", type=click.IntRange(1, MOST), default=10, show_default=True, help="How many."
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
    *,
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
    span = _Span(
        after=now if start is None else parse_instant(start, session.zone, now),
        named=start is not None,
        until=None if until is None else parse_instant(until, session.zone, now),
        count=count,
    )
    config = None
    if task_file is not None:
        config = _from_file(task_file, what, ms_of(now))
    elif _is_cron(what):
        config = _of_expression(what, session.options.get("tz") or "UTC", seed)
    if explained:
        _explain(session, config or _from_api(session, what))
    items, more = _ask(session, what, span) if config is None else _plan(config, span)
    _show(session, items, now_ms=ms_of(now))
    if config is None:
        _say_if_paused(session, what)
    if more and count >= MOST:
        say("there are more; ask again with --from")


@attrs.frozen(kw_only=True)
class _Span:
    """The span asked for; ``named``: the first instant was given, so it is included."""

    after: datetime
    named: bool
    until: datetime | None
    count: int


def _show(session: Session, items: list[Mapping[str, Any]], *, now_ms: int) -> None:
    # The API's fields stay as they are; the column is for people.
    if session.output.format in ("table", "wide", "csv"):
        items = [
            {**item, "in_ms": ms_of(datetime.fromisoformat(item["time"])) - now_ms}
            for item in items
        ]
    session.output.records(items, COLUMNS, key="time")
    if not items:
        say("nothing is to come within these bounds")


def _is_cron(what: str) -> bool:
    return what.startswith("@") or " " in what.strip()


def _of_expression(expression: str, zone: str, seed: str) -> "TaskConfig":
    from dsched.model import InvalidIdError, TaskConfig

    try:
        return TaskConfig(
            id=seed or "expression", executor="any", cron_expr=expression, timezone=zone
        )
    except InvalidIdError as error:
        raise UsageError(f"--id {seed[:40]!r} is no id", why=str(error)) from error


def _from_file(path: str, config_id: str, now_ms: int) -> "TaskConfig":
    from dsched_cli.task_files import read_configs
    from dsched_cli.tree import meant

    configs = {config.id: config for config in read_configs([path])}
    if config_id not in configs:
        raise UsageError(
            f"{path} has no config {config_id!r}",
            why=f"it has {len(configs)} others",
            todo=meant(config_id, list(configs)) + "name one of its ids",
        )
    # A rate without a start counts from the put, which would be now.
    return attrs.evolve(configs[config_id], created_ms=now_ms)


def _from_api(session: Session, config_id: str) -> "TaskConfig":
    from dsched_cli.firing import config_of

    return config_of(
        call_config(session, config_id, lambda one: session.api.get(path_of("configs", one)))
    )


def _ask(session: Session, config_id: str, span: _Span) -> tuple[list[Mapping[str, Any]], bool]:
    query: dict[str, Any] = {"from": rfc3339(span.after)}
    # The server answers either with a whole span or with a number of instants.
    query |= {"limit": span.count} if span.until is None else {"to": rfc3339(span.until)}
    answer = call_config(
        session,
        config_id,
        lambda found: session.api.get(path_of("configs", found, "upcoming"), **query),
    )
    items = answer["items"]
    more = bool(answer.get("truncated")) or len(items) > span.count
    return items[: span.count], more


def _say_if_paused(session: Session, config_id: str) -> None:
    found = call_config(session, config_id, lambda one: session.api.get(path_of("configs", one)))
    paused = found.get("paused")
    if paused:
        until = paused.get("until")
        end = "it is resumed" if until is None else show_time(until, session.zone)
        say(f"note: {clean(found['id'])} is paused: until {end} none of these fires")


def _plan(config: "TaskConfig", span: _Span) -> tuple[list[Mapping[str, Any]], bool]:
    from dsched.planning import InvalidTriggerError, config_upcoming

    try:
        found = config_upcoming(
            config,
            after_ms=ms_of(span.after) - span.named,
            until_ms=None if span.until is None else ms_of(span.until),
            limit=span.count,
        )
    except InvalidTriggerError as error:
        raise _invalid(error) from error
    items: list[Mapping[str, Any]] = [
        {"time": rfc3339(from_ms(one.at_ms)), "local": one.local, "note": one.note}
        for one in found.items
    ]
    return items, found.truncated


def _explain(session: Session, config: "TaskConfig") -> None:
    from dsched.planning import InvalidTriggerError
    from dsched_cli.explaining import explain

    try:
        lines = explain(config.trigger)
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
