"""Other code in a task of its own, so that its errors cannot cover a cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` where its errors are caught and something else is done next.

    A caller that is cancelled ends as cancelled, once ``work`` has ended, whatever that raises: a
    clean-up may fail, and before Python 3.13 a task group that ends by an error forgets a
    cancellation that came while it waited for its children (python/cpython#116720).
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # read it, or asyncio logs that nobody did
        raise
    return task.result()
