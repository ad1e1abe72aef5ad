"""What code may give in several forms, brought to one: durations and instants.

A text that is none is left as it is: whoever checks the field knows its name, and refuses it.
"""

from datetime import datetime, timedelta
from typing import cast

from dsched.model.durations import InvalidDurationError, Span, parse_duration


def span(value: Span) -> timedelta:
    """A duration. A timedelta stays the very object that it is: its type tells what was left
    out."""
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except InvalidDurationError:
        return cast("timedelta", value)


def span_or_none(value: Span | None) -> timedelta | None:
    """A duration, or None."""
    return None if value is None else span(value)


def instant_or_none(value: datetime | str | None) -> datetime | None:
    """An instant, or None."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return cast("datetime", value)


def why_no_span(value: object) -> str:
    """What is wrong with a duration that `span` has left as it is."""
    if not isinstance(value, str):
        return f"must be a timedelta, or a text such as 5s; got {value!r}"
    try:
        parse_duration(value)
    except InvalidDurationError as error:
        return str(error)
    return f"must be a timedelta; got {value!r}"
