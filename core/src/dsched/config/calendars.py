"""`calendars:` of a task file, and what a task says of them: definitions to days.

What a file names (a country, an ``.ics`` file) is expanded here, once, where it is declared: so
the config holds the days themselves, and every pod plans with the same ones.
"""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import attrs

from dsched.config.holiday_days import holiday_days
from dsched.config.ics import ics_days
from dsched.config.problems import Place, Problem, shown, tidy
from dsched.config.structuring import Flaw
from dsched.config.yaml_reader import Document
from dsched.model import Calendar, DatedDays, InvalidConfigError, JsonValue, NamedDays
from dsched.model.calendars import MAX_CALENDARS, dates_of, day_of, joined, weekdays_of
from dsched.wording import did_you_mean

YEARS_BACK, YEARS_AHEAD = 1, 5
MAX_DEFINITIONS = 100  # of one file

_KEYS = ("weekdays", "dates", "until", "holidays", "subdivision", "language", "ics")
_EXTRA = "pip install 'dsched[calendars]'"


@attrs.frozen(kw_only=True)
class Calendars:
    """The calendars that a task may name, those that are wrong as None; and the folder that paths
    of ``.ics`` files start at. Without a file there are none, and no path is read."""

    named: Mapping[str, NamedDays | None] = attrs.field(factory=dict)
    folder: str | None = None


NO_FILE = Calendars()


def read_calendars(document: Document, path: str) -> tuple[Calendars, list[Problem]]:
    """The key ``calendars`` of a task file, and what is wrong with it."""
    folder = os.path.dirname(path)
    data = document.data
    raw = data.get("calendars") if isinstance(data, dict) else None
    place: Place = ("calendars",)
    if raw is None:
        return Calendars(folder=folder), []
    if not isinstance(raw, Mapping) or len(raw) > MAX_DEFINITIONS:
        reason = f"must be a mapping of at most {MAX_DEFINITIONS} names to definitions"
        return Calendars(folder=folder), [document.problem(place, reason)]
    named: dict[str, NamedDays | None] = {}
    problems = []
    for name, definition in raw.items():
        named[str(name)] = None
        try:
            named[str(name)] = _defined(str(name), definition, folder)
        except ValueError as error:
            problems.append(document.problem((*place, str(name)), _reason(error)))
    return Calendars(named=named, folder=folder), problems


def take_calendar(given: dict[str, Any], calendars: Calendars) -> list[Flaw]:
    """Put the days in the place of a task's ``calendar``; what is wrong with it, if anything is,
    and then the task has none."""
    raw = given.pop("calendar", None)
    if raw is None:
        return []
    if isinstance(raw, Calendar):
        given["calendar"] = raw
        return []
    if not isinstance(raw, Mapping):
        example = "calendar: {skip: [de-holidays], only: [workdays]}"
        return [Flaw(("calendar",), f"must be a mapping with skip, only, or both: {example}")]
    flaws = [
        Flaw(("calendar", str(key)), "is not a known key; known are skip, only")
        for key in list(raw)[:20]
        if key not in ("skip", "only")
    ]
    sets: dict[str, tuple[NamedDays, ...]] = {}
    for key in ("skip", "only"):
        found, wrong = _named(raw.get(key), ("calendar", key), calendars)
        sets[key] = tuple(found)
        flaws += wrong
    if flaws or None in (*sets["skip"], *sets["only"]):
        return flaws  # or the definition in the file is wrong, and said so
    try:
        given["calendar"] = Calendar(**sets)
    except InvalidConfigError as error:
        flaws.append(Flaw(("calendar",), tidy(error.reason)))
    return flaws


def resolved(
    content: Mapping[str, Any], calendars: Calendars
) -> tuple[Mapping[str, Any], list[Flaw]]:
    """A task as written, with the days themselves in its ``calendar``, as values of JSON."""
    if content.get("calendar") is None:
        return content, []
    given = dict(content)
    flaws = take_calendar(given, calendars)
    if isinstance(found := given.get("calendar"), Calendar):
        record: JsonValue = found.record()
        given["calendar"] = record
    return given, flaws


