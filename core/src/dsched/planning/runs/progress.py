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
from dsched.model.workflow import MAX_MEMBERS

# What stands for the step of a workflow that has only shards.
ONLY = ""
# How the reason of a step begins whose list could not be had, and of one whose list is empty.
NO_LIST = "template: "
NO_ITEMS = "no items"


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
        """Whether it was skipped because its list could not be had."""
        return self.skipped is not None and self.skipped.reason.startswith(NO_LIST)

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
            empty = self.skipped.reason == NO_ITEMS
            return StepState.SUCCESS if empty else StepState.SKIPPED
        if self.settled:
            return StepState.SUCCESS
        return StepState.RUNNING if self.born else StepState.WAITING


def steps_of(flow: Workflow) -> Sequence[tuple[str, Step | None]]:
    """The steps by id; for a workflow that has only shards, one without an id."""
    return [(step.id, step) for step in flow.steps] or [(ONLY, None)]


def _at_first(flow: Workflow, step: Step | None, taken: tuple[Taken, ...]) -> StepProgress:
    """A step before anything was born: all its members but those that are taken over."""
    members = step.members if step is not None else flow.shards or 1
    done = {at: one.status for one in taken for at in (one.indexes or range(members))}
    indexes = _not_in(done, members)
    return StepProgress(
        len(indexes),
        indexes=indexes,
        taken=taken,
        allow_failure=step is not None and step.allow_failure,
        counted=step is None or not step.listed,
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
        """A step has no list, and why not."""
        step = self.steps[step_id]
        step.counted, step.refused = False, reason

    def room(self, step_id: str) -> int:
        """How many members a step may have beside all others of the run."""
        others = (one for name, one in self.steps.items() if name != step_id)
        return MAX_MEMBERS - sum(max(one.members + one.done, one.parts) for one in others)

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
                self._add(step, line, 0 if index is None else index)

    def _add(self, step: StepProgress, line: MemberLine, index: int) -> None:
        match line.what:
            case MemberStep.BORN:
                step.born += 1
                step.parts = max(step.parts, index + 1)
                self.living[line.name] = None
                step.started_ms = line.at_ms if step.started_ms is None else step.started_ms
            case MemberStep.ENDED:
                step.ended += 1
                step.failed += line.status is not TaskStatus.SUCCESS
                self.living.pop(line.name, None)
                step.ended_ms = line.at_ms
            case MemberStep.SKIPPED:
                step.skipped = line
                step.ended_ms = line.at_ms
