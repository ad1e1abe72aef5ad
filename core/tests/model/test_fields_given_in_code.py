"""What code may give for a field: policies as text too; a senseless value is refused by name."""

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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "9"),
        ("priority", True),
        ("priority", 10),
        ("max_crashes", 2.5),
        ("misfire_cap", 0),
        ("enabled", "false"),
        ("timeout", 5),
        ("at", "tomorrow"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_field_and_never_a_type_error(field, value):
    fields = {"id": "a", "executor": "http", "every": timedelta(seconds=5), field: value}
    if field == "at":
        del fields["every"]
    with pytest.raises(InvalidConfigError, match=f"^{field}: "):
        TaskConfig(**fields)
