"""Whether the store answers, asked once a second at most, however many probes come."""

import asyncio
import time

from dsched.contracts import StoreError
from dsched.contracts.store import Store

FRESH_S = 1.0
PATIENCE_S = 2.0


class Readiness:
    """Remembers the last answer for a moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking = asyncio.Lock()
        self._until_s = 0.0
        self._answered = False

    async def store_answers(self) -> bool:
        """Whether it answered within two seconds, just now or a moment ago."""
        async with self._asking:
            if time.monotonic() >= self._until_s:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._store.now()
                    self._answered = True
                except (StoreError, TimeoutError):
                    self._answered = False
                self._until_s = time.monotonic() + FRESH_S
            return self._answered
