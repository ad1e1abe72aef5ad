"""Wake-ups between handles of one in-memory store, across event loops and threads."""

import asyncio
import threading
from collections import defaultdict


class Wakeups:
    """Waiters by name. A wake-up wakes one waiter, or is remembered once for the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken: set[str] = set()
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)

    def wake(self, who: str) -> None:
        """Send a wake-up; never blocks, may be called from any thread."""
        with self._lock:
            waiting = self._waiting.pop(who, [])
            if not waiting:
                self._woken.add(who)
                return
            first, *others = waiting
            if others:
                self._waiting[who] = others
        _wake(first)

    def forget(self) -> None:
        """Lose the wake-ups that nobody has heard yet: each is only a hint."""
        with self._lock:
            self._woken.clear()

    async def wait(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up, at most ``timeout_s``; whether it came."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if who in self._woken:
                self._woken.discard(who)
                return True
            future: asyncio.Future[None] = loop.create_future()
            self._waiting[who].append(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            with self._lock:
                if future in self._waiting.get(who, []):
                    self._waiting[who].remove(future)
        return True


def _wake(future: asyncio.Future[None]) -> None:
    loop = future.get_loop()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    if loop.is_closed():
        return
    if _running_loop() is loop:
        wake()
    else:
        loop.call_soon_threadsafe(wake)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
