"""How long a request waits for a store that is silent: a few seconds, however often it asks.

A request that is at work may take its time. Only silence is bounded: it begins with a call of the
store, lasts through its repeats and the pauses between them, and ends with any answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from dsched.contracts import StoreReadOnlyError, StoreUnavailableError
from dsched.contracts.store import Store

PATIENCE_S = 5.0


class SilentStoreError(Exception):
    """The store has said nothing for as long as a request waits for it, or has refused to write."""

    def __init__(self, refusal: StoreReadOnlyError | None = None) -> None:
        super().__init__()
        self.refusal = refusal


class Patience:
    """Around the work of a request: raises `SilentStoreError` in it once the store is silent.

    ``calls`` is how many calls of the store the request has made.
    """

    def __init__(self, seconds: float = PATIENCE_S) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._asked = 0
        self._refusal: StoreReadOnlyError | None = None
        self._over = False
        self.calls = 0

    async def __aenter__(self) -> Self:
        """Begin; nothing is counted before the store is asked."""
        await self._limit.__aenter__()
        self._token = _CURRENT.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise `SilentStoreError` where the silence has ended the work, and nowhere else."""
        self._over = True
        _CURRENT.reset(self._token)
        expired = self._limit.expired()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            if not expired:
                raise
            raise SilentStoreError(self._refusal) from late

    def end(self) -> None:
        """Stop counting: what follows, such as a stream, bounds its time itself."""
        self._over = True
        if not self._limit.expired():
            self._limit.reschedule(None)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A call of the store: silence begins with it, and ends with its answer."""
        self._asked += 1
        if self._limit.when() is None:
            self._move()
        try:
            yield
        except (StoreUnavailableError, asyncio.CancelledError) as error:
            self._asked -= 1
            if isinstance(error, StoreReadOnlyError):
                self._refusal = error  # the step is repeated; told to the request if that fails too
            raise
        except BaseException:
            self._answered()
            raise
        else:
            self._answered()

    def _answered(self) -> None:
        self._asked -= 1
        self._refusal = None
        self._move()

    def _move(self) -> None:
        """Restart the time while a call is under way, else stop it."""
        if not self._over and not self._limit.expired():
            now_s = asyncio.get_running_loop().time()
            self._limit.reschedule(now_s + self._seconds if self._asked else None)


_CURRENT: ContextVar[Patience | None] = ContextVar("patience", default=None)


def end_of_patience() -> None:
    """From now on this request waits for the store as long as it likes."""
    current = _CURRENT.get()
    if current is not None:
        current.end()


@contextmanager
def heeded_wait() -> Iterator[None]:
    """Around a wait for a call of the store that somebody else makes: its silence counts, too."""
    current = _CURRENT.get()
    if current is None:
        yield
        return
    with current.asking():
        yield


def HeededStore(store: Store) -> Store:  # noqa: N802 - a constructor to its callers
    """``store``, each of whose calls the `Patience` of its request hears of."""
    heeded: Store = _HEEDED(store)
    return heeded


def _heeded(step: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        patience = _CURRENT.get()
        if patience is None:
            return await getattr(self.inner, step)(*args, **kwargs)
        patience.calls += 1
        with patience.asking():
            return await getattr(self.inner, step)(*args, **kwargs)

    call.__name__ = step
    return call


def _init(self: Any, inner: Store) -> None:
    self.inner = inner


_HEEDED: Any = type(
    "HeededStore",
    (Store,),
    {"__init__": _init, **{step: _heeded(step) for step in Store.__abstractmethods__}},
)
