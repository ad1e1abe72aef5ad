"""What a put, pause, resume or delete owes: the range it leaves unfired, and the next due
instant."""

from datetime import timedelta

import attrs

from dsched.model import AtTrigger, SkippedRange, SkipReason, TaskConfig, to_ms
from dsched.planning.calendars import same_days
from dsched.planning.instants import SingleInstant
from dsched.planning.misfire import skipped_range
from dsched.planning.remembered import remembering
from dsched.planning.triggers import compile_trigger, config_instants


def plan_rearm(
    config: TaskConfig | None,
    *,
    due_ms: int | None,
    paused_gap_from_ms: int | None,
    now_ms: int,
    last_fired_ms: int | None,
    reason: SkipReason,
    successor: TaskConfig | None = None,
) -> SkippedRange | None:
    """The instants owed up to now under the *old* ``config`` that a change leaves unfired.

    ``due_ms`` is the first owed instant of a config that is not paused; ``paused_gap_from_ms`` the
    instant after which the gap of a pause began. ``successor`` is the config that holds after the
    change: the new one of a put, the same one of a pause or resume, None for a delete.

    One kind of instant is not left behind: an `at` that never fired, and that the successor has
    too, stays owed (`next_due` answers it again). A pause keeps it even without a ``successor``.
    For a put, `plan_edit` decides before this whether anything is left behind.
    """
    if config is None or not config.enabled:
        return None
    from_ms = due_ms if paused_gap_from_ms is None else paused_gap_from_ms + 1
    if from_ms is None:
        return None
    if config.fixed_delay is not None:
        return _owed_once(due_ms, now_ms, reason) if paused_gap_from_ms is None else None
    if config.at is not None:
        kept = reason == SkipReason.PAUSED or _takes_over(config, successor)
        at_ms = _unfired_at(config, last_fired_ms)
        return None if kept or at_ms is None else _owed_once(at_ms, now_ms, reason)
    if last_fired_ms is not None:
        from_ms = max(from_ms, last_fired_ms + 1)
    return remembering(config, skipped_range(config_instants(config), from_ms, now_ms, reason))


@attrs.frozen(kw_only=True)
class Edit:
    """What an edit leaves unfired, the due after it, and up to when instants are accounted for."""

    skipped: SkippedRange | None = None
    next_due_ms: int | None = None
    upto_ms: int


def plan_edit(
    old: TaskConfig,
    new: TaskConfig,
    *,
    due_ms: int | None,
    paused_gap_from_ms: int | None,
    last_fired_ms: int | None,
    now_ms: int,
) -> Edit:
    """What becomes of the owed instants of ``old`` when ``new`` takes its place.

    - An equal schedule (trigger with its zone and DST rules, `start_at`, `end_at`, both enabled,
      and calendars that agree on the days up to now) keeps them: the due stays where it was, and
      the policies of ``new`` decide when it is fired.
      Within a pause nothing is owed; its gap is left to whatever ends it.
    - Under another schedule those of ``old`` are left behind as one range, reason ``edited``, or
      ``disabled`` if ``new`` is; what ``new`` owes begins after now. An `at` is the exception
      that `plan_rearm` and `next_due` name.
    """
    from_ms = due_ms if paused_gap_from_ms is None else paused_gap_from_ms
    kept = _equal_schedule(old, new, from_ms=now_ms if from_ms is None else from_ms, to_ms=now_ms)
    if kept and paused_gap_from_ms is not None:
        return Edit(upto_ms=paused_gap_from_ms)
    if kept and due_ms is not None and (due_ms <= now_ms or new.fixed_delay is not None):
        return Edit(next_due_ms=due_ms, upto_ms=now_ms)
    skipped = plan_rearm(
        old,
        due_ms=due_ms,
        paused_gap_from_ms=paused_gap_from_ms,
        now_ms=now_ms,
        last_fired_ms=last_fired_ms,
        reason=SkipReason.EDITED if new.enabled else SkipReason.DISABLED,
        successor=new,
    )
    due_ms = next_due(new, now_ms=now_ms, last_fired_ms=last_fired_ms)
    return Edit(skipped=skipped, next_due_ms=due_ms, upto_ms=now_ms)


def _equal_schedule(old: TaskConfig, new: TaskConfig, *, from_ms: int, to_ms: int) -> bool:
    """Whether both have the same instants from the first that is owed up to now."""
    if not (old.enabled and new.enabled):
        return False
    if (old.trigger, old.start_at, old.end_at) != (new.trigger, new.start_at, new.end_at):
        return False
    return same_days(old, new, first_ms=from_ms, last_ms=to_ms)


def next_due(
    config: TaskConfig,
    *,
    now_ms: int,
    last_fired_ms: int | None = None,
    ever_fired: bool = False,
    live: bool = False,
) -> int | None:
    """When a config is due after a put or resume: the first instant after max(now, last fired).

    - An `at` in the past that never fired is due at once, at its own instant; the misfire policy
      then decides. ``ever_fired`` without ``last_fired_ms`` counts it as fired.
    - A new fixed delay is due at its first instant, or now if that has passed; one that has run
      before, a delay after its last fire at the earliest. While a task of it lives (``live``) it
      has no due: the end of that task sets it.
    - A disabled config, or one whose ``end_at`` leaves nothing, is not due: None.
    """
    if not config.enabled:
        return None
    if config.fixed_delay is not None:
        return None if live else _next_delay(config, config.fixed_delay, now_ms, last_fired_ms)
    after_ms = now_ms if last_fired_ms is None else max(now_ms, last_fired_ms)
    if config.at is not None and not (ever_fired and last_fired_ms is None):
        return _unfired_at(config, last_fired_ms)
    return config_instants(config).next_after(after_ms)


def _next_delay(
    config: TaskConfig, delay: timedelta, now_ms: int, last_fired_ms: int | None
) -> int | None:
    compile_trigger(config.trigger)  # refuses a delay that cannot be meant
    start_ms = config.created_ms if config.start_at is None else to_ms(config.start_at)
    due_ms = max(now_ms, start_ms)
    if last_fired_ms is not None:
        due_ms = max(due_ms, last_fired_ms + delay // timedelta(milliseconds=1))
    if config.end_at is not None and due_ms > to_ms(config.end_at):
        return None
    return due_ms


def _unfired_at(config: TaskConfig, last_fired_ms: int | None) -> int | None:
    """The instant of an `at` config within its bounds, unless it has fired."""
    instants = config_instants(config)
    at_ms = instants.at_ms if isinstance(instants, SingleInstant) else None
    fired = at_ms is not None and last_fired_ms is not None and last_fired_ms >= at_ms
    return None if fired else at_ms


def _takes_over(config: TaskConfig, successor: TaskConfig | None) -> bool:
    # Enabled or not: switching it on again makes the instant due again.
    if successor is None:
        return False
    trigger = successor.trigger
    return isinstance(trigger, AtTrigger) and trigger == config.trigger


def _owed_once(due_ms: int | None, now_ms: int, reason: SkipReason) -> SkippedRange | None:
    if due_ms is None or due_ms > now_ms:
        return None
    return SkippedRange(first_ms=due_ms, last_ms=due_ms, count=1, reason=reason)
