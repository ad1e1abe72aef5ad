"""How fast one may ask: a bucket per principal, a growing delay after wrong tokens. Pure."""

from collections import OrderedDict

import attrs

MAX_KEPT = 10_000
FREE_FAILURES = 5
FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0
FORGET_S = 900.0


@attrs.define
class _Bucket:
    left: float
    at_s: float


class RateLimit:
    """``rate_per_s`` requests a second and principal, twice as many at once."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate = rate_per_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, who: str, now_s: float) -> float:
        """Take one; 0, or in how many seconds there is one to take."""
        most = 2 * self._rate
        bucket = self._buckets.setdefault(who, _Bucket(most, now_s))
        self._buckets.move_to_end(who)
        if len(self._buckets) > MAX_KEPT:
            self._buckets.popitem(last=False)
        bucket.left = min(most, bucket.left + (now_s - bucket.at_s) * self._rate)
        bucket.at_s = now_s
        if bucket.left < 1.0:
            return (1.0 - bucket.left) / self._rate
        bucket.left -= 1.0
        return 0.0

    def is_spent(self, who: str, now_s: float) -> bool:
        """Whether there is none to take now; takes none."""
        bucket = self._buckets.get(who)
        return bucket is not None and bucket.left + (now_s - bucket.at_s) * self._rate < 1.0


@attrs.define
class _Failures:
    count: int
    until_s: float
    at_s: float


class Penalties:
    """After some wrong tokens an address, and a token's id, must wait: 1 s, 2 s, 4 s, ... 60 s."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """How long this one still has to wait."""
        found = self._failures.get(key)
        return 0.0 if found is None else max(0.0, found.until_s - now_s)

    def failed(self, key: str, now_s: float) -> int:
        """Note one more failure; how many there were lately."""
        found = self._failures.setdefault(key, _Failures(0, 0.0, now_s))
        if now_s - found.at_s > FORGET_S:
            found.count = 0
        found.count += 1
        found.at_s = now_s
        over = found.count - FREE_FAILURES
        if over >= 0:
            found.until_s = now_s + min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(over, 10))
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_KEPT:
            self._failures.popitem(last=False)
        return found.count

    def succeeded(self, key: str) -> None:
        """Forget the failures of this one."""
        self._failures.pop(key, None)
