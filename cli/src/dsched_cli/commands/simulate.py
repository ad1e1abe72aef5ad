"""`dsched simulate`: a task file played in virtual time, to see its load before it is real."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
import click

from dsched_cli import table
from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError
from dsched_cli.output import Column, Output, write, write_json, yaml_text
from dsched_cli.session import open_session, output_options
from dsched_cli.times import (
    from_ms,
    ms_of,
    parse_instant,
    parse_span,
    show_time,
)
from dsched_client.instants import rfc3339

if TYPE_CHECKING:
    from dsched_cli.simulation import Load

COLUMNS = (
    Column("CONFIG", "id"),
    Column("TAKES", "takes_ms", kind="ms"),
    Column("FIRES", "fires", kind="number"),
    Column("RUNS", "runs", kind="number"),
    Column("SKIPPED", "skipped", kind="number"),
    Column("HELD", "held", kind="number"),
    Column("CUT", "cut", kind="number"),
    Column("LEFT OUT", "left_out", kind="number"),
    Column("AT ONCE", "at_once", kind="number"),
    Column("SHORTEST GAP", "shortest_gap_ms", kind="ms"),
    Column("RUN TIME", "run_ms", kind="ms"),
    Column("OVERLAP", "overlap", wide=True),
)
_BAR_CELLS = 40
_SHOWN_CONFIGS = 20


@click.command()
@output_options
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE|DIR",
    multiple=True,
    required=True,
    help="Task file, or a folder of them; repeatable.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 92),
    default=30,
    show_default=True,
    help="How many days to play.",
)
@click.option("--from", "start", metavar="TIME", help="Where to begin.  [default: this hour]")
@click.option(
    "--duration",
    "durations",
    metavar="[ID=]SPAN",
    multiple=True,
    help="How long a run takes: of all (30s) or of one config (report=5m); repeatable.  "
    "[default: 10s]",
)
def simulate(
    files: tuple[str, ...],
    days: int,
    *,
    start: str | None,
    durations: tuple[str, ...],
    output_format: str | None,
    tz: str | None,
) -> None:
    """Play a task file through the planner in virtual time.

    Shows starts by hour, the busiest minute, the most runs at one time, and per config what its
    overlap policy did and its calendar left out. Nothing is run, and no server is asked. A run
    takes the assumed time, at most its timeout; workers are always free.
    """
    from dsched_cli.simulation import simulate as play
    from dsched_cli.task_files import read_configs

    with open_session({"output_format": output_format, "tz": tz}) as session:
        now = session.now
        begin = now.astimezone(session.zone).replace(minute=0, second=0, microsecond=0)
        if start is not None:
            begin = parse_instant(start, session.zone, now)
        configs = read_configs(files)
        default_ms, by_config = _durations(durations, [config.id for config in configs])
        start_ms = ms_of(begin)
        try:
            load = play(
                configs,
                start_ms=start_ms,
                end_ms=start_ms + days * 86_400_000,
                run_ms=by_config,
                default_run_ms=default_ms,
            )
        except ValueError as error:
            raise UsageError("this is too much to play", why=str(error)) from error
        _show(session.output, load, days)


def _durations(given: tuple[str, ...], ids: list[str]) -> tuple[int, dict[str, int]]:
    default_ms, by_config = 10_000, {}
    for text in given:
        config_id, found, span = text.rpartition("=")
        span_ms = parse_span(span) // timedelta(milliseconds=1)
        if not found:
            default_ms = span_ms
        elif config_id not in ids:
            from dsched_cli.tree import meant

            raise UsageError(
                f"--duration names {clean(config_id)!r}, which no file has",
                todo=meant(config_id, ids) + "name one of their ids",
            )
        else:
            by_config[config_id] = span_ms
    return default_ms, by_config


def _show(output: Output, load: "Load", days: int) -> None:
    if output.format in ("json", "yaml"):
        record = _record(load)
        if output.format == "json":
            write_json(record)
        else:
            write(yaml_text(record).rstrip("\n"))
        return
    configs = [attrs.asdict(one) for one in load.configs]
    if output.format not in ("table", "wide"):
        output.records(configs, COLUMNS)
        return
    _summary(output, load, days)
    _histogram(output, load)
    write()
    busiest = sorted(configs, key=lambda one: (-one["fires"], one["id"]))
    shown = busiest if output.format == "wide" else busiest[:_SHOWN_CONFIGS]
    output.records(shown, COLUMNS)
    if len(shown) < len(busiest):
        write(f"... and {len(busiest) - len(shown)} more (-o wide shows all)")


def _summary(output: Output, load: "Load", days: int) -> None:
    fires = sum(one.fires for one in load.configs)
    runs = sum(one.runs for one in load.configs)
    lost = sum(one.skipped for one in load.configs)
    first = show_time(rfc3339(from_ms(load.start_ms)), output.zone)
    write(f"{days} days from {first}: {len(load.configs)} configs, {fires} fires")
    write(f"runs: {runs}; skipped because an earlier run lived: {lost}")
    if left_out := sum(one.left_out for one in load.configs):
        write(f"left out by calendars: {left_out} instants")
    if load.busiest_ms is None:
        write("nothing fires in this span")
        return
    at = show_time(rfc3339(from_ms(load.busiest_ms)), output.zone)
    names = ", ".join(
        clean(name) + (f" x{count}" if count > 1 else "")
        for name, count in list(load.busiest.items())[:5]
    )
    more = f", and {len(load.busiest) - 5} more" if len(load.busiest) > 5 else ""
    write(f"busiest minute: {at}, {load.busiest_starts} starts ({names}{more})")
    at = show_time(rfc3339(from_ms(load.most_at_once_ms or 0)), output.zone)
    write(f"most runs at one time: {load.most_at_once}, at {at}")
    write()


def _histogram(output: Output, load: "Load") -> None:
    """Starts by hour of the day on the clock of the zone: the mean of the days, and the most."""
    by_hour: dict[int, list[int]] = {hour: [] for hour in range(24)}
    for number, starts in enumerate(load.hours):
        at = from_ms(load.start_ms + number * 3_600_000).astimezone(output.zone)
        by_hour[at.hour].append(starts)
    means = {hour: sum(found) / len(found) if found else 0.0 for hour, found in by_hour.items()}
    most = max(means.values(), default=0.0)
    write("HOUR   STARTS: MEAN OF THE DAYS, (MOST)")
    for hour, mean in means.items():
        top = max(by_hour[hour], default=0)
        bar = table.bar(mean, most, _BAR_CELLS)
        shown = f"{mean:.1f}".removesuffix(".0")
        write(f"{hour:02}:00  {bar + ' ' if bar else ''}{shown} ({top})")


def _record(load: "Load") -> dict[str, Any]:
    def shown(ms: int | None) -> str | None:
        return None if ms is None else rfc3339(from_ms(ms))

    return {
        "from": shown(load.start_ms),
        "to": shown(load.end_ms),
        "fires": sum(one.fires for one in load.configs),
        "runs": sum(one.runs for one in load.configs),
        "left_out": sum(one.left_out for one in load.configs),
        "busiest_minute": {
            "at": shown(load.busiest_ms),
            "starts": load.busiest_starts,
            "configs": dict(load.busiest),
        },
        "most_at_once": {"at": shown(load.most_at_once_ms), "runs": load.most_at_once},
        "hours": [
            {"start": shown(load.start_ms + number * 3_600_000), "starts": starts}
            for number, starts in enumerate(load.hours)
        ],
        "configs": [attrs.asdict(one) for one in load.configs],
    }
