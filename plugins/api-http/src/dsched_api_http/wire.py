"""Values as JSON: times, durations and attrs classes, in one way everywhere."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeAlias

import attrs

from dsched.config import format_duration
from dsched.model import JsonValue, json, rfc3339, rfc3339_ms

TIME: Mapping[str, Any] = {"format": "date-time"}  # the metadata of a field that is an instant


def optional_time(ms: int | None) -> str | None:
    """An instant that there may not be."""
    return None if ms is None else rfc3339_ms(ms)


_PLAIN = frozenset({str, int, bool, float, type(None)})


def plain(value: Any) -> JsonValue:
    """A value as JSON. Fields with metadata ``optional`` are left out where they are None."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {str(key): plain(item) for key, item in value.items()}
    fields = _fields_of(kind)
    if fields is not None:
        found = {}
        for name, key, optional in fields:
            item = getattr(value, name)
            if item is not None or not optional:
                found[key] = plain(item)
        return found
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


_Fields: TypeAlias = tuple[tuple[str, str, bool], ...] | None
_known: dict[type, _Fields] = {}  # of each type that is ever answered with


def _fields_of(kind: type) -> _Fields:
    """Of an attrs class: each field's name, its key, and whether it is left out where it is
    None."""
    if kind not in _known:
        _known[kind] = None
        if attrs.has(kind):
            _known[kind] = tuple(
                (one.name, one.alias or one.name, bool(one.metadata.get("optional")))
                for one in attrs.fields(kind)
            )
    return _known[kind]


def encode(value: Any) -> bytes:
    """The body of an answer."""
    return json.encode(plain(value))
