"""Which days of a month match: plain days, ``L``, ``LW``, ``15W``, ``MON#2``, ``5L``."""

import attrs

from dsched.planning.cron.pattern import MONTH_LENGTHS, shape_index


@attrs.frozen
class DayOfMonthRules:
    """``from_end``: days back from the last; ``nearest_weekday``: of that day, 0 for the last."""

    plain: int = 0
    from_end: tuple[int, ...] = ()
    nearest_weekday: tuple[int, ...] = ()

    def mask(self, first_weekday: int, length: int) -> int:
        """The matching days of a month of this shape, bit d for day d."""
        mask = self.plain & _whole(length)
        for back in self.from_end:
            if back < length:
                mask |= 1 << (length - back)
        for day in self.nearest_weekday:
            if day == 0:
                mask |= 1 << _last_weekday(first_weekday, length)
            elif day <= length:  # no 31W in a month without a 31st, as in Quartz
                mask |= 1 << _nearest_weekday(day, first_weekday, length)
        return mask


@attrs.frozen
class DayOfWeekRules:
    """``plain``: mask of weekdays (0 Sunday); ``nth``: (weekday, which); ``last``: weekdays."""

    plain: int = 0
    nth: tuple[tuple[int, int], ...] = ()
    last: tuple[int, ...] = ()

    def mask(self, first_weekday: int, length: int) -> int:
        """The matching days of a month of this shape, bit d for day d."""
        mask = 0
        for day in range(1, length + 1):
            if self.plain >> _weekday(day, first_weekday) & 1:
                mask |= 1 << day
        for weekday, which in self.nth:
            mask |= 1 << _first_of(weekday, first_weekday) + 7 * (which - 1)
        for weekday in self.last:
            first = _first_of(weekday, first_weekday)
            mask |= 1 << first + (length - first) // 7 * 7
        return mask & _whole(length)


def day_table(
    days: DayOfMonthRules, weekdays: DayOfWeekRules, *, both_must_match: bool
) -> tuple[int, ...]:
    """The matching days for each of the 28 shapes of a month."""
    table = [0] * 28
    for first_weekday in range(7):
        for length in MONTH_LENGTHS:
            by_date = days.mask(first_weekday, length)
            by_weekday = weekdays.mask(first_weekday, length)
            mask = by_date & by_weekday if both_must_match else by_date | by_weekday
            table[shape_index(first_weekday, length)] = mask
    return tuple(table)


def _whole(length: int) -> int:
    return (2 << length) - 2


def _weekday(day: int, first_weekday: int) -> int:
    return (first_weekday + day - 1) % 7


def _first_of(weekday: int, first_weekday: int) -> int:
    return 1 + (weekday - first_weekday) % 7


def _last_weekday(first_weekday: int, length: int) -> int:
    return length - {0: 2, 6: 1}.get(_weekday(length, first_weekday), 0)


def _nearest_weekday(day: int, first_weekday: int, length: int) -> int:
    """The working day closest to a date, never leaving the month."""
    weekday = _weekday(day, first_weekday)
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day
