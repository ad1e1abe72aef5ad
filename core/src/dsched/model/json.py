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


def dumps(value: JsonValue) -> str:
    """The canonical text of a value: keys sorted, no spaces, so equal values have equal texts."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def loads(text: str | bytes) -> JsonValue:
    """The value of a JSON text written by `dumps`."""
    return json.loads(text)


def check_json(value: JsonValue, what: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> str:
    """Return the canonical text of ``value``; raise `NotJsonError` naming the place and the bound."""
    _check_shape(value, what, MAX_JSON_DEPTH)
    try:
        text = dumps(value)
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise NotJsonError(f"{what} is not JSON: {error}") from error
    if size > max_bytes:
        raise NotJsonError(f"{what} has {size} bytes as JSON; at most {max_bytes} are allowed")
    return text


def _check_shape(value: JsonValue, where: str, depth: int) -> None:
    if value is None or isinstance(value, bool | int | float | str):
        return
    if depth == 0:
        raise NotJsonError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJsonError(f"{where} has a key that is not a string: {key!r}")
            _check_shape(item, f"{where}.{key}", depth - 1)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for index, item in enumerate(value):
            _check_shape(item, f"{where}[{index}]", depth - 1)
    else:
        raise NotJsonError(f"{where} is a {type(value).__name__}, which JSON cannot carry")
