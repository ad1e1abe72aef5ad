"""The client for code that does not await: sync endpoints, scripts, functions in threads.

One event loop does the work, in a thread of its own; any number of threads may ask.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

from dsched.client import Client
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.contracts.store.working import CancelAnswer
from dsched.functions.submitting import Submittable, TaskFunction
from dsched.model import Task, TaskConfig, TaskSpec, Wait, Workflow, seconds_of

P = ParamSpec("P")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)

SLACK_S = 5.0  # what bounds a call in the loop ends it first; this holds if the loop itself hangs


class BlockingHandle(str, Generic[T_co]):
    """`TaskHandle` for code that does not await."""

    _client: "BlockingClient"

    def __new__(cls, task_id: str, client: "BlockingClient") -> "BlockingHandle[T_co]":
        """The handle of a task of this client."""
        made = super().__new__(cls, task_id)
        made._client = client
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Copied or sent elsewhere it is the id alone."""
        return str, (str(self),)

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self)

    def get(self) -> Task:
        """The task as it is now; `NotFoundError`."""
        return self._client.get(self.id)

    def wait(self, *, timeout: Wait | None = None) -> Task:
        """The task when it has ended, however it did; `TimeoutError`, `NotFoundError`."""
        return self._client.wait(self.id, timeout=timeout)

    def result(self, *, timeout: Wait | None = None) -> T_co:
        """What it returned; `TaskEndedBadlyError` if it failed, `TimeoutError`."""
        found: T_co = self._client.result(self.id, timeout=timeout)
        return found

    def cancel(self, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """Cancel it; `NotFoundError`."""
        return self._client.cancel(self.id, reason=reason)


class BlockingClient:
    """A client on a store whose calls block, each within its bound. Threads may share it.

    ``loop`` runs elsewhere; ``close`` ends what `dsched.connect_blocking` has started.
    """

    def __init__(
        self,
        client: Client,
        loop: asyncio.AbstractEventLoop,
        *,
        timeout: Wait,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._loop = loop
        self._timeout_s = seconds_of(timeout)
        self._close = close

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the store; the same again does nothing."""
        self._close()

    def start(
        self,
        function: Submittable[P, R] | TaskFunction[..., Any, P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> BlockingHandle[R]:
        """Run a decorated function on a worker: ``client.start(add, 2, 3)``; its handle.

        Options come with the function: ``client.start(add.options(delay="5m"), 2, 3)``.
        """
        options = getattr(function, "call_options", {})
        return self.submit(function.spec(*args, **kwargs), **options)

    def submit(
        self,
        spec: TaskSpec | Workflow | Mapping[str, Any],
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> BlockingHandle[Any]:
        """Create a task; see `submit` of the client."""
        made = self.ask(
            lambda one: one.submit(spec, task_id=task_id, delay=delay, at=at, params=params)
        )
        return BlockingHandle(made.id, self)

    def trigger(
        self,
        config_id: str,
        *,
        key: str | None = None,
        reason: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> BlockingHandle[Any]:
        """Run a config's task now; see `trigger` of the client."""
        made = self.ask(lambda one: one.trigger(config_id, key=key, reason=reason, params=params))
        return BlockingHandle(made.id, self)

    def retry(
        self, task_id: str, *, key: str | None = None, reason: str = "", failed: bool = False
    ) -> BlockingHandle[Any]:
        """Run an ended task once more; see `retry` of the client."""
        made = self.ask(lambda one: one.retry(task_id, key=key, reason=reason, failed=failed))
        return BlockingHandle(made.id, self)

    def get(self, task_id: str, *, full: bool = True) -> Task:
        """The task as it is now; `NotFoundError`."""
        return self.ask(lambda one: one.get(task_id, full=full))

    def wait(self, task_id: str, *, timeout: Wait | None = None) -> Task:
        """The task when it has ended; `TimeoutError`, `NotFoundError`."""
        return self._for(timeout, lambda one: one.wait(task_id, timeout=timeout))

    def result(self, task_id: str, *, timeout: Wait | None = None) -> Any:
        """What it returned; `TaskEndedBadlyError`, `TimeoutError`, `NotFoundError`."""
        return self._for(timeout, lambda one: one.result(task_id, timeout=timeout))

    def cancel(self, task_id: str, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """Cancel it; `NotFoundError`."""
        return self.ask(lambda one: one.cancel(task_id, reason=reason))

    def put_config(
        self,
        config: TaskConfig | Mapping[str, Any],
        *,
        adopt: bool = False,
        origin: str | None = None,
        revision: int | None = None,
    ) -> StoredConfig:
        """Create or change a config; see `put_config` of the client."""
        return self.ask(
            lambda one: one.put_config(config, adopt=adopt, origin=origin, revision=revision)
        )

    def ask(self, call: Callable[[Client], Awaitable[R]]) -> R:
        """Any other call: ``client.ask(lambda client: client.pause_config("a", why="..."))``.

        `StoreUnavailableError` if it has no answer within the client's timeout.
        """
        return self._for(self._timeout_s * 2 + SLACK_S, call)

    def _for(self, timeout: Wait | None, call: Callable[[Client], Awaitable[R]]) -> R:
        """The answer of a call that bounds itself; the loop's own silence is bounded here."""
        if _runs_here(self._loop):
            raise RuntimeError(
                "a blocking client was asked in its own event loop, which would wait for itself; "
                "await the client of dsched.pod or dsched.connect there"
            )
        limit_s = None if timeout is None else seconds_of(timeout) + self._timeout_s + SLACK_S
        future = asyncio.run_coroutine_threadsafe(_awaited(call(self._client)), self._loop)
        try:
            return future.result(limit_s)
        except FutureTimeoutError:
            if future.done():
                raise
            raise StoreUnavailableError(
                f"no answer within {limit_s:g} s", maybe_applied=True
            ) from None
        finally:
            future.cancel()  # nothing, unless somebody stopped waiting


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _awaited(call: Awaitable[R]) -> R:
    return await call
