"""Retries: never earlier than asked, never later than the cap and jitter allow, at any count."""

import math
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import RetryPolicy, retry_delay_ms

_DELAYS = st.integers(0, 30 * 86_400_000).map(lambda ms: timedelta(milliseconds=ms))
_POLICIES = st.builds(
    RetryPolicy,
    retry_delay=_DELAYS,
    max_delay=_DELAYS,
    backoff_rate=st.floats(1.0, 100.0),
    jitter=st.floats(0.0, 10.0),
)
_UNIFORM = st.floats(0.0, 1.0, exclude_max=True)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


@given(policy=_POLICIES, retry=st.integers(1, 12), uniform=_UNIFORM)
def test_a_delay_is_never_below_what_was_asked_nor_beyond_its_jitter(policy, retry, uniform):
    grown = Fraction(_ms(policy.retry_delay)) * Fraction(policy.backoff_rate) ** (retry - 1)
    asked = min(Fraction(_ms(policy.max_delay)), grown)
    delay = retry_delay_ms(policy, retry, uniform)

    # Binary floating point is off by a few parts in 10^16, which is no earliness to speak of.
    assert delay >= asked * (1 - Fraction(1, 10**14))
    assert delay <= math.ceil(float(asked) * (1 + policy.jitter) * (1 + 1e-14)) + 1


@given(policy=_POLICIES, retry=st.sampled_from([1, 2, 1_000, 10**6, 10**9]), uniform=_UNIFORM)
def test_no_count_overflows_or_passes_the_cap(policy, retry, uniform):
    delay = retry_delay_ms(policy, retry, uniform)

    assert 0 <= delay <= math.ceil(_ms(policy.max_delay) * (1 + policy.jitter)) + 1
    if policy.backoff_rate >= 1.1 and retry >= 10**6 and policy.retry_delay:
        assert delay >= _ms(policy.max_delay)


@given(policy=_POLICIES, retry=st.integers(1, 10**6), uniform=_UNIFORM)
def test_delays_grow_with_the_count_and_with_the_random_number(policy, retry, uniform):
    assert retry_delay_ms(policy, retry, uniform) <= retry_delay_ms(policy, retry + 1, uniform)
    assert retry_delay_ms(policy, retry, 0.0) <= retry_delay_ms(policy, retry, uniform)


def test_the_defaults_double_from_ten_seconds_to_an_hour():
    delays = [retry_delay_ms(RetryPolicy(), retry, 0.0) for retry in range(1, 12)]

    assert delays == [*(10_000 * 2**n for n in range(9)), 3_600_000, 3_600_000]
    assert retry_delay_ms(RetryPolicy(), 1, 0.999999) == 12_500


def test_a_policy_without_delay_has_none_at_any_count():
    policy = RetryPolicy(retry_delay=timedelta(0), jitter=10.0)
    assert [retry_delay_ms(policy, retry, 0.9) for retry in (1, 2, 10**6)] == [0, 0, 0]


@pytest.mark.parametrize("retry", [0, -1])
def test_retries_are_numbered_from_one(retry):
    with pytest.raises(ValueError, match="numbered from 1"):
        retry_delay_ms(RetryPolicy(), retry, 0.0)


@pytest.mark.parametrize("uniform", [-0.1, 1.1, math.nan])
def test_a_random_number_out_of_range_cannot_make_a_retry_early(uniform):
    with pytest.raises(ValueError, match="uniform"):
        retry_delay_ms(RetryPolicy(), 1, uniform)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1_000_001),
        ("retry_delay", timedelta(seconds=-1)),
        ("retry_delay", timedelta(days=31)),
        ("backoff_rate", 0.99),
        ("backoff_rate", math.nan),
        ("backoff_rate", math.inf),
        ("max_delay", timedelta(days=31)),
        ("jitter", -0.01),
        ("jitter", math.nan),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_by_field(field, value):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        RetryPolicy(**{field: value})
