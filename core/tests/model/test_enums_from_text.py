"""Code may give a policy as text, as a task file does; what is no policy is refused by name."""

from datetime import timedelta

import pytest

from dsched.model import InvalidConfigError, Misfire, OnCrash, Overlap, TaskConfig


def config(**fields: str) -> TaskConfig:
    return TaskConfig(id="a", executor="http", every=timedelta(seconds=5), **fields)


def test_a_policy_may_be_given_as_text():
    made = config(overlap="allow", misfire="skip", on_crash="fail")
    assert made.overlap is Overlap.ALLOW
    assert made.misfire is Misfire.SKIP
    assert made.on_crash is OnCrash.FAIL
    assert made.spec.on_crash is OnCrash.FAIL


@pytest.mark.parametrize("field", ["overlap", "misfire", "on_crash", "dst_gap", "dst_overlap"])
def test_what_is_no_policy_is_refused_with_the_field_and_the_choices(field):
    with pytest.raises(InvalidConfigError, match=f"{field}: must be one of .*; got 'sometimes'"):
        config(**{field: "sometimes"})
