"""Rates of limits: a bucket of tokens that fills evenly, and what is taken from it.

A bucket is one number: the instant at which it will be full, in microseconds of the store's time.
One that is full already is none, and nobody need keep it.
"""

import re
from datetime import timedelta
from functools import lru_cache

import attrs

from dsched.model.durations import InvalidDurationError, format_duration, parse_duration
from dsched.model.fields import InvalidConfigError, check_whole

MOST_TOKENS = 1_000_000
MOST_A_SECOND = 10_000
MAX_PERIOD = timedelta(days=31)
# A bucket without a `burst` holds what comes in so long, and one token at least: a leader that
# looks a few times a second can then give out as many as the rate says.
_USUAL_BURST = timedelta(milliseconds=100)
_MICROSECOND = timedelta(microseconds=1)
_MAX_FILL_US = MAX_PERIOD // _MICROSECOND
_RATE = re.compile(r"([0-9]{1,9})/(.{1,64})")
_LIKE = "write it like 100/1m: how many tasks may begin, a slash, and in how long"


@attrs.frozen
class Pace:
    """A token comes every ``token_us``; a bucket holds ``size`` of them. What it owes to being full
    is at most that."""

    token_us: int
    size: int

    def left(self, full_us: int, now_us: int) -> int:
        """How many tokens there are."""
        owed_us = max(0, full_us - now_us)
        return max(0, (self.size * self.token_us - owed_us) // self.token_us)

    def next_us(self, full_us: int, now_us: int) -> int | None:
        """When there is one more; None: it is full."""
        left = self.left(full_us, now_us)
        return None if left >= self.size else full_us - (self.size - left - 1) * self.token_us

    def taken(self, full_us: int, now_us: int) -> int:
        """When the bucket is full again, after a token is taken."""
        return max(full_us, now_us) + self.token_us

    def given(self, full_us: int) -> int:
        """The same, after one is given back."""
        return full_us - self.token_us

    def instead_of(self, before: "Pace", full_us: int, now_us: int) -> int:
        """When a bucket is full that went by another pace: it lacks as many tokens as it did, to
        the thousandth, and no more than it holds."""
        lacks = _up((full_us - now_us) * 1000, before.token_us)
        return now_us + _up(min(lacks, self.size * 1000) * self.token_us, 1000)


def _up(number: int, by: int) -> int:
    return -(-number // by)


def rate_text(text: object) -> str | None:
    """A rate as it is stored, such as ``100/1m``; None: there is none."""
    if text is None:
        return None
    found = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise InvalidConfigError("rate", f"{str(text)[:80]!r} is no rate; {_LIKE}")
    count = int(found[1])
    try:
        period = parse_duration(found[2])
    except InvalidDurationError as error:
        raise InvalidConfigError("rate", f"{text!r}: {error}; {_LIKE}") from None
    if not 1 <= count <= MOST_TOKENS:
        raise InvalidConfigError(
            "rate",
            f"{text!r}: 1 to {MOST_TOKENS} tasks in each span; to let nothing begin, set "
            "max_running to 0",
        )
    if not timedelta(seconds=1) <= period <= MAX_PERIOD:
        raise InvalidConfigError("rate", f"{text!r}: the span is 1s to {MAX_PERIOD.days}d; {_LIKE}")
    if count > MOST_A_SECOND * period.total_seconds():
        raise InvalidConfigError(
            "rate", f"{text!r} is more than {MOST_A_SECOND} a second, which bounds nothing here"
        )
    return f"{count}/{format_duration(period)}"


# Typed, as True equals 1 and is no burst.
@lru_cache(maxsize=4096, typed=True)
def pace_of(rate: str | None, burst: int | None) -> Pace | None:
    """The pace of a rate as `rate_text` wrote it; None where there is none."""
    if burst is not None:
        if rate is None:
            raise InvalidConfigError(
                "burst", "is how many tasks of a rate may begin at once; give a rate, too"
            )
        check_whole("burst", burst, 1, MOST_TOKENS)
    if rate is None:
        return None
    number, _, span = rate.partition("/")
    count, period = int(number), parse_duration(span)
    token_us = _up(period // _MICROSECOND, count)
    size = burst or max(1, count * _USUAL_BURST // period)
    if size * token_us > _MAX_FILL_US:
        raise InvalidConfigError(
            "burst",
            f"{size} tokens at {rate} take longer than {MAX_PERIOD.days} days to come; at most "
            f"{_MAX_FILL_US // token_us}",
        )
    return Pace(token_us, size)
