"""Values as JSON: times, durations and attrs classes, in one way everywhere."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import attrs

from dsched.config import format_duration
from dsched.model import JsonValue, rfc3339, rfc3339_ms


def optional_time(ms: int | None) -> str | None:
    """An instant that there may not be."""
    return None if ms is None else rfc3339_ms(ms)


def plain(value: Any) -> JsonValue:
    """A value as JSON. Fields with metadata ``optional`` are left out where they are None."""
    if attrs.has(type(value)):
        return {
            one.alias or one.name: plain(getattr(value, one.name))
            for one in attrs.fields(type(value))
            if not (one.metadata.get("optional") and getattr(value, one.name) is None)
        }
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


def encode(value: Any) -> bytes:
    """The body of an answer."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    # A stored text may hold a lone surrogate, which UTF-8 cannot carry.
    return text.encode("utf-8", "replace")
