"""Repeats a call of the store that got no answer; every step may be repeated unchanged."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dsched.contracts import StoreUnavailableError

T = TypeVar("T")

TRIES = 6
FIRST_WAIT_S = 0.1


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer; `StoreUnavailableError` after some seconds without one."""
    wait_s = FIRST_WAIT_S
    for _ in range(TRIES - 1):
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(wait_s)
            wait_s *= 2
    return await call()
