"""Which client a function is submitted through where none is named."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from dsched.errors import NoClientError
from dsched.functions.handles import Submits, TaskHandle
from dsched.model import TaskSpec, Wait

if TYPE_CHECKING:
    from dsched.contracts.store.working import CancelAnswer
    from dsched.model import Task

T = TypeVar("T")

REMEDY = (
    "call it inside `async with dsched.pod(...)`, `async with dsched.connect(...)` or a running "
    "task, or name a client: function.options(client=client).submit(...)"
)


class _Held:
    """A client that is open in an event loop, and the one that was at hand before it."""

    def __init__(self, client: Submits, outer: "_Held | None") -> None:
        self.client = client
        self.loop = asyncio.get_running_loop()
        self.outer = outer
        self.open = True


_OF_CONTEXT: ContextVar["_Held | None"] = ContextVar("dsched client", default=None)
_OPEN: list[_Held] = []


@contextmanager
def at_hand(client: Submits, *, everywhere: bool = True) -> Iterator[None]:
    """Within the block ``client`` is at hand for what runs in this context.

    Unless it is not to be ``everywhere``, also for other tasks of this event loop, such as the
    requests of a web server, as long as it is the only one.
    """
    held = _Held(client, _OF_CONTEXT.get())
    _OF_CONTEXT.set(held)
    if everywhere:
        _OPEN.append(held)
    try:
        yield
    finally:
        # No token: a block may be left in another context than it was entered in.
        held.open = False
        if everywhere:
            _OPEN.remove(held)
        if _OF_CONTEXT.get() is held:
            _OF_CONTEXT.set(held.outer)


def client_at_hand() -> Submits:
    """The client of the running context, else the only one of this loop; `NoClientError`."""
    held = _OF_CONTEXT.get()
    while held is not None and not held.open:
        held = held.outer
    loop = asyncio.get_running_loop()
    if held is None:
        of_loop = [one for one in _OPEN if one.loop is loop]
        if not of_loop:
            raise NoClientError(f"there is no dsched client at hand here; {REMEDY}")
        if len(of_loop) > 1:
            raise NoClientError(
                f"{len(of_loop)} dsched clients are open in this event loop, and none was opened "
                f"in this context; {REMEDY}"
            )
        (held,) = of_loop
    return held.client if held.loop is loop else OfAnotherLoop(held.client, held.loop)


class OfAnotherLoop:
    """A client that belongs to another event loop, which does the work."""

    def __init__(self, client: Submits, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    async def submit(
        self,
        spec: TaskSpec,
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
    ) -> TaskHandle[Any]:
        """Create a task; its handle belongs to this loop."""
        made = await self._there(self._client.submit(spec, task_id=task_id, delay=delay, at=at))
        return TaskHandle(made.id, self)

    async def get(self, task_id: str) -> "Task":
        """The task as it is now."""
        return await self._there(self._client.get(task_id))

    async def wait(self, task_id: str, *, timeout: Wait | None = None) -> "Task":
        """The task when it has ended."""
        return await self._there(self._client.wait(task_id, timeout=timeout))

    async def result(self, task_id: str, *, timeout: Wait | None = None) -> Any:
        """What it returned."""
        return await self._there(self._client.result(task_id, timeout=timeout))

    async def cancel(
        self, task_id: str, *, reason: str = "cancelled by a client"
    ) -> "CancelAnswer":
        """Cancel it."""
        return await self._there(self._client.cancel(task_id, reason=reason))

    async def _there(self, call: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))
