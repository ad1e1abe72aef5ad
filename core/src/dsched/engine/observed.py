"""A store whose every step is timed and told to the observers."""

from collections.abc import Awaitable, Callable
from typing import Any

from dsched.contracts.observer import StoreCalled
from dsched.contracts.outcomes import FencedError, StoreUnavailableError
from dsched.contracts.store import Store
from dsched.engine.announcer import Announcer
from dsched.engine.runtime import Runtime

_UNTIMED = frozenset({"bell"})  # a wait, not work


def ObservedStore(  # noqa: N802 - a constructor to its callers
    store: Store, runtime: Runtime, announcer: Announcer
) -> Store:
    """``store`` with a timer around each step: same contract, same answers, same errors."""
    observed: Store = _OBSERVED(store, runtime, announcer)
    return observed


def _observed(step: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_s = self.runtime.monotonic()
        outcome = "ok"
        try:
            return await getattr(self.inner, step)(*args, **kwargs)
        except FencedError:
            outcome = "fenced"
            raise
        except StoreUnavailableError:
            outcome = "unavailable"
            raise
        finally:
            seconds = self.runtime.monotonic() - started_s
            self.announcer.tell(StoreCalled(step=step, seconds=seconds, outcome=outcome))

    call.__name__ = step
    return call


def _plain(step: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.inner, step)(*args, **kwargs)

    call.__name__ = step
    return call


def _init(self: Any, inner: Store, runtime: Runtime, announcer: Announcer) -> None:
    self.inner, self.runtime, self.announcer = inner, runtime, announcer


_OBSERVED: Any = type(
    "ObservedStore",
    (Store,),
    {
        "__init__": _init,
        "__doc__": "A store with a timer around each step.",
        **{
            step: _plain(step) if step in _UNTIMED else _observed(step)
            for step in Store.__abstractmethods__
        },
    },
)
