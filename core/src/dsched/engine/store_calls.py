"""Calls to the store: timed, and repeated unchanged until there is an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from dsched.contracts.store.outcomes import StoreReadOnlyError, StoreUnavailableError
from dsched.engine.runtime import Runtime

log = logging.getLogger("dsched.store")

T = TypeVar("T")

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
REMIND_EVERY_S = 60.0
CALL_TIMEOUT_S = 30.0
WAKEUP_SLACK_S = 1.0  # a wait for a wake-up that runs late by this much is given up


class Patience:
    """Growing, jittered waits between attempts, with one log line when trouble starts and ends."""

    def __init__(self, runtime: Runtime, what: str, *, longest_s: float = LONGEST_WAIT_S) -> None:
        self._runtime = runtime
        self._what = what
        self._longest_s = longest_s
        self._failures = 0
        self._said_s = 0.0

    async def wait(self, error: StoreUnavailableError) -> None:
        """Wait before the next attempt; says so the first time."""
        if not self._failures or self._runtime.monotonic() - self._said_s >= REMIND_EVERY_S:
            self._said_s = self._runtime.monotonic()
            refuses = isinstance(error, StoreReadOnlyError)
            trouble = "takes no writes" if refuses else "does not answer"
            log.warning("%s: the store %s (%s); still trying", self._what, trouble, error)
        ceiling = min(self._longest_s, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await self._runtime.sleep(self._runtime.jittered(ceiling))

    def answered(self) -> None:
        """The store answers (again)."""
        if self._failures:
            log.info("%s: the store answers again after %d attempts", self._what, self._failures)
        self._failures = 0
        self._said_s = 0.0


class answered_within:  # noqa: N801 - read as a word: async with answered_within(5)
    """A call that takes longer counts as not answered, though it may have happened.

    Stores have timeouts of their own; this one holds even where a store's does not.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        """Begin to count."""
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise `StoreUnavailableError` if the time is over, and for that alone."""
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise StoreUnavailableError(
                f"no answer within {self._seconds:g} s", maybe_applied=True
            ) from late


async def until_answered(runtime: Runtime, what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat one unchanged call until the store answers. Only for steps that may be repeated."""
    patience = Patience(runtime, what)
    while True:
        try:
            async with answered_within(CALL_TIMEOUT_S):
                answer = await call()
        except StoreUnavailableError as error:
            await patience.wait(error)
        else:
            patience.answered()
            return answer
