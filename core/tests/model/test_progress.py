"""Rate and estimate of progress: exact for even work, robust for any."""

import math
import sys
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dsched.model.progress import SMOOTHING_S, Pace, paced, rounded

amounts = st.floats(allow_nan=False, allow_infinity=False, width=64)
spans_s = st.floats(min_value=0.0, max_value=1e6)


def walk(steps, *, start_s=100.0):
    """The pace after (seconds later, done) steps."""
    pace, at_s = None, start_s
    for later_s, done in steps:
        at_s += later_s
        pace = paced(pace, done, at_s)
    return pace


def test_nothing_is_known_after_the_first_progress():
    pace = walk([(0, 5)])
    assert pace.rate_per_s is None
    assert pace.eta_s(10) is None


def test_even_work_has_its_exact_rate_and_estimate():
    pace = walk([(0, 0), *((1, 3 * n) for n in range(1, 11))])
    assert math.isclose(pace.rate_per_s, 3)
    assert math.isclose(pace.eta_s(60), 10)


def test_what_was_done_before_the_first_progress_is_no_work_of_this_attempt():
    pace = walk([(0, 900), (1, 901)])
    assert math.isclose(pace.rate_per_s, 1)


def test_work_that_begins_anew_is_counted_anew():
    pace = walk([(0, 0), (1, 100), (1, 5), (1, 7)])
    assert math.isclose(pace.rate_per_s, 2)


def test_a_change_of_speed_shows_after_the_smoothing_time():
    slow = [(0, 0), *((1, n) for n in range(1, 61))]
    fast = [(1, 60 + 10 * n) for n in range(1, 61)]
    assert math.isclose(walk(slow).rate_per_s, 1)
    early = walk(slow + fast[:3]).rate_per_s
    assert 1 < early < 5
    assert math.isclose(walk(slow + fast).rate_per_s, 10, rel_tol=0.03)


def test_work_that_stands_still_gets_slower_and_never_quite_stops():
    moving = [(0, 0), *((1, n) for n in range(1, 31))]
    standing = walk([*moving, *((SMOOTHING_S, 30) for _ in range(5))])
    assert 0 < standing.rate_per_s < 0.02


def test_all_done_takes_no_more_time():
    assert walk([(0, 10)]).eta_s(10) == 0.0
    assert walk([(0, 12)]).eta_s(10) == 0.0


def test_calls_at_one_instant_give_no_rate_and_are_not_lost():
    assert walk([(0, 0), (0, 5)]).rate_per_s is None
    assert 4 < walk([(0, 0), (0, 5), (1, 5)]).rate_per_s < 5


@given(st.floats(0.001, 1e6), st.lists(st.floats(1e-4, 100.0), min_size=1, max_size=30))
def test_an_even_speed_is_found_however_often_progress_is_told(speed, gaps_s):
    done, steps = 0.0, [(0.0, 0.0)]
    for gap_s in gaps_s:
        done += speed * gap_s
        steps.append((gap_s, done))
    # The instants are sums of floats, too: short gaps at 100 s on the clock are not exact.
    assert math.isclose(walk(steps).rate_per_s, speed, rel_tol=1e-6)


@given(st.lists(st.tuples(spans_s, amounts), min_size=1, max_size=20), amounts)
def test_whatever_is_told_the_estimate_is_a_number_or_unknown(steps, total):
    pace = walk(steps)
    for value in (pace.rate_per_s, pace.eta_s(total)):
        assert value is None or (math.isfinite(value) and value >= 0)
        assert value is None or math.isfinite(rounded(value))


@given(st.lists(st.tuples(spans_s, st.floats(0, 1e9)), min_size=2, max_size=20))
def test_the_rate_lies_between_the_slowest_and_the_fastest_stretch(steps):
    steps = [(max(0.01, later_s), done) for later_s, done in steps]
    amounts_so_far = 0.0
    rising = []
    for later_s, done in steps:
        amounts_so_far += done
        rising.append((later_s, amounts_so_far))
    rates = [(after - before) / later_s for (_, before), (later_s, after) in pairwise(rising)]
    rate = walk(rising, start_s=0.0).rate_per_s
    assert min(rates) * (1 - 1e-3) - 1e-3 <= rate <= max(rates) * (1 + 1e-3) + 1e-3


def test_a_pace_is_a_plain_value():
    assert Pace(at_s=1.0, done=2.0) == Pace(at_s=1.0, done=2.0)


def test_four_digits_are_kept():
    assert [rounded(value) for value in (0, 1234567.0, 0.000123456)] == [0, 1235000.0, 0.0001235]


def test_the_largest_number_is_not_rounded_to_one_that_json_cannot_carry():
    assert rounded(sys.float_info.max) == sys.float_info.max
    assert rounded(-sys.float_info.max) == -sys.float_info.max
