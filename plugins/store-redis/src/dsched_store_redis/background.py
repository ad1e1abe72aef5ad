"""Loops that a handle runs beside its calls: they end with it, and go on after a failure."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

log = logging.getLogger("dsched.store.redis")

_AGAIN_S = 1.0

Loop = Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(**loops: Loop) -> AsyncIterator[None]:
    """Run loops by name until the block ends.

    Tasks of their own and no group: a handle may be opened in one task and closed in another.
    """
    tasks = [asyncio.create_task(_keep(name, loop), name=name) for name, loop in loops.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(name: str, loop: Loop) -> None:
    while True:
        try:
            await loop()
        except Exception:
            log.exception("%s failed; it goes on", name)
        await asyncio.sleep(_AGAIN_S)
