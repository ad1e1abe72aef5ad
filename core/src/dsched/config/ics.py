"""The days of an iCalendar file: events and what recurs, within bounds and up to a horizon."""

import os
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from dsched.model import DatedDays
from dsched.model.calendars import MAX_DATES, MAX_DAY_NAME, joined
from dsched.wording import printable

MAX_ICS_BYTES = 1024 * 1024
MAX_EVENTS = 5_000
MAX_EXPANDING_S = 5.0
_ONE_DAY = timedelta(days=1)
_BY_DATE = frozenset({"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"})
_BY = _BY_DATE | {"BYDAY", "BYMONTH"}
_KNOWN = _BY | {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"}


@attrs.frozen(kw_only=True)
class IcsDays:
    """Dates with their events' summaries, and the last day that the file says anything about: that
    of its last event, or the horizon if something recurs without end."""

    dates: tuple[DatedDays, ...]
    until: date | None


def ics_days(path: str, *, first: date, last: date) -> IcsDays:
    """The days of a file's events from ``first`` to ``last``, the horizon.

    An event counts for each day that it touches, in its own zone; one that is cancelled counts for
    none. Raises ValueError with what is wrong and what to do, `ModuleNotFoundError` without the
    library.
    """
    from icalendar import Calendar

    content = _content(path)
    if content.count(b"BEGIN:VEVENT") > MAX_EVENTS:
        raise ValueError(f"has more than {MAX_EVENTS} events; split it")
    try:
        found = Calendar.from_ical(content, multiple=True)
        events = [_Event(one) for calendar in found for one in calendar.walk("VEVENT")]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"is no iCalendar file: {printable(str(error), 120)}") from error
    if not events:
        raise ValueError("has no event")
    return _expanded(events, first, last)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_ICS_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"cannot be read: {reason}; check the path and its mode") from error
    if len(content) > MAX_ICS_BYTES:
        size = os.path.getsize(path)
        raise ValueError(f"has {size} bytes; at most {MAX_ICS_BYTES} are read, split it")
    return content


def _expanded(events: list["_Event"], first: date, last: date) -> IcsDays:
    moved: dict[str, set[date]] = {}
    for event in events:
        if event.moved_from is not None:
            moved.setdefault(event.uid, set()).add(event.moved_from)
    days: set[tuple[date, date, str]] = set()
    ends: list[date] = []
    deadline = time.monotonic() + MAX_EXPANDING_S
    for event in events:
        if event.cancelled:
            continue
        if event.endless:
            ends.append(last)
        gone = moved.get(event.uid, set()) if event.moved_from is None else set()
        for begin in event.begins(last):
            end = begin + event.length
            ends.append(min(end, last))
            if end >= first and begin not in gone:
                days.add((begin, end, event.name))
        if len(days) > MAX_DATES:
            years = f"{first.year} to {last.year}"
            raise ValueError(f"has more than {MAX_DATES} days in the years {years}; say less")
        if time.monotonic() > deadline:
            raise ValueError(f"takes more than {MAX_EXPANDING_S:g} s to expand; say less")
    dates = joined(DatedDays(*one) for one in sorted(days))
    return IcsDays(dates=dates, until=max(ends, default=None))


class _Event:
    """What decides about the days of a VEVENT. Its first day may be of any year."""

    def __init__(self, event: Any) -> None:
        begin = event["DTSTART"].dt
        self.begin = _day(begin)
        self.uid = str(event.get("UID", ""))
        self.cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
        self.length = self._length(event, begin)
        words = " ".join(str(event.get("SUMMARY", "")).split())
        self.name = printable(words, MAX_DAY_NAME - 3)
        moved = event.get("RECURRENCE-ID")
        self.moved_from = None if moved is None else _day(moved.dt)
        self._left_out = set(_days_of(event.get("EXDATE")))
        self._more = sorted(_days_of(event.get("RDATE")))
        rules = event.get("RRULE")
        self._rules = [] if rules is None else rules if isinstance(rules, list) else [rules]
        self.endless = any("UNTIL" not in rule and "COUNT" not in rule for rule in self._rules)
        self._zone = begin.tzinfo if isinstance(begin, datetime) else None

    def _length(self, event: Any, begin: Any) -> timedelta:
        """From the first day to the last."""
        if "DTEND" in event:
            end = event["DTEND"].dt
        elif "DURATION" in event:
            end = begin + event["DURATION"].dt
        else:
            return timedelta(0)
        last = _day(end)
        midnight = not isinstance(end, datetime) or end.time().replace(tzinfo=None) == _MIDNIGHT
        if midnight and last > self.begin:
            last -= _ONE_DAY  # the end itself is not in it
        return max(last - self.begin, timedelta(0))

    def begins(self, last: date) -> Iterator[date]:
        """Its first day, and that of each time it recurs, up to ``last``."""
        found = {self.begin, *self._more}
        for rule in self._rules:
            found.update(self._recurring(rule, last))
        return iter(sorted(one for one in found if one <= last and one not in self._left_out))

    def _recurring(self, rule: Any, last: date) -> Iterator[date]:
        from dateutil.rrule import rrulestr

        _check_rule(rule)
        terms = type(rule)({key: value for key, value in rule.items() if key != "UNTIL"})
        begin = datetime.combine(self.begin, _MIDNIGHT)
        found = rrulestr(terms.to_ical().decode(), dtstart=begin)
        until = last
        if "UNTIL" in rule:
            until = min(last, self._until(rule["UNTIL"][0]))
        for at in found:
            if at.date() > until:
                return
            yield at.date()

    def _until(self, until: date) -> date:
        if isinstance(until, datetime) and until.tzinfo is not None and self._zone is not None:
            until = until.astimezone(self._zone)
        return _day(until)


_MIDNIGHT = datetime.min.time()


def _check_rule(rule: Any) -> None:
    """Refuse what recurs within a day, and what might be searched for through all years."""
    terms = {str(key).upper() for key in rule}
    freq = str(rule.get("FREQ", [""])[0]).upper()
    interval = int(rule.get("INTERVAL", [1])[0])
    text = printable(rule.to_ical().decode(), 100)
    if freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") or not terms <= _KNOWN:
        raise ValueError(f"recurs by {text}; days recur daily, weekly, monthly or yearly")
    if freq in ("MONTHLY", "YEARLY"):
        return
    by = terms & _BY - ({"BYDAY"} if freq == "WEEKLY" else set())
    if terms & _BY_DATE or (by and interval > 1):
        raise ValueError(f"recurs by {text}, which may never come; write it as monthly or yearly")


def _day(at: Any) -> date:
    return at.date() if isinstance(at, datetime) else at


def _days_of(given: Any) -> Iterator[date]:
    """The days of EXDATE or RDATE, which are there once, several times, or not at all."""
    for one in [] if given is None else given if isinstance(given, list) else [given]:
        for item in one.dts:
            yield _day(item.dt[0] if isinstance(item.dt, tuple) else item.dt)
