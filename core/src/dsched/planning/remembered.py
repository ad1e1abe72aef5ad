"""The trigger behind a recorded range, as a text: which instants between its ends were meant.

A config changes and is deleted; what is recorded of it stays, and has to make sense by itself.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import attrs

from dsched.model import (
    Calendar,
    CronTrigger,
    DstGap,
    DstOverlap,
    EveryTrigger,
    SkippedRange,
    SkipReason,
    TaskConfig,
    Trigger,
    from_ms,
    to_ms,
)
from dsched.model.calendars import calendar_of
from dsched.model.json import JsonValue, dumps, loads
from dsched.planning.days import LeftOut, why_left_out
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.instants import Instants
from dsched.planning.on_days import local_day
from dsched.planning.triggers import compile_trigger, config_instants, on_days
from dsched.planning.zone import load_zone

_ONE_MS = timedelta(milliseconds=1)
_ONE_DAY = timedelta(days=1)


@attrs.frozen(kw_only=True)
class Remembered:
    """A trigger of the past: its instants, what it is called, and itself if it is a cron
    trigger. ``every_day`` are its instants whatever its calendar said."""

    instants: Instants
    words: str
    cron: CronTrigger | None = None
    every_day: Instants
    calendar: Calendar | None = None
    timezone: str = "UTC"

    def has(self, at_ms: int) -> bool:
        """Whether this is one of its instants."""
        return self.instants.count_between(at_ms, at_ms) > 0

    def left_out(self, at_ms: int) -> LeftOut | None:
        """Why its calendar left an instant of it out; None if it did not, or it is no instant."""
        if self.calendar is None or self.every_day.count_between(at_ms, at_ms) == 0:
            return None
        return why_left_out(self.calendar, local_day(load_zone(self.timezone), at_ms))


def trigger_text(config: TaskConfig, calendar: Calendar | None = None) -> str:
    """What the instants of a config depend on beside its id; empty if they cannot be planned.

    ``calendar``: as much of the config's as is to be remembered.
    """
    trigger = config.trigger
    facts: dict[str, JsonValue] = {}
    if isinstance(trigger, CronTrigger):
        facts = {"cron": trigger.expression, "zone": trigger.timezone}
        if trigger.dst_gap is not DstGap.NEXT:
            facts["gap"] = trigger.dst_gap.value
        if trigger.dst_overlap is not DstOverlap.FIRST:
            facts["overlap"] = trigger.dst_overlap.value
    elif isinstance(trigger, EveryTrigger):
        facts = {"every": trigger.period // _ONE_MS, "anchor": trigger.anchor_ms}
    else:
        return ""
    for key, bound in (("start", config.start_at), ("end", config.end_at)):
        if bound is not None:
            facts[key] = to_ms(bound)
    if calendar is not None:
        facts |= {"zone": config.timezone, "calendar": calendar.record()}
    return dumps(facts)


def _spanning(config: TaskConfig, first_ms: int, last_ms: int) -> Calendar | None:
    """As much of a config's calendar as decides about these instants: a range is kept for long,
    and a country has many holidays."""
    if config.calendar is None:
        return None
    # A day more on either side: no zone is further from UTC.
    first, last = (from_ms(ms).date() for ms in (first_ms, last_ms))
    return config.calendar.between(
        max(first, date.min + _ONE_DAY) - _ONE_DAY, min(last, date.max - _ONE_DAY) + _ONE_DAY
    )


def remembering(config: TaskConfig, skipped: SkippedRange | None) -> SkippedRange | None:
    """A range that names the trigger that it was made by, unless it has no instants but its
    ends."""
    if skipped is None or 1 <= skipped.count <= 2:
        return skipped
    calendar = _spanning(config, skipped.first_ms, skipped.last_ms)
    return attrs.evolve(skipped, trigger=trigger_text(config, calendar))


def disabled_range(config: TaskConfig, *, now_ms: int) -> SkippedRange | None:
    """A note that a disabled config had instants between its last change and now; none was owed.

    None where it had none, and of an `at`: that one may be owed again.
    """
    if config.enabled or (config.cron_expr is None and config.every is None):
        return None
    instants = config_instants(config)
    first_ms = instants.next_after(config.updated_ms)
    if first_ms is None or first_ms > now_ms:
        return None
    last_ms = instants.last_before(now_ms, not_before_ms=first_ms)
    return remembering(
        config,
        SkippedRange(
            first_ms=first_ms,
            last_ms=first_ms if last_ms is None else last_ms,
            count=0,
            reason=SkipReason.DISABLED,
        ),
    )


@lru_cache(maxsize=256)
def remembered(text: str, config_id: str) -> Remembered | None:
    """The trigger of a text of `trigger_text`; None if this dsched or its zones cannot read it."""
    try:
        facts = loads(text)
        bounds = {"start_ms": facts.get("start"), "end_ms": facts.get("end")}
        given = facts.get("calendar")
        calendar = None if given is None else calendar_of(given)
        zone = facts.get("zone", "UTC")
        if "cron" not in facts:
            period = timedelta(milliseconds=facts["every"])
            trigger: Trigger = EveryTrigger(period=period, anchor_ms=facts["anchor"])
            words, cron = f"period of {period}", None
        else:
            trigger = cron = _cron_of(facts, config_id)
            words = f"cron expression {cron.expression!r} ({cron.timezone})"
        every_day = compile_trigger(trigger, **bounds)
        return Remembered(
            instants=every_day if calendar is None else on_days(every_day, calendar, zone),
            words=words,
            cron=cron,
            every_day=every_day,
            calendar=calendar,
            timezone=zone,
        )
    except (InvalidTriggerError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _cron_of(facts: Mapping[str, Any], config_id: str) -> CronTrigger:
    return CronTrigger(
        expression=facts["cron"],
        timezone=facts["zone"],
        dst_gap=DstGap(facts.get("gap", DstGap.NEXT)),
        dst_overlap=DstOverlap(facts.get("overlap", DstOverlap.FIRST)),
        seed=config_id,
    )
