"""The nominal instants of a trigger: next, last and how many, for any kind of trigger."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import attrs

# The end of 30 December 9999 in UTC: beyond it a calendar cannot show an instant in every zone.
LAST_MS = 253_402_214_399_999


class Instants(Protocol):
    """A strictly increasing set of instants, in ms since the epoch.

    Each answer depends on nothing but the trigger, its zone's rules and the arguments; none reads
    a clock, and none costs more for a year than for a minute.
    """

    def next_after(self, ms: int) -> int | None:
        """The first instant strictly later than ``ms``, or None if there is none any more."""
        ...

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """The latest instant in ``[not_before_ms, ms]``, or None."""
        ...

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """How many instants lie in ``[first_ms, last_ms]``, exactly."""
        ...

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """Every instant in ``[first_ms, last_ms]``, ascending; as many as `count_between` says."""
        ...


@attrs.frozen(kw_only=True)
class PeriodicInstants:
    """``anchor_ms + k x period_ms`` for k = 0, 1, ..., within optional bounds (inclusive)."""

    anchor_ms: int
    period_ms: int
    start_ms: int | None = None
    end_ms: int | None = None

    def next_after(self, ms: int) -> int | None:
        """See `Instants`."""
        found = self.anchor_ms + self._first_k(ms + 1) * self.period_ms
        return None if self.end_ms is not None and found > self.end_ms else found

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """See `Instants`."""
        last_k = self._last_k(ms)
        if last_k < self._first_k(not_before_ms):
            return None
        return self.anchor_ms + last_k * self.period_ms

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """See `Instants`."""
        return max(0, self._last_k(last_ms) - self._first_k(first_ms) + 1)

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """See `Instants`."""
        for k in range(self._first_k(first_ms), self._last_k(last_ms) + 1):
            yield self.anchor_ms + k * self.period_ms

    def _first_k(self, ms: int) -> int:
        """The k of the first instant at or after ``ms``, bounds but the end considered."""
        if self.start_ms is not None:
            ms = max(ms, self.start_ms)
        return max(0, -((self.anchor_ms - ms) // self.period_ms))

    def _last_k(self, ms: int) -> int:
        """The k of the last instant at or before ``ms``; negative if there is none."""
        if self.end_ms is not None:
            ms = min(ms, self.end_ms)
        return (ms - self.anchor_ms) // self.period_ms


@attrs.frozen(kw_only=True)
class SingleInstant:
    """At most one instant; ``at_ms`` is None if the bounds exclude it."""

    at_ms: int | None

    def next_after(self, ms: int) -> int | None:
        """See `Instants`."""
        return self.at_ms if self.at_ms is not None and self.at_ms > ms else None

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """See `Instants`."""
        return self.at_ms if self.count_between(not_before_ms, ms) else None

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """See `Instants`."""
        return int(self.at_ms is not None and first_ms <= self.at_ms <= last_ms)

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """See `Instants`."""
        if self.at_ms is not None and self.count_between(first_ms, last_ms):
            yield self.at_ms


@attrs.frozen
class Without:
    """The instants of ``base`` without a few of them, ``left_out`` (ascending, all of ``base``)."""

    base: Instants
    left_out: Sequence[int]

    def next_after(self, ms: int) -> int | None:
        """See `Instants`."""
        found = self.base.next_after(ms)
        while found is not None and found in self.left_out:
            found = self.base.next_after(found)
        return found

    def last_before(self, ms: int, *, not_before_ms: int) -> int | None:
        """See `Instants`."""
        found = self.base.last_before(ms, not_before_ms=not_before_ms)
        while found is not None and found in self.left_out:
            found = self.base.last_before(found - 1, not_before_ms=not_before_ms)
        return found

    def count_between(self, first_ms: int, last_ms: int) -> int:
        """See `Instants`."""
        without = sum(first_ms <= at_ms <= last_ms for at_ms in self.left_out)
        return self.base.count_between(first_ms, last_ms) - without

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[int]:
        """See `Instants`."""
        for at_ms in self.base.all_between(first_ms, last_ms):
            if at_ms not in self.left_out:
                yield at_ms
