"""How the loop that polls tells the loop that advances runs that one has news."""

import asyncio


class RunNews:
    """Set by whoever sees that a run has news, awaited by whoever decides about it."""

    def __init__(self) -> None:
        self._due = asyncio.Event()

    def seen(self, in_ms: int | None) -> None:
        """A poll says in how many ms a run has news (None: none has)."""
        if in_ms == 0:
            self._due.set()

    @property
    def due(self) -> bool:
        """Whether there is something to decide."""
        return self._due.is_set()

    def taken(self) -> None:
        """It is being decided about: what is seen from now on comes later."""
        self._due.clear()

    async def wait(self) -> None:
        """Wait until there is news."""
        await self._due.wait()
