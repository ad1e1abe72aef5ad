"""JSON as dsched stores it: one canonical text per value, bounded in size and depth."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# Recursive aliases are beyond the checkers' comfort at 3.11; the bounds are checked at run time.
JsonValue: TypeAlias = Any

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_RESULT_BYTES = 1024 * 1024
MAX_JSON_DEPTH = 64


class NotJsonError(ValueError):
    """A value that JSON cannot carry, or that is larger or deeper than the bound allows."""


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def dumps(value: JsonValue) -> str:
    """The canonical text of a value: keys sorted, no spaces, so equal values have equal texts."""
    return _ENCODER.encode(value)


def loads(text: str | bytes) -> JsonValue:
    """The value of a JSON text written by `dumps`."""
    return json.loads(text)


def check_json(value: JsonValue, what: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> str:
    """Return the canonical text of ``value``; raise `NotJsonError` naming the place and the bound.

    The work is bounded by ``max_bytes`` too, even for a value that contains itself many times over.
    """
    _Walk(what, max_bytes).check(value, what, MAX_JSON_DEPTH)
    try:
        text = dumps(value)
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise NotJsonError(f"{what} is not JSON: {error}") from error
    if size > max_bytes:
        raise NotJsonError(f"{what} has {size} bytes as JSON; at most {max_bytes} are allowed")
    return text


class _Walk:
    """One pass over a value that gives up once its text must be longer than the bound."""

    def __init__(self, what: str, max_bytes: int) -> None:
        self._what = what
        self._max_bytes = max_bytes
        self._left = max_bytes

    def check(self, value: JsonValue, where: str, depth: int) -> None:
        # Every value takes a byte of text at least, and every string its length. Without this
        # a few lines of shared references (a "billion laughs" file) would keep us for ever.
        self._spend(1 + (len(value) if isinstance(value, str) else 0))
        if value is None or isinstance(value, bool | int | float | str):
            return
        if depth == 0:
            raise NotJsonError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels")
        # The plain types come first: an abstract one is told by a call of Python.
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
