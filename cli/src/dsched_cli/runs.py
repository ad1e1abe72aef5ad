"""A run of many tasks in the terminal: its steps by level, a grid of members, and their lines."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dsched_cli.calling import PAGE_LIMIT
from dsched_cli.cleaning import clean
from dsched_cli.errors import ApiError
from dsched_cli.finding import task_path
from dsched_cli.output import Output, write
from dsched_cli.session import Session
from dsched_cli.times import show_span_ms, show_time

# A member in the grid, by its state; one that is not born yet is a dot.
_CELLS = {"success": "+", "failed": "x", "cancelled": "-", "skipped": "~", "live": "o"}
_UNBORN = "."
_GRID_WIDTH = 50
_WORKERS_SHOWN = 50  # by name; the rest only as cells of the grid
_POLL_S = 1.0
LEGEND = "+ success, x failed, - cancelled, o waits or runs, . not yet"
LET_OFF = ", ~ let off, as its worker left or drained"


def is_run(found: Mapping[str, Any]) -> bool:
    """Whether a task that was read in full is a run of many."""
    spec = found.get("spec") or {}
    return "steps" in spec or "shards" in spec


def with_steps(session: Session, found: Mapping[str, Any]) -> dict[str, Any]:
    """The task with the steps of its run."""
    run = session.api.get(task_path(str(found["id"]), "run"))
    return {**found, "steps": run["steps"]}


def draw(session: Session, steps: Sequence[Mapping[str, Any]]) -> None:
    """Write the graph by levels, and a grid of the members of each step that has several."""
    write()
    width = max((len(_name(step)) for step in steps), default=0)
    level = None
    for step in steps:
        if step["level"] != level:
            level = step["level"]
            write(f"level {level}")
        write("  " + _line(session, step, width))
        rows = _by_worker if _has_workers(step) else _grid
        for row in rows(step, session.output):
            write("    " + row)
    if any(step["total"] > 1 or _has_workers(step) for step in steps):
        let_off = any(one["state"] == "skipped" for step in steps for one in step["members"])
        write(LEGEND + (LET_OFF if let_off else ""))


def _name(step: Mapping[str, Any]) -> str:
    return clean(step["id"]) or "shards"


def _line(session: Session, step: Mapping[str, Any], width: int) -> str:
    state = clean(step["state"])
    parts = [f"{_name(step):<{width}}", session.output.state(f"{state:<8}", as_state=state)]
    if step["start_time"]:
        parts.append(show_time(step["start_time"], session.zone))
    if step["start_time"] and step["end_time"]:
        parts.append(f"took {show_span_ms(_took_ms(step))}")
    if step["total"] > 1:
        failed = f", {step['failed']} failed" if step["failed"] else ""
        parts.append(f"{step['ended']} of {step['total']} ended{failed}")
    if step["taken"]:
        parts.append(_taken(step))
    if step["needs"]:
        when = "" if step["when"] == "success" else f" ({clean(step['when'])})"
        parts.append(f"<- {', '.join(map(clean, step['needs']))}{when}")
    if step["reason"]:
        parts.append(f"[{clean(step['reason'])}]")
    return "  ".join(parts)


def _taken(step: Mapping[str, Any]) -> str:
    runs = dict.fromkeys(clean(one["taken_from"]) for one in step["members"] if one["taken_from"])
    count = f"{step['taken']} " if step["total"] > 1 else ""
    return f"{count}taken over from {' and '.join(runs)}"


def _took_ms(step: Mapping[str, Any]) -> int:
    start, end = (datetime.fromisoformat(step[name]) for name in ("start_time", "end_time"))
    return round((end - start).total_seconds() * 1000)


def _grid(step: Mapping[str, Any], output: Output) -> Iterator[str]:
    """The members in the order of their index, a cell each."""
    if step["total"] <= 1:
        return
    state_of = {one["index"]: str(one["state"]) for one in step["members"]}
    for start in range(0, step["total"], _GRID_WIDTH):
        row = range(start, min(step["total"], start + _GRID_WIDTH))
        yield "".join(_cell(state_of.get(at), output) for at in row)


def _has_workers(step: Mapping[str, Any]) -> bool:
    return any(one.get("worker") for one in step["members"])


def _by_worker(step: Mapping[str, Any], output: Output) -> Iterator[str]:
    """Whose member ended how: a row each; of very many the grid, and those that did not succeed."""
    members = sorted(step["members"], key=lambda one: int(one["index"]))
    if step["total"] > _WORKERS_SHOWN:
        yield from _grid(step, output)
        members = [one for one in members if one["state"] != "success"]
    for one in members[:_WORKERS_SHOWN]:
        code = f"  [{clean(one['code'])}]" if one["state"] == "failed" and one["code"] else ""
        yield f"{_cell(str(one['state']), output)} {clean(one['worker'] or '-')}{code}"
    unborn = step["total"] - step["born"] - step["taken"]
    if unborn > 0 and step["total"] <= _WORKERS_SHOWN:
        yield f"{_UNBORN} {unborn} more"
    if len(members) > _WORKERS_SHOWN:
        yield f"and {len(members) - _WORKERS_SHOWN} more"


def _cell(state: str | None, output: Output) -> str:
    return _UNBORN if state is None else output.state(_CELLS.get(state, "?"), as_state=state)


def lines_of(session: Session, run_id: str, *, attempt: int | None, most: int) -> list[Any]:
    """What the members of a run have logged so far, by its time, each with its ``member``; those
    that were born first, at most so many."""
    found: list[Any] = []
    for name, member_id in _members(session, run_id):
        found += _page_on(session, member_id, name, after=None, attempt=attempt, most=most)[0]
        if len(found) >= most:
            break
    return sorted(found, key=lambda record: str(record["at"]))[:most]


def follow(session: Session, run_id: str, *, attempt: int | None) -> Iterator[Any]:
    """What the members of a run log, as it comes, until the run has ended and all is told."""
    after: dict[str, str | None] = {}
    told: set[str] = set()
    while True:
        ended = bool(session.api.get(task_path(run_id)).get("end_time"))
        news: list[Any] = []
        for name, member_id in _members(session, run_id):
            if member_id in told:
                continue
            records, after[member_id], complete = _page_on(
                session, member_id, name, after=after.get(member_id), attempt=attempt, most=None
            )
            news += records
            if complete:
                told.add(member_id)
        yield from sorted(news, key=lambda record: str(record["at"]))
        if ended:
            return
        time.sleep(_POLL_S)


def _members(session: Session, run_id: str) -> list[tuple[str, str]]:
    """Name and id of each member that was born in this run, the first one first."""
    run = session.api.get(task_path(run_id, "run"))
    born = [one for step in run["steps"] for one in step["members"] if not one["taken_from"]]
    born.sort(key=lambda one: str(one["born"]))
    return [(str(one["name"]), str(one["id"])) for one in born]


def _page_on(
    session: Session,
    member_id: str,
    name: str,
    *,
    after: str | None,
    attempt: int | None,
    most: int | None,
) -> tuple[list[Any], str | None, bool]:
    """The lines of a member after a cursor, the cursor behind them, and whether it says no more."""
    records: list[Any] = []
    path = task_path(member_id, "logs")
    while most is None or len(records) < most:
        limit = PAGE_LIMIT if most is None else min(PAGE_LIMIT, most - len(records))
        try:
            page = session.api.get(path, attempt=attempt, after=after, limit=limit)
        except ApiError as error:
            if error.kind != "not_found":
                raise
            return records, after, True  # it was pruned with its run
        records += [{"member": name, **one} for one in page["items"]]
        after = page.get("cursor") or after
        if len(page["items"]) < limit:
            return records, after, bool(page["complete"])
    return records, after, False
