"""Calls to the store: timed, and repeated unchanged until there is an answer."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dsched.contracts.outcomes import StoreUnavailableError
from dsched.engine.runtime import Runtime

log = logging.getLogger("dsched.store")

T = TypeVar("T")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


class Patience:
    """Growing, jittered waits between attempts, with one log line when trouble starts and ends."""

    def __init__(self, runtime: Runtime, what: str) -> None:
        self._runtime = runtime
        self._what = what
        self._failures = 0

    async def wait(self, error: StoreUnavailableError) -> None:
        """Wait before the next attempt; says so the first time."""
        if not self._failures:
            log.warning("%s: the store does not answer (%s); trying on", self._what, error)
        ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await self._runtime.sleep(self._runtime.jittered(ceiling))

    def answered(self) -> None:
        """The store answers (again)."""
        if self._failures:
            log.info("%s: the store answers again after %d attempts", self._what, self._failures)
        self._failures = 0


async def until_answered(runtime: Runtime, what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat one unchanged call until the store answers. Only for steps that may be repeated."""
    patience = Patience(runtime, what)
    while True:
        try:
            answer = await call()
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return answer
