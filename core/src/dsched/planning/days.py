"""Which days a calendar lets through, and why it leaves one out. Days are proleptic ordinals."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

import attrs

from dsched.model.calendars import ALL_WEEKDAYS, Calendar, NamedDays

LAST_DAY = date.max.toordinal()
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@attrs.frozen(kw_only=True)
class LeftOut:
    """Why a day is left out: the calendar that does it, and what the day is to it."""

    calendar: str
    day: str

    def __str__(self) -> str:
        """``de-holidays: Christmas Day``."""
        return f"{self.calendar}: {self.day}" if self.day else self.calendar


@attrs.frozen
class DayRule:
    """A set of days: from each of ``starts`` on (ascending, the first is 1), until the next one,
    those whose weekday is in the mask beside it (bit 0: Monday). So its size, and what an answer
    costs, grow with the ranges of a calendar and not with their length."""

    starts: tuple[int, ...]
    masks: tuple[int, ...]

    def has(self, day: int) -> bool:
        """Whether the day is one of the set."""
        return bool(self.masks[self._at(day)] >> (day - 1) % 7 & 1)

    def first_from(self, day: int) -> int | None:
        """The first day of the set that is not before ``day``."""
        for at in range(self._at(day), len(self.starts)):
            day = max(day, self.starts[at])
            found = _next_in(self.masks[at], day)
            if found is not None and found < self._end(at):
                return found
        return None

    def last_until(self, day: int) -> int | None:
        """The last day of the set that is not after ``day``."""
        for at in range(self._at(day), -1, -1):
            day = min(day, self._end(at) - 1)
            found = _last_in(self.masks[at], day)
            if found is not None and found >= self.starts[at]:
                return found
        return None

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The days of the set in ``[first, last]`` as ranges of neighbours, ascending."""
        others = self.others()
        begin = self.first_from(first)
        while begin is not None and begin <= last:
            beyond = others.first_from(begin)
            end = last if beyond is None else min(last, beyond - 1)
            yield begin, end
            begin = self.first_from(end + 1) if end < LAST_DAY else None

    def others(self) -> "DayRule":
        """The days that are not in the set."""
        return _others(self)

    def _at(self, day: int) -> int:
        return bisect_right(self.starts, max(day, 1)) - 1

    def _end(self, at: int) -> int:
        return self.starts[at + 1] if at + 1 < len(self.starts) else LAST_DAY + 1


@lru_cache(maxsize=1024)
def day_rule(calendar: Calendar) -> DayRule:
    """The days that a calendar lets through."""
    skipped = _weekdays(calendar.skip)
    allowed = _weekdays(calendar.only) if calendar.only else ALL_WEEKDAYS
    changes: dict[int, list[int]] = {1: [0, 0]}  # where dates of skip, of only, begin and end
    for which, sets in enumerate((calendar.skip, calendar.only)):
        for one in (dated for days in sets for dated in days.dates):
            changes.setdefault(one.first.toordinal(), [0, 0])[which] += 1
            if one.last < date.max:
                changes.setdefault(one.last.toordinal() + 1, [0, 0])[which] -= 1
    starts: list[int] = []
    masks: list[int] = []
    in_skip = in_only = 0
    for day, (skip, only) in sorted(changes.items()):
        in_skip, in_only = in_skip + skip, in_only + only
        mask = 0 if in_skip else (ALL_WEEKDAYS if in_only else allowed) & ~skipped
        if not masks or masks[-1] != mask:
            starts.append(day)
            masks.append(mask)
    return DayRule(tuple(starts), tuple(masks))


@lru_cache(maxsize=1024)
def _others(rule: DayRule) -> DayRule:
    return DayRule(rule.starts, tuple(ALL_WEEKDAYS & ~mask for mask in rule.masks))


def why_left_out(calendar: Calendar, day: int) -> LeftOut | None:
    """Why a calendar leaves a day out: the first that says so. None: it lets it through."""
    for days in calendar.skip:
        name = _name_in(days, day)
        if name is not None:
            return LeftOut(calendar=days.name, day=name)
    if not calendar.only or any(_name_in(days, day) is not None for days in calendar.only):
        return None
    names = ", ".join(days.name for days in calendar.only)
    return LeftOut(calendar=names, day=f"{_weekday(day)} is not one of its days")


def _name_in(days: NamedDays, day: int) -> str | None:
    """What a day is called in a set; None if it is not in it."""
    at = date.fromordinal(day)
    found = [one.name for one in days.dates if one.first <= at <= one.last]
    named = [name for name in found if name]
    if named:
        return "; ".join(named)
    if days.weekdays >> (day - 1) % 7 & 1:
        return _weekday(day)
    return at.isoformat() if found else None


def _weekday(day: int) -> str:
    return _WEEKDAYS[(day - 1) % 7]


def _weekdays(sets: tuple[NamedDays, ...]) -> int:
    mask = 0
    for days in sets:
        mask |= days.weekdays
    return mask


def _next_in(mask: int, day: int) -> int | None:
    ahead = (mask | mask << 7) >> (day - 1) % 7
    return day + (ahead & -ahead).bit_length() - 1 if ahead else None


def _last_in(mask: int, day: int) -> int | None:
    behind = (mask | mask << 7) & (2 << (day - 1) % 7 + 7) - 1
    return day - ((day - 1) % 7 + 7 - behind.bit_length() + 1) if behind else None
