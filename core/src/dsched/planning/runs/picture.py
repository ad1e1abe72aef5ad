"""A run as people look at it: its steps by levels, and the members of each."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs

from dsched.model import (
    MemberLine,
    MemberStep,
    Resumption,
    Taken,
    TaskStatus,
    When,
    Workflow,
    member_id,
    member_name,
    step_of_name,
)
from dsched.model.workflow import levels
from dsched.planning.runs.progress import RunProgress, StepProgress, StepState, steps_of

# What a member is of which the log says only that it was born: it waits or runs.
LIVE = "live"
# What one is that was let off, as its worker had left before it began.
LET_OFF = "skipped"
_NONE: Mapping[str, int] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class MemberPicture:
    """A member that was born: its name in the run, and how it ended, if it has. ``taken_from`` is
    the earlier run in which it ran; of when that was nothing is said here. ``worker`` is the one
    that alone may run it."""

    name: str
    index: int | None
    state: str
    attempts: int = 0
    code: str = ""
    born_ms: int | None = None
    ended_ms: int | None = None
    taken_from: str | None = None
    worker: str | None = None


@attrs.frozen(kw_only=True)
class StepPicture:
    """A step: ``level`` others must have ended before it, one after the other. ``total`` is how
    many members it has, ``reason`` why it has none (any more). ``taken`` of them ran in an earlier
    run, and count as born and ended."""

    id: str
    level: int
    executor: str
    needs: tuple[str, ...]
    when: When
    allow_failure: bool
    state: StepState
    reason: str
    total: int
    born: int
    ended: int
    failed: int
    taken: int
    started_ms: int | None
    ended_ms: int | None
    members: tuple[MemberPicture, ...]


def picture_of(
    flow: Workflow,
    lines: Sequence[MemberLine],
    *,
    executor: str,
    resumes: Resumption | None = None,
    items: Mapping[str, int] = _NONE,
) -> tuple[StepPicture, ...]:
    """The steps of a run by level, then as they were written. ``executor`` is that of the shards
    of a workflow without steps, ``items`` the length of each list that is known (`unknown_lists`).
    """
    progress = progress_of(flow, lines, resumes, items)
    level_of = levels(flow)
    born = _members(lines)
    found = []
    for step_id, step in steps_of(flow):
        one = progress.steps[step_id]
        shards = flow.shards if step is None else step.shards
        taken = _taken_members(step_id, None if isinstance(shards, str) else shards, one.taken)
        found.append(
            StepPicture(
                id=step_id,
                level=level_of.get(step_id, 0),
                executor=executor if step is None else step.executor,
                needs=() if step is None else step.needs,
                when=When.SUCCESS if step is None else step.when,
                allow_failure=step is not None and step.allow_failure,
                state=one.state,
                reason=_reason(one),
                total=(one.members if one.counted else one.born) + len(taken),
                born=one.born + len(taken),
                ended=one.ended + len(taken),
                failed=one.failed,
                taken=len(taken),
                started_ms=one.started_ms,
                ended_ms=one.ended_ms if one.settled else None,
                members=(*taken, *_with_workers(born.get(step_id, {}).values(), one)),
            )
        )
    return tuple(sorted(found, key=lambda one: one.level))


def progress_of(
    flow: Workflow,
    lines: Iterable[MemberLine],
    resumes: Resumption | None,
    items: Mapping[str, int],
) -> RunProgress:
    """How far a run is, by its log and the lengths of its lists."""
    progress = RunProgress(flow, resumes)
    progress.take(lines)
    for step_id, length in items.items():
        progress.count(step_id, length)
    return progress


def unknown_lists(
    flow: Workflow, lines: Iterable[MemberLine], run_id: str, resumes: Resumption | None
) -> dict[str, str]:
    """The steps with a list that have members: of each the id of one, which keeps its length."""
    listed = {step.id for step in flow.steps if step.listed}
    if not listed:
        return {}
    found = {
        one.step: member_id(one.run_id, member_name(one.step, one.indexes[0]))
        for one in (() if resumes is None else resumes.taken)
        if one.step in listed and one.indexes
    }
    for line in lines:
        step_id = step_of_name(line.name)[0]
        if line.what is MemberStep.BORN and step_id in listed:
            found.setdefault(step_id, member_id(run_id, line.name))
    return found


def _taken_members(
    step_id: str, shards: int | None, taken: Sequence[Taken]
) -> tuple[MemberPicture, ...]:
    indexes: Sequence[int | None] = [None] if shards is None else range(shards)
    if any(one.indexes for one in taken):  # said of a list, whatever its length
        indexes = sorted(index for one in taken for index in one.indexes or range(shards or 0))
    return tuple(
        MemberPicture(
            name=member_name(step_id, index),
            index=index,
            state=one.status.value,
            taken_from=one.run_id,
        )
        for index in indexes
        for one in taken
        if one.has(index)
    )


def _with_workers(members: Iterable[MemberPicture], one: StepProgress) -> Iterable[MemberPicture]:
    """The members with the worker that each is for, and those that were let off as such."""
    if not one.workers:
        return members
    return [
        attrs.evolve(
            member,
            worker=None if member.index is None else one.workers[member.index],
            state=LET_OFF if _is_let_off(member, one) else member.state,
        )
        for member in members
    ]


def _is_let_off(member: MemberPicture, one: StepProgress) -> bool:
    return member.name in one.let_off and member.state == TaskStatus.CANCELLED


def _reason(one: StepProgress) -> str:
    return "" if one.skipped is None else one.skipped.reason


def _members(lines: Iterable[MemberLine]) -> dict[str, dict[str, MemberPicture]]:
    """Of each step its members by name, in the order of their births."""
    found: dict[str, dict[str, MemberPicture]] = {}
    for line in lines:
        if line.what in (MemberStep.SKIPPED, MemberStep.WORKERS):
            continue
        step_id, index = step_of_name(line.name)
        of_step = found.setdefault(step_id, {})
        known = of_step.get(line.name, MemberPicture(name=line.name, index=index, state=LIVE))
        if line.what is MemberStep.BORN and known.born_ms is None:
            known = attrs.evolve(known, born_ms=line.at_ms)
        elif line.what is MemberStep.ENDED and known.ended_ms is None:
            status = line.status or TaskStatus.FAILED
            known = attrs.evolve(
                known,
                state=status.value,
                attempts=line.attempts,
                code=line.code,
                ended_ms=line.at_ms,
            )
        of_step[line.name] = known
    return found
