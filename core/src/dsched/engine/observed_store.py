"""A store whose every step is timed, checked, and told to the observers."""

from collections.abc import Awaitable, Callable
from typing import Any

from dsched.contracts.observer import StoreCalled
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import (
    FencedError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from dsched.contracts.store.working import Claimed
from dsched.engine.assertions import Assertions
from dsched.engine.observers import Announcer
from dsched.engine.runtime import Runtime
from dsched.engine.write_watch import WriteWatch

_UNTIMED = frozenset({"wakeup", "poll_when_woken"})  # waits, not work
# Steps whose answers tell the store's time, or which claim they answer.
_LOOKED_AT = frozenset({"now", "due", "ready", "overdue", "counts", "claim"})


class Answering:
    """Whether the store answers, as far as a pod knows from what it asked last."""

    def __init__(self) -> None:
        self.answers = True

    def note(self, error: StoreError | None = None) -> None:
        """A call was answered, or was not: one that takes no writes answers all the same."""
        silent = isinstance(error, StoreUnavailableError)
        self.answers = not silent or isinstance(error, StoreReadOnlyError)


def ObservedStore(  # noqa: N802 - a constructor to its callers
    store: Store,
    runtime: Runtime,
    *,
    announcer: Announcer,
    assertions: Assertions,
    writes: WriteWatch,
    answering: Answering,
) -> Store:
    """``store`` with a timer around each step: same contract, same answers, same errors."""
    observed: Store = _OBSERVED(
        store,
        runtime,
        announcer=announcer,
        assertions=assertions,
        writes=writes,
        answering=answering,
    )
    return observed


def _observed(step: str) -> Callable[..., Awaitable[Any]]:
    look = step in _LOOKED_AT

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_s = self.runtime.monotonic()
        outcome, known_ms = "ok", self.assertions.latest_ms
        try:
            answer = await getattr(self.inner, step)(*args, **kwargs)
            if look:
                self.assertions.answered(step, known_ms, args, answer)
            self.answering.note()
            return answer
        except FencedError:
            outcome = "fenced"
            raise
        except StoreReadOnlyError as error:
            outcome = "read_only"
            self.writes.refused(error)
            self.answering.note(error)
            raise
        except StoreUnavailableError as error:
            outcome = "unavailable"
            self.answering.note(error)
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


async def _claim_when_woken(self: Any, *args: Any) -> tuple[bool, Claimed]:
    known_ms = self.assertions.latest_ms
    woken, answer = await self.inner.claim_when_woken(*args)
    self.assertions.answered("claim", known_ms, args, answer)
    return woken, answer


def _init(
    self: Any,
    inner: Store,
    runtime: Runtime,
    *,
    announcer: Announcer,
    assertions: Assertions,
    writes: WriteWatch,
    answering: Answering,
) -> None:
    self.inner, self.runtime, self.announcer = inner, runtime, announcer
    self.assertions, self.writes, self.answering = assertions, writes, answering


_OBSERVED: Any = type(
    "ObservedStore",
    (Store,),
    {
        "__init__": _init,
        "__doc__": "A store with a timer around each step, its answers looked at.",
        **{
            step: _plain(step) if step in _UNTIMED else _observed(step)
            for step in (*Store.__abstractmethods__, *_UNTIMED)
        },
        "claim_when_woken": _claim_when_woken,
    },
)
