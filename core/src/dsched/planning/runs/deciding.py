"""`decide`: who is born, who is skipped, who is cancelled, and whether the run ends.

The same lines give the same decision. Facts only accrue, so that a decision on old lines is right
about births and skips, and only the end needs all of them.
"""

from collections.abc import Iterable, Mapping

import attrs

from dsched.model import MemberLine, MemberStep, Step, TaskStatus, When, Workflow, member_name
from dsched.planning.runs.progress import (
    NO_ITEMS,
    NO_LIST,
    NO_WORKER,
    TOO_MANY,
    WORKER_LEFT,
    WORKER_LOST,
    RunProgress,
    StepProgress,
    steps_of,
)

CANCELLED = "cancelled"
TIMEOUT = "timeout"
FAIL_FAST = "fail_fast"
EXPIRED = "expired"
UNNEEDED = "nothing failed"
# A run with members for one worker each looks so often whether these are still there.
LOOK_EVERY_MS = 2_000
_MAX_REASON = 300


@attrs.frozen(kw_only=True)
class Moment:
    """What a decision depends on beside the log, in wall ms.

    ``started_ms`` is when the run opened. ``cancelled`` is the reason of a cancel that was asked
    for. ``expires_ms``: a run of which nothing was born until then does not start. Members whose
    worker has left: ``left`` those that never began, ``lost`` those that did and do not run.
    """

    now_ms: int
    started_ms: int
    cancelled: str | None = None
    expires_ms: int | None = None
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class SkippedStep:
    """A step that has no members (any more), why, and what it counts as for those after it; or, by
    its name, a member that is let off."""

    step: str
    status: TaskStatus
    reason: str


@attrs.frozen(kw_only=True)
class StepWorkers:
    """A step has a member for each of these workers."""

    step: str
    workers: tuple[str, ...]


@attrs.frozen(kw_only=True)
class RunEnd:
    """How a run ends."""

    status: TaskStatus
    reason: str = ""


@attrs.frozen(kw_only=True)
class NextMove:
    """What is to be done: members to make (step, shard), steps to skip, members to cancel and why;
    the end; and the instant (wall) at which there is something to decide without news. Where
    ``counts`` names steps, their lists are wanted first (`RunProgress.count` or ``refuse``), or
    the workers that are eligible (``offer`` or ``refuse``). ``workers`` are to be written down; the
    members for them are born when they have been."""

    births: tuple[tuple[str, int | None], ...] = ()
    skips: tuple[SkippedStep, ...] = ()
    cancels: tuple[str, ...] = ()
    cancel_reason: str = ""
    end: RunEnd | None = None
    again_ms: int | None = None
    counts: tuple[str, ...] = ()
    workers: tuple[StepWorkers, ...] = ()


def decide(flow: Workflow, progress: RunProgress, moment: Moment) -> NextMove:
    """What is to be done for a run now."""
    begun = tuple(name for name, one in progress.steps.items() if one.begun and _is_unread(one))
    if begun:
        return NextMove(counts=begun)  # whether these are complete decides about all the rest
    stop = _stopped(flow, progress, moment)
    if stop is not None:
        return _stopping(progress, stop)
    steps, skips, failing = _judged(flow, progress, moment.now_ms)
    counts = tuple(
        step_id
        for step_id, step in steps_of(flow)
        if _is_unread(steps[step_id]) and _may_run(step, steps)
    )
    if counts:
        return NextMove(counts=counts)
    births = tuple(
        birth
        for step_id, step in steps_of(flow)
        if not _is_complete(steps[step_id]) and _may_run(step, steps)
        for birth in _due(step_id, step, flow, steps[step_id])
    )
    workers = _offered(flow, steps)
    cancels, why = _cancels(flow, progress, moment, failing=failing)
    settled = all(one.settled for one in steps.values())
    pins = bool(progress.pins()) or any(steps[step_id].workers for step_id, _ in births)
    return NextMove(
        births=births,
        skips=(*skips, *(_let_off(steps, moment.left) if why == WORKER_LEFT else ())),
        cancels=cancels,
        cancel_reason=why,
        end=_ended(steps) if settled else None,
        again_ms=None if settled else _again_ms(flow, moment, told=bool(workers), pins=pins),
        workers=workers,
    )


def _cancels(
    flow: Workflow, progress: RunProgress, moment: Moment, *, failing: bool
) -> tuple[tuple[str, ...], str]:
    """The members to cancel, and why. One reason at a time: the rest has its turn when the run is
    looked at again, which is soon where workers have left."""
    found = _failing_fast(flow, progress) if failing else ()
    for members, why in (
        (found, FAIL_FAST),
        (moment.left, WORKER_LEFT),
        (moment.lost, WORKER_LOST),
    ):
        if members:
            return members, why
    return (), ""


