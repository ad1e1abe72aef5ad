"""The instants of a trigger that fall on certain days of a zone."""

from collections.abc import Iterator

import attrs

from dsched.planning.days import DayRule
from dsched.planning.instants import LAST_MS, Instants
from dsched.planning.zone import DAY_S, EPOCH_ORDINAL, Zone, year_start_s

# How often a search that finds nothing goes on to the next day that is let through: some thirty
# years of weeks. A search ends earlier where the calendar, or the trigger, has nothing any more.
MAX_ROUNDS = 1_600
# Where zones can be asked about, with a margin.
_MIN_S = year_start_s(2)
_MAX_S = LAST_MS // 1000 - 10 * DAY_S
# Zones are asked for so much at a time, so that a search costs by the days until what it finds.
_WINDOW_S = 64 * DAY_S


@attrs.frozen(kw_only=True)
class OnDays:
    """The instants of ``base`` whose local day in ``zone`` is one of ``days``. See `Instants`.

    A day is what the wall shows: where clocks change it has 23 or 25 hours, it may be missing, and
    it may come a second time for an hour.
    """

    base: Instants
    days: DayRule
    zone: Zone

    def next_after(self, ms: int) -> int | None:
        """The first instant later than ``ms``; None too where `MAX_ROUNDS` do not find it."""
        found = self.base.next_after(ms)
        for _ in range(MAX_ROUNDS):
            if found is None or self.has_day_of(found):
                return found
            begin_s = self._next_begin(found // 1000)
            found = None if begin_s is None else self.base.next_after(begin_s * 1000 - 1)
        return None

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """The latest instant in ``[not_before_ms, ms]``, or None."""
        found = self.base.last_before(ms, not_before_ms=not_before_ms)
        while found is not None and not self.has_day_of(found):
            end_s = self._last_end(found // 1000)
            if end_s is None or end_s * 1000 + 999 < not_before_ms:
                return None
            found = self.base.last_before(end_s * 1000 + 999, not_before_ms=not_before_ms)
        return found

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """How many instants lie in ``[first_ms, last_ms]``; costs by the stretches of days."""
        spans = self._spans(first_ms, last_ms)
        return sum(self.base.count_between(low_ms, high_ms) for low_ms, high_ms in spans)

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every instant in ``[first_ms, last_ms]``, ascending."""
        for low_ms, high_ms in self._spans(first_ms, last_ms):
            yield from self.base.all_between(low_ms, high_ms)

    def has_day_of(self, ms: int) -> bool:
        """Whether the local day of an instant is one of the days."""
        return self.days.has(local_day(self.zone, ms))

    def without(self) -> "OnDays":
        """The instants of the base on all other days."""
        return attrs.evolve(self, days=self.days.others())

    def _spans(self, first_ms: int, last_ms: int) -> Iterator[tuple[int, int]]:
        """``[first_ms, last_ms]`` cut to the days, as ranges of ms, ascending. They begin with the
        first instant of the base, so that a far bound costs nothing."""
        begin_ms = self.base.next_after(first_ms - 1)
        first_ms = first_ms if begin_ms is None else begin_ms
        for low_s, high_s in self._spans_s(first_ms // 1000, last_ms // 1000):
            yield max(first_ms, low_s * 1000), min(last_ms, high_s * 1000 + 999)

    def _spans_s(self, first_s: int, last_s: int) -> Iterator[tuple[int, int]]:
        first_s, last_s = max(first_s, _MIN_S), min(last_s, _MAX_S)
        while first_s <= last_s:
            until_s = min(last_s, first_s + _WINDOW_S)
            for segment in self.zone.segments(first_s, until_s):
                low_s, high_s = max(first_s, segment.start_s), min(until_s, segment.end_s - 1)
                if low_s > high_s:
                    continue
                offset_s = segment.offset_s
                days = _day(low_s + offset_s), _day(high_s + offset_s)
                for begin, end in self.days.stretches(*days):
                    yield (
                        max(low_s, _start(begin) - offset_s),
                        min(high_s, _start(end + 1) - 1 - offset_s),
                    )
            first_s = until_s + 1

    def _next_begin(self, after_s: int) -> int | None:
        """The first second from ``after_s`` on that lies on one of the days."""
        # Two days of margin: an offset moves a day by less than that.
        day = self.days.first_from(max(1, _day(after_s) - 2))
        while day is not None:
            from_s = max(after_s, _start(day) - 2 * DAY_S)
            if from_s > _MAX_S:
                return None
            for low_s, _ in self._spans_s(from_s, from_s + 8 * DAY_S):
                return low_s
            day = self.days.first_from(_day(from_s) + 6)
        return None

    def _last_end(self, before_s: int) -> int | None:
        """The last second up to ``before_s`` that lies on one of the days."""
        day = self.days.last_until(_day(before_s) + 2)
        while day is not None:
            to_s = min(before_s, _start(day) + 3 * DAY_S)
            if to_s < _MIN_S:
                return None
            spans = list(self._spans_s(to_s - 8 * DAY_S, to_s))
            if spans:
                return spans[-1][1]
            day = self.days.last_until(_day(to_s) - 6)
        return None


def local_day(zone: Zone, ms: int) -> int:
    """The ordinal of the day that the wall shows at an instant."""
    at_s = min(max(ms // 1000, _MIN_S), _MAX_S)
    return _day(at_s + zone.offset_at(at_s))


def first_after_day(zone: Zone, ms: int) -> int:
    """An instant near the end of the local day of another one, within a clock change of it."""
    at_s = ms // 1000
    left_s = DAY_S - (at_s + zone.offset_at(at_s)) % DAY_S
    return (at_s + left_s) * 1000


def _day(local_s: int) -> int:
    return local_s // DAY_S + EPOCH_ORDINAL


def _start(day: int) -> int:
    return (day - EPOCH_ORDINAL) * DAY_S
