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
    """Clock, sleep and randomness. The only place where the engine gets them from.

    ``monotonic`` is in seconds and may be called from any thread; ``token`` gives a new unique
    text; ``threads`` says whether the heartbeat gets a thread of its own (not in simulation).
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[], float] = random.random
    token: Callable[[], str] = _token
    threads: bool = True

    def jittered(self, seconds: float) -> float:
        """Between half and all of ``seconds``, so that pods do not march in step."""
        return seconds * (0.5 + 0.5 * self.uniform())
