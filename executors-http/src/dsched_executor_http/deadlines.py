"""One alarm for the deadlines of all attempts: a timer each would cost more than their headers."""

import asyncio
from types import TracebackType

NEVER_S = float("inf")


class Deadlines:
    """Gives blocks a deadline as `asyncio.timeout` does, in one loop and with one timer for all.

        with deadlines.within(5.0):
            await something()

    A block that is not over by then is cancelled, and raises TimeoutError instead of its
    CancelledError; a cancel that came from elsewhere stays one. The timer is armed for the
    earliest deadline known. A block that ends in time costs nothing here: when the timer rings,
    it looks at those that are open.
    """

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._armed_for_s = NEVER_S
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> "Deadline":
        """What to enter, at once, for a block that may take this long."""
        return Deadline(self, asyncio.get_running_loop().time() + seconds)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for_s = None, NEVER_S

    def watch(self, deadline: "Deadline") -> None:
        """Mind a deadline until it is `forgotten <forget>`."""
        self._open.add(deadline)
        if deadline.at_s < self._armed_for_s:
            self._arm(deadline.at_s)

    def forget(self, deadline: "Deadline") -> None:
        """Its block has ended."""
        self._open.discard(deadline)

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for_s = at_s
        self._timer = asyncio.get_running_loop().call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._timer, self._armed_for_s = None, NEVER_S
        now_s = asyncio.get_running_loop().time()
        waiting = [deadline for deadline in self._open if not deadline.has_passed]
        for deadline in waiting:
            if deadline.at_s <= now_s:
                deadline.passes()
        earliest_s = min((each.at_s for each in waiting if not each.has_passed), default=NEVER_S)
        if earliest_s < NEVER_S:
            self._arm(earliest_s)


class Deadline:
    """That of one block, of the task that enters it. ``at_s`` is by the loop's clock."""

    __slots__ = ("_all", "_cancels_before", "_task", "at_s", "has_passed")

    def __init__(self, deadlines: Deadlines, at_s: float) -> None:
        self.at_s = at_s
        self.has_passed = False
        self._all = deadlines

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is for a block of a task")
        self._task = task
        self._cancels_before = task.cancelling()
        self._all.watch(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._all.forget(self)
        if not self.has_passed:
            return
        # Take back our own cancel; if there is another, it was not (only) for the deadline.
        others = self._task.uncancel() > self._cancels_before
        if not others and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def passes(self) -> None:
        """Cancel the block."""
        self.has_passed = True
        self._task.cancel()
