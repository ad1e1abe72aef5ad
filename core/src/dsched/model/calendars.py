"""`Calendar`: the days on which a config does not fire, or the only ones on which it does."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import attrs

from dsched.model.fields import InvalidConfigError
from dsched.model.json import JsonValue, dumps
from dsched.wording import has_controls, printable

MAX_CALENDARS = 8  # of one config
MAX_DATES = 2_000  # of one config: dates and ranges
MAX_CALENDAR_BYTES = 65_536  # the text of all calendars of one config
MAX_CALENDAR_NAME = 64
MAX_DAY_NAME = 100

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_WEEKDAYS = 0b111_1111
_KEYS = ("name", "weekdays", "dates", "until")
_EXAMPLE = "such as 2026-12-24 or 2026-12-24/2026-12-31"


@attrs.frozen
class DatedDays:
    """The days ``first`` to ``last`` (both included), and what they are called, if anything."""

    first: date
    last: date
    name: str = ""

    @property
    def text(self) -> str:
        """``2026-12-24``, or ``2026-12-24/2026-12-31``."""
        first = self.first.isoformat()
        return first if self.first == self.last else f"{first}/{self.last.isoformat()}"


@attrs.frozen(kw_only=True, cache_hash=True)
class NamedDays:
    """A named set of days: weekdays (bit 0: Monday) and dates, ascending.

    ``until`` is the last day that it says anything about, where what it was made from ends: a
    country's holidays are known for some years ahead, an ``.ics`` file has a last event. It
    changes no instant; whoever declared the config is warned before it has come.
    """

    name: str
    weekdays: int = 0
    dates: tuple[DatedDays, ...] = ()
    until: date | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what is no name, or no day at all."""
        _check_text("name", self.name, MAX_CALENDAR_NAME)
        if not self.name:
            raise InvalidConfigError("calendar", "a calendar needs a name")
        if not self.weekdays and not self.dates:
            raise InvalidConfigError(
                "calendar", f"{self.name} has no day; give it weekdays or dates, or leave it out"
            )

    def record(self) -> dict[str, JsonValue]:
        """The keys of an entry, as `named_days_of` reads them."""
        found: dict[str, JsonValue] = {"name": self.name}
        if self.weekdays:
            found["weekdays"] = list(weekday_names(self.weekdays))
        if self.dates:
            found["dates"] = {one.text: one.name for one in self.dates}
        if self.until is not None:
            found["until"] = self.until.isoformat()
        return found


