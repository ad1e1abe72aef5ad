"""What a test gives to a cluster and gets from it: spans, instants, things that are done."""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import attrs

from dsched.config.durations import parse_duration

T = TypeVar("T")
Span = str | float | timedelta


class Done(Generic[T]):
    """Something that has been done: its ``value``, also for a test that writes ``await``."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, T]:
        """At once."""
        yield from ()
        return self.value


@attrs.frozen(kw_only=True)
class Skipped:
    """Instants that were not fired: the first, the last, how many, and why."""

    first: datetime
    last: datetime
    count: int
    reason: str


def seconds_of(span: Span) -> float:
    """A span in seconds."""
    if isinstance(span, (int, float)):
        return float(span)
    return (span if isinstance(span, timedelta) else parse_duration(span)).total_seconds()


def instant_of(value: str | datetime) -> datetime:
    """An aware datetime, also from its text in ISO 8601; `ValueError` without a zone."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if found.tzinfo is None:
        raise ValueError(f"{value} has no zone; write it as 2027-03-28T03:00+02:00")
    return found
