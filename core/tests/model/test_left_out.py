"""What was left out is told from an equal value that was given, by the value's type alone."""

import copy
import pickle
from datetime import timedelta

import attrs
import pytest

from dsched.contracts.store.codec import read_config, read_spec, write_config, write_spec
from dsched.model import RetryPolicy, TaskConfig, TaskSpec
from dsched.model.defaults import TaskDefaults, given_fields, given_retry
from dsched.model.left_out import is_left_out

OTHER = TaskDefaults(
    timeout=timedelta(seconds=7),
    retry=given_retry(RetryPolicy(max_retries=1, retry_delay=timedelta(seconds=2))),
)


def a_config(**fields):
    return TaskConfig(id="c", executor="local", every=timedelta(hours=1), **fields)


def a_spec(**fields):
    return TaskSpec(executor="local", **fields)


@pytest.mark.parametrize("make", [a_config, a_spec])
def test_a_default_is_left_out_and_an_equal_value_is_given(make):
    assert is_left_out(make().timeout)
    assert not is_left_out(make(timeout=timedelta(minutes=5)).timeout)
    assert make() == make(timeout=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (RetryPolicy(), ()),
        (RetryPolicy(max_retries=3), ("max_retries",)),
        (RetryPolicy(backoff_rate=2.0, jitter=0.25), ("backoff_rate", "jitter")),
        (given_retry(RetryPolicy()), tuple(f.name for f in attrs.fields(RetryPolicy))),
    ],
)
def test_a_policy_knows_which_of_its_fields_were_given(policy, names):
    assert given_fields(policy) == names


@pytest.mark.parametrize(
    "made_again",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_of_a_policy_has_left_out_what_its_original_has(made_again):
    assert given_fields(made_again(RetryPolicy())) == ()
    assert given_fields(made_again(RetryPolicy(max_retries=3))) == ("max_retries",)
    assert given_fields(made_again(given_retry(RetryPolicy())))[-1] == "jitter"


def test_a_changed_copy_of_a_task_has_left_out_what_its_original_has():
    left = attrs.evolve(a_spec(), owner="somebody")
    assert is_left_out(left.timeout)
    assert given_fields(left.retry) == ()


@pytest.mark.parametrize("make", [a_config, a_spec])
def test_what_was_left_out_is_filled_and_what_was_given_is_kept(make):
    filled = OTHER.fill(make())
    assert (filled.timeout, filled.retry) == (OTHER.timeout, OTHER.retry)
    said = make(timeout=timedelta(minutes=5), retry=RetryPolicy(max_retries=3))
    kept = OTHER.fill(said)
    assert kept.timeout == timedelta(minutes=5)
    assert kept.retry == RetryPolicy(max_retries=3, retry_delay=timedelta(seconds=2))


def _read_config(config):
    return read_config(write_config(config), revision=1, created_ms=0, updated_ms=0)


@pytest.mark.parametrize(
    ("make", "through_a_store"),
    [(a_config, _read_config), (a_spec, lambda spec: read_spec(write_spec(spec)))],
)
def test_nothing_counts_as_left_out_of_what_was_read(make, through_a_store):
    read = through_a_store(make())
    assert OTHER.fill(read) == make()
    assert not is_left_out(read.timeout)
    assert len(given_fields(read.retry)) == len(attrs.fields(RetryPolicy))


def test_numbers_made_of_a_default_are_plain():
    policy = RetryPolicy()
    for value in (policy.max_retries + 1, policy.backoff_rate * 2, policy.retry_delay * 2):
        assert not is_left_out(value)
