"""The reference store passes the contract suite that every store must pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_testkit.memory import MemoryStore, new_state
from dsched_testkit.suites.store import StoreContract, WallClock


class TestMemoryStore(StoreContract):
    """Every named test, on the reference."""

    @asynccontextmanager
    async def open_store(self, clock: WallClock, settings: StoreSettings) -> AsyncIterator[Store]:
        """All handles of one clock share one state."""
        state = clock.shared.setdefault("state", new_state(clock, settings))
        yield MemoryStore(state)

    async def give_format(self, clock: WallClock, number: int) -> bool:
        """A number, and nothing else."""
        clock.shared["state"].format = number
        return True
