"""What a run takes over from the one that it goes on from: what needs not be run again."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

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
from dsched.model.workflow import levels, members_of
from dsched.planning.runs.progress import NO_WORKER, RunProgress, StepProgress, steps_of

# Of each step its members that need not be run again, each with its run and status.
_Done = Mapping[str, Mapping[int | None, tuple[str, TaskStatus]]]


def resumption(
    flow: Workflow,
    lines: Iterable[MemberLine],
    *,
    run_id: str,
    instant_ms: int,
    before: Resumption | None,
) -> Resumption:
    """What a run takes over from ``run_id``, a run of the same workflow that has ended.

    Of steps whose needs are all taken over: the members that succeeded, or that failed as they were
    allowed to. What comes after a member that is run again is run again, too, since that may
    answer otherwise. Of a step with a member for each worker all are, or none. ``before`` is what
    the earlier run took over itself.
    """
    lines = list(lines)
    progress = RunProgress(flow, before)
    progress.take(lines)
    done = _done(flow, lines, run_id, before)
    unneeded = {line.name for line in lines if _was_unneeded(line)}
    settled: set[str] = set()
    taken: list[Taken] = []
    level_of = levels(flow)
    for step_id, step in sorted(steps_of(flow), key=lambda one: level_of.get(one[0], 0)):
        if step is not None and not settled.issuperset(step.needs):
            continue
        wanted = _wanted(flow, step, progress.steps[step_id])
        found = {index: done[step_id][index] for index in wanted if index in done[step_id]}
        if progress.steps[step_id].each_worker and len(found) < len(wanted):
            found = {}  # who is there is looked at anew: what one worker did stands for no other
        listed = progress.steps[step_id].each_worker or (step is not None and step.listed)
        cut_short = listed and (progress.steps[step_id].skipped is not None or not wanted)
        if (len(found) == len(wanted) and not cut_short) or step_id in unneeded:
            settled.add(step_id)
        taken += _together(step_id, wanted, found, listed=listed)
    return Resumption(run_id=run_id, instant_ms=instant_ms, taken=tuple(taken))


def _was_unneeded(line: MemberLine) -> bool:
    """Whether a step was skipped for good: where nobody was there, somebody may be now."""
    skipped = line.what is MemberStep.SKIPPED and line.status is TaskStatus.SUCCESS
    return skipped and not line.reason.startswith(NO_WORKER)


def _done(
    flow: Workflow, lines: Iterable[MemberLine], run_id: str, before: Resumption | None
) -> _Done:
    done: dict[str, dict[int | None, tuple[str, TaskStatus]]] = {}
    allowed: dict[str, bool] = {}
    for step_id, step in steps_of(flow):
        allowed[step_id] = step is not None and step.allow_failure
        done[step_id] = {
            index: (one.run_id, one.status)
            for one in (() if before is None else before.taken)
            if one.step == step_id
            for index in one.indexes or _indexes(flow, step)
        }
    let_off: set[str] = set()
    for line in lines:
        step_id, index = step_of_name(line.name)
        if line.what is MemberStep.SKIPPED and index is not None:
            let_off.add(line.name)
        if line.what is not MemberStep.ENDED or line.status is None:
            continue
        cancelled = line.status is TaskStatus.CANCELLED
        if step_id in done and cancelled and line.name in let_off:
            done[step_id].setdefault(index, (run_id, TaskStatus.SUCCESS))
        well = line.status is TaskStatus.SUCCESS
        as_allowed = line.status is TaskStatus.FAILED and allowed.get(step_id, False)
        if step_id in done and (well or as_allowed):
            done[step_id].setdefault(index, (run_id, line.status))
    return done


def _indexes(flow: Workflow, step: Step | None) -> Sequence[int | None]:
    shards = flow.shards if step is None else step.shards
    return [None] if shards is None else range(members_of(shards))


def _wanted(flow: Workflow, step: Step | None, one: StepProgress) -> Sequence[int | None]:
    """All members of a step; of a list, and of each worker, those that the run was told of, which
    were all unless it was cut short."""
    told = one.each_worker or (step is not None and step.listed)
    return range(one.parts) if told else _indexes(flow, step)


def _together(
    step_id: str,
    wanted: Sequence[int | None],
    found: Mapping[int | None, tuple[str, TaskStatus]],
    *,
    listed: bool,
) -> Iterable[Taken]:
    """The members of a step that are taken over, by run and status; said in short where they are
    all of it, and it says itself how many these are."""
    by_end = sorted(found.items(), key=lambda one: one[1])
    for (run_id, status), members in groupby(by_end, key=lambda one: one[1]):
        indexes = tuple(index for index, _ in members if index is not None)
        one = Taken(run_id=run_id, step=step_id, status=status)
        whole = not indexes or (len(indexes) == len(wanted) and not listed)
        yield one if whole else attrs.evolve(one, indexes=indexes)