@attrs.frozen(kw_only=True, cache_hash=True)
class Calendar:
    """A config fires on the days of ``only`` (of any of them; without one: on all), but not on
    those of ``skip`` (of any of them). A day is one of the config's ``timezone``."""

    skip: tuple[NamedDays, ...] = ()
    only: tuple[NamedDays, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse what says nothing, or too much."""
        found = (*self.skip, *self.only)
        if not found:
            raise InvalidConfigError("calendar", "says nothing; give it skip or only, or remove it")
        if len(found) > MAX_CALENDARS:
            reason = f"names {len(found)} calendars; at most {MAX_CALENDARS} are allowed"
            raise InvalidConfigError("calendar", reason)
        dates = sum(len(one.dates) for one in found)
        if dates > MAX_DATES:
            reason = f"has {dates} dates; at most {MAX_DATES} a config are allowed"
            raise InvalidConfigError("calendar", f"{reason}; a range, first/last, counts as one")
        size = len(dumps(self.record()).encode()) if dates else 0
        if size > MAX_CALENDAR_BYTES:
            reason = f"has {size} bytes of text; at most {MAX_CALENDAR_BYTES} are allowed"
            raise InvalidConfigError("calendar", f"{reason}; shorten the names of days")

    def record(self) -> dict[str, JsonValue]:
        """The value of the key ``calendar`` in an entry, as `calendar_of` reads it."""
        both = (("skip", self.skip), ("only", self.only))
        return {key: [one.record() for one in found] for key, found in both if found}

    def between(self, first: date, last: date) -> "Calendar":
        """As much of it as decides about the days ``first`` to ``last``."""
        skip = tuple(one for one in (_between(days, first, last) for days in self.skip) if one)
        only = tuple(_between(days, first, last) or days for days in self.only)
        if not skip and not only:
            return self
        return Calendar(skip=skip, only=only)


def _between(days: NamedDays, first: date, last: date) -> NamedDays | None:
    """The same with those of its dates that touch a span; None if it has no day there at all."""
    dates = tuple(one for one in days.dates if one.first <= last and one.last >= first)
    if not dates and not days.weekdays:
        return None
    return attrs.evolve(days, dates=dates, until=None)


def weekday_names(weekdays: int) -> Iterator[str]:
    """``mon``, ``tue``, ... of a set."""
    return (name for number, name in enumerate(WEEKDAYS) if weekdays >> number & 1)


def given_calendar(value: "Calendar | Mapping[str, Any] | None") -> "Calendar | None":
    """A calendar as code may give it: itself, or the mapping of an entry."""
    return value if value is None or isinstance(value, Calendar) else calendar_of(value)


def calendar_of(value: object) -> Calendar:
    """A calendar from the value of an entry's key ``calendar``.

    Raises `InvalidConfigError` for the field ``calendar``.
    """
    if not isinstance(value, Mapping):
        raise InvalidConfigError("calendar", "must be a mapping with skip, only, or both")
    _check_keys("", value, ("skip", "only"))
    sets: dict[str, tuple[NamedDays, ...]] = {}
    for key, found in value.items():
        if not isinstance(found, list | tuple):
            raise InvalidConfigError("calendar", f"{key} must be a list of calendars")
        sets[key] = tuple(named_days_of(one) for one in found[: MAX_CALENDARS + 1])
    return Calendar(**sets)


def named_days_of(value: object) -> NamedDays:
    """A named set of days from its mapping; raises `InvalidConfigError`."""
    if isinstance(value, NamedDays):
        return value
    if not isinstance(value, Mapping):
        reason = f"{_shown(value)} must be a mapping with name, and weekdays or dates"
        raise InvalidConfigError("calendar", reason)
    name = value.get("name")
    if not isinstance(name, str):
        raise InvalidConfigError("calendar", "a calendar needs a name, a text")
    _check_keys(f"{_shown(name)}: ", value, _KEYS)
    try:
        until = value.get("until")
        return NamedDays(
            name=name,
            weekdays=weekdays_of(value.get("weekdays", ())),
            dates=dates_of(value.get("dates", {})),
            until=None if until is None else day_of(until),
        )
    except ValueError as error:
        reason = str(error).removeprefix("calendar: ")
        raise InvalidConfigError("calendar", f"{_shown(name)}: {reason}") from None


def weekdays_of(value: object) -> int:
    """The set of weekdays of ``[mon, tue]``, ``mon-fri`` or ``sat,sun``; raises ValueError."""
    terms = value.split(",") if isinstance(value, str) else value
    if not isinstance(terms, list | tuple) or len(terms) > len(WEEKDAYS):
        raise ValueError(f"weekdays must be a list of {', '.join(WEEKDAYS)}, or a range: mon-fri")
    found = 0
    for term in terms:
        first, dash, last = str(term).strip().lower().partition("-")
        low = _weekday(first, term)
        high = _weekday(last, term) if dash else low
        for step in range((high - low) % 7 + 1):
            found |= 1 << (low + step) % 7
    return found


def _weekday(text: str, term: object) -> int:
    known = [text in (name, _LONG[name]) for name in WEEKDAYS]
    if True not in known:
        raise ValueError(f"{_shown(term)} is no weekday; write {', '.join(WEEKDAYS)}, or mon-fri")
    return known.index(True)


_LONG = {
    "mon": "monday",
    "tue": "tuesday",
    "wed": "wednesday",
    "thu": "thursday",
    "fri": "friday",
    "sat": "saturday",
    "sun": "sunday",
}


def dates_of(value: object) -> tuple[DatedDays, ...]:
    """Dates and ranges, ascending, from a mapping to their names or from a list; ValueError."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list | tuple):
        items = ((one, "") for one in value)
    else:
        raise ValueError(f"dates must be a list, or a mapping to the names of days, {_EXAMPLE}")
    if len(value) > MAX_DATES:
        raise ValueError(f"has {len(value)} dates; at most {MAX_DATES} a config are allowed")
    return joined(_dated(key, name) for key, name in items)


def joined(dates: Iterable[DatedDays]) -> tuple[DatedDays, ...]:
    """Dates in ascending order, each once; where it has two names they are joined."""
    names: dict[tuple[date, date], list[str]] = {}
    for one in dates:
        known = names.setdefault((one.first, one.last), [])
        if one.name and one.name not in known:
            known.append(one.name)
    return tuple(
        DatedDays(first, last, "; ".join(known)[:MAX_DAY_NAME])
        for (first, last), known in sorted(names.items())
    )


def _dated(key: object, name: object) -> DatedDays:
    if name is None:
        name = ""
    if not isinstance(name, str):
        raise ValueError(f"the name of {_shown(key)} must be text; put it in quotes")
    _check_text(f"the name of {_shown(key)}", name, MAX_DAY_NAME)
    if isinstance(key, str) and "/" in key:
        begin, _, end = key.partition("/")
        first, last = day_of(begin), day_of(end)
    else:
        first = last = day_of(key)
    if last < first:
        raise ValueError(f"{_shown(key)} ends before it begins")
    return DatedDays(first, last, name)


def day_of(value: object) -> date:
    """A date from itself or from its text; ValueError."""
    if type(value) is date:
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        if len(text) == 10:  # no other form of ISO 8601
            return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{_shown(value)} is no date ({error}); write one {_EXAMPLE}") from None
    raise ValueError(f"{_shown(value)} is no date; write one {_EXAMPLE}")


def _check_text(what: str, text: object, longest: int) -> None:
    if not isinstance(text, str) or len(text) > longest or has_controls(text):
        reason = f"must be text of at most {longest} characters, without control characters"
        raise InvalidConfigError("calendar", f"{what} {reason}")


def _check_keys(place: str, value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            reason = f"{place}{_shown(key)} is not a known key; known are {', '.join(known)}"
            raise InvalidConfigError("calendar", reason)


def _shown(value: object) -> str:
    return printable(str(value), 60)
