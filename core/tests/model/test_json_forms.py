"""The form of JSON that is stored: written and read as the standard library does, byte by byte.

Stores compare texts, and pods of several versions share a store: one text a value, in all versions.
"""

import datetime
import decimal
import enum
import json
import types
import uuid
from collections import OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dsched.model import NotJsonError
from dsched.model.json import MAX_JSON_DEPTH, check_json, dumps, encode, loads

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\x00\x1f\x7f", '"\\/\b\f\n\r\t', "\u2028\u2029", "é\U0001f600", "\ufffe\uffff"]
)
_NUMBERS = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4000])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e16, 1e15, 1e-4, 1e-5, 1e22, -0.0, 5e-324, 1.7976931348623157e308, 1.0])
)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(_TEXTS, inner, max_size=4)
    ),
    max_leaves=20,
)


def _exact(value):
    """A value with its types, so that 1, 1.0 and True are three, and 0.0 and -0.0 two."""
    if isinstance(value, dict):
        return dict, [(key, _exact(item)) for key, item in value.items()]
    if isinstance(value, list):
        return list, [_exact(item) for item in value]
    return type(value), repr(value)


@given(_VALUES)
@example({"b": 1, "a": {"é": 1e16, "z": 2, "\U0001f600": 3, "\uffff": 4}})
def test_a_value_is_written_byte_by_byte_as_the_standard_library_does(value):
    expected = _ENCODER.encode(value)

    assert check_json(value, "payload") == dumps(value) == expected


@given(_VALUES)
def test_a_value_is_read_with_the_types_that_the_standard_library_gives(value):
    for text in (dumps(value), json.dumps(value), json.dumps(value, indent=1)):
        assert _exact(loads(text)) == _exact(json.loads(text))
        assert _exact(loads(text.encode())) == _exact(json.loads(text))


@given(_VALUES)
def test_what_is_written_to_be_read_says_what_the_standard_library_would_say(value):
    assert _exact(json.loads(encode(value))) == _exact(json.loads(json.dumps(value)))


def test_what_is_written_to_be_read_is_utf_8_whatever_its_texts_have():
    assert encode({"b": "\ud800\u00e9", "a": "\ud800"}) == '{"b":"?\u00e9","a":"?"}'.encode()
    with pytest.raises(TypeError, match="object is not JSON"):
        encode([object()])


READ = [
    "18446744073709551616",
    "-9223372036854775809",
    "1" * 400,
    "-0",
    "-0.0",
    "1E5",
    "1e-400",
    "1e400",
    "9007199254740993.0",
    "179769313486231580793e289",
    '{"a":1,"b":2,"a":{"c":3,"c":4}}',
    r'"\ud800"',
    r'["\udc00\ud83d"]',
    r'"\ud83d\ude00"',
    '"\ud800"',
    '"\x7f"',
    " [ 1 ,\t2\r\n] ",
    "NaN",
    "[Infinity,-Infinity]",
    r'"\u0000"',
    r'"\/"',
    "[" * 200 + "]" * 200,
]
UNREAD = [
    "",
    "tru",
    "[1,]",
    "01",
    "+1",
    ".5",
    "1.",
    "1 2",
    "'a'",
    '"a\tb"',
    '"\x00"',
    '"\\x"',
    '{"a"}',
    "{1:2}",
    "\ufeff1",
    "\x0b1",
    "[1]\x00",
    "1" * 5000,
]


@pytest.mark.parametrize("text", READ, ids=ascii)
def test_what_is_stored_is_read_as_ever(text):
    assert _exact(loads(text)) == _exact(json.loads(text))


