"""The outside world as the engine sees it: clock, sleep, chance. Simulation hands in its own."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable

import attrs


def _token() -> str:
    return secrets.token_hex(8)


@attrs.frozen(kw_only=True)
class Runtime:
    """Clock, sleep and randomness. The engine gets them from nowhere else.

    ``monotonic`` is in seconds and may be called from any thread; ``token`` gives a new unique
    text; ``threads`` says whether the heartbeat gets a thread of its own (not in simulation).
    ``rounding_s``: by how much a sleep may end late because the loop counts in milliseconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[], float] = random.random
    token: Callable[[], str] = _token
    threads: bool = True
    rounding_s: float = 0.001

    async def sleep_until(self, at_s: float) -> None:
        """Sleep until ``monotonic`` has come to ``at_s``, and no millisecond longer. The loop's
        timers round, so the last bit is waited out in turns of the loop: not for idle waiting."""
        while (left_s := at_s - self.monotonic()) > 0:
            await self.sleep(max(0.0, left_s - self.rounding_s))

    def jittered(self, seconds: float) -> float:
        """Between half and all of ``seconds``, so that pods do not march in step."""
        return seconds * (0.5 + 0.5 * self.uniform())