def _named(raw: object, place: Place, calendars: Calendars) -> tuple[list[Any], list[Flaw]]:
    """The days of a list of names and definitions; None for a name whose definition is wrong."""
    if raw is None:
        return [], []
    if not isinstance(raw, list | tuple) or len(raw) > MAX_CALENDARS:
        return [], [Flaw(place, f"must be a list of at most {MAX_CALENDARS} calendars")]
    found: list[NamedDays | None] = []
    flaws: list[Flaw] = []
    for index, one in enumerate(raw):
        here: Place = (*place, index)
        if isinstance(one, str) and one in calendars.named:
            found.append(calendars.named[one])
        elif isinstance(one, str):
            flaws.append(Flaw(here, _unknown(one, calendars)))
        else:
            try:
                found.append(_inline(one, calendars.folder))
            except ValueError as error:
                flaws.append(Flaw(here, _reason(error)))
    return found, flaws


def _unknown(name: str, calendars: Calendars) -> str:
    if calendars.folder is None:
        return (
            f"{shown(name)} is a name, which only a task file can define; give the days themselves:"
            " {name: ..., weekdays: [...], dates: [...]}"
        )
    meant = did_you_mean(name, calendars.named)
    return f"{shown(name)} is not defined under `calendars:` of this file; {meant}"


def _inline(raw: object, folder: str | None) -> NamedDays:
    if isinstance(raw, NamedDays):
        return raw
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise ValueError("must be the name of a calendar, or a mapping with name and days")
    return _defined(raw["name"], {key: one for key, one in raw.items() if key != "name"}, folder)


def _defined(name: str, raw: object, folder: str | None) -> NamedDays:
    """The days of a definition; raises ValueError."""
    if not isinstance(raw, Mapping):
        raise ValueError(f"must be a mapping with one of {', '.join(_KEYS)}")
    for key in raw:
        if key not in _KEYS:
            raise ValueError(
                f"{shown(str(key))} is not a known key; {did_you_mean(str(key), _KEYS)}"
            )
    dates: list[DatedDays] = [*dates_of(raw.get("dates", {}))]
    ends: list[date] = []
    today = datetime.now(UTC).date()
    first, last = date(today.year - YEARS_BACK, 1, 1), date(today.year + YEARS_AHEAD, 12, 31)
    if "holidays" in raw:
        texts = [_text(raw, key) for key in ("holidays", "subdivision", "language")]
        expand = partial(holiday_days, first_year=first.year, last_year=last.year)
        dates += _expanded("holidays", expand, str(texts[0]), *texts[1:])
        ends.append(last)
    elif "subdivision" in raw or "language" in raw:
        raise ValueError("subdivision and language go together with holidays: a country's code")
    if "ics" in raw:
        found = _expanded(
            "icalendar", partial(ics_days, first=first, last=last), _path(raw, folder)
        )
        dates += found.dates
        ends += [] if found.until is None else [found.until]
    if "until" in raw:
        ends = [day_of(raw["until"])]
    return NamedDays(
        name=name,
        weekdays=weekdays_of(raw.get("weekdays", ())),
        dates=joined(dates),
        until=min(ends, default=None),
    )


def _expanded(library: str, expand: Any, *arguments: Any) -> Any:
    try:
        return expand(*arguments)
    except ModuleNotFoundError as error:
        raise ValueError(f"needs the library {library}; {_EXTRA}") from error


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        # Norway: NO is false in YAML.
        raise ValueError(f"{key} must be text, such as DE; put it in quotes")
    return value


def _path(raw: Mapping[str, Any], folder: str | None) -> str:
    path = raw["ics"]
    if folder is None:
        raise ValueError("ics names a file, which only a task file can; give the dates themselves")
    if not isinstance(path, str) or not path:
        raise ValueError("ics must be the path of a file")
    return os.path.join(folder, path)


def _reason(error: ValueError) -> str:
    if isinstance(error, InvalidConfigError):
        return tidy(error.reason)
    return tidy(str(error).removeprefix("calendar: "))
