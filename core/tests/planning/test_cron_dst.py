"""What a cron does when clocks change, in real zones (F23)."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from dsched.model import CronTrigger, DstGap, DstOverlap
from dsched.planning import Instants, compile_trigger

ZONES = sorted(
    name
    for name in zoneinfo.available_timezones()
    if name not in ("Factory", "localtime", "posixrules")
)
MINUTE_MS = 60_000


def _ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


def _fires(instants: Instants, start: datetime, end: datetime) -> list[datetime]:
    """Every instant in ``(start, end)``, each checked to be strictly later than the last."""
    ms, found = _ms(start), []
    while True:
        following = instants.next_after(ms)
        if following is None or following >= _ms(end):
            return found
        assert following > ms
        ms = following
        found.append(datetime.fromtimestamp(ms / 1000, UTC))


def _local(expression: str, zone: str, first: str, last: str, **policy: str) -> list[str]:
    """Local fire times with their offsets from midnight of one date to midnight of another."""
    info = ZoneInfo(zone)
    start = datetime.fromisoformat(first).replace(tzinfo=info) - timedelta(seconds=1)
    end = datetime.fromisoformat(last).replace(tzinfo=info)
    instants = compile_trigger(CronTrigger(expression=expression, timezone=zone, **policy))
    found = _fires(instants, start, end)
    assert instants.count_between(_ms(start) + 1, _ms(end) - 1) == len(found)
    return [f"{at.astimezone(info):%d %H:%M%z}" for at in found]


SPRING = ("Europe/Berlin", "2025-03-29", "2025-04-01")
AUTUMN = ("Europe/Berlin", "2025-10-25", "2025-10-28")


def test_a_time_in_the_gap_runs_at_the_first_instant_after_it():
    assert _local("30 2 * * *", *SPRING) == ["29 02:30+0100", "30 03:00+0200", "31 02:30+0200"]


def test_a_time_in_the_gap_is_left_out_when_asked():
    assert _local("30 2 * * *", *SPRING, dst_gap=DstGap.SKIP) == ["29 02:30+0100", "31 02:30+0200"]


def test_several_times_in_the_gap_and_one_after_it_are_one_fire():
    assert _local("15,30,45 2,3 30 * *", *SPRING)[0] == "30 03:00+0200"
    assert _local("0,20,40 2,3 30 * *", *SPRING) == [
        "30 03:00+0200",
        "30 03:20+0200",
        "30 03:40+0200",
    ]


def test_the_instant_after_the_gap_is_found_from_either_side_to_the_millisecond():
    instants = compile_trigger(CronTrigger(expression="30 2 * * *", timezone="Europe/Berlin"))
    at_ms = _ms(datetime(2025, 3, 30, 1, tzinfo=UTC))
    day_ms = 24 * 60 * MINUTE_MS

    assert instants.next_after(at_ms - 1) == at_ms
    assert instants.next_after(at_ms) == at_ms + day_ms - 30 * MINUTE_MS
    assert instants.last_before(at_ms, not_before_ms=at_ms) == at_ms
    assert instants.last_before(at_ms - 1, not_before_ms=0) == at_ms - day_ms + 30 * MINUTE_MS
    assert instants.last_before(at_ms + day_ms // 2, not_before_ms=at_ms + 1) is None
    assert instants.count_between(at_ms, at_ms) == 1
    assert instants.count_between(at_ms - day_ms // 2, at_ms - 1) == 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (DstOverlap.FIRST, ["26 02:30+0200"]),
        (DstOverlap.LAST, ["26 02:30+0100"]),
        (DstOverlap.BOTH, ["26 02:30+0200", "26 02:30+0100"]),
    ],
)
def test_a_time_that_comes_twice_runs_as_the_config_says(policy, expected):
    found = _local("30 2 * * *", *AUTUMN, dst_overlap=policy)

    assert found == ["25 02:30+0200", *expected, "27 02:30+0100"]


def test_each_time_of_the_repeated_hour_keeps_its_order_in_every_policy():
    both = _local("10,50 2 26 * *", *AUTUMN, dst_overlap=DstOverlap.BOTH)
    assert both == ["26 02:10+0200", "26 02:50+0200", "26 02:10+0100", "26 02:50+0100"]
    assert _local("10,50 2 26 * *", *AUTUMN, dst_overlap=DstOverlap.LAST) == both[2:]
    assert _local("0 2,3 26 * *", *AUTUMN) == ["26 02:00+0200", "26 03:00+0100"]
    assert _local("0 2,3 26 * *", *AUTUMN, dst_overlap=DstOverlap.LAST) == [
        "26 02:00+0100",
        "26 03:00+0100",
    ]


def test_a_wildcard_hour_or_minute_runs_straight_through():
    assert _local("30 * 30 * *", *SPRING)[:3] == ["30 00:30+0100", "30 01:30+0100", "30 03:30+0200"]
    assert _local("30 * 26 * *", *AUTUMN)[1:5] == [
        "26 01:30+0200",
        "26 02:30+0200",
        "26 02:30+0100",
        "26 03:30+0100",
    ]
    assert len(_local("*/15 2 26 * *", *AUTUMN)) == 8
    assert _local("*/15 2 30 * *", *SPRING) == []
    assert _local("0 0/2 30 * *", *SPRING)[:2] == ["30 00:00+0100", "30 04:00+0200"]


def test_a_job_with_seconds_at_a_fixed_minute_is_a_fixed_time_job():
    instants = compile_trigger(CronTrigger(expression="*/20 30 2 * * *", timezone="Europe/Berlin"))
    info = ZoneInfo("Europe/Berlin")
    gap_day = _fires(
        instants, datetime(2025, 3, 30, tzinfo=info), datetime(2025, 3, 31, tzinfo=info)
    )
    double_day = _fires(
        instants, datetime(2025, 10, 26, tzinfo=info), datetime(2025, 10, 27, tzinfo=info)
    )
    assert [f"{at:%H:%M:%S}" for at in gap_day] == ["01:00:00"]
    assert [f"{at:%H:%M:%S}" for at in double_day] == ["00:30:00", "00:30:20", "00:30:40"]


def test_half_an_hour_of_dst_is_enough_on_lord_howe():
    zone = "Australia/Lord_Howe"  # 2:00 -> 2:30 on 5 October 2025, 2:00 -> 1:30 on 6 April 2025
    assert _local("15 2 * * *", zone, "2025-10-05", "2025-10-07") == [
        "05 02:30+1100",
        "06 02:15+1100",
    ]
    assert _local("45 1 * * *", zone, "2025-04-06", "2025-04-08") == [
        "06 01:45+1100",
        "07 01:45+1030",
    ]
    assert len(_local("*/15 * * * *", zone, "2025-04-06", "2025-04-07")) == 98
    assert len(_local("*/15 * * * *", zone, "2025-10-05", "2025-10-06")) == 94


def test_a_day_that_begins_at_one_has_its_midnight_job_at_one():
    assert _local("0 0 * * *", "America/Sao_Paulo", "2017-10-14", "2017-10-17") == [
        "14 00:00-0300",
        "15 01:00-0200",
        "16 00:00-0200",
    ]
    assert _local("@daily", "Asia/Beirut", "2024-03-30", "2024-04-02") == [
        "30 00:00+0200",
        "31 01:00+0300",
        "01 00:00+0300",
    ]


def test_a_midnight_that_comes_twice_has_one_job():
    assert _local("30 23 * * *", "America/Sao_Paulo", "2018-02-17", "2018-02-19") == [
        "17 23:30-0200",
        "18 23:30-0300",
    ]


def test_the_day_that_samoa_skipped_runs_once_at_its_end():
    zone = ("Pacific/Apia", "2011-12-29", "2012-01-02")
    assert _local("0 12 * * *", *zone) == [
        "29 12:00-1000",
        "31 00:00+1400",
        "31 12:00+1400",
        "01 12:00+1400",
    ]
    assert _local("0 0 * * *", *zone) == ["29 00:00-1000", "31 00:00+1400", "01 00:00+1400"]
    assert "30" not in " ".join(_local("0 12 * * *", *zone, dst_gap=DstGap.SKIP))
    assert len(_local("0 * * * *", *zone)) == 72


@lru_cache(maxsize=2)
def _changes(first_year: int = 2024, last_year: int = 2025) -> tuple[tuple[str, date], ...]:
    """Each (zone, local date of the day before) around which an offset changes."""
    found = []
    days = (date(last_year + 1, 1, 2) - date(first_year, 1, 1)).days
    start = datetime(first_year, 1, 1, 12, tzinfo=UTC) - timedelta(days=2)
    for name in ZONES:
        info = ZoneInfo(name)
        before = start.astimezone(info)
        for day in range(days):
            after = (start + timedelta(day + 1)).astimezone(info)
            if before.utcoffset() != after.utcoffset():
                found.append((name, before.date()))
            before = after
    return tuple(found)


def _change(info: ZoneInfo, day: date) -> tuple[datetime, timedelta, timedelta]:
    """The minute (UTC) of the change, and the offsets before and after it, by walking."""
    at = datetime.combine(day, time(), UTC) - timedelta(hours=16)
    before = at.astimezone(info).utcoffset()
    for step in (timedelta(hours=1), timedelta(minutes=1)):
        while (at + step).astimezone(info).utcoffset() == before:
            at += step
    at += timedelta(minutes=1)
    return at, before, at.astimezone(info).utcoffset()


def _daily_oracle(info: ZoneInfo, wall: time, days: list[date]) -> Iterator[datetime]:
    """One instant for each local date, said with PEP 495 alone."""
    for day in days:
        naive = datetime.combine(day, wall)
        first = naive.replace(tzinfo=info, fold=0).astimezone(UTC)
        if first.astimezone(info).replace(tzinfo=None) == naive:
            yield first
        else:  # in the gap: fold=1 reads it with the later offset, which lies before the jump
            at = naive.replace(tzinfo=info, fold=1).astimezone(UTC)
            while at.astimezone(info).replace(tzinfo=None) < naive:
                at += timedelta(minutes=1)
            yield at


def _wall_times(info: ZoneInfo, day: date) -> set[time]:
    """Times of day around a change: at its edges, within what it skips or repeats, and
    elsewhere."""
    at, before, after = _change(info, day)
    low, high = sorted((at + before, at + after))
    middle = low + (high - low) / 2
    edges = (low, high - timedelta(minutes=1), high, middle)
    return {edge.time().replace(second=0) for edge in edges} | {time(0, 0), time(12, 0)}


def _check_daily(name: str, day: date) -> int:
    info = ZoneInfo(name)
    days = [day + timedelta(n) for n in range(-2, 4)]
    walls = _wall_times(info, day)
    for wall in walls:
        instants = compile_trigger(
            CronTrigger(expression=f"{wall.minute} {wall.hour} * * *", timezone=name)
        )
        expected = sorted(set(_daily_oracle(info, wall, days)))
        start, end = expected[0] - timedelta(seconds=1), expected[-1] + timedelta(seconds=1)
        assert _fires(instants, start, end) == expected, (name, wall)
        assert instants.count_between(_ms(start), _ms(end)) == len(expected), (name, wall)
        if day.year in (2024, 2025):  # no date was skipped whole in these years
            assert len(expected) == len(days), (name, wall)
    return len(walls)


def test_a_daily_job_fires_exactly_once_a_local_day_in_every_zone():
    assert sum(_check_daily(name, day) for name, day in _changes()) > 2_000


@pytest.mark.long
@pytest.mark.slow
def test_a_daily_job_fires_once_a_day_through_every_change_of_a_generation():
    seen = set()
    for name, day in _changes(2000, 2037):
        change = _change(ZoneInfo(name), day)
        if change not in seen:  # hundreds of zones share one
            seen.add(change)
            _check_daily(name, day)
    assert len(seen) > 500


def test_a_job_every_fifteen_minutes_keeps_its_distance_in_every_zone():
    for name, day in _changes():
        instants = compile_trigger(CronTrigger(expression="*/15 * * * *", timezone=name))
        at_ms = _ms(datetime.combine(day, time(), UTC)) - 12 * 60 * MINUTE_MS
        for _ in range(4 * 60):
            following = instants.next_after(at_ms)
            assert following // MINUTE_MS % 15 == 0, name
            assert following - at_ms == 15 * MINUTE_MS, name
            at_ms = following


@pytest.mark.slow
def test_cronsim_agrees_over_two_years_in_every_zone_that_behaves_in_its_own_way():
    kinds = {}
    for name in ZONES:
        noons = (datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(n) for n in range(731))
        kinds.setdefault(tuple(at.astimezone(ZoneInfo(name)).utcoffset() for at in noons), name)
    assert len(kinds) > 50
    for name in kinds.values():
        for expression in ("30 2 * * *", "0 0 * * *", "30 0,1,3 * * 0", "15 1 L * *"):
            start = datetime(2024, 1, 1, tzinfo=ZoneInfo(name))
            oracle = CronSim(expression, start)
            instants = compile_trigger(CronTrigger(expression=expression, timezone=name))
            ms, end_ms = _ms(start), _ms(datetime(2026, 1, 1, tzinfo=UTC))
            while ms < end_ms:
                ms = instants.next_after(ms)
                assert datetime.fromtimestamp(ms / 1000, UTC) == next(oracle).astimezone(UTC), name
