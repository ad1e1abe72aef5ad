"""The machine finds nothing against a second copy of the reference."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_testkit.memory import MemoryStore, new_state
from dsched_testkit.suites.machine import StoreMachine
from dsched_testkit.suites.store import WallClock


class TestMemoryMachine(StoreMachine):
    """Reference against reference: the machine itself raises no false alarm."""

    @asynccontextmanager
    async def open_store(self, clock: WallClock, settings: StoreSettings) -> AsyncIterator[Store]:
        """All handles of one clock share one state."""
        state = clock.shared.setdefault("state", new_state(clock, settings))
        yield MemoryStore(state)
