"""What a due config owes now: which instants run, which range is skipped, when it is due next.

A plan is one cut through the owed instants: those before it are skipped, those from it on run.
Only the policy decides where the cut lies, so there is never more than one skipped range, and it
always comes before the runs.
"""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from dsched.model import Misfire, SkippedRange, SkipReason, TaskConfig, to_ms
from dsched.planning.instants import Instants, Without
from dsched.planning.jitter import jitter_ms
from dsched.planning.remembered import remembering
from dsched.planning.triggers import config_instants


@attrs.frozen(kw_only=True)
class PlannedRun:
    """One nominal instant to fire; its task may not start before ``not_before_ms`` (jitter)."""

    scheduled_ms: int
    not_before_ms: int


@attrs.frozen(kw_only=True)
class FirePlan:
    """Runs in ascending order, at most one range skipped before them, and the next due instant.

    ``next_due_ms`` is later than all of them, or None; at or before now when more is owed than
    ``max_runs`` allowed. ``left_out`` are the instants before it that an operator asked not to
    fire: they are in no run, and do not count in ``skipped``.
    """

    runs: tuple[PlannedRun, ...] = ()
    skipped: SkippedRange | None = None
    left_out: tuple[int, ...] = ()
    next_due_ms: int | None = None


def plan_fire(
    config: TaskConfig,
    *,
    due_ms: int,
    now_ms: int,
    max_runs: int,
    one_catch_up: bool = False,
    skips: Sequence[int] = (),
) -> FirePlan:
    """Decide about every instant in ``[due_ms, now_ms]``, at most ``max_runs`` of them running.

    An instant up to ``misfire_grace`` old is only late and runs; an older one is *missed*:

    - ``fire_once``: one run catches up. If instants within the grace run anyway, the latest of them
      is that run and the missed ones are skipped; else the latest missed one runs.
    - ``skip``: all missed ones are skipped.
    - ``fire_all``: the latest ``misfire_cap`` missed ones run, oldest first, then the late ones.

    ``one_catch_up`` is for a wall clock that jumped forward: whatever is owed, only the latest
    instant may run. The work is bounded by ``max_runs + misfire_cap``, however long the outage.
    The policies decide as if the trigger did not have the instants in ``skips``. A disabled config
    plans nothing; one that is not due yet keeps its due.
    """
    if max_runs < 1:
        raise ValueError(f"max_runs must be at least 1, got {max_runs}")
    if not config.enabled:
        return FirePlan()
    if due_ms > now_ms:
        return FirePlan(next_due_ms=due_ms)
    if config.fixed_delay is not None:
        return _plan_fixed_delay(config, config.fixed_delay, due_ms, now_ms)
    return _plan_instants(
        config, due_ms, now_ms, max_runs=max_runs, one_catch_up=one_catch_up, skips=skips
    )


def _plan_instants(
    config: TaskConfig,
    due_ms: int,
    now_ms: int,
    *,
    max_runs: int,
    one_catch_up: bool,
    skips: Sequence[int],
) -> FirePlan:
    every = config_instants(config)
    left_out = _real(every, skips, due_ms, now_ms)
    instants = Without(every, left_out) if left_out else every
    cut_ms = _cut(config, instants, due_ms, now_ms, one_catch_up=one_catch_up)
    runs = _runs_from(config, instants, from_ms=cut_ms, now_ms=now_ms, max_runs=max_runs)
    # Skipped instants are not left out here: each is decided about when it has come, not before.
    next_ms = every.next_after(runs[-1].scheduled_ms if len(runs) == max_runs else now_ms)
    return FirePlan(
        runs=runs,
        skipped=remembering(
            config, skipped_range(instants, due_ms, cut_ms - 1, SkipReason.MISFIRE)
        ),
        left_out=tuple(at_ms for at_ms in left_out if next_ms is None or at_ms < next_ms),
        next_due_ms=next_ms,
    )


