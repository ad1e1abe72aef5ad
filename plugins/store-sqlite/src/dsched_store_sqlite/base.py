"""What every group of steps uses: a handle, and the way from its event loop to the writer."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.hub import Hub
from dsched_store_sqlite.step import Step
from dsched_store_sqlite.writer import Job

T = TypeVar("T")

# Waiting for the file (5 s), and for a slow disk; after that it is unknown whether the step ran.
ANSWER_S = 30.0


class OnSqlite:
    """A handle on a hub. Belongs to one event loop."""

    def __init__(self, hub: Hub, settings: StoreSettings, wall: Callable[[], int]) -> None:
        self._hub = hub
        self._settings = settings
        self._wall = wall

    async def run_step(self, run: Callable[[Step], T]) -> T:
        """One atomic step, for parts of this plugin that are no group of steps."""
        return await self._step(run)

    async def _step(self, run: Callable[[Step], T]) -> T:
        """Run one atomic step in the writer's thread."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = Job(run=run, wall=self._wall, settings=self._settings, answer=answer)
        self._hub.writer.submit(job)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise StoreUnavailableError(
                f"{self._hub.file} did not answer within {ANSWER_S:g} s: is its disk healthy?",
                maybe_applied=True,
            ) from None
