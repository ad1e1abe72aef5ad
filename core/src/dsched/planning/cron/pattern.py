"""What a cron expression says about local wall-clock time, with next, last and exact counts.

Local time is an integer here: seconds since 1970-01-01 00:00 on the wall, no zone in sight.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import date

import attrs

from dsched.planning.zone import DAY_S, EPOCH_ORDINAL

_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MONTH_LENGTHS = (28, 29, 30, 31)


def shape_index(first_weekday: int, length: int) -> int:
    """Where the shape of a month stands: weekday of its first day (0 Sunday) and its length."""
    return first_weekday * 4 + length - 28


@attrs.frozen
class CronPattern:
    """Sets of times of day, months and days.

    There are only 28 shapes of a month (weekday of the first, length), so whatever a day rule
    says (``L``, ``15W``, ``MON#2``), it is a table of 28 bit masks: bit d stands for day d.
    ``months`` is such a mask too. ``fixed_time``: neither hour nor minute is a wildcard or a step.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: int
    days: tuple[int, ...]
    fixed_time: bool

    @property
    def times_a_day(self) -> int:
        """How many times of day match."""
        return len(self.seconds) * len(self.minutes) * len(self.hours)

    def days_of(self, year: int, month: int) -> int:
        """The mask of the matching days of a month."""
        if not self.months >> month & 1:
            return 0
        length = 29 if month == 2 and _is_leap(year) else _LENGTHS[month]
        return self.days[shape_index(date(year, month, 1).toordinal() % 7, length)]

    def next_from(self, local_s: int, limit_s: int) -> int | None:
        """The first match in ``[local_s, limit_s]``."""
        if local_s > limit_s:
            return None
        day, second = divmod(local_s, DAY_S)
        today = date.fromordinal(day + EPOCH_ORDINAL)
        mask = self.days_of(today.year, today.month)
        if mask >> today.day & 1:
            time_s = self._time_from(second)
            if time_s is not None:
                return _within(day * DAY_S + time_s, local_s, limit_s)
        mask &= -(2 << today.day)
        last = date.fromordinal(limit_s // DAY_S + EPOCH_ORDINAL)
        months_left = (last.year - today.year) * 12 + last.month - today.month
        year, month = today.year, today.month
        while not mask:
            if months_left <= 0:
                return None
            months_left -= 1
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            mask = self.days_of(year, month)
        found = _day_number(year, month, (mask & -mask).bit_length() - 1)
        first_s = self.hours[0] * 3600 + self.minutes[0] * 60 + self.seconds[0]
        return _within(found * DAY_S + first_s, local_s, limit_s)

    def last_until(self, local_s: int, floor_s: int) -> int | None:
        """The last match in ``[floor_s, local_s]``."""
        if local_s < floor_s:
            return None
        day, second = divmod(local_s, DAY_S)
        today = date.fromordinal(day + EPOCH_ORDINAL)
        mask = self.days_of(today.year, today.month)
        if mask >> today.day & 1:
            time_s = self._time_until(second)
            if time_s is not None:
                return _within(day * DAY_S + time_s, floor_s, local_s)
        mask &= (1 << today.day) - 1
        first = date.fromordinal(floor_s // DAY_S + EPOCH_ORDINAL)
        months_left = (today.year - first.year) * 12 + today.month - first.month
        year, month = today.year, today.month
        while not mask:
            if months_left <= 0:
                return None
            months_left -= 1
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            mask = self.days_of(year, month)
        found = _day_number(year, month, mask.bit_length() - 1)
        last_s = self.hours[-1] * 3600 + self.minutes[-1] * 60 + self.seconds[-1]
        return _within(found * DAY_S + last_s, floor_s, local_s)

    def all_between(self, from_s: int, to_s: int) -> Iterator[int]:
        """Every match in ``[from_s, to_s)``, ascending; cheaper than asking for one after
        another."""
        times = [
            hour * 3600 + minute * 60 + second
            for hour in self.hours
            for minute in self.minutes
            for second in self.seconds
        ]
        for day in range(from_s // DAY_S, -(-to_s // DAY_S)):
            today = date.fromordinal(day + EPOCH_ORDINAL)
            if not self.days_of(today.year, today.month) >> today.day & 1:
                continue
            start_s = day * DAY_S
            low, high = 0, len(times)
            if start_s < from_s:
                low = bisect_left(times, from_s - start_s)
            if start_s + DAY_S > to_s:
                high = bisect_left(times, to_s - start_s)
            for time_s in times[low:high]:
                yield start_s + time_s

    def count(self, from_s: int, to_s: int) -> int:
        """How many matches lie in ``[from_s, to_s)``; the cost grows by months, not by matches."""
        if to_s <= from_s:
            return 0
        return self._count_since_month(from_s, to_s) - self._count_since_month(from_s, from_s)

    def _count_since_month(self, origin_s: int, to_s: int) -> int:
        """The matches before ``to_s``, counted from the first day of the month of ``origin_s``."""
        origin = date.fromordinal(origin_s // DAY_S + EPOCH_ORDINAL)
        day, second = divmod(to_s, DAY_S)
        end = date.fromordinal(day + EPOCH_ORDINAL)
        full_days = 0
        year, month = origin.year, origin.month
        while (year, month) != (end.year, end.month):
            full_days += self.days_of(year, month).bit_count()
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        mask = self.days_of(year, month)
        full_days += (mask & (1 << end.day) - 1).bit_count()
        rest = self._times_before(second) if mask >> end.day & 1 else 0
        return full_days * self.times_a_day + rest

    def _times_before(self, second_of_day: int) -> int:
        minute_of_day, second = divmod(second_of_day, 60)
        hour, minute = divmod(minute_of_day, 60)
        at_hour = bisect_left(self.hours, hour)
        count = at_hour * len(self.minutes) * len(self.seconds)
        if hour in self.hours[at_hour : at_hour + 1]:
            at_minute = bisect_left(self.minutes, minute)
            count += at_minute * len(self.seconds)
            if minute in self.minutes[at_minute : at_minute + 1]:
                count += bisect_left(self.seconds, second)
        return count

    def _time_from(self, second_of_day: int) -> int | None:
        """The first time of day at or after this one."""
        minute_of_day, second = divmod(second_of_day, 60)
        hour, minute = divmod(minute_of_day, 60)
        if hour in self.hours and minute in self.minutes and second <= self.seconds[-1]:
            found = self.seconds[bisect_left(self.seconds, second)]
            return hour * 3600 + minute * 60 + found
        if hour in self.hours and minute < self.minutes[-1]:
            found = self.minutes[bisect_right(self.minutes, minute)]
            return hour * 3600 + found * 60 + self.seconds[0]
        if hour < self.hours[-1]:
            found = self.hours[bisect_right(self.hours, hour)]
            return found * 3600 + self.minutes[0] * 60 + self.seconds[0]
        return None

    def _time_until(self, second_of_day: int) -> int | None:
        """The last time of day at or before this one."""
        minute_of_day, second = divmod(second_of_day, 60)
        hour, minute = divmod(minute_of_day, 60)
        if hour in self.hours and minute in self.minutes and second >= self.seconds[0]:
            found = self.seconds[bisect_right(self.seconds, second) - 1]
            return hour * 3600 + minute * 60 + found
        if hour in self.hours and minute > self.minutes[0]:
            found = self.minutes[bisect_left(self.minutes, minute) - 1]
            return hour * 3600 + found * 60 + self.seconds[-1]
        if hour > self.hours[0]:
            found = self.hours[bisect_left(self.hours, hour) - 1]
            return found * 3600 + self.minutes[-1] * 60 + self.seconds[-1]
        return None

    def longest_silence_years(self) -> int | None:
        """The greatest distance of two years with a match; None if no date ever matches.

        The calendar repeats every 400 years, and a year has one of 14 faces.
        """
        faces: dict[tuple[int, bool], bool] = {}
        matching = []
        for year in range(2000, 2400):
            face = (date(year, 1, 1).toordinal() % 7, _is_leap(year))
            if face not in faces:
                faces[face] = any(self.days_of(year, month) for month in range(1, 13))
            if faces[face]:
                matching.append(year)
        if not matching:
            return None
        following = [*matching[1:], matching[0] + 400]
        return max(after - year for year, after in zip(matching, following, strict=True))


def _within(value_s: int, low_s: int, high_s: int) -> int | None:
    return value_s if low_s <= value_s <= high_s else None


def _day_number(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal() - EPOCH_ORDINAL


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
