"""How a suite opens the store under test, and the clock that the store must follow."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings

START_MS = int(datetime(2027, 1, 15, 10, tzinfo=UTC).timestamp() * 1000)


class WallClock:
    """The wall clock of one store under test; it stands still unless a test moves it.

    Every handle that is opened with one clock is a handle on one and the same store; another clock
    means another store, empty at first. ``name`` is unique, short and made of letters and digits:
    name a file, a key prefix or a database by it. ``shared`` is for the author's own use, such as
    the memory that all handles share. What is put on ``cleanup`` is closed when the test has ended
    and all handles are closed.
    """

    def __init__(self, follow: "Callable[[WallClock], Awaitable[None]]") -> None:
        self.ms = START_MS
        self.name = f"t{uuid4().hex[:12]}"
        self.shared: dict[str, Any] = {}
        self.cleanup = AsyncExitStack()
        self._follow = follow

    def __call__(self) -> int:
        """The wall clock in ms since the epoch: a clock can be handed in as a callable."""
        return self.ms

    async def set(self, ms: int) -> None:
        """Set the clock, forward or back, and wait until the store follows."""
        self.ms = ms
        await self._follow(self)

    async def advance(self, ms: int) -> None:
        """Move the clock by ``ms``; negative: back."""
        await self.set(self.ms + ms)


class StoreHarness:
    """What an author overrides: `open_store`, and `set_wall` where the clock is not in-process.

    Methods rather than fixtures, because a state machine cannot use fixtures of a function.
    """

    def open_store(
        self, clock: WallClock, settings: StoreSettings
    ) -> AbstractAsyncContextManager[Store]:
        """Open one handle. The store's wall clock must be ``clock.ms``, at every step.

        Called again with the same clock it opens a further handle on the same store, possibly in
        another thread and event loop.
        """
        raise NotImplementedError("override open_store: it opens the store under test")

    async def set_wall(self, clock: WallClock) -> None:
        """Make the store follow ``clock.ms``; called once before the first open, too.

        Nothing to do for a store that is handed ``clock`` itself and calls it.
        """

    async def give_format(self, clock: WallClock, number: int) -> bool:  # noqa: ARG002
        """Make this clock's store, which is open, one of an earlier format, as the version of then
        would have left it; whether this kind of store has ever had it.
        """
        return False


class StoreTests(StoreHarness):
    """The base of the groups of named tests: each test finds an open ``self.store``."""

    pytestmark = pytest.mark.asyncio

    store: Store
    clock: WallClock
    _stack: AsyncExitStack

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make each test of the class open a store first, in the test's own asyncio task."""
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(member):
                setattr(cls, name, _with_open_store(member))

    async def fresh(self, **settings: Any) -> None:
        """Go on with another, empty store, told these settings."""
        self.clock = WallClock(self.set_wall)
        self.settings = StoreSettings(**settings)
        await self._stack.enter_async_context(self.clock.cleanup)
        await self.set_wall(self.clock)
        self.store = await self.another_handle()

    async def another_handle(self) -> Store:
        """A further handle on the same store."""
        return await self._stack.enter_async_context(self.open_store(self.clock, self.settings))


def _with_open_store(
    test: Callable[[Any], Awaitable[None]],
) -> Callable[[Any], Awaitable[None]]:
    async def opened(self: Any) -> None:
        async with AsyncExitStack() as stack:
            self._stack = stack
            await self.fresh()
            await test(self)

    # Not `__wrapped__`: pytest would run the inner function.
    functools.update_wrapper(opened, test)
    del opened.__wrapped__  # type: ignore[attr-defined]
    return opened
