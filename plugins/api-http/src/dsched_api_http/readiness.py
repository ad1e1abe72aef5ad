"""Whether the store answers, asked once a second at most, however many probes come."""

import asyncio
import time

from dsched.contracts import StoreError, StoreReadOnlyError
from dsched.contracts.store import Store

FRESH_S = 1.0
PATIENCE_S = 2.0


class Readiness:
    """Remembers the last answer for a moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking = asyncio.Lock()
        self._until_s = 0.0
        self._trouble = ""

    async def trouble(self) -> str:
        """Why the store is of no use, or "": it answered within two seconds, now or a moment
        ago."""
        async with self._asking:
            if time.monotonic() >= self._until_s:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._store.now()
                    self._trouble = ""
                except StoreReadOnlyError as error:  # some refuse reads too
                    self._trouble = no_writes(error.reason)
                except (StoreError, TimeoutError):
                    self._trouble = "the store does not answer"
                self._until_s = time.monotonic() + FRESH_S
            return self._trouble


def no_writes(reason: str) -> str:
    """The answer to anyone: a word for why, and no address."""
    return f"the store takes no writes ({reason})"