def _offered(flow: Workflow, steps: "_Steps") -> tuple[StepWorkers, ...]:
    """The steps of which it is to be written down which workers they have members for."""
    return tuple(
        StepWorkers(step=step_id, workers=steps[step_id].offered)
        for step_id, step in steps_of(flow)
        if _is_offered(steps[step_id]) and _may_run(step, steps)
    )


def _let_off(steps: "_Steps", left: Iterable[str]) -> Iterable[SkippedStep]:
    """Members that never began and never will, each once."""
    told = set().union(*(one.let_off for one in steps.values()))
    return [
        SkippedStep(step=name, status=TaskStatus.SUCCESS, reason=WORKER_LEFT)
        for name in left
        if name not in told
    ]


def _again_ms(flow: Workflow, moment: Moment, *, told: bool, pins: bool) -> int | None:
    """When there is something to decide without news: at once where workers are ``told``, as their
    members are born then; soon where members live that are for one worker each (``pins``)."""
    if told:
        return moment.now_ms
    deadline_ms = _deadline_ms(flow, moment)
    if not pins:
        return deadline_ms
    look_ms = moment.now_ms + LOOK_EVERY_MS
    return look_ms if deadline_ms is None else min(look_ms, deadline_ms)


_Steps = Mapping[str, StepProgress]


def _is_complete(one: StepProgress) -> bool:
    """Whether no more members of it will be born."""
    return one.skipped is not None or (one.counted and one.born == one.members and not _empty(one))


def _empty(one: StepProgress) -> bool:
    """Whether it has a list without items, which nothing says yet."""
    return one.counted and not (one.members or one.taken)


def _is_unread(one: StepProgress) -> bool:
    """Whether it has a list that was not read yet, or nobody has looked who is there for it."""
    known = one.counted or one.refused or one.skipped
    return not (known or one.offered or one.nobody)


def _is_offered(one: StepProgress) -> bool:
    """Whether it is known who is there for it, and nothing says so yet."""
    return bool(one.offered) and not (one.counted or one.refused or one.skipped)


def _judged(
    flow: Workflow, progress: RunProgress, now_ms: int
) -> tuple[_Steps, tuple[SkippedStep, ...], bool]:
    """The steps with their skips, and whether the first failure stops the rest: a skip may be
    that failure."""
    failing = flow.fail_fast and any(one.fails_the_run for one in progress.steps.values())
    steps, skips = _with_skips(flow, progress.steps, now_ms, failing=failing)
    if flow.fail_fast and not failing and any(one.fails_the_run for one in steps.values()):
        steps, others = _with_skips(flow, steps, now_ms, failing=True)
        return steps, (*skips, *others), True
    return steps, skips, failing


def _with_skips(
    flow: Workflow, steps: _Steps, now_ms: int, *, failing: bool
) -> tuple[_Steps, tuple[SkippedStep, ...]]:
    """The steps as they are with all that is to be skipped; a skip may be the cause of others."""
    found: dict[str, SkippedStep] = {}
    while True:
        new = [
            skip
            for step_id, step in steps_of(flow)
            if not _is_complete(steps[step_id])
            and (skip := _skip(step_id, step, steps, failing=failing)) is not None
        ]
        if not new:
            return steps, tuple(found.values())
        found.update((skip.step, skip) for skip in new)
        steps = {
            **steps,
            **{
                skip.step: attrs.evolve(steps[skip.step], skipped=_line(skip, now_ms))
                for skip in new
            },
        }


def _line(skip: SkippedStep, now_ms: int) -> MemberLine:
    return MemberLine(
        what=MemberStep.SKIPPED,
        name=skip.step,
        at_ms=now_ms,
        status=skip.status,
        reason=skip.reason,
    )


def _deadline_ms(flow: Workflow, moment: Moment) -> int | None:
    if flow.timeout is None:
        return None
    return moment.started_ms + round(flow.timeout.total_seconds() * 1000)


