"""Durations as people write them, in Go's syntax plus days: ``1h30m``, ``500ms``, ``7d``."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import TypeAlias

import durationpy

MAX_DURATION_LENGTH = 64

Span: TypeAlias = timedelta | str
"""A length of time as code may give it: a timedelta, or text like ``30s`` or ``1h30m``."""

Wait: TypeAlias = timedelta | str | float
"""How long a call may wait or take: a `Span`, or a number of seconds."""

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|us|µs|s|m|h|d))+")
_BARE_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MILLISECOND = timedelta(milliseconds=1)
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_SYNTAX = "write it like 500ms, 10s, 5m, 1h30m or 7d"


class InvalidDurationError(ValueError):
    """A text that is no duration; the message says what to write instead."""


def parse_duration(value: object, *, negative: bool = False) -> timedelta:
    """The length of time that ``value`` says, exact to the millisecond.

    A number without a unit is refused, zero included, since nobody can tell what it counts. A
    negative length is refused unless ``negative`` says that one can be meant.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidDurationError(f"must be a duration; {_SYNTAX}")
    text = str(value).strip()
    if len(text) > MAX_DURATION_LENGTH:
        raise InvalidDurationError(f"is too long for a duration; {_SYNTAX}")
    return _read(text, negative=negative)


@lru_cache(maxsize=1024)
def _read(text: str, *, negative: bool) -> timedelta:
    """Remembered, since thousands of tasks say few different lengths."""
    if _BARE_NUMBER.fullmatch(text):
        raise InvalidDurationError(f"{text} has no unit; add a unit, such as {text}s or {text}ms")
    sign, digits = _split_sign(text)
    if sign < 0 and not negative:
        raise InvalidDurationError(f"{text} is negative; only 0s and more is possible here")
    if not _DURATION.fullmatch(digits):
        raise InvalidDurationError(f"{text!r} is not a duration; {_SYNTAX}")
    try:
        span = sign * durationpy.from_str(digits)
    except (OverflowError, durationpy.DurationError) as error:
        raise InvalidDurationError(f"{text} is longer than can be counted") from error
    if span % _MILLISECOND:
        raise InvalidDurationError(f"{text} is finer than a millisecond; use whole milliseconds")
    return timedelta(span.days, span.seconds, span.microseconds)


def _split_sign(text: str) -> tuple[int, str]:
    if text[:1] in ("-", "+"):
        return (-1 if text[0] == "-" else 1), text[1:]
    return 1, text


def format_duration(span: timedelta) -> str:
    """The shortest text that `parse_duration` reads as ``span``; finer parts are cut off."""
    left_ms = abs(span) // _MILLISECOND
    text = ""
    for unit, size_ms in _UNITS:
        count, left_ms = divmod(left_ms, size_ms)
        if count:
            text += f"{count}{unit}"
    return ("-" if span < timedelta(0) and text else "") + (text or "0s")


def seconds_of(value: Wait) -> float:
    """A length of time in seconds: a timedelta, a text, or a number of seconds as it is."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return parse_duration(value).total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDurationError(
            f"must be a timedelta, a text such as 30s, or a number of seconds; got {value!r}"
        )
    return float(value)
