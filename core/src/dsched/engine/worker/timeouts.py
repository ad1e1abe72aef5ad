"""One alarm for the timeouts of all attempts: a timer each would cost more than a short task."""

import asyncio
from collections.abc import Callable, Iterable

from dsched.engine.runtime import Runtime
from dsched.engine.worker.attempts import Attempt


class Timeouts:
    """Calls ``expire`` for each attempt whose timeout is over, in the loop it was made in.

    Exactly one timer is armed, for the earliest timeout known. An attempt that ends costs nothing
    here; when the timer fires it checks those that hold a slot, which are few.
    """

    def __init__(
        self,
        runtime: Runtime,
        held: Callable[[], Iterable[Attempt]],
        expire: Callable[[Attempt], None],
    ) -> None:
        self._runtime = runtime
        self._held = held
        self._expire = expire
        self._armed_for_s = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, attempt: Attempt) -> None:
        """Mind the timeout of an attempt that has begun."""
        if attempt.timeout_s < self._armed_for_s:
            self._arm(attempt.timeout_s)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for_s = None, float("inf")

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for_s = at_s
        delay_s = max(0.0, at_s - self._runtime.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._armed_for_s = None, float("inf")
        now_s = self._runtime.monotonic()
        earliest_s = float("inf")
        for attempt in self._held():
            if not attempt.begun or attempt.ended or attempt.timed_out:
                continue
            if attempt.timeout_s <= now_s:
                self._expire(attempt)
            else:
                earliest_s = min(earliest_s, attempt.timeout_s)
        if earliest_s < float("inf"):
            self._arm(earliest_s)
