"""All instants of a span at once are those that one after another gives."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import AtTrigger, CronTrigger, EveryTrigger, Trigger, to_ms
from dsched.planning import compile_trigger

CRONS = (
    "30 2 * * *",
    "0,30 2,3 * * *",
    "*/7 */5 * * *",
    "15 10 */20 * * *",
    "0 0 L * *",
    "0 12 29 2 *",
    "0 1 * * MON#2,5L",
)
ZONES = ("UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia")
SOME_DAY = to_ms(datetime(2026, 1, 1, tzinfo=UTC))


def _walked(trigger: Trigger, first_ms: int, last_ms: int) -> list[int]:
    instants, found = compile_trigger(trigger), []
    at_ms = instants.next_after(first_ms - 1)
    while at_ms is not None and at_ms <= last_ms:
        found.append(at_ms)
        at_ms = instants.next_after(at_ms)
    return found


@settings(max_examples=150, deadline=None)
@given(
    expression=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    gap=st.sampled_from(["next", "skip"]),
    overlap=st.sampled_from(["first", "last", "both"]),
    start_s=st.integers(-400 * 86_400, 400 * 86_400),
    length_s=st.integers(0, 40 * 86_400),
)
def test_a_cron_in_any_zone_and_policy(
    expression: str, zone: str, gap: str, overlap: str, start_s: int, length_s: int
):
    trigger = CronTrigger(
        expression=expression, timezone=zone, dst_gap=gap, dst_overlap=overlap, seed="x"
    )
    first_ms = SOME_DAY + start_s * 1000 + 1
    last_ms = first_ms + length_s * 1000
    instants = compile_trigger(trigger)
    found = list(instants.all_between(first_ms, last_ms))
    assert found == _walked(trigger, first_ms, last_ms)
    assert len(found) == instants.count_between(first_ms, last_ms)


@pytest.mark.parametrize(
    "trigger",
    [
        EveryTrigger(period=timedelta(milliseconds=1700), anchor_ms=SOME_DAY + 250),
        AtTrigger(at_ms=SOME_DAY + 60_000),
        AtTrigger(at_ms=SOME_DAY - 1),
    ],
)
def test_any_other_trigger(trigger: Trigger):
    first_ms, last_ms = SOME_DAY, SOME_DAY + 120_000
    assert list(compile_trigger(trigger).all_between(first_ms, last_ms)) == _walked(
        trigger, first_ms, last_ms
    )


def test_the_bounds_of_a_config_hold():
    trigger = CronTrigger(expression="* * * * *")
    bounded = compile_trigger(trigger, start_ms=SOME_DAY + 60_000, end_ms=SOME_DAY + 180_000)
    assert list(bounded.all_between(SOME_DAY, SOME_DAY + 600_000)) == [
        SOME_DAY + minutes * 60_000 for minutes in (1, 2, 3)
    ]