def _stopped(flow: Workflow, progress: RunProgress, moment: Moment) -> RunEnd | None:
    """How a run ends that is stopped, whatever its steps say."""
    if moment.cancelled is not None:
        return RunEnd(status=TaskStatus.CANCELLED, reason=moment.cancelled or CANCELLED)
    late = moment.expires_ms is not None and moment.now_ms > moment.expires_ms
    if late and not any(one.born or one.skipped for one in progress.steps.values()):
        return RunEnd(status=TaskStatus.CANCELLED, reason=EXPIRED)
    if any(one.skipped and one.skipped.reason == EXPIRED for one in progress.steps.values()):
        return RunEnd(status=TaskStatus.CANCELLED, reason=EXPIRED)
    deadline_ms = _deadline_ms(flow, moment)
    if deadline_ms is None or moment.now_ms < deadline_ms:
        return None
    settled = all(one.settled for one in progress.steps.values())
    last_ms = max((one.ended_ms or 0 for one in progress.steps.values()), default=0)
    if settled and last_ms < deadline_ms:
        return None  # all of it was done in time
    return RunEnd(status=TaskStatus.FAILED, reason=TIMEOUT)


def _stopping(progress: RunProgress, end: RunEnd) -> NextMove:
    """Nothing is born any more; the run ends when its last member has."""
    reason = end.reason if end.reason in (TIMEOUT, EXPIRED) else CANCELLED
    skips = tuple(
        SkippedStep(step=step_id, status=TaskStatus.FAILED, reason=reason)
        for step_id, one in progress.steps.items()
        if not _is_complete(one)
    )
    return NextMove(
        skips=skips,
        cancels=tuple(progress.living),
        cancel_reason=end.reason,
        end=None if progress.living else end,
    )


def _skip(step_id: str, step: Step | None, steps: _Steps, *, failing: bool) -> SkippedStep | None:
    """Why a step will not run (any further), as far as that is known already."""
    needs = _needs(step, steps)
    when = When.SUCCESS if step is None else step.when
    failed = next((name for name, one in needs.items() if one.counts_as_failed), None)
    started = steps[step_id].born > 0
    if failing and when is When.SUCCESS:
        return SkippedStep(step=step_id, status=TaskStatus.FAILED, reason=FAIL_FAST)
    own = steps[step_id]
    if own.refused:
        reason = f"{TOO_MANY if own.each_worker else NO_LIST}{own.refused}"[:_MAX_REASON]
        return SkippedStep(step=step_id, status=TaskStatus.FAILED, reason=reason)
    if started or not all(one.settled for one in needs.values()):
        return None
    if when is When.SUCCESS and failed is not None:
        return SkippedStep(step=step_id, status=TaskStatus.FAILED, reason=f"{failed} failed")
    if when is When.FAILURE and failed is None:
        return SkippedStep(step=step_id, status=TaskStatus.SUCCESS, reason=UNNEEDED)
    if _empty(own):
        return SkippedStep(step=step_id, status=TaskStatus.SUCCESS, reason=NO_ITEMS)
    if own.nobody and not own.counted:
        reason = f"{NO_WORKER}{own.nobody}"[:_MAX_REASON]
        return SkippedStep(step=step_id, status=TaskStatus.SUCCESS, reason=reason)
    return None


def _needs(step: Step | None, steps: _Steps) -> _Steps:
    return {} if step is None else {name: steps[name] for name in step.needs}


def _may_run(step: Step | None, steps: _Steps) -> bool:
    return all(one.settled for one in _needs(step, steps).values())


def _due(
    step_id: str, step: Step | None, flow: Workflow, one: StepProgress
) -> Iterable[tuple[str, int | None]]:
    """The members of a step that may be born now: shards in their order, so many at a time."""
    if step is not None and step.shards is None and not step.listed:
        return [(step_id, None)]
    at_a_time = flow.max_parallel if step is None else step.max_parallel
    living = one.born - one.ended
    room = one.members if at_a_time is None else max(0, at_a_time - living)
    return [(step_id, index) for index in one.indexes[one.born : one.born + room]]


def _failing_fast(flow: Workflow, progress: RunProgress) -> tuple[str, ...]:
    """What runs and is of no use any more: all but what runs because of a failure."""
    kept = {step.id for step in flow.steps if step.when is not When.SUCCESS}
    return tuple(name for name in progress.living if name.partition("~")[0] not in kept)


def _ended(steps: _Steps) -> RunEnd:
    failed = [step_id for step_id, one in steps.items() if one.fails_the_run]
    if not failed:
        idle = (one.skipped.reason for one in steps.values() if one.skipped)
        said = next((reason for reason in idle if reason.startswith(NO_WORKER)), "")
        return RunEnd(status=TaskStatus.SUCCESS, reason=said)
    first = member_name(failed[0]) or "a shard"
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return RunEnd(status=TaskStatus.FAILED, reason=f"{first}{more} failed")
