"""JSON: one text a value, bounded in size, depth and in the work of checking it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.model import NotJsonError
from dsched.model.json import MAX_JSON_DEPTH, MAX_PAYLOAD_BYTES, check_json, dumps, loads

_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(
        exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(_VALUES)
def test_any_json_value_survives_the_round_trip(value):
    text = check_json(value, "payload")

    assert loads(text) == value
    assert loads(text.encode()) == value
    assert json.loads(text) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _SCALARS, max_size=6))
def test_equal_values_have_equal_texts_whatever_their_order(value):
    turned = dict(reversed(list(value.items())))
    assert dumps(value) == dumps(turned)


def _nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": {"b": object()}}, "payload.a.b is a object"),
        ([1, {2: 3}], r"payload\[1\] has a key that is not a string: 2"),
        ([b"raw"], r"payload\[0\] is a bytes"),
        ({"when": {1, 2}}, "payload.when is a set"),
        (float("nan"), "is not JSON"),
        ([float("inf")], "is not JSON"),
        ("\ud800", "is not JSON"),
        (_nested(MAX_JSON_DEPTH + 1), "nested deeper than 64 levels"),
        ("x" * MAX_PAYLOAD_BYTES, "at most 262144|larger than the 262144"),
        (["x"] * MAX_PAYLOAD_BYTES, "larger than the 262144"),
        ({"x" * MAX_PAYLOAD_BYTES: 1}, "larger than the 262144"),
    ],
    ids=lambda value: str(type(value)),
)
def test_what_json_cannot_carry_is_refused_by_place(value, reason):
    with pytest.raises(NotJsonError, match=reason) as caught:
        check_json(value, "payload")
    assert len(str(caught.value)) < 500


def test_the_bounds_themselves_are_allowed():
    check_json(_nested(MAX_JSON_DEPTH), "payload")
    assert len(check_json("x" * 98, "payload", max_bytes=100)) == 100
    with pytest.raises(NotJsonError, match="101 bytes"):
        check_json("x" * 99, "payload", max_bytes=100)
    with pytest.raises(NotJsonError, match="102 bytes"):
        check_json("é" * 50, "payload", max_bytes=100)


def test_a_value_of_shared_references_is_refused_within_bounded_work():
    laughs: object = "ha"
    for _ in range(40):
        laughs = [laughs, laughs]
    itself: list[object] = []
    itself += [itself, itself]

    for bomb in (laughs, itself):
        # Unbounded, these would take 2^40 and 2^64 steps.
        with pytest.raises(NotJsonError, match=r"larger than|nested deeper"):
            check_json(bomb, "payload")
