"""What a config says that is allowed but probably a mistake: its author is told, never refused."""

import re
from datetime import timedelta
from functools import lru_cache

from dsched.model import CronTrigger, TaskConfig
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.triggers import compile_trigger

_ONE_MS = timedelta(milliseconds=1)
_LOOKED_AT = 50  # instants of a cron trigger, to find how close they come
_FROM_MS = 1_767_225_600_000  # 2026-01-01: the same answer whenever one asks
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_NUMBERED = re.compile(r"(?:[1-7](?:-[1-7])?|[1-7]L|[1-7]#[1-5])(?:,(?:[1-7](?:-[1-7])?))*")


def config_warnings(config: TaskConfig) -> tuple[str, ...]:
    """Sentences that begin with the field they are about; none for nearly every config."""
    found = [
        _deadline_in_jitter(config),
        _jitter_over_period(config),
        _outside_its_bounds(config),
        *_weekday_numbers(config),
    ]
    return tuple(text for text in found if text)


def _deadline_in_jitter(config: TaskConfig) -> str:
    if config.start_deadline is None or config.jitter <= config.start_deadline:
        return ""
    return (
        f"start_deadline: {config.start_deadline} is shorter than the jitter of {config.jitter}: a "
        "task that is held back for longer expires before it may start"
    )


def _jitter_over_period(config: TaskConfig) -> str:
    period = config.every
    if config.cron_expr is not None and config.jitter:
        period = _closest(config.trigger) if isinstance(config.trigger, CronTrigger) else None
    if period is None or config.jitter <= period:
        return ""
    return (
        f"jitter: {config.jitter} is longer than the {period} between two instants: a later "
        "one may start before an earlier one, and an overlap policy then decides between them"
    )


@lru_cache(maxsize=1024)
def _closest(trigger: CronTrigger) -> timedelta | None:
    """How close two instants come, among the next few dozen; None if there are not two."""
    try:
        instants = compile_trigger(trigger)
    except InvalidTriggerError:
        return None
    closest_ms: int | None = None
    at_ms = instants.next_after(_FROM_MS)
    for _ in range(_LOOKED_AT):
        next_ms = None if at_ms is None else instants.next_after(at_ms)
        if at_ms is None or next_ms is None:
            break
        closest_ms = min(closest_ms or next_ms - at_ms, next_ms - at_ms)
        at_ms = next_ms
    return None if closest_ms is None else closest_ms * _ONE_MS


def _outside_its_bounds(config: TaskConfig) -> str:
    at = config.at
    if at is None:
        return ""
    if config.end_at is not None and at > config.end_at:
        return f"at: {at.isoformat()} is after end_at, {config.end_at.isoformat()}: it never fires"
    if config.start_at is not None and at < config.start_at:
        begin = config.start_at.isoformat()
        return f"at: {at.isoformat()} is before start_at, {begin}: it never fires"
    return ""


def _weekday_numbers(config: TaskConfig) -> tuple[str, ...]:
    """Numbers that mean another day where the expression may come from."""
    words = (config.cron_expr or "").upper().split()
    if len(words) not in (5, 6):
        return ()
    field, found = words[-1], []
    if "7/" in field:
        found.append(f"cron_expr: day of week {field} begins with Sunday: write 0/ for 7/")
    # With 0, or as 1-5, it cannot come from Quartz, where the week begins with 1; names are safe.
    if len(words) == 6 and field != "1-5" and _NUMBERED.fullmatch(field):
        names = re.sub(r"(?<!#)[1-7]", lambda match: _DAYS[int(match[0])], field)
        quartz = re.sub(r"(?<!#)[1-7]", lambda match: _DAYS[int(match[0]) - 1], field)
        found.append(
            f"cron_expr: day of week {field} is {names} here, where Sunday is 0 or 7; if this is "
            f"text of Quartz, where Sunday is 1, write {quartz}"
        )
    return tuple(found)
