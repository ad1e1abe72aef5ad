"""What holds for the instants of any trigger: order, consistency, exact counts, bounds."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dsched.model import (
    AtTrigger,
    CronTrigger,
    DstGap,
    DstOverlap,
    EveryTrigger,
    FixedDelayTrigger,
)
from dsched.planning import InvalidTriggerError, compile_trigger

DAY_MS = 86_400_000
NOW_MS = 1_750_000_000_000

_ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
     "Asia/Beirut", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "Antarctica/Troll",
     "America/Scoresbysund", "Asia/Gaza", "Africa/Cairo", "Pacific/Chatham"]
)  # fmt: skip
_CRONS = st.builds(
    CronTrigger,
    expression=st.sampled_from(
        ["* * * * *", "*/15 * * * *", "30 2 * * *", "0 0 * * *", "15,45 0-3 * * *", "0 */2 * * *",
         "59 23 L * *", "0 1 * * SUN", "H H * * *", "*/7 2 * * *", "30 1,2,3 */2 * 5", "0 3 1 1 *",
         "0 0 29 2 *", "*/30 * 1-3 * * *", "0 30 * * * 0", "0 0 LW * MON#1"]
    ),
    timezone=_ZONES,
    dst_gap=st.sampled_from(DstGap),
    dst_overlap=st.sampled_from(DstOverlap),
    seed=st.text(max_size=5),
)  # fmt: skip
_PERIODS = st.integers(1, 10**6).map(lambda ms: timedelta(milliseconds=ms))
_EVERY = st.builds(EveryTrigger, period=_PERIODS, anchor_ms=st.integers(0, 2 * NOW_MS))
_AT = st.builds(AtTrigger, at_ms=st.integers(NOW_MS - 10 * DAY_MS, NOW_MS + 10 * DAY_MS))
_TRIGGERS = st.one_of(_CRONS, _EVERY, _AT)
# Many of the instants lie around real changes of clocks.
_CHANGES = [1_743_296_400_000, 1_761_440_400_000, 1_743_865_200_000, 1_508_036_400_000,
            1_325_239_200_000, 1_711_836_000_000, 1_730_613_600_000]  # fmt: skip
_MOMENTS = st.one_of(
    st.integers(NOW_MS - 3000 * DAY_MS, NOW_MS + 3000 * DAY_MS),
    st.builds(
        lambda at, off: at + off, st.sampled_from(_CHANGES), st.integers(-2 * DAY_MS, 2 * DAY_MS)
    ),
)


@settings(deadline=None)
@given(trigger=_TRIGGERS, ms=_MOMENTS)
def test_each_next_is_strictly_later_than_the_last(trigger, ms):
    instants = compile_trigger(trigger)
    for _ in range(30):
        following = instants.next_after(ms)
        if following is None:
            break
        assert following > ms
        ms = following


@settings(deadline=None)
@given(trigger=_TRIGGERS, ms=_MOMENTS)
def test_nothing_lies_between_an_instant_and_the_next(trigger, ms):
    instants = compile_trigger(trigger)
    following = instants.next_after(ms)
    assume(following is not None)

    assert instants.last_before(following - 1, not_before_ms=ms + 1) is None
    assert instants.count_between(ms + 1, following - 1) == 0
    assert instants.count_between(ms + 1, following) == 1
    assert instants.last_before(following, not_before_ms=ms) == following
    assert instants.next_after((ms + following) // 2 if following > ms + 1 else ms) == following
    assert instants.next_after(following - 1) == following


@settings(deadline=None, max_examples=150)
@given(trigger=_TRIGGERS, ms=_MOMENTS, span_ms=st.integers(0, 4 * DAY_MS))
def test_a_count_equals_walking(trigger, ms, span_ms):
    if isinstance(trigger, EveryTrigger):
        span_ms = min(span_ms, 300 * (trigger.period // timedelta(milliseconds=1)))
    instants = compile_trigger(trigger)
    walked, at_ms = [], ms - 1
    while (at_ms := instants.next_after(at_ms)) is not None and at_ms <= ms + span_ms:
        walked.append(at_ms)
        assume(len(walked) < 6_000)

    assert instants.count_between(ms, ms + span_ms) == len(walked)
    assert instants.last_before(ms + span_ms, not_before_ms=ms) == (walked[-1] if walked else None)
    for earlier, later in itertools.pairwise(walked):
        assert instants.last_before(later - 1, not_before_ms=ms) == earlier


@settings(deadline=None)
@given(trigger=_TRIGGERS, ms=_MOMENTS, cuts=st.lists(st.integers(0, 4000 * DAY_MS), max_size=4))
def test_counts_of_neighbouring_ranges_add_up(trigger, ms, cuts):
    instants = compile_trigger(trigger)
    edges = [ms, *sorted(ms + cut for cut in cuts), ms + 4000 * DAY_MS]
    parts = [instants.count_between(low, high - 1) for low, high in itertools.pairwise(edges)]
    assert sum(parts) == instants.count_between(edges[0], edges[-1] - 1)


@settings(deadline=None)
@given(
    trigger=_TRIGGERS,
    ms=_MOMENTS,
    start_off=st.integers(-DAY_MS, DAY_MS),
    length_ms=st.integers(0, 3 * DAY_MS),
)
def test_bounds_are_inclusive_and_cut_nothing_else(trigger, ms, start_off, length_ms):
    start_ms, end_ms = ms + start_off, ms + start_off + length_ms
    free, bound = compile_trigger(trigger), compile_trigger(
        trigger, start_ms=start_ms, end_ms=end_ms
    )  # fmt: skip
    expected = free.next_after(max(ms, start_ms - 1))
    assert bound.next_after(ms) == (expected if expected and expected <= end_ms else None)
    assert bound.count_between(ms - 5 * DAY_MS, ms + 5 * DAY_MS) == free.count_between(
        start_ms, end_ms
    )
    assert bound.last_before(ms + 9 * DAY_MS, not_before_ms=ms - 9 * DAY_MS) == free.last_before(
        end_ms, not_before_ms=start_ms
    )
    first = free.next_after(start_ms - 1)
    if first is not None:
        exact = compile_trigger(trigger, start_ms=first, end_ms=first)
        assert exact.next_after(0) == first
        assert exact.next_after(first) is None


@pytest.mark.parametrize("expression", ["* * * * * *", "*/10 * * * * *", "30 2 * * *", "0 0 L * *"])
def test_a_year_is_counted_with_the_work_of_a_minute_times_its_months(expression, work):
    instants = compile_trigger(CronTrigger(expression=expression, timezone="Europe/Berlin"))
    year_ms = 365 * DAY_MS
    acts = {
        "count": (lambda: instants.count_between(NOW_MS, NOW_MS + year_ms), 1_000),
        "last": (lambda: instants.last_before(NOW_MS, not_before_ms=0), 300),
        "next": (lambda: instants.next_after(NOW_MS), 300),
    }
    for act, _ in acts.values():
        act()  # the zone's changes are remembered from here on
    for name, (act, bound) in acts.items():
        assert work.of(act) < bound, name


def test_a_year_of_every_second_is_counted_to_the_second():
    instants = compile_trigger(CronTrigger(expression="* * * * * *", timezone="Europe/Berlin"))
    assert instants.count_between(NOW_MS, NOW_MS + 365 * DAY_MS - 1) == 365 * 86_400


def test_far_away_moments_have_no_instant_rather_than_an_error():
    instants = compile_trigger(CronTrigger(expression="* * * * *", timezone="Europe/Berlin"))
    for far_ms in (10**15, 10**18, 10**30):
        assert instants.next_after(far_ms) is None
        assert instants.last_before(far_ms, not_before_ms=far_ms - 10) is None
        assert instants.last_before(-far_ms, not_before_ms=-(10**31)) is None
        assert instants.count_between(-far_ms, 0) >= 0
    assert instants.next_after(-(10**18)) is not None
    assert instants.next_after(0) == 60_000


def test_a_fixed_rate_counts_from_its_anchor_for_ever():
    instants = compile_trigger(EveryTrigger(period=timedelta(seconds=7), anchor_ms=1_000))

    assert instants.next_after(-(10**12)) == 1_000
    assert instants.next_after(1_000) == 8_000
    assert instants.next_after(7_999) == 8_000
    assert instants.last_before(14_999, not_before_ms=0) == 8_000
    assert instants.last_before(999, not_before_ms=0) is None
    assert instants.count_between(0, 15_000) == 3


def test_a_fixed_delay_has_one_instant_of_its_own_the_first():
    instants = compile_trigger(FixedDelayTrigger(delay=timedelta(seconds=5), first_ms=NOW_MS))

    assert instants.next_after(NOW_MS - 1) == NOW_MS
    assert instants.next_after(NOW_MS) is None


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        (EveryTrigger(period=timedelta(0), anchor_ms=0), "every"),
        (EveryTrigger(period=timedelta(seconds=-1), anchor_ms=0), "every"),
        (EveryTrigger(period=timedelta(microseconds=1_500), anchor_ms=0), "every"),
        (FixedDelayTrigger(delay=timedelta(microseconds=1), first_ms=0), "fixed_delay"),
    ],
)
def test_a_period_that_milliseconds_cannot_say_is_refused(trigger, field):
    with pytest.raises(InvalidTriggerError, match="whole number of milliseconds") as caught:
        compile_trigger(trigger)
    assert caught.value.field == field
