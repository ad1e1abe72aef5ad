"""What the API answers about calendars: the named days that configs go by, and which configs do."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import islice

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.model import NamedDays
from dsched.model.calendars import weekday_names
from dsched.planning.calendars import COVERED_FOR
from dsched_api_http.audit import fingerprint

COMING = 5  # days to come that are told
MAX_NAMED = 20  # configs that are told by id


@attrs.frozen(kw_only=True)
class ComingDays:
    """A day to come, or a range of them, with its name, if it has one."""

    first: str
    last: str
    name: str


@attrs.frozen(kw_only=True)
class CalendarView:
    """A named set of days as configs hold it; where configs hold different days under one name,
    each of them is one. ``coming`` are the next of its ``dates``. ``ending``: it covers nothing
    after ``until``, which is near or past. ``skip`` and ``only`` are the first of the configs that
    leave its days out or fire on them alone, ``skipped_by`` and ``only_for`` how many those are."""

    name: str
    weekdays: tuple[str, ...]
    dates: int
    coming: tuple[ComingDays, ...]
    until: str | None
    ending: bool
    skip: tuple[str, ...]
    skipped_by: int
    only: tuple[str, ...]
    only_for: int


@attrs.frozen(kw_only=True)
class Calendars:
    """A page of calendars by name. Not ``complete``: there are so many configs that not all were
    looked at."""

    items: tuple[CalendarView, ...]
    cursor: str | None
    complete: bool


@attrs.define(kw_only=True)
class _Users:
    """Ids of the configs that go by some days."""

    skip: list[str] = attrs.field(factory=list)
    only: list[str] = attrs.field(factory=list)


def calendars_of(
    configs: Iterable[StoredConfig], today: date, *, after: str | None, limit: int
) -> tuple[tuple[CalendarView, ...], str | None]:
    """A page of what these configs go by, and the key that the next one comes after."""
    found: dict[NamedDays, _Users] = {}
    for one in configs:
        calendar = one.config.calendar
        if calendar is not None:
            for days in calendar.skip:
                found.setdefault(days, _Users()).skip.append(one.config.id)
            for days in calendar.only:
                found.setdefault(days, _Users()).only.append(one.config.id)
    keyed = sorted((_key(days), days) for days in found if after is None or _key(days) > after)
    shown = keyed[:limit]
    more = shown[-1][0] if len(keyed) > len(shown) else None
    return tuple(_view(days, found[days], today) for _, days in shown), more


def _key(days: NamedDays) -> str:
    """What sorts by name, and tells days of one name apart."""
    return f"{days.name}\0{fingerprint(days.record())}"  # no name has a control character


def _view(days: NamedDays, users: _Users, today: date) -> CalendarView:
    return CalendarView(
        name=days.name,
        weekdays=tuple(weekday_names(days.weekdays)),
        dates=len(days.dates),
        coming=_coming(days, today),
        until=None if days.until is None else days.until.isoformat(),
        ending=days.until is not None and days.until <= today + COVERED_FOR,
        skip=_some(users.skip),
        skipped_by=len(users.skip),
        only=_some(users.only),
        only_for=len(users.only),
    )


def _coming(days: NamedDays, today: date) -> tuple[ComingDays, ...]:
    ahead = (one for one in days.dates if one.last >= today)
    return tuple(
        ComingDays(first=one.first.isoformat(), last=one.last.isoformat(), name=one.name)
        for one in islice(ahead, COMING)
    )


def _some(ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(ids)[:MAX_NAMED])
