"""What a change of a config is planned to be: what stays owed, what is left out, what is due
next."""

import attrs

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.model import SkippedRange, SkipReason, TaskConfig
from dsched.planning import (
    check_calendar,
    disabled_range,
    next_due,
    off_days_range,
    plan_edit,
    plan_rearm,
)


def planned_change(
    stored: StoredConfig,
    now_ms: int,
    reason: SkipReason,
    *,
    rearmed: bool,
    asked: tuple[str, str] = ("", ""),
) -> Rearm:
    """What a pause, a resume (``rearmed``) or a delete of this config owes.

    A pause of one that is paused leaves its gap to whatever ends it.
    """
    if stored.paused is None:
        successor = stored.config if rearmed else None
        return planned_rearm(stored, now_ms, reason, successor, asked=asked)
    if rearmed:
        return planned_resume(stored, now_ms)
    if reason is SkipReason.PAUSED:
        return Rearm(read=stored.version, upto_ms=now_ms)
    return planned_rearm(stored, now_ms, reason, None)


def planned_resume(stored: StoredConfig, now_ms: int) -> Rearm:
    """What the end of a pause leaves out. If the pause has ended by itself, what came since then
    is no part of it: that is owed, unless an edit since has accounted for it already."""
    paused, upto_ms = stored.paused, now_ms
    if paused is not None and paused.until_ms is not None:
        upto_ms = min(now_ms, max(paused.until_ms - 1, paused.gap_from_ms))
    return planned_rearm(stored, upto_ms, SkipReason.PAUSED, stored.config)


def planned_rearm(
    stored: StoredConfig,
    now_ms: int,
    reason: SkipReason,
    successor: TaskConfig | None,
    *,
    asked: tuple[str, str] = ("", ""),
) -> Rearm:
    """What a change of this config owes, and when ``successor`` (None: nothing) is due next.

    ``asked`` is by whom a pause is asked for, and why; while it lasts the store knows them.
    """
    skipped = plan_rearm(
        stored.config,
        due_ms=stored.due_ms,
        paused_gap_from_ms=None if stored.paused is None else stored.paused.gap_from_ms,
        now_ms=now_ms,
        last_fired_ms=_last_fired(stored, now_ms),
        reason=reason,
        successor=successor,
    )
    if skipped is not None or reason is not SkipReason.PAUSED:
        skipped = _remembered(stored, skipped, now_ms, asked=asked)
    due_ms = None
    if successor is not None:
        due_ms = next_due(successor, now_ms=now_ms, last_fired_ms=_last_fired(stored, now_ms))
    # Only a config that is gone, or another, no longer says what its calendar has left out.
    gone = reason is SkipReason.DELETED
    return Rearm(
        read=stored.version,
        upto_ms=now_ms,
        skipped=skipped,
        off_days=off_days_range(stored.config, now_ms=now_ms) if gone else None,
        next_due_ms=due_ms,
    )


def _last_fired(stored: StoredConfig, now_ms: int) -> int | None:
    """When it fired last; at the latest now, as a leader has it too after a clock was set back.

    Else what fired under a clock that was ahead would not fire again before that time has come. An
    `at` stays fired: its instant comes again with the clock, and its task may be forgotten.
    """
    last_ms = stored.last_fired_ms
    if last_ms is None or stored.config.at is not None:
        return last_ms
    return min(last_ms, now_ms)


def _remembered(
    stored: StoredConfig,
    skipped: SkippedRange | None,
    now_ms: int,
    *,
    asked: tuple[str, str] = ("", ""),
) -> SkippedRange | None:
    """A range with who asked for it, and why; of a disabled config, that it was disabled."""
    if skipped is None:
        return disabled_range(stored.config, now_ms=now_ms)
    if stored.paused is not None:
        asked = (stored.paused.who, stored.paused.why)
    return attrs.evolve(skipped, who=asked[0], why=asked[1])


def planned_put(config: TaskConfig, old: StoredConfig | None, now_ms: int) -> PutConfig:
    if old is None:
        config = config.stamped(created_ms=now_ms)
        check_calendar(config)
        rearm = Rearm(
            read=ConfigVersion(),
            upto_ms=now_ms,
            next_due_ms=next_due(config, now_ms=now_ms),
        )
        return PutConfig(config=config, rearm=rearm)
    config = config.stamped(created_ms=old.config.created_ms)
    if config.calendar != old.config.calendar:
        check_calendar(config)
    edit = plan_edit(
        old.config,
        config,
        due_ms=old.due_ms,
        paused_gap_from_ms=None if old.paused is None else old.paused.gap_from_ms,
        last_fired_ms=_last_fired(old, now_ms),
        now_ms=now_ms,
    )
    rearm = Rearm(
        read=old.version,
        upto_ms=edit.upto_ms,
        skipped=_remembered(old, edit.skipped, now_ms),
        off_days=off_days_range(old.config, now_ms=now_ms),
        next_due_ms=edit.next_due_ms,
    )
    return PutConfig(config=config, rearm=rearm)
