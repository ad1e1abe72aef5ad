"""Time zones as stretches of constant UTC offset, found from zoneinfo and remembered."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from dsched.planning.errors import InvalidTriggerError

DAY_S = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,3}")
# Names that are no zones, that count leap seconds, or that mean this host's own setting.
_NOT_PORTABLE = re.compile(r"(right/|posix/|localtime$|posixrules$|Factory$)")

# Of all transitions in the zone database no two of one zone lie closer than 3.98 days (Freetown
# 1939; since 1970: 6.95 days), so samples three days apart enclose at most one. A test checks it.
_SAMPLE_S = 3 * DAY_S
# No zone ever jumped by more than a day (the date line), so this much context shows every overlap.
_MARGIN_S = 2 * DAY_S


@attrs.frozen
class Segment:
    """A stretch ``[start_s, end_s)`` of UTC in which the offset is ``offset_s``.

    ``before_s`` and ``after_s`` are the offsets of the neighbours, equal to ``offset_s`` where the
    stretch was merely cut off by the caller's question.
    """

    start_s: int
    end_s: int
    before_s: int
    offset_s: int
    after_s: int


@attrs.frozen
class Zone:
    """One IANA zone."""

    name: str
    info: ZoneInfo = attrs.field(repr=False, eq=False)

    def segments(self, first_s: int, last_s: int) -> Iterator[Segment]:
        """The stretches that cover ``first_s`` to ``last_s`` (UTC seconds) and a margin around."""
        start_s, end_s = first_s - _MARGIN_S, last_s + _MARGIN_S
        offset_s = before_s = _offset_at(self.info, start_s)
        for at_s, after_s in self._transitions(start_s, end_s):
            yield Segment(start_s, at_s, before_s, offset_s, after_s)
            start_s, before_s, offset_s = at_s, offset_s, after_s
        yield Segment(start_s, end_s, before_s, offset_s, offset_s)

    def offset_at(self, at_s: int) -> int:
        """The UTC offset in seconds at an instant."""
        return _offset_at(self.info, at_s)

    def _transitions(self, start_s: int, end_s: int) -> Iterator[tuple[int, int]]:
        for year in range(year_of(start_s), year_of(end_s) + 1):
            for at_s, after_s in _year_transitions(self.name, year):
                if start_s < at_s < end_s:
                    yield at_s, after_s


@lru_cache(maxsize=1024)
def load_zone(name: str) -> Zone:
    """The zone of that IANA name; raises `InvalidTriggerError` for the field ``timezone``."""
    if not _NAME.fullmatch(name) or _NOT_PORTABLE.match(name):
        raise InvalidTriggerError("timezone", _unknown(name))
    try:
        return Zone(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        # A folder of the database ("America") is an OSError, another file of it a ValueError.
        raise InvalidTriggerError("timezone", _unknown(name)) from error


def year_of(instant_s: int) -> int:
    """The UTC year of an instant in seconds."""
    return date.fromordinal(instant_s // DAY_S + EPOCH_ORDINAL).year


def year_start_s(year: int) -> int:
    """The instant (s) at which a UTC year begins."""
    return (date(year, 1, 1).toordinal() - EPOCH_ORDINAL) * DAY_S


@lru_cache(maxsize=8192)
def _year_transitions(name: str, year: int) -> tuple[tuple[int, int], ...]:
    """Each instant in ``(start, end]`` of a UTC year from which on another offset holds, with
    it."""
    info = load_zone(name).info
    end_s = year_start_s(year + 1)
    low_s = year_start_s(year)
    low_offset_s = _offset_at(info, low_s)
    found = []
    while low_s < end_s:
        high_s = min(low_s + _SAMPLE_S, end_s)
        high_offset_s = _offset_at(info, high_s)
        if high_offset_s != low_offset_s:
            found.append((_first_with(info, high_offset_s, low_s, high_s), high_offset_s))
        low_s, low_offset_s = high_s, high_offset_s
    return tuple(found)


def _first_with(info: ZoneInfo, offset_s: int, low_s: int, high_s: int) -> int:
    """The first second after ``low_s`` with that offset, given that ``high_s`` has it."""
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if _offset_at(info, middle_s) == offset_s:
            high_s = middle_s
        else:
            low_s = middle_s
    return high_s


def _offset_at(info: ZoneInfo, instant_s: int) -> int:
    offset = datetime.fromtimestamp(instant_s, info).utcoffset()
    if offset is None:  # pragma: no cover - zoneinfo always answers an aware datetime
        raise InvalidTriggerError("timezone", "the zone has no offset")
    return offset.days * DAY_S + offset.seconds


def _unknown(name: object) -> str:
    shown = repr(name)
    shown = shown if len(shown) <= 42 else shown[:39] + "...'"
    return f"{shown} is not a zone of the IANA database; use a name such as Europe/Berlin or UTC"
