"""I23 and I25: the steps of a run in the log, by the graph that the run is stored with."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched.model import TaskStatus, name_in_run, run_of, step_of_name
from dsched_testkit.evidence import Evidence

_RANKS = {EventKind.STEP_SKIPPED: 1, EventKind.BORN: 2, EventKind.RUN_ENDED: 3}


@attrs.define
class _Step:
    """What the log has told of a step so far. One with a list, or with a member for each worker
    (``listed``), has as many ``members`` as one of them says, ``taken`` of them from another run.
    """

    members: int
    needs: tuple[str, ...] = ()
    when: str = "success"
    allow_failure: bool = False
    listed: bool = False
    taken: int = 0
    born: int = 0
    ended: int = 0
    failed: set[str] = attrs.field(factory=set)  # the members that did not succeed
    cancelled: set[str] = attrs.field(factory=set)
    let_off: set[str] = attrs.field(factory=set)  # whose worker left before they began
    skipped: str = ""  # what it counts as then

    @property
    def settled(self) -> bool:
        """Whether nothing more becomes of it."""
        if self.skipped:
            return self.ended == self.born
        return self.accounted and self.ended == self.members

    @property
    def accounted(self) -> bool:
        """Whether it is known how many members it has: a list without any is skipped."""
        return not self.listed or bool(self.members or self.taken)

    @property
    def failed_for_others(self) -> bool:
        """Whether it counts as failed for what needs it."""
        failed = bool(self.failed - (self.let_off & self.cancelled))
        return not self.allow_failure and (failed or self.skipped == TaskStatus.FAILED)


def steps(evidence: Evidence) -> list[str]:
    """I23: a member is born only after what it needs ended as ``when`` says. I25: each step of an
    ended run has all its members, or was skipped. Of runs that began in a log that is whole."""
    graphs = {
        task_id: {step: _step(one) for step, one in line["steps"].items()}
        for task_id, line in evidence.tasks.items()
        if "steps" in line
    }
    _count(graphs, evidence.tasks)
    if evidence.run.get("trimmed"):
        return []
    found: list[str] = []
    for event in _in_order(evidence.last.log):
        for item in event.items:
            found += _told(event, item, graphs)
    return found


def _count(
    graphs: Mapping[str, Mapping[str, _Step]], tasks: Mapping[str, Mapping[str, Any]]
) -> None:
    """Tell each list how long it is, by what its members keep of that."""
    for task_id, line in tasks.items():
        of_run = graphs.get(run_of(task_id) or "", {})
        step = of_run.get(step_of_name(name_in_run(task_id))[0]) if of_run else None
        if step is not None and step.listed and "total" in line:
            step.members = line["total"] - step.taken


def _in_order(log: Iterable[Event]) -> Iterator[Event]:
    """What one call says of several runs is told by kind; here each run's skips come before its
    births, and its end comes last."""
    for _, of_call in groupby(log, key=lambda event: (event.at_ms, event.by)):
        yield from sorted(of_call, key=lambda event: _RANKS.get(event.kind, 0))


def _step(line: Mapping[str, Any]) -> _Step:
    return _Step(**{**line, "needs": tuple(line.get("needs", ()))})


def _told(
    event: Event, item: Mapping[str, Any], graphs: Mapping[str, Mapping[str, _Step]]
) -> Iterator[str]:
    if event.kind is EventKind.STEP_SKIPPED:
        step_id, index = step_of_name(item["step"])
        step = graphs.get(item["run"], {}).get(step_id)
        if step is not None and index is not None:
            step.let_off.add(item["step"])
        elif step is not None:
            step.skipped = item["status"]
        return
    task_id = item.get("task", "")
    if event.kind is EventKind.RUN_ENDED:
        yield from _unaccounted(task_id, graphs.get(task_id, {}))
        return
    of_run = graphs.get(run_of(task_id) or "")
    step = None if of_run is None else of_run.get(step_of_name(name_in_run(task_id))[0])
    if of_run is None or step is None:
        return
    if event.kind is EventKind.BORN:
        step.born += 1
        yield from _too_early(task_id, step, of_run)
    elif TaskStatus(item.get("status", "pending")).terminal:
        step.ended += 1
        if item["status"] != TaskStatus.SUCCESS:
            step.failed.add(name_in_run(task_id))
        if item["status"] == TaskStatus.CANCELLED:
            step.cancelled.add(name_in_run(task_id))


def _too_early(task_id: str, step: _Step, of_run: Mapping[str, _Step]) -> Iterator[str]:
    needs = {name: of_run[name] for name in step.needs}
    for name, need in needs.items():
        if not need.settled:
            yield f"I23: {task_id} was born before {name}, which it needs, had ended"
    failed = any(need.failed_for_others for need in needs.values())
    if failed if step.when == "success" else not failed and step.when == "failure":
        ended = "failed" if failed else "succeeded"
        yield f"I23: {task_id} runs on {step.when}, and was born when what it needs had {ended}"


def _unaccounted(run_id: str, of_run: Mapping[str, _Step]) -> Iterator[str]:
    for name, step in of_run.items():
        if not step.skipped and not step.accounted:
            yield f"I25: run {run_id} ended with no items of step {name}, which was not skipped"
        elif not step.skipped and step.ended < step.members:
            yield (
                f"I25: run {run_id} ended with {step.ended} of {step.members} members of step "
                f"{name or 'shards'}, which was not skipped"
            )
