"""How often and how long after a failure a task is tried again."""

from datetime import timedelta

import attrs

from dsched.model.left_out import LeftOutFloat, LeftOutInt, LeftOutSpan

_RETRY_DELAY = LeftOutSpan(seconds=10)
_MAX_DELAY = LeftOutSpan(hours=1)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Exponential backoff, capped and jittered; never earlier than asked.

    ``max_retries`` counts tries after the first. Crashes and releases are counted apart.
    """

    max_retries: int = LeftOutInt(3)
    retry_delay: timedelta = _RETRY_DELAY
    backoff_rate: float = LeftOutFloat(2.0)
    max_delay: timedelta = _MAX_DELAY
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
