"""Windows in which nothing is posted: ``sat,sun 00:00-24:00 Europe/Berlin``, or two instants."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from dsched_alerts.alert import Kind

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

_WEEKLY = re.compile(
    r"(?:(?P<days>[a-z,-]+) )?(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d) (?P<zone>[A-Za-z0-9_+/-]+)"
    r"(?: (?P<kinds>[a-z_,]+))?"
)
_ONCE = re.compile(r"(?P<from>\S+)/(?P<to>\S+)(?: (?P<kinds>[a-z_,]+))?")


@attrs.frozen(kw_only=True)
class Silence:
    """A window of kinds (empty: all): on ``days`` from minute to minute, or between two instants.

    A window that ends before it begins goes on into the next day.
    """

    kinds: frozenset[Kind]
    days: frozenset[int] = frozenset()
    from_minute: int = 0
    to_minute: int = 0
    zone: ZoneInfo | None = None
    between: tuple[datetime, datetime] | None = None

    def holds(self, kind: Kind, now: datetime) -> bool:
        """Whether an alert of this kind is not to be posted now."""
        if self.kinds and kind not in self.kinds:
            return False
        if self.between is not None:
            return self.between[0] <= now < self.between[1]
        local = now.astimezone(self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.from_minute < self.to_minute:
            return day in self.days and self.from_minute <= minute < self.to_minute
        yesterday = (local - timedelta(days=1)).weekday()
        return (day in self.days and minute >= self.from_minute) or (
            yesterday in self.days and minute < self.to_minute
        )


def read_silence(text: str) -> Silence:
    """A window from its line; `ValueError` says what is wrong with it."""
    weekly = _WEEKLY.fullmatch(text.strip())
    if weekly is not None:
        return Silence(
            kinds=_kinds(text, weekly["kinds"]),
            days=_days(text, weekly["days"]),
            from_minute=_minute(text, weekly["from"]),
            to_minute=_minute(text, weekly["to"]),
            zone=_zone(text, weekly["zone"]),
        )
    once = _ONCE.fullmatch(text.strip())
    if once is None:
        raise ValueError(
            f"silences: {text!r} is no window; write 'sat,sun 00:00-24:00 Europe/Berlin', "
            "'22:00-06:00 UTC late,backlog' or '2026-12-24T00:00:00Z/2026-12-27T00:00:00Z'"
        )
    start, end = _instant(text, once["from"]), _instant(text, once["to"])
    if start >= end:
        raise ValueError(f"silences: {text!r} ends before it begins")
    return Silence(kinds=_kinds(text, once["kinds"]), between=(start, end))


def silenced(silences: Sequence[Silence], kind: Kind, now_ms: int) -> bool:
    """Whether any window holds now (wall clock)."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return any(silence.holds(kind, now) for silence in silences)


def _kinds(text: str, names: str | None) -> frozenset[Kind]:
    try:
        return frozenset(Kind(name) for name in names.split(",")) if names else frozenset()
    except ValueError:
        raise ValueError(f"silences: {text!r}: kinds are {', '.join(Kind)}") from None


def _days(text: str, names: str | None) -> frozenset[int]:
    if names is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in names.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"silences: {text!r}: days are {', '.join(DAYS)}, or mon-fri")
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        found |= {(start + offset) % 7 for offset in range(length + 1)}
    return frozenset(found)


def _minute(text: str, clock: str) -> int:
    hours, minutes = int(clock[:2]), int(clock[3:])
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise ValueError(f"silences: {text!r}: {clock} is no time of a day")
    return hours * 60 + minutes


def _zone(text: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"silences: {text!r}: {name} is not a zone of the IANA database") from None


def _instant(text: str, word: str) -> datetime:
    try:
        instant = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError(f"silences: {text!r}: {word} is no instant of RFC 3339") from None
    if instant.tzinfo is None:
        raise ValueError(f"silences: {text!r}: {word} needs a UTC offset, such as Z")
    return instant
