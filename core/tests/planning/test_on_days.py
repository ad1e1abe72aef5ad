"""Instants on the days of a calendar are those that a walk over all of them finds, day by day."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import (
    Calendar,
    CronTrigger,
    DatedDays,
    EveryTrigger,
    NamedDays,
    TaskConfig,
    Trigger,
    from_ms,
    to_ms,
)
from dsched.planning import compile_trigger, config_instants
from dsched.planning.days import day_rule
from dsched.planning.on_days import OnDays
from dsched.planning.triggers import on_days

CRONS = (
    "30 2 * * *",
    "0 */6 * * *",
    "59 23 * * *",
    "0 0 * * *",
    "1 0 * * SAT",
    "15 10 */20 * * *",
    "0 12 L * *",
)
# Apia lost 30 December 2011, St John's changed its clocks at 00:01 until 2011.
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Gaza", "Asia/Kolkata")
SPRINGS = (
    datetime(2011, 12, 25, tzinfo=UTC),
    datetime(2011, 3, 8, tzinfo=UTC),
    datetime(2010, 11, 2, tzinfo=UTC),
    datetime(2026, 3, 20, tzinfo=UTC),
    datetime(2026, 10, 20, tzinfo=UTC),
)

_DAYS = st.dates(date(2010, 10, 1), date(2012, 3, 1)) | st.dates(date(2026, 1, 1), date(2027, 1, 1))


@st.composite
def _dated(draw: st.DrawFn) -> DatedDays:
    first = draw(_DAYS)
    return DatedDays(first, first + timedelta(days=draw(st.integers(0, 20))), "x")


@st.composite
def _named(draw: st.DrawFn) -> NamedDays:
    weekdays = draw(st.integers(0, 127))
    dates = tuple(draw(st.lists(_dated(), min_size=0 if weekdays else 1, max_size=6)))
    return NamedDays(name="n", weekdays=weekdays, dates=dates)


@st.composite
def _calendars(draw: st.DrawFn) -> Calendar:
    skip = tuple(draw(st.lists(_named(), max_size=2)))
    only = tuple(draw(st.lists(_named(), min_size=0 if skip else 1, max_size=2)))
    return Calendar(skip=skip, only=only)


@st.composite
def _triggers(draw: st.DrawFn, zone: str) -> Trigger:
    if draw(st.booleans()):
        return CronTrigger(expression=draw(st.sampled_from(CRONS)), timezone=zone)
    period = timedelta(seconds=draw(st.integers(1_800, 200_000)), milliseconds=1)
    return EveryTrigger(period=period, anchor_ms=to_ms(datetime(2010, 1, 1, tzinfo=UTC)))


def _in(days: NamedDays, day: date) -> bool:
    dated = any(one.first <= day <= one.last for one in days.dates)
    return dated or bool(days.weekdays >> day.weekday() & 1)


def lets_through(calendar: Calendar, day: date) -> bool:
    """What the page says of a day, in one line."""
    allowed = not calendar.only or any(_in(days, day) for days in calendar.only)
    return allowed and not any(_in(days, day) for days in calendar.skip)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_they_are_the_instants_whose_wall_shows_such_a_day(data: st.DataObject):
    zone = data.draw(st.sampled_from(ZONES))
    trigger = data.draw(_triggers(zone))
    calendar = data.draw(_calendars())
    first_ms = to_ms(data.draw(st.sampled_from(SPRINGS)))
    first_ms += data.draw(st.integers(-30 * 86_400_000, 10 * 86_400_000))
    last_ms = first_ms + data.draw(st.integers(0, 45 * 86_400_000))
    base = compile_trigger(trigger)
    wall = ZoneInfo(zone)
    expected = [
        at_ms
        for at_ms in base.all_between(first_ms, last_ms)
        if lets_through(calendar, from_ms(at_ms).astimezone(wall).date())
    ]
    found = on_days(base, calendar, zone)

    assert list(found.all_between(first_ms, last_ms)) == expected
    assert found.count_between(first_ms, last_ms) == len(expected)
    last = found.last_before(last_ms, not_before_ms=first_ms)
    assert last == (expected[-1] if expected else None)
    following = found.next_after(first_ms - 1)
    if expected:
        assert following == expected[0]
    else:
        assert following is None or following > last_ms
    assert isinstance(found, OnDays)
    others = set(base.all_between(first_ms, last_ms)) - set(expected)
    assert set(found.without().all_between(first_ms, last_ms)) == others


@settings(max_examples=200, deadline=None)
@given(calendar=_calendars(), day=_DAYS, length=st.integers(0, 60))
def test_the_days_of_a_rule_are_those_of_a_walk(calendar: Calendar, day: date, length: int):
    rule, first = day_rule(calendar), day.toordinal()
    span = range(first, first + length + 1)
    walked = [one for one in span if lets_through(calendar, date.fromordinal(one))]
    stretches = list(rule.stretches(first, first + length))
    assert [one for low, high in stretches for one in range(low, high + 1)] == walked
    assert all(after[0] > before[1] + 1 for before, after in pairwise(stretches))
    assert [one for one in span if rule.has(one)] == walked
    if walked:
        assert rule.first_from(first) == walked[0]
        assert rule.last_until(first + length) == walked[-1]


def _config(**fields: object) -> TaskConfig:
    return TaskConfig(id="c", executor="local", **fields)  # type: ignore[arg-type]


WEEKEND = {"skip": [{"name": "weekend", "weekdays": ["sat", "sun"]}]}


def test_a_day_of_23_hours_and_one_of_25_are_left_out_whole():
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        calendar = {"only": [{"name": "the day", "dates": [day]}]}
        config = _config(
            every="1h",
            timezone="Europe/Berlin",
            start_at="2026-01-01T00:00:00+00:00",
            calendar=calendar,
        )
        instants = config_instants(config)
        begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        around = to_ms(begin) - 5 * 86_400_000, to_ms(begin) + 5 * 86_400_000
        assert instants.count_between(*around) == hours
        assert instants.next_after(around[0]) == to_ms(begin)


def test_a_day_that_a_zone_has_never_had_is_no_instant():
    config = _config(
        every="1h",
        timezone="Pacific/Apia",
        start_at="2011-01-01T00:00:00+00:00",
        calendar={"only": [{"name": "lost", "dates": ["2011-12-30"]}]},
    )
    assert config_instants(config).next_after(to_ms(datetime(2011, 12, 1, tzinfo=UTC))) is None


@pytest.mark.parametrize(
    "calendar",
    [
        {"only": [{"name": "gone", "dates": ["2001-01-01"]}]},
        {"skip": [{"name": "all", "weekdays": "mon-sun"}]},
        {"skip": [{"name": "all", "dates": ["2001-01-01/9999-12-31"]}]},
        {"skip": [{"name": "saturdays", "weekdays": ["sat"]}]},
    ],
)
def test_a_search_for_what_is_left_out_for_good_ends(calendar: object, work):
    config = _config(cron_expr="0 9 * * SAT", calendar=calendar)
    instants = config_instants(config)
    from_ms_ = to_ms(datetime(2026, 1, 1, tzinfo=UTC))
    assert work.of(lambda: instants.next_after(from_ms_)) < 2_000_000
    assert instants.next_after(from_ms_) is None
    assert instants.last_before(from_ms_, not_before_ms=from_ms_ - 5 * 10**11) is None


def test_an_answer_costs_no_more_for_a_period_of_a_second(work):
    every = _config(every="1s", start_at="2026-01-01T00:00:00+00:00", calendar=WEEKEND)
    instants = config_instants(every)
    friday_ms = to_ms(datetime(2026, 12, 4, 23, 59, 59, tzinfo=UTC))
    instants.next_after(friday_ms)  # zone and rule are compiled once
    assert work.of(lambda: instants.next_after(friday_ms)) < 600
    assert instants.next_after(friday_ms) == to_ms(datetime(2026, 12, 7, tzinfo=UTC))
    year_ms = 365 * 86_400_000
    assert work.of(lambda: instants.count_between(friday_ms, friday_ms + year_ms)) < 40_000
    assert instants.count_between(friday_ms, friday_ms + 7 * 86_400_000 - 1000) == 5 * 86_400


def test_one_instant_on_a_day_that_is_left_out_is_none():
    calendar = {"skip": [{"name": "de", "dates": {"2026-12-25": "Christmas Day"}}]}
    one = _config(at="2026-12-25T08:00:00+00:00", calendar=calendar)
    assert config_instants(one).next_after(0) is None
    # In Honolulu it is the day before.
    west = _config(at="2026-12-25T08:00:00+00:00", timezone="Pacific/Honolulu", calendar=calendar)
    assert config_instants(west).next_after(0) is not None
