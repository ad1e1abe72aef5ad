"""How often and how long after a failure a task is tried again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from dsched.model.durations import InvalidDurationError, parse_duration
from dsched.model.fields import InvalidConfigError
from dsched.model.left_out import LeftOutFloat, LeftOutInt, LeftOutSpan
from dsched.wording import unknown_keys

_RETRY_DELAY = LeftOutSpan(seconds=10)
_MAX_DELAY = LeftOutSpan(hours=1)


def _span(field: str, value: timedelta | str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value)
    except InvalidDurationError as error:
        raise ValueError(f"{field} {error}") from None


def _retry_delay(value: timedelta | str) -> timedelta:
    return _span("retry_delay", value)


def _max_delay(value: timedelta | str) -> timedelta:
    return _span("max_delay", value)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Exponential backoff, capped and jittered; never earlier than asked. Delays also as text.

    ``max_retries`` counts tries after the first. Crashes and releases are counted apart.
    """

    max_retries: int = LeftOutInt(3)
    retry_delay: timedelta = attrs.field(default=_RETRY_DELAY, converter=_retry_delay)
    backoff_rate: float = LeftOutFloat(2.0)
    max_delay: timedelta = attrs.field(default=_MAX_DELAY, converter=_max_delay)
    jitter: float = LeftOutFloat(0.25)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 <= self.max_retries <= 1_000_000:
            raise ValueError(f"max_retries must be 0 to 1000000, got {self.max_retries}")
        if not timedelta(0) <= self.retry_delay <= timedelta(days=30):
            raise ValueError(f"retry_delay must be 0s to 30d, got {self.retry_delay}")
        if not 1.0 <= self.backoff_rate <= 100.0:
            raise ValueError(f"backoff_rate must be 1 to 100, got {self.backoff_rate}")
        if not timedelta(0) <= self.max_delay <= timedelta(days=30):
            raise ValueError(f"max_delay must be 0s to 30d, got {self.max_delay}")
        if not 0.0 <= self.jitter <= 10.0:
            raise ValueError(f"jitter must be 0 to 10, got {self.jitter}")


Retry: TypeAlias = RetryPolicy | Mapping[str, Any]
"""A policy, or a mapping with its fields, as a task file has it."""


def retry_of(given: Retry) -> RetryPolicy:
    """The policy that was given; ValueError for what is none, naming the key."""
    if isinstance(given, RetryPolicy):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"must be a RetryPolicy, or a mapping of its fields; got {given!r}")
    known = [field.name for field in attrs.fields(RetryPolicy)]
    problems = unknown_keys(given, known)
    if problems:
        raise ValueError("; ".join(problems))
    try:
        return RetryPolicy(**given)
    except TypeError as error:  # a text where a number is compared
        raise ValueError(f"has a value of the wrong type: {error}") from None


def retry_delay_ms(policy: RetryPolicy, retry: int, uniform: float) -> int:
    """The delay in ms before retry number ``retry`` (from 1).

    ``min(max_delay, retry_delay x backoff_rate^(retry-1)) x U(1, 1 + jitter)``: ``uniform`` in
    [0, 1) is the caller's random number. Never below the unjittered delay, whatever the count.
    """
    if retry < 1:
        raise ValueError(f"retries are numbered from 1, got {retry}")
    if not 0.0 <= uniform <= 1.0:
        raise ValueError(f"uniform must lie in [0, 1), got {uniform}")
    base_ms = policy.retry_delay / timedelta(milliseconds=1)
    cap_ms = policy.max_delay / timedelta(milliseconds=1)
    try:
        asked_ms = min(cap_ms, base_ms * policy.backoff_rate ** (retry - 1))
    except OverflowError:
        asked_ms = cap_ms if base_ms else 0.0
    # Rounding up keeps "never earlier than asked" true to the millisecond.
    return -int(-asked_ms * (1.0 + policy.jitter * uniform) // 1)


def given_retry(value: Retry) -> RetryPolicy:
    """A policy as code may give it; raises `InvalidConfigError` for the field ``retry``."""
    if type(value) is RetryPolicy:
        return value
    try:
        return retry_of(value)
    except ValueError as error:
        raise InvalidConfigError("retry", str(error)) from None
