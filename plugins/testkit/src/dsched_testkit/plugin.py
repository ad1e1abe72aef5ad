"""The hooks of the testkit: the reference store under the name ``memory``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dsched.contracts import NoOptions, Store, StoreProvider, StoreSettings, hookimpl

_states: dict[str, object] = {}


@asynccontextmanager
async def open_memory(_options: NoOptions, settings: StoreSettings) -> AsyncIterator[Store]:
    """A handle on the one in-memory store of this process."""
    from dsched_testkit.memory import MemoryStore, State, new_state

    state = _states.setdefault("memory", new_state(settings=settings))
    assert isinstance(state, State)
    yield MemoryStore(state)


@hookimpl
def dsched_stores() -> list[StoreProvider]:
    """The reference store: lost with the process, shared by all its handles."""
    return [StoreProvider(name="memory", open=open_memory, options=NoOptions)]
