"""How often the leader's slower loops ask: every second while anything happens, else now and
then."""

import asyncio
from collections.abc import Awaitable, Callable

from dsched.engine.runtime import Runtime

ACTIVE_EVERY_S = 1.0
IDLE_EVERY_S = 5.0
IDLE_AFTER_S = 5.0


class Activity:
    """Shared by loops that have something to do only while tasks come, run and end.

    A store must not be asked every second what it has already answered about an idle cluster.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._active_s = runtime.monotonic()
        self._noted = asyncio.Event()

    def note(self) -> None:
        """Something happens: ask every second from now on."""
        self._active_s = self._runtime.monotonic()
        self._noted.set()

    def noting(self, tick: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[None]]:
        """A tick that notes activity when it found something."""

        async def noted() -> None:
            if await tick():
                self.note()

        return noted

    async def pause(
        self, active_every_s: float = ACTIVE_EVERY_S, idle_every_s: float = IDLE_EVERY_S
    ) -> None:
        """Wait until it is time to ask again, which is at once when an idle cluster turns
        active."""
        idle_s = self._runtime.monotonic() - self._active_s
        if idle_s < IDLE_AFTER_S:
            await self._runtime.sleep(active_every_s)
            return
        self._noted.clear()
        try:
            async with asyncio.timeout(idle_every_s):
                await self._noted.wait()
        except TimeoutError:
            return