def _real(instants: Instants, skips: Sequence[int], first_ms: int, last_ms: int) -> tuple[int, ...]:
    """Those of ``skips`` that are instants, and owed: an edit may have taken some away."""
    return tuple(
        at_ms
        for at_ms in sorted(skips)
        if first_ms <= at_ms <= last_ms and instants.count_between(at_ms, at_ms)
    )


def skipped_range(
    instants: Instants, from_ms: int, to_ms: int, reason: SkipReason
) -> SkippedRange | None:
    """The instants in ``[from_ms, to_ms]`` as one range, or None if there are none."""
    first_ms = instants.next_after(from_ms - 1)
    if first_ms is None or first_ms > to_ms:
        return None
    last_ms = instants.last_before(to_ms, not_before_ms=first_ms)
    if last_ms is None:
        return None
    count = instants.count_between(first_ms, last_ms)
    return SkippedRange(first_ms=first_ms, last_ms=last_ms, count=count, reason=reason)


def _cut(
    config: TaskConfig, instants: Instants, due_ms: int, now_ms: int, *, one_catch_up: bool
) -> int:
    """The instant from which on owed instants run; later than now if none does."""
    late_from_ms = max(due_ms, now_ms - config.misfire_grace // timedelta(milliseconds=1))
    latest_ms = instants.last_before(now_ms, not_before_ms=due_ms)
    if latest_ms is None:
        return now_ms + 1
    if one_catch_up:
        drops = latest_ms < late_from_ms and config.misfire == Misfire.SKIP
        return now_ms + 1 if drops else latest_ms
    match config.misfire:
        case Misfire.SKIP:
            return late_from_ms
        case Misfire.FIRE_ONCE:
            return min(latest_ms, late_from_ms)
        case Misfire.FIRE_ALL:
            return _back(instants, late_from_ms, config.misfire_cap, due_ms)


def _back(instants: Instants, from_ms: int, steps: int, floor_ms: int) -> int:
    """The instant that many steps before ``from_ms``, or the earliest that is owed."""
    for _ in range(steps):
        earlier_ms = instants.last_before(from_ms - 1, not_before_ms=floor_ms)
        if earlier_ms is None:
            break
        from_ms = earlier_ms
    return from_ms


def _runs_from(
    config: TaskConfig, instants: Instants, *, from_ms: int, now_ms: int, max_runs: int
) -> tuple[PlannedRun, ...]:
    runs: list[PlannedRun] = []
    at_ms = instants.next_after(from_ms - 1)
    while at_ms is not None and at_ms <= now_ms and len(runs) < max_runs:
        runs.append(_run(config, at_ms))
        at_ms = instants.next_after(at_ms)
    return tuple(runs)


def _plan_fixed_delay(config: TaskConfig, delay: timedelta, due_ms: int, now_ms: int) -> FirePlan:
    """One instant is owed; after its run the store sets the next due when the run has ended."""
    end_ms = None if config.end_at is None else to_ms(config.end_at)
    if end_ms is not None and due_ms > end_ms:
        return FirePlan()
    missed = timedelta(milliseconds=now_ms - due_ms) > config.misfire_grace
    if not missed or config.misfire != Misfire.SKIP:
        return FirePlan(runs=(_run(config, due_ms),))
    # No run will end and set its next due, so a skipped instant is followed by one a delay from
    # now.
    next_ms = now_ms + delay // timedelta(milliseconds=1)
    return FirePlan(
        skipped=SkippedRange(first_ms=due_ms, last_ms=due_ms, count=1, reason=SkipReason.MISFIRE),
        next_due_ms=next_ms if end_ms is None or next_ms <= end_ms else None,
    )


def _run(config: TaskConfig, at_ms: int) -> PlannedRun:
    wait_ms = jitter_ms(config.id, at_ms, config.jitter)
    return PlannedRun(scheduled_ms=at_ms, not_before_ms=at_ms + wait_ms)
