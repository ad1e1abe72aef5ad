"""`dsched top`: workers and running tasks, live."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dsched_cli.cleaning import clean
from dsched_cli.commands.status import gather
from dsched_cli.output import write
from dsched_cli.session import Session, asks_api
from dsched_cli.table import bar
from dsched_cli.times import show_time

if TYPE_CHECKING:
    from rich.console import RenderableType

_CELLS = 20


@click.command()
@asks_api
@click.option("--once", is_flag=True, help="Draw it once; so it is off a terminal.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 60),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
def top(session: Session, once: bool, interval: float) -> None:
    """Watch workers, queues and running tasks live (Ctrl-C ends)."""
    if once or not sys.stdout.isatty() or session.output.format not in ("table", "wide"):
        found = gather(session)
        if session.output.format in ("table", "wide"):
            for line in _lines(session, found):
                write(line)
        else:
            session.output.record(found, ())
        return
    _live(session, interval)


def _live(session: Session, interval_s: float) -> None:
    import time

    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not session.output.colour)
    with Live(_panel(session, gather(session)), console=console, screen=True) as live:
        while True:
            time.sleep(interval_s)
            live.update(_panel(session, gather(session)))


def _panel(session: Session, found: Mapping[str, Any]) -> "RenderableType":
    from rich.panel import Panel
    from rich.text import Text

    text = Text("\n".join(_lines(session, found)))
    return Panel(text, title="dsched top", subtitle="Ctrl-C ends")


def _lines(session: Session, found: Mapping[str, Any]) -> list[str]:
    """The picture as plain lines."""
    cluster = found["cluster"]
    leader = (cluster.get("leader") or {}).get("pod", "none")
    lines = [
        (
            f"{show_time(cluster.get('store_time'), session.zone)}  leader {clean(leader)}"
            f"  {cluster.get('configs')} configs"
        )
    ]
    lines += [f"! {problem}" for problem in found["problems"]]
    homes = (cluster.get("counts") or {}).get("by_home") or {}
    lines.append("  ".join(f"{clean(home)} {count}" for home, count in homes.items()))
    lines.append("")
    for worker in found["workers"]:
        running, room = int(worker.get("running") or 0), int(worker.get("capacity") or 0)
        load = f"{bar(running, room, _CELLS):<{_CELLS}}"
        lines.append(
            f"{clean(worker['id']):<40.40}  {clean(worker.get('status', '')):<9}"
            f"|{load}| {running}/{room} +{worker.get('queued', 0)}"
        )
    lines.append("")
    for task in found["running"]:
        since = show_time(task.get("start_time"), session.zone)
        lines.append(f"{clean(task['id']):<50.50}  since {since}  try {task.get('attempt')}")
    if found["runs"]:
        lines += ["", "runs of many tasks:"]
    for run in found["runs"]:
        since = show_time(run.get("start_time") or run.get("scheduled_time"), session.zone)
        lines.append(f"  {clean(run['id']):<48.48}  since {since}")
    lines += ["", "next:"]
    lines += [
        f"  {show_time(one['due'], session.zone)}  {clean(one['config_id'])}"
        for one in found["next"]
    ]
    return lines
