"""An event loop whose clock jumps to the next timer: hours of a cluster take milliseconds."""

import asyncio
import contextvars
import math
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dsched.engine.runtime import Runtime
from dsched_testkit.kernel.order import number_tasks

T = TypeVar("T")

# A loop that never lets time pass is a busy loop: real engines rest long before this many rounds.
MAX_ROUNDS_AT_ONE_INSTANT = 200_000

TICK_S = 1e-6
PERMUTED_SHARE = 0.3


class SleepsForeverError(RuntimeError):
    """Nothing is ready and no timer is set: what runs here waits for something that cannot come."""


class BusyLoopError(RuntimeError):
    """Very many rounds of the loop went by at one virtual instant: something spins."""


class _JumpingSelector(selectors.DefaultSelector):
    """Answers at once; the time that a real selector would have waited is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise SleepsForeverError("every task waits, and no timer will wake any of them")
        if timeout > 0:
            self.now_s = round(self.now_s + max(timeout, TICK_S), 6)
            self._rounds = 0
        self._rounds += 1
        if self._rounds > MAX_ROUNDS_AT_ONE_INSTANT:
            raise BusyLoopError(f"{self._rounds} rounds of the loop at {self.now_s:.6f} s")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time, from 0 s on. For one thread: other threads are not waited for.

    With ``permute`` set, what is ready at the same time runs now and then in another order.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self.permute: random.Random | None = None
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = TICK_S / 1000

    def time(self) -> float:
        """Virtual seconds since the loop was made, in whole microseconds."""
        return self._jumping.now_s

    def _run_once(self) -> None:
        chance = self.permute
        if chance is not None and len(self._ready) > 1 and chance.random() < PERMUTED_SHARE:
            ready = list(self._ready)
            chance.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        super()._run_once()  # type: ignore[misc]

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As any loop, on the grid of whole microseconds: whoever waits sees the clock move.

        Else "wait until the rest of 1e-12 s is over" would be run at once, for ever.
        """
        ticks = math.ceil(round(when / TICK_S, 3))
        now_ticks = round(self._jumping.now_s / TICK_S)
        if when > self._jumping.now_s:
            ticks = max(ticks, now_ticks + 1)
        return super().call_at(ticks * TICK_S, callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As any loop; a delay too small to add to the clock still takes a tick."""
        delay = max(delay, TICK_S) if delay > 0 else delay
        return self.call_at(self.time() + delay, callback, *args, context=context)


def run_virtual(main: Coroutine[Any, Any, T], *, numbered: bool = False) -> T:
    """Run ``main`` to its end in virtual time; as `asyncio.run` otherwise.

    ``numbered``: with tasks that sort the same in every run, so that equal seeds give equal runs.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        if numbered:
            number_tasks(runner.get_loop())
        return runner.run(main)


def virtual_runtime(
    loop: asyncio.AbstractEventLoop, seed: int, *, drift_ppm: float = 0.0
) -> Runtime:
    """The engine's outside world in virtual time: equal seeds give equal runs.

    ``drift_ppm``: by how many millionths the process's clock runs faster than the loop's.
    """
    chance = random.Random(seed)
    rate = 1 + drift_ppm / 1e6

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / rate)

    return Runtime(
        monotonic=loop.time if rate == 1 else lambda: loop.time() * rate,
        sleep=asyncio.sleep if rate == 1 else sleep,
        uniform=chance.random,
        token=lambda: f"{chance.getrandbits(64):016x}",
        threads=False,
        rounding_s=0.0,
    )


class VirtualWall:
    """A wall clock in ms that follows a loop's time, and that a test may set forward or back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_ms: int = 1_800_000_000_000) -> None:
        self._time: Callable[[], float] = loop.time
        self.start_ms = start_ms
        self.offset_ms = 0
        self.rate = 1.0

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        return self.start_ms + self.offset_ms + round(self._time() * self.rate * 1000)

    def drift(self, ppm: float) -> None:
        """Let the clock run faster by so many millionths. At the start: later it would jump."""
        self.rate = 1 + ppm / 1e6

    def step(self, ms: int) -> None:
        """Set the clock forward, or back if negative, as an operator or a time server would."""
        self.offset_ms += ms
