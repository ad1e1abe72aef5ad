"""The instants a config owes, found by walking: on purpose not the production code's way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dsched.model import TaskConfig

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = ("second", "minute", "hour")


def owed(config: TaskConfig, after_ms: int, upto_ms: int) -> list[int]:
    """Every instant in (after, upto] at which ``config`` is due, its bounds considered.

    For `every`, `at`, and crons in UTC with seconds whose day fields are ``*``.
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
        fields = config.cron_expr.split()
        if len(fields) != 6 or fields[3:] != ["*", "*", "*"] or config.timezone != "UTC":
            raise ValueError(f"this enumerator does not know {config.cron_expr!r}")
        for second in range(low_ms // 1000, high_ms // 1000 + 1):
            here = _EPOCH + timedelta(seconds=second)
            parts = zip(fields, _NAMED, strict=False)
            if all(_matches(text, getattr(here, name)) for text, name in parts):
                yield second * 1000


def _matches(field: str, value: int) -> bool:
    if field == "*":
        return True
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    return str(value) in field.split(",")


def _ms(instant: datetime) -> int:
    return round((instant - _EPOCH).total_seconds() * 1000)
