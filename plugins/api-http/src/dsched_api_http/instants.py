"""Coming instants of a trigger, each on its zone's clock and with what is odd about it. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from dsched.model import CronTrigger, TaskConfig, from_ms, to_ms
from dsched.planning import Instants, compile_trigger, config_instants
from dsched_api_http.models import Instant, Upcoming
from dsched_api_http.wire import time_text

MAX_INSTANTS = 1000


def upcoming(
    config: TaskConfig, *, after_ms: int, to_ms: int | None = None, limit: int
) -> Upcoming:
    """The first ``limit`` instants later than ``after_ms``, not later than ``to_ms``."""
    trigger = config.trigger
    zone = ZoneInfo(config.timezone)
    # The same expression on a clock without changes says what the author wrote.
    steady: Instants | None = None
    if isinstance(trigger, CronTrigger):
        steady = compile_trigger(attrs.evolve(trigger, timezone="UTC"))
    found: list[Instant] = []
    for ms in _walk(config_instants(config), after_ms):
        if to_ms is not None and ms > to_ms:
            return Upcoming(items=tuple(found), truncated=False)
        if len(found) == limit:
            return Upcoming(items=tuple(found), truncated=True)
        found.append(_instant(ms, zone, steady))
    return Upcoming(items=tuple(found), truncated=False)


def _walk(instants: Instants, after_ms: int) -> Iterator[int]:
    ms = instants.next_after(after_ms)
    while ms is not None:
        yield ms
        ms = instants.next_after(ms)


def _instant(ms: int, zone: ZoneInfo, steady: Instants | None) -> Instant:
    try:
        local = from_ms(ms).astimezone(zone)
    except OverflowError:
        return Instant(time=time_text(ms), local=time_text(ms), note="")
    text = local.isoformat(timespec="milliseconds")
    return Instant(time=time_text(ms), local=text, note=_note(local, steady))


def _note(local: datetime, steady: Instants | None) -> str:
    """What the zone's clock does to this instant."""
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return (
            "second of two: this local time occurs twice"
            if local.fold
            else ("first of two: this local time occurs twice")
        )
    if steady is None:
        return ""
    clock_ms = to_ms(local.replace(tzinfo=UTC))
    if steady.next_after(clock_ms - 1) == clock_ms:
        return ""
    before = local.astimezone(UTC) - timedelta(hours=12)
    gap = (local.utcoffset() or timedelta()) - (
        before.astimezone(local.tzinfo).utcoffset() or timedelta()
    )
    return f"moved by the gap of {gap // timedelta(minutes=1)} minutes" if gap else ""
