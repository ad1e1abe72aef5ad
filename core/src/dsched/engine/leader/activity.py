"""How often the leader's slower loops look: every second while anything happens, else now and then."""

import asyncio

from dsched.engine.runtime import Runtime

BUSY_EVERY_S = 1.0
CALM_EVERY_S = 5.0
CALM_AFTER_S = 5.0


class Pace:
    """Shared by loops that have something to do only while tasks come, run and end.

    An idle cluster must not be asked every second what it has already answered.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._busy_s = runtime.monotonic()
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        """Something happens: look every second from now on."""
        self._busy_s = self._runtime.monotonic()
        self._stirred.set()

    async def pause(
        self, busy_every_s: float = BUSY_EVERY_S, calm_every_s: float = CALM_EVERY_S
    ) -> None:
        """Until the next look, which is at once when a calm ends."""
        calm_s = self._runtime.monotonic() - self._busy_s
        if calm_s < CALM_AFTER_S:
            await self._runtime.sleep(busy_every_s)
            return
        self._stirred.clear()
        try:
            async with asyncio.timeout(calm_every_s):
                await self._stirred.wait()
        except TimeoutError:
            return
