"""`dsched status`: is it healthy, what runs now, what fires next."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli import columns
from dsched_cli.calendar_words import calendar_words
from dsched_cli.cleaning import clean
from dsched_cli.columns import is_lost
from dsched_cli.errors import ExitCode
from dsched_cli.output import Column, write
from dsched_cli.session import Session, asks_api
from dsched_cli.times import ms_of, show_time
from dsched_cli.troubles import (
    busy_beside_room,
    nobody_can_run,
    refused_writes,
    waits_beside_room,
    waits_under_limits,
)
from dsched_cli.watching import watch, watch_option

_COLUMNS = (
    Column("LEADER", "cluster.leader.pod"),
    Column("CONFIGS", "cluster.configs", kind="number"),
    Column("WORKERS", "cluster.workers", kind="number"),
    Column("PROBLEMS", lambda record: "; ".join(record["problems"])),
)
_SHOWN = 5
_LOOKED_AT = 500


@click.command()
@asks_api
@watch_option
def status(session: Session, watches: bool) -> int:
    """Answer at a glance: is it healthy, what runs now, what fires next.

    Exits with 1 when something is wrong: no leader, no worker, workers lost or stalled, a store
    that takes no writes, tasks that no worker can run or whose workers are full, tasks that wait
    although workers have room.
    """
    problems: list[str] = []

    def show() -> bool:
        found = gather(session)
        problems[:] = found["problems"]
        if session.output.format in ("table", "wide"):
            _draw(session, found)
        else:
            session.output.record(found, _COLUMNS, key="leader")
        return watches

    watch(show) if watches else show()
    return ExitCode.FAILED if problems else ExitCode.OK


def gather(session: Session) -> dict[str, Any]:
    """Health, what runs, what fires next, as one record."""
    cluster = session.api.get("/cluster")
    workers = list(session.api.items("/workers", most=_LOOKED_AT))
    configs = list(session.api.items("/configs", most=_LOOKED_AT))
    due = sorted((one for one in configs if one.get("due")), key=lambda one: str(one["due"]))
    return {
        "problems": _problems(cluster, workers),
        "cluster": cluster,
        "running": list(session.api.items("/tasks", most=_SHOWN, home="lease")),
        "runs": list(session.api.items("/tasks", most=_SHOWN, home="open")),
        "next": [
            {"config_id": one["id"], "due": one["due"], "name": one.get("name", "")}
            for one in due[:_SHOWN]
        ],
        "limits": waits_under_limits(cluster),
        "calendars": calendar_words(configs, now_ms=ms_of(session.now)),
        "paused": [one["id"] for one in configs if one.get("paused")],
        "paused_themselves": [
            f"{one['id']}: {one['paused'].get('why', '')}"
            for one in configs
            if (one.get("paused") or {}).get("who") == "dsched"
        ],
        "workers": workers,
    }


def _problems(cluster: Mapping[str, Any], workers: list[Any]) -> list[str]:
    problems = [text for text in (refused_writes(cluster),) if text]
    if not cluster.get("leader"):
        problems.append("there is no leader: nothing fires until a scheduler is elected")
    if not any(not is_lost(one) and not one.get("draining") for one in workers):
        problems.append("there is no worker: nothing runs")
    lost = [clean(one["id"]) for one in workers if is_lost(one) and not _left_nothing(one)]
    if lost:
        ids = ", ".join(lost)
        problems.append(f"workers that are not heard of: {ids}; others take over what they had")
    stalled = [clean(one["id"]) for one in workers if one.get("stalled")]
    if stalled:
        problems.append(f"stalled workers: {', '.join(stalled)}")
    problems += nobody_can_run(cluster)
    problems += busy_beside_room(cluster)
    if aged := waits_beside_room(cluster, workers):
        problems.append(aged)
    return problems


def _left_nothing(worker: Mapping[str, Any]) -> bool:
    """A worker that is gone and has no tasks needs no report: it is forgotten within an hour."""
    return bool(worker.get("gone")) and not (worker.get("running") or worker.get("queued"))


def _draw(session: Session, found: Mapping[str, Any]) -> None:
    output, cluster = session.output, found["cluster"]
    leader = cluster.get("leader") or {}
    workers = [one for one in found["workers"] if not is_lost(one)]
    lost = len(found["workers"]) - len(workers)
    if found["problems"]:
        for problem in found["problems"]:
            write(output.state("problem", as_state="error") + f": {problem}")
    else:
        write(output.state("healthy", as_state="ok"))
    running = sum(int(one.get("running") or 0) for one in workers)
    room = sum(int(one.get("capacity") or 0) for one in workers)
    counts = cluster.get("counts") or {}
    by_home = counts.get("by_home") or {}
    write(f"leader:   {clean(leader.get('pod', 'none'))} (epoch {leader.get('epoch', '-')})")
    write(
        f"workers:  {len(workers)}, running {running} of {room}"
        + (f"; {lost} lost" if lost else "")
    )
    waiting = ", ".join(f"{clean(home)} {count}" for home, count in by_home.items()) or "nothing"
    write(f"tasks:    {waiting}")
    paused = found["paused"]
    write(f"configs:  {cluster.get('configs')}" + (f", {len(paused)} paused" if paused else ""))
    for words in found["paused_themselves"][:_SHOWN]:
        write(output.state("paused itself", as_state="warning") + f": {clean(words)}")
    for words in found["limits"]:
        write(output.state("waits", as_state="warning") + f": {words}")
    for words in found["calendars"]:
        write(output.state("calendar", as_state="warning") + f": {words}")
    write(f"time:     {show_time(cluster.get('store_time'), session.zone)} (store)")
    if found["running"]:
        write()
        output.records(found["running"], columns.TASK)
    if found["next"]:
        write()
        write("next:")
        for one in found["next"]:
            write(f"  {show_time(one['due'], session.zone)}  {clean(one['config_id'])}")
