"""How long the machine itself held this process up, so that bounds can allow for it."""

import asyncio
import time

import attrs

_TICK_S = 0.05
_LEAST_S = 0.05


@attrs.define
class Stalls:
    """Measured by a loop that wants to wake every 50 ms: by how much later it did."""

    total_s: float = 0.0
    worst_s: float = 0.0

    async def measure(self) -> None:
        """Until cancelled."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(_TICK_S)
            late_s = time.monotonic() - before_s - _TICK_S
            if late_s > _LEAST_S:
                self.total_s += late_s
                self.worst_s = max(self.worst_s, late_s)
