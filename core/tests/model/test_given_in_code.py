"""What code may give as text or as a value: durations, instants, retries."""

from datetime import UTC, datetime, timedelta

import pytest

from dsched.model import (
    InvalidConfigError,
    InvalidDurationError,
    RetryPolicy,
    TaskConfig,
    TaskSpec,
    seconds_of,
)
from dsched.model.defaults import TaskDefaults
from dsched.model.left_out import is_left_out


def test_durations_of_a_task_may_be_text():
    spec = TaskSpec(executor="x", timeout="90s", start_deadline="1h", retry={"retry_delay": "2s"})
    assert spec == TaskSpec(
        executor="x",
        timeout=timedelta(seconds=90),
        start_deadline=timedelta(hours=1),
        retry=RetryPolicy(retry_delay=timedelta(seconds=2)),
    )


def test_spans_and_instants_of_a_config_may_be_text():
    config = TaskConfig(
        id="a", executor="x", every="10m", jitter="5s", start_at="2027-01-01T00:00:00Z"
    )
    assert (config.every, config.jitter) == (timedelta(minutes=10), timedelta(seconds=5))
    assert config.start_at == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"timeout": "5"}, "timeout: 5 has no unit"),
        ({"timeout": "-5s"}, "timeout: -5s is negative"),
        ({"timeout": 5}, "timeout: must be a timedelta, or a text"),
        ({"retry": 3}, "retry: must be a RetryPolicy, or a mapping"),
        ({"retry": {"retry_delay": "soon"}}, "retry: retry_delay 'soon' is not a duration"),
        ({"retry": {"max_retries": "3"}}, "retry: has a value of the wrong type"),
        ({"start_deadline": "x"}, "start_deadline: 'x' is not a duration"),
    ],
)
def test_what_is_none_is_refused_by_its_field(fields, message):
    with pytest.raises(InvalidConfigError, match=message):
        TaskSpec(executor="x", **fields)


def test_an_instant_that_is_none_is_refused_by_its_field():
    with pytest.raises(InvalidConfigError, match="at: must be a datetime with a UTC offset"):
        TaskConfig(id="a", executor="x", at="tomorrow")


def test_a_mapping_of_retries_leaves_out_what_it_does_not_say():
    spec = TaskSpec(executor="x", retry={"max_retries": 1})
    assert is_left_out(spec.retry.retry_delay)
    own = TaskDefaults(timeout=timedelta(hours=1), retry=RetryPolicy(retry_delay="7s"))
    filled = own.fill(spec)
    assert filled.retry == RetryPolicy(max_retries=1, retry_delay="7s")
    assert filled.timeout == timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "seconds"), [("1m30s", 90), (timedelta(seconds=2), 2), (3, 3), (0.5, 0.5)]
)
def test_a_wait_is_text_a_timedelta_or_seconds(value, seconds):
    assert seconds_of(value) == seconds


@pytest.mark.parametrize("value", [None, True, [1], "5"])
def test_other_waits_are_refused(value):
    with pytest.raises(InvalidDurationError):
        seconds_of(value)
