"""How far a run is: its member log, added up."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import attrs

from dsched.model import (
    MemberLine,
    MemberStep,
    Resumption,
    Step,
    Taken,
    TaskStatus,
    Workflow,
    step_of_name,
)
from dsched.model.workflow import MAX_MEMBERS, members_of

# What stands for the step of a workflow that has only shards.
ONLY = ""
# How the reason of a step begins whose list could not be had, and of one whose list is empty.
NO_LIST = "template: "
NO_ITEMS = "no items"
# How that of a step begins for which there are more workers than the run has room for.
TOO_MANY = "too many workers: "
# How the reason of a step begins that has no member since no worker is there for one.
NO_WORKER = "no worker is eligible: "
# Why a member is let off, and why one that had begun is given up: no other worker may run it.
WORKER_LEFT = "let off: its worker had left, or drained, before it began"
WORKER_LOST = "its worker has left in the middle of it, and no other may run it"


class StepState(StrEnum):
    """Where a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.define
class StepProgress:
    """What became of one step so far. ``failed`` are its members that did not succeed.

    ``members`` are those of this run, ``indexes`` which of its shards they are; ``taken`` are
    others, that ran in an earlier run. ``skipped`` is the line that says that it has no members
    (any more). A step with a list is not ``counted`` until its items are: then it has ``members``.
    ``refused`` is why it cannot be. ``parts`` are those that are known of: born or taken over;
    ``done`` is how many were taken over.

    A step with a member for ``each_worker`` is counted as soon as its log says for which
    ``workers``. Until then ``offered`` are those that are eligible, or ``nobody`` says why none is.
    ``let_off`` are the members whose worker left before they began: they have not failed.
    """

    members: int
    indexes: Sequence[int] = ()
    taken: tuple[Taken, ...] = ()
    allow_failure: bool = False
    counted: bool = True
    refused: str = ""
    parts: int = 0
    done: int = 0
    born: int = 0
    ended: int = 0
    failed: int = 0
    skipped: MemberLine | None = None
    each_worker: bool = False
    workers: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    nobody: str = ""
    let_off: set[str] = attrs.field(factory=set)
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more becomes of it."""
        if self.skipped is not None:
            return self.ended == self.born
        return self.counted and self.ended == self.members

    @property
    def counts_as_failed(self) -> bool:
        """Whether it failed, for those that need it."""
        if self.allow_failure:
            return False
        skipped = self.skipped is not None and self.skipped.status is TaskStatus.FAILED
        return bool(self.failed) or skipped

    @property
    def fails_the_run(self) -> bool:
        """Whether a member of it failed that was not allowed to, or there was no list."""
        return bool(self.failed or self.has_no_list) and not self.allow_failure

    @property
    def has_no_list(self) -> bool:
        """Whether it was skipped because its list, or its workers, could not be had."""
        return self.skipped is not None and self.skipped.reason.startswith((NO_LIST, TOO_MANY))

    @property
    def has_nothing_to_do(self) -> bool:
        """Whether it was skipped because its list is empty, or no worker is there for it."""
        reason = "" if self.skipped is None else self.skipped.reason
        return reason == NO_ITEMS or reason.startswith(NO_WORKER)

    @property
    def begun(self) -> bool:
        """Whether it has members already, here or in an earlier run."""
        return bool(self.born or self.taken)

    @property
    def state(self) -> StepState:
        """Where it is."""
        if (self.failed or self.has_no_list) and self.settled:
            return StepState.FAILED
        if self.skipped is not None and self.settled:
            return StepState.SUCCESS if self.has_nothing_to_do else StepState.SKIPPED
        if self.settled:
            return StepState.SUCCESS
        return StepState.RUNNING if self.born else StepState.WAITING


def steps_of(flow: Workflow) -> Sequence[tuple[str, Step | None]]:
    """The steps by id; for a workflow that has only shards, one without an id."""
    return [(step.id, step) for step in flow.steps] or [(ONLY, None)]


def _at_first(flow: Workflow, step: Step | None, taken: tuple[Taken, ...]) -> StepProgress:
    """A step before anything was born: all its members but those that are taken over."""
    members = members_of(flow.shards) if step is None else step.members
    each_worker = (flow if step is None else step).each_worker
    done = {at: one.status for one in taken for at in (one.indexes or range(members))}
    indexes = _not_in(done, members)
    return StepProgress(
        len(indexes),
        indexes=indexes,
        taken=taken,
        allow_failure=step is not None and step.allow_failure,
        counted=bool(taken) if each_worker else step is None or not step.listed,
        each_worker=each_worker,
        parts=max(done, default=-1) + 1,
        done=len(done),
        failed=sum(status is not TaskStatus.SUCCESS for status in done.values()),
    )


def _not_in(done: Collection[int], members: int) -> Sequence[int]:
    return [at for at in range(members) if at not in done]


class RunProgress:
    """What is known of a run. ``version`` is how many lines of its log were taken."""

    def __init__(self, flow: Workflow, resumes: Resumption | None = None) -> None:
        taken = () if resumes is None else resumes.taken
        self.steps = {
            step_id: _at_first(flow, step, tuple(one for one in taken if one.step == step_id))
            for step_id, step in steps_of(flow)
        }
        self.living: dict[str, None] = {}
        self.version = 0
        self._known: set[tuple[MemberStep, str]] = set()

    def count(self, step_id: str, items: int) -> None:
        """The list of a step has so many items; those that are not taken over are its members."""
        step = self.steps[step_id]
        done = {at for one in step.taken for at in one.indexes or ()}
        step.indexes = _not_in(done, items)
        step.members, step.counted = len(step.indexes), True

    def refuse(self, step_id: str, reason: str) -> None:
        """A step has no list, or more workers than there is room for, and why."""
        step = self.steps[step_id]
        step.counted, step.refused = False, reason

    def offer(self, step_id: str, workers: tuple[str, ...]) -> None:
        """These workers are eligible now for a step with a member for each."""
        self.steps[step_id].offered = workers

    def nobody(self, step_id: str, reason: str) -> None:
        """No worker is eligible now for a step with a member for each, and why not."""
        self.steps[step_id].nobody = reason

    def look_anew(self) -> None:
        """Whoever was eligible may have left since."""
        for step in self.steps.values():
            step.offered, step.nobody = (), ""
            if step.each_worker:
                step.refused = ""

    def pins(self) -> dict[str, str]:
        """The living members that are for one worker, each with that."""
        found = {}
        for name in self.living:
            step_id, index = step_of_name(name)
            step = self.steps[step_id]
            if index is not None and index < len(step.workers):
                found[name] = step.workers[index]
        return found

    def room(self, step_id: str) -> int:
        """How many members a step may have beside all others of the run, those that are for workers
        which nothing says yet included."""
        others = (one for name, one in self.steps.items() if name != step_id)
        taken = (max(one.members + one.done, one.parts, len(one.offered)) for one in others)
        return MAX_MEMBERS - sum(taken)

    def take(self, lines: Iterable[MemberLine]) -> None:
        """Add up the lines that come after those taken before."""
        for line in lines:
            self.version += 1
            key = (line.what, line.name)
            if key in self._known:
                continue  # what was said before counts once
            self._known.add(key)
            step_id, index = step_of_name(line.name)
            step = self.steps.get(step_id)
            if step is not None:
                self._add(step, line, index)

    def _add(self, step: StepProgress, line: MemberLine, index: int | None) -> None:
        match line.what:
            case MemberStep.BORN:
                step.born += 1
                step.parts = max(step.parts, (index or 0) + 1)
                self.living[line.name] = None
                step.started_ms = line.at_ms if step.started_ms is None else step.started_ms
            case MemberStep.ENDED:
                step.ended += 1
                cancelled = line.status is TaskStatus.CANCELLED
                let_off = cancelled and line.name in step.let_off
                step.failed += line.status is not TaskStatus.SUCCESS and not let_off
                self.living.pop(line.name, None)
                step.ended_ms = line.at_ms
            case MemberStep.SKIPPED if index is not None:
                step.let_off.add(line.name)
            case MemberStep.SKIPPED:
                step.skipped = line
                step.ended_ms = line.at_ms
            case MemberStep.WORKERS:
                step.workers, step.indexes = line.workers, range(len(line.workers))
                step.members = step.parts = len(line.workers)
                step.counted = True