@pytest.mark.parametrize("text", UNREAD, ids=lambda text: ascii(text)[:20])
def test_what_is_no_json_is_refused_as_ever(text):
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - its message is compared
        json.loads(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its message is compared
        loads(text)
    assert (type(caught.value), str(caught.value)) == (type(expected.value), str(expected.value))


def test_what_is_nested_too_deep_to_be_read_is_refused_and_ends_nothing():
    for text in ("[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000):
        with pytest.raises(RecursionError):
            loads(text)


class _Text(str):
    __slots__ = ()


class _Whole(int):
    pass


class _Real(float):
    pass


class _Word(enum.StrEnum):
    A = "a word"


class _Number(enum.IntEnum):
    A = 3


class _Plain(enum.Enum):
    A = "a"


_Pair = namedtuple("_Pair", "a b")  # noqa: PYI024 - a plain one is meant


@attrs.frozen
class _Record:
    a: int = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Text("a"), '"a"'),
        ([_Whole(4), _Real(1.5), _Real(1e16)], "[4,1.5,1e+16]"),
        ({_Text("b"): 1, "a": _Word.A}, '{"a":"a word","b":1}'),
        ({_Word.A: _Number.A}, '{"a word":3}'),
        (_Pair(1, 2), "[1,2]"),
        (OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
        (defaultdict(int, a=1), '{"a":1}'),
        (((), [], {}), "[[],[],{}]"),
    ],
    ids=ascii,
)
def test_kinds_of_the_plain_types_are_written_as_these(value, text):
    assert check_json(value, "payload") == dumps(value) == text
    assert json.loads(encode(value)) == json.loads(text)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (_Plain.A, "is a _Plain"),
        (uuid.UUID(int=1), "is a UUID"),
        (datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC), "is a datetime"),
        (datetime.date(2027, 1, 1), "is a date"),
        (datetime.timedelta(1), "is a timedelta"),
        (decimal.Decimal(1), "is a Decimal"),
        (b"a", "is a bytes"),
        (bytearray(b"a"), "is a bytearray"),
        (frozenset({1}), "is a frozenset"),
        (_Record(), "is a _Record"),
        (1j, "is a complex"),
        (types.MappingProxyType({"a": 1}), "is not JSON"),
        (UserDict({"a": 1}), "is not JSON"),
        (UserList([1]), "is not JSON"),
        (range(3), "is not JSON"),
        (deque([1]), "is not JSON"),
        (memoryview(b"a"), "is not JSON"),
        (float("nan"), "is not JSON"),
        (float("-inf"), "is not JSON"),
        (_Real("nan"), "is not JSON"),
        ("\ud800", "is not JSON"),
        ({"\ud800": 1}, "is not JSON"),
        (10**5000, "is not JSON"),
        (-(10**5000), "is not JSON"),
        ({None: 1}, "has a key that is not a string: None"),
        ({True: 1}, "has a key that is not a string: True"),
        ({1.5: 1}, r"has a key that is not a string: 1\.5"),
        ({"b": {(): 1}}, r"\.b has a key that is not a string: \(\)"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else ascii(value)[:30],
)
def test_a_kind_that_is_refused_is_refused_wherever_it_stands(value, reason):
    for placed in (value, [value], {"a": [value]}, (1, {"é": "x"}, value)):
        with pytest.raises(NotJsonError, match=reason):
            check_json(placed, "payload")


def test_the_first_mistake_on_the_way_is_the_one_that_is_named():
    with pytest.raises(NotJsonError, match=r"payload\.a\[1\]\.b is a set"):
        check_json({"a": [1, {"b": {1}}], "c": b"", 1: 2}, "payload")


def _wrapped(value, levels, in_mappings):
    for _ in range(levels):
        value = {"a": value} if in_mappings else [value]
    return value


@pytest.mark.parametrize("in_mappings", [True, False])
@pytest.mark.parametrize("inner", [1, [], {}, "x", None])
def test_the_bound_of_depth_counts_every_mapping_and_list_the_empty_too(inner, in_mappings):
    room = MAX_JSON_DEPTH - isinstance(inner, list | dict)
    check_json(_wrapped(inner, room, in_mappings), "payload")
    with pytest.raises(NotJsonError, match=f"nested deeper than {MAX_JSON_DEPTH} levels"):
        check_json(_wrapped(inner, room + 1, in_mappings), "payload")


@pytest.mark.parametrize(
    "value",
    ["x" * 90, "é" * 45, "\n" * 45, ["x"] * 20, {"é" * 5: "\x00" * 10}, [1.5, 2**70, 1e22],
     [[]] * 30],
    ids=ascii,
)  # fmt: skip
def test_the_bound_of_size_counts_the_bytes_of_the_text(value):
    size = len(_ENCODER.encode(value).encode())

    assert len(check_json(value, "payload", size).encode()) == size
    with pytest.raises(NotJsonError, match=rf"{size} bytes|larger than the {size - 1} bytes"):
        check_json(value, "payload", size - 1)


def test_long_texts_that_are_shared_are_refused_before_they_are_written():
    text = "x" * 100_000
    for many in ([text] * 100_000, {f"{n}": text for n in range(100_000)}, [[text] * 300] * 300):
        with pytest.raises(NotJsonError, match="larger than the 262144 bytes"):
            check_json(many, "payload")
