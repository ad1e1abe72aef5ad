"""Instants and spans as people write and read them; an absolute time always shows its offset."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_MAX_SPAN_MS = 3660 * 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_span(text: str) -> bool:
    """Whether a text has the form of a duration."""
    return len(text) <= 64 and _SPAN.fullmatch(text.strip()) is not None


def parse_span(text: str, what: str = "the duration") -> timedelta:
    """``10m``, ``1h30m``, ``30d``; a number without a unit is refused."""
    found = _SPAN.fullmatch(text.strip()) if len(text) <= 64 else None
    if found is None:
        raise UsageError(
            f"{what} {clean(text[:64])!r} is no duration",
            why="it needs units",
            todo="write it like 500ms, 10s, 5m, 1h30m or 7d",
        )
    total_ms = sum(
        float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text.strip().lower())
    )
    if total_ms > _MAX_SPAN_MS:
        raise UsageError(f"{what} {text} is longer than ten years", todo="choose a shorter one")
    return timedelta(milliseconds=round(total_ms))


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name; ``local`` or nothing means this machine's."""
    if not name or name == "local":
        return _local_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{clean(name[:64])!r} is no time zone",
            why="the IANA database does not have it",
            todo="use a name such as Europe/Berlin, UTC, or local",
        ) from error


def parse_instant(text: str, zone: tzinfo, now: datetime) -> datetime:
    """An instant: RFC 3339, a local date or time in ``zone``, ``now``, or ``-2h`` / ``+30m``."""
    stripped = text.strip()
    if stripped == "now":
        return now
    if stripped[:1] in "+-" and stripped[1:]:
        span = parse_span(stripped[1:], "the offset")
        return now + span if stripped[0] == "+" else now - span
    try:
        found = datetime.fromisoformat(stripped)
    except ValueError:
        raise UsageError(
            f"{clean(text[:64])!r} is no instant",
            why="it is neither a date and time nor an offset from now",
            todo="write 2026-01-31T09:00:00Z, 2026-01-31 09:00, 2026-01-31, -2h or +30m",
        ) from None
    return found if found.tzinfo else _on_the_clock(found, zone)


def _on_the_clock(local: datetime, zone: tzinfo) -> datetime:
    """A local time as an instant; refused where the clocks jumped over it."""
    found = local.replace(tzinfo=zone)
    shown = found.astimezone(UTC).astimezone(zone)
    if shown.replace(tzinfo=None) == local:
        return found
    text = local.isoformat(sep=" ", timespec="minutes")
    # The times that the wall shows just before and after the gap: fold chooses the side.
    earlier = found.replace(fold=1).astimezone(UTC).astimezone(zone)
    raise UsageError(
        f"{text} does not exist in {zone}",
        why="the clocks are put forward over it",
        todo=f"name the instant that is meant: {earlier.isoformat(sep=' ', timespec='minutes')} or "
        f"{shown.isoformat(sep=' ', timespec='minutes')}",
    )


def ms_of(instant: datetime) -> int:
    """Milliseconds since the epoch."""
    return int((instant - _EPOCH) // timedelta(milliseconds=1))


def from_ms(ms: int) -> datetime:
    """The UTC datetime of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=ms)


def show_time(text: object, zone: tzinfo) -> str:
    """An instant of the API on the clock of ``zone``, with its offset; milliseconds if it has
    any."""
    if not isinstance(text, str) or not text:
        return "-"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return clean(text)
    if found.tzinfo is None:
        return clean(text)
    spec = "milliseconds" if found.microsecond else "seconds"
    return found.astimezone(zone).isoformat(sep=" ", timespec=spec)


def show_span_ms(ms: object) -> str:
    """A span in ms as the two largest units that matter: ``1h30m``, ``2.5s``, ``40ms``."""
    if not isinstance(ms, int | float):
        return "-"
    if abs(ms) < 1000:
        return f"{round(ms)}ms"
    if abs(ms) < 60_000:
        return f"{ms / 1000:.1f}".removesuffix(".0") + "s"
    minutes = round(abs(ms) / 60_000)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m")]
    shown = [f"{count}{unit}" for count, unit in parts if count][:2]
    return ("-" if ms < 0 else "") + ("".join(shown) or "0s")


def _local_zone() -> tzinfo:
    """This machine's zone, by its rules where the system tells its name, else today's offset."""
    import os

    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        target = os.path.realpath("/etc/localtime")
        _, _, name = target.partition("zoneinfo/")
    try:
        if name:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # a POSIX rule, or a file of its own: the system still knows its offset
    local = datetime.now(UTC).astimezone().tzinfo
    return local if local is not None else UTC
