"""Instants: milliseconds since the epoch, aware datetimes, and the one text that both have."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = "0001-01-01T00:00:00.000Z"
_LATEST = "9999-12-31T23:59:59.999Z"


def to_ms(instant: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime; `ValueError` for a naive one."""
    if instant.utcoffset() is None:
        raise ValueError(
            f"{instant.isoformat(sep=' ')} has no UTC offset, so it names no instant: give "
            "an aware datetime, such as datetime(2026, 1, 31, 9, tzinfo=UTC)"
        )
    return int((instant - _EPOCH) // timedelta(milliseconds=1))


def whole_ms(instant: datetime) -> datetime:
    """The first whole millisecond that is not before an instant: what is to start then is not
    early."""
    try:
        return instant + timedelta(microseconds=-instant.microsecond % 1000)
    except OverflowError:
        return instant


def from_ms(ms: int) -> datetime:
    """The UTC datetime of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=ms)


def rfc3339(instant: datetime) -> str:
    """``2026-01-31T09:00:00.000Z``: an aware datetime in UTC, as everything of dsched writes it.

    An instant whose UTC lies beyond the years of a datetime is the end of those.
    """
    try:
        utc = instant.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if instant.year == 1 else _LATEST
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def rfc3339_ms(ms: int) -> str:
    """The same of milliseconds since the epoch."""
    try:
        return rfc3339(from_ms(ms))
    except OverflowError:
        return _LATEST if ms > 0 else _EARLIEST
