"""How deep a body is nested is known before anything of it is built, whatever its texts have."""

import json

from hypothesis import given
from hypothesis import strategies as st

from dsched_api_http.bodies import deeper_than

_TEXTS = st.text(st.sampled_from('[]{}"\\a\n\u00e9'), max_size=6)
_VALUES = st.recursive(
    st.none() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=25,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(_VALUES, st.booleans())
def test_brackets_are_counted_outside_of_texts_only(value: object, escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode()
    depth = depth_of(value)
    assert not deeper_than(body, depth)
    assert depth == 0 or deeper_than(body, depth - 1)


@given(st.text(st.sampled_from('[]{}",:1\\')))
def test_what_is_no_json_is_measured_all_the_same(text: str) -> None:
    deeper_than(text.encode(), 3)  # raises nothing; the parser says what is wrong


def test_brackets_that_do_not_match_are_as_deep_as_they_open() -> None:
    assert deeper_than(b"[" * 65, 64)
    assert not deeper_than(b"[" * 64, 64)
    assert not deeper_than(b"][" * 100, 64)
    assert deeper_than(b"[}" * 3 + b"[{[", 2)
