"""The instants a config owes, found by walking: on purpose not the production code's way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dsched.model import DstGap, DstOverlap, TaskConfig

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = ("second", "minute", "hour")


def owed(config: TaskConfig, after_ms: int, upto_ms: int) -> list[int]:
    """Every instant in (after, upto] at which ``config`` is due, its bounds considered.

    For `every`, `at`, and crons with seconds whose day fields are ``*``, in any zone.
    """
    if not config.enabled:
        return []
    low_ms = after_ms + 1 if config.start_at is None else max(after_ms + 1, _ms(config.start_at))
    high_ms = upto_ms if config.end_at is None else min(upto_ms, _ms(config.end_at))
    return [ms for ms in _all(config, low_ms, high_ms) if low_ms <= ms <= high_ms]


def _all(config: TaskConfig, low_ms: int, high_ms: int) -> Iterator[int]:
    if config.at is not None:
        yield _ms(config.at)
    elif config.every is not None:
        at_ms = config.created_ms if config.start_at is None else _ms(config.start_at)
        period_ms = round(config.every.total_seconds() * 1000)
        while at_ms <= high_ms:
            yield at_ms
            at_ms += period_ms
    elif config.cron_expr is not None:
        yield from _cron(config, low_ms // 1000, high_ms // 1000)


def _cron(config: TaskConfig, low_s: int, high_s: int) -> Iterator[int]:
    """Second by second, as a clock on a wall of that zone shows it."""
    fields = (config.cron_expr or "").split()
    if len(fields) != 6 or fields[3:] != ["*", "*", "*"]:
        raise ValueError(f"this enumerator does not know {config.cron_expr!r}")
    zone = ZoneInfo(config.timezone)
    # A cron of given times of day follows the policies; any other matches what the wall shows.
    fixed = "*" not in fields[1] + fields[2]
    before = datetime.fromtimestamp(low_s - 1, zone)
    for second in range(low_s, high_s + 1):
        here = datetime.fromtimestamp(second, zone)
        jumped = fixed and config.dst_gap is DstGap.NEXT and _jump(before, here)
        shown = _shows(fields, here) and not (fixed and _left_out(config, here))
        if shown or (jumped and _in_gap(fields, before, here)):
            yield second * 1000
        before = here


def _shows(fields: list[str], here: datetime) -> bool:
    parts = zip(fields, _NAMED, strict=False)
    return all(_matches(text, getattr(here, name)) for text, name in parts)


def _left_out(config: TaskConfig, here: datetime) -> bool:
    """Whether this local time comes twice, and the policy wants the other one."""
    if here.replace(fold=0).utcoffset() == here.replace(fold=1).utcoffset():
        return False
    if config.dst_overlap is DstOverlap.BOTH:
        return False
    return here.fold != (0 if config.dst_overlap is DstOverlap.FIRST else 1)


def _jump(before: datetime, here: datetime) -> bool:
    return here.replace(tzinfo=None) - before.replace(tzinfo=None) > timedelta(seconds=1)


def _in_gap(fields: list[str], before: datetime, here: datetime) -> bool:
    """Whether a time matches that the clocks jumped over."""
    local, upto = before.replace(tzinfo=None), here.replace(tzinfo=None)
    while (local := local + timedelta(seconds=1)) < upto:
        if _shows(fields, local):
            return True
    return False


def _matches(field: str, value: int) -> bool:
    if field == "*":
        return True
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    return str(value) in field.split(",")


def _ms(instant: datetime) -> int:
    return round((instant - _EPOCH).total_seconds() * 1000)
