"""I23 and I24: members of runs are born once and in time; a run ends once, after all of them."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched.model import TaskStatus, run_of


@attrs.define
class _Run:
    """What the log has told of a run so far."""

    born: set[str] = attrs.field(factory=set)
    living: set[str] = attrs.field(factory=set)
    cancelled: bool = False
    ended: bool = False


def runs(log: Sequence[Event]) -> list[str]:
    """I23: a member is born at most once, and never after the end of its run or a cancel of it.
    I24: a run ends once, when none of its members lives."""
    found: list[str] = []
    known: dict[str, _Run] = {}
    for event in log:
        for item in event.items:
            if event.kind is EventKind.BORN:
                found += _born(known.setdefault(item["run"], _Run()), item["task"])
            elif event.kind is EventKind.RUN_ENDED:
                found += _ended(known.setdefault(item["task"], _Run()), item["task"])
            elif event.kind is EventKind.SUBMITTED:
                known.pop(item["task"], None)  # the run of before was pruned
            elif event.kind is EventKind.CANCEL_REQUESTED and item["task"] in known:
                known[item["task"]].cancelled = True
            elif "task" in item and TaskStatus(item.get("status", "pending")).terminal:
                run = known.get(run_of(item["task"]) or "")
                if run is not None:
                    run.living.discard(item["task"])
    return found


def _born(run: _Run, task_id: str) -> list[str]:
    found = []
    if task_id in run.born:
        found.append(f"I23: {task_id} was born twice")
    if run.ended or run.cancelled:
        when = "its run had ended" if run.ended else "its run was to be cancelled"
        found.append(f"I23: {task_id} was born when {when}")
    run.born.add(task_id)
    run.living.add(task_id)
    return found


def _ended(run: _Run, run_id: str) -> list[str]:
    found = []
    if run.ended:
        found.append(f"I24: run {run_id} ended twice")
    if run.living:
        found.append(f"I24: run {run_id} ended while {min(run.living)} lived")
    run.ended = True
    return found
