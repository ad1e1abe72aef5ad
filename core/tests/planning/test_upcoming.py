"""What is shown of the instants to come, and how clock changes are told."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dsched.model import (
    AtTrigger,
    CronTrigger,
    EveryTrigger,
    FixedDelayTrigger,
    TaskConfig,
    from_ms,
    to_ms,
)
from dsched.planning import (
    InvalidTriggerError,
    clock_note,
    compile_trigger,
    config_upcoming,
    upcoming,
)

BERLIN_SPRING = "2026-03-28T00:00:00Z"
BERLIN_AUTUMN = "2026-10-24T00:00:00Z"


def _ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))


def _cron(expression: str, *, after: str, limit: int = 3, **policy: str) -> list[tuple[str, str]]:
    trigger = CronTrigger(expression=expression, timezone="Europe/Berlin", **policy)
    found = upcoming(trigger, after_ms=_ms(after), limit=limit)
    return [(one.local, one.note) for one in found.items]


def test_ordinary_instants_carry_local_time_with_offset_and_no_note():
    trigger = CronTrigger(expression="0 9 * * 1", timezone="Asia/Shanghai")
    found = upcoming(trigger, after_ms=_ms("2026-01-01T00:00:00Z"), limit=2)
    assert [(one.local, one.note) for one in found.items] == [
        ("2026-01-05T09:00:00+08:00", ""),
        ("2026-01-12T09:00:00+08:00", ""),
    ]
    assert found.truncated


def test_a_time_moved_by_the_gap_says_from_where():
    assert _cron("30 2 * * *", after=BERLIN_SPRING) == [
        ("2026-03-28T02:30:00+01:00", ""),
        (
            "2026-03-29T03:00:00+02:00",
            (
                "moved by the gap of 1h: 02:30 does not exist on 2026-03-29 "
                "(clocks jump from 02:00 to 03:00)"
            ),
        ),
        ("2026-03-30T02:30:00+02:00", ""),
    ]


def test_a_time_skipped_in_the_gap_is_told_at_the_next_instant():
    assert _cron("30 2 * * *", after=BERLIN_SPRING, limit=2, dst_gap="skip")[1] == (
        "2026-03-30T02:30:00+02:00",
        "02:30 does not exist on 2026-03-29 and was skipped (clocks jump from 02:00 to 03:00)",
    )


def test_one_instant_for_two_local_times_says_so_once():
    notes = dict(_cron("0,30 2,3 * * *", after="2026-03-29T00:00:00Z", limit=3))
    assert notes.pop("2026-03-29T03:00:00+02:00").startswith("stands also for a time in the gap")
    assert set(notes.values()) == {""}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("first", ["first of two 02:30: clocks go back; the second does not fire"]),
        ("last", ["second of two 02:30: clocks go back; the first does not fire"]),
        (
            "both",
            [
                "first of two 02:30: clocks go back; both fire",
                "second of two 02:30: clocks go back; both fire",
            ],
        ),
    ],
)
def test_a_time_that_exists_twice_says_which_one_it_is(policy: str, expected: list[str]):
    found = _cron("30 2 * * *", after=BERLIN_AUTUMN, limit=4, dst_overlap=policy)
    assert [note for _, note in found if note] == expected


def test_a_wildcard_follows_the_wall_and_the_jump_is_told_once():
    found = _cron("*/30 * * * *", after="2026-03-29T00:00:00Z", limit=6)
    assert [(at, note) for at, note in found if note] == [
        ("2026-03-29T03:00:00+02:00", "clocks jump from 02:00 to 03:00")
    ]


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "America/New_York", "Africa/Casablanca"])
def test_exactly_the_times_that_zoneinfo_calls_ambiguous_are_noted_as_one_of_two(zone: str):
    info = ZoneInfo(zone)
    after_ms, until_ms = _ms("2026-01-01T00:00:00Z"), _ms("2027-01-01T00:00:00Z")
    trigger = CronTrigger(expression="15,45 * * * *", timezone=zone)
    seen = 0
    while True:
        found = upcoming(trigger, after_ms=after_ms, until_ms=until_ms, limit=1000)
        for one in found.items:
            wall = from_ms(one.at_ms).astimezone(info).replace(fold=0)
            twice = wall.utcoffset() > wall.replace(fold=1).utcoffset()
            assert ("of two" in one.note) == twice, one
            seen += twice
        if not found.truncated:
            break
        after_ms = found.items[-1].at_ms
    assert seen


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_no_clock_change_is_told_at_the_edges_of_the_calendar(instant: str):
    trigger = CronTrigger(expression="30 2 * * *", timezone="Europe/Berlin")
    assert clock_note(trigger, _ms(instant)) == ""


def test_the_instants_are_those_that_fire():
    trigger = CronTrigger(expression="7 */5 * * *", timezone="America/Santiago")
    after_ms = _ms("2026-03-01T00:00:00Z")
    instants, walked = compile_trigger(trigger), []
    at_ms = after_ms
    for _ in range(500):
        at_ms = instants.next_after(at_ms)
        walked.append(at_ms)
    assert [one.at_ms for one in upcoming(trigger, after_ms=after_ms, limit=500).items] == walked


def test_the_end_is_inclusive_and_nothing_is_truncated_when_all_fits():
    trigger = EveryTrigger(period=timedelta(minutes=10), anchor_ms=0)
    found = upcoming(trigger, after_ms=0, until_ms=1_200_000, limit=2)
    assert [one.at_ms for one in found.items] == [600_000, 1_200_000]
    assert not found.truncated


def test_a_period_is_shown_in_the_zone_asked_for_and_to_the_millisecond():
    trigger = EveryTrigger(period=timedelta(minutes=10), anchor_ms=250)
    found = upcoming(trigger, timezone="Asia/Tokyo", after_ms=0, limit=1)
    assert found.items[0].local == "1970-01-01T09:00:00.250+09:00"


def test_a_fixed_delay_shows_its_first_instant_and_says_what_follows():
    trigger = FixedDelayTrigger(delay=timedelta(minutes=1), first_ms=5_000)
    (only,) = upcoming(trigger, after_ms=0, limit=5).items
    assert (only.at_ms, only.note) == (
        5_000,
        "the first; each later one is due a fixed delay after the end of a run",
    )


def test_a_single_instant_in_the_past_leaves_nothing():
    assert upcoming(AtTrigger(at_ms=1_000), after_ms=1_000, limit=5).items == ()


def test_a_configs_own_bounds_hold():
    config = TaskConfig(
        id="c",
        executor="local",
        cron_expr="0 * * * *",
        start_at=datetime.fromisoformat("2026-01-01T10:30:00Z"),
        end_at=datetime.fromisoformat("2026-01-01T12:00:00Z"),
    )
    found = config_upcoming(config, after_ms=_ms("2026-01-01T00:00:00Z"), limit=10)
    assert [one.local[11:16] for one in found.items] == ["11:00", "12:00"]


def test_a_gap_before_the_start_of_a_config_is_none_of_its_business():
    config = TaskConfig(
        id="c",
        executor="local",
        cron_expr="30 2 * * *",
        timezone="Europe/Berlin",
        dst_gap="skip",
        start_at=datetime.fromisoformat("2026-04-01T00:00:00+02:00"),
    )
    assert config_upcoming(config, after_ms=_ms(BERLIN_SPRING), limit=1).items[0].note == ""


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_out_of_bounds_is_refused(limit: int):
    with pytest.raises(ValueError, match="1 to 1000"):
        upcoming(AtTrigger(at_ms=1), after_ms=0, limit=limit)


def test_what_cannot_be_meant_names_its_field():
    with pytest.raises(InvalidTriggerError, match="timezone"):
        upcoming(AtTrigger(at_ms=1), timezone="Mars/Base", after_ms=0, limit=1)
