"""JSON as dsched stores it: one canonical text per value, bounded in size and depth.

`msgspec` writes and reads what is made of plain types, as most values are; whatever it would write
or read otherwise than the standard library does is left to that.
"""

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

# Type checkers cope badly with recursive aliases at 3.11; the bounds are checked at run time.
JsonValue: TypeAlias = Any

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_RESULT_BYTES = 1024 * 1024
MAX_JSON_DEPTH = 64


class NotJsonError(ValueError):
    """A value that JSON cannot carry, or that is larger or deeper than the bound allows."""


# What is written is what this one writes, byte by byte: stores compare texts, in all versions.
_STANDARD = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_FAST = msgspec.json.Encoder(order="sorted")


def _without_its_kind(value: object) -> JsonValue:
    """A number or text of a class of its own, such as `LeftOutInt`, as the plain one."""
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_IN_ITS_ORDER = msgspec.json.Encoder(enc_hook=_without_its_kind)
_READER = msgspec.json.Decoder()
# Deeper values are rare, and `_Walk` takes care of them.
_USUAL_DEPTH = 32
_NO_BOUND = sys.maxsize


def dumps(value: JsonValue) -> str:
    """The canonical text of a value: keys sorted, no spaces, so equal values have equal texts."""
    text = plain_text(value, _NO_BOUND)
    return _STANDARD.encode(value) if text is None else text


def encode(value: JsonValue) -> bytes:
    """A text to be read and not compared: keys in their order. Half a character, which UTF-8
    cannot carry, becomes a question mark."""
    try:
        return _IN_ITS_ORDER.encode(value)
    except (UnicodeError, OverflowError):  # a lone surrogate, a number beyond 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def loads(text: str | bytes) -> JsonValue:
    """The value of a JSON text written by `dumps`; read as `json` reads it, errors included."""
    return loads_plain(text)[0]


def loads_plain(text: str | bytes) -> tuple[JsonValue, bool]:
    """`loads`, and whether all of it is what `check_json` lets pass, its size and depth left
    out."""
    try:
        return _READER.decode(text), True
    except (msgspec.MsgspecError, UnicodeError):
        # Lone surrogates, NaN, numbers beyond all floats; or no JSON at all.
        return json.loads(text), False


def dumps_with(record: dict[str, JsonValue], name: str, text: str) -> str:
    """The canonical text of a mapping, under whose ``name`` stands the value with this text."""
    if not _is_plain(record, _NO_BOUND):
        return _STANDARD.encode({**record, name: loads(text)})
    try:
        return _FAST.encode({**record, name: msgspec.Raw(text.encode())}).decode()
    except UnicodeError:  # a lone surrogate
        return _STANDARD.encode({**record, name: loads(text)})


def check_json(value: JsonValue, what: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> str:
    """Return the canonical text of ``value``; raise `NotJsonError` naming the place and the bound.

    The work is bounded by ``max_bytes`` too, even for a value that contains itself many times over.
    """
    plain = plain_text(value, max_bytes)
    if plain is not None:
        return plain
    _Walk(what, max_bytes).check(value, what, MAX_JSON_DEPTH)
    try:
        text = _STANDARD.encode(value)
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise NotJsonError(f"{what} is not JSON: {error}") from error
    if size > max_bytes:
        raise NotJsonError(f"{what} has {size} bytes as JSON; at most {max_bytes} are allowed")
    return text


def plain_text(value: JsonValue, max_bytes: int) -> str | None:
    """The canonical text, where ``value`` is made of nothing but the types that `loads` gives, and
    is within the bounds. None says nothing but that it takes a closer look.
    """
    if not _is_plain(value, max_bytes):
        return None
    try:
        text = _FAST.encode(value)
    except UnicodeError:  # a lone surrogate
        return None
    return text.decode() if len(text) <= max_bytes else None


def _is_plain(value: JsonValue, most: int) -> bool:
    """Whether the fast encoder writes this as the standard one, within bounded work.

    Level by level, and by exact types: they are told without a call. Every value takes a byte of
    text at least, and every string its length; what is counted is never more than the text has.
    """
    level: Collection[JsonValue] = (value,)
    for _ in range(_USUAL_DEPTH):
        inner: list[JsonValue] = []
        for item in level:
            kind = type(item)
            if kind is str:
                most -= len(item)
            elif kind is dict:
                try:
                    most -= len(item) + len("".join(item))
                except TypeError:  # a key that is not a string
                    return False
                if most < 0:
                    return False
                inner += item.values()
            elif kind is list:
                most -= len(item)
                if most < 0:
                    return False
                inner += item
            elif kind is int:
                if not -_WHOLE < item < _WHOLE:
                    return False
            elif kind is float:
                # Where both write digits without an exponent; zero is written alike, NaN is in no
                # range.
                if not (_LEAST <= item < _MOST or -_MOST < item <= -_LEAST or item == 0.0):
                    return False
            elif item is not None and kind is not bool:
                return False
        if not inner or most < 0:
            return most >= 0
        level = inner
    return False


_WHOLE = 2**63
_LEAST, _MOST = 1e-4, 1e16


class _Walk:
    """One pass over a value that gives up once its text must be longer than the bound."""

    def __init__(self, what: str, max_bytes: int) -> None:
        self._what = what
        self._max_bytes = max_bytes
        self._left = max_bytes

    def check(self, value: JsonValue, where: str, depth: int) -> None:
        # Every value takes at least a byte of text, and every string its length. Without this
        # a few lines of shared references (a "billion laughs" file) would never be done.
        self._spend(1 + (len(value) if isinstance(value, str) else 0))
        if value is None or isinstance(value, bool | int | float | str):
            return
        if depth == 0:
            raise NotJsonError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels")
        # The plain types come first: a check for an abstract type calls Python code.
        if isinstance(value, dict | Mapping):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise NotJsonError(f"{where} has a key that is not a string: {key!r}")
                self._spend(len(key))
                self.check(item, f"{where}.{key}", depth - 1)
        elif isinstance(value, list | Sequence) and not isinstance(value, bytes | bytearray):
            for index, item in enumerate(value):
                self.check(item, f"{where}[{index}]", depth - 1)
        else:
            raise NotJsonError(f"{where} is a {type(value).__name__}, which JSON cannot carry")

    def _spend(self, bytes_: int) -> None:
        self._left -= bytes_
        if self._left < 0:
            raise NotJsonError(
                f"{self._what} is larger than the {self._max_bytes} bytes of JSON allowed"
            )
