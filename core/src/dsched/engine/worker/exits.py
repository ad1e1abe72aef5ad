"""An asyncio task that a function started may not end the program by leaving the interpreter.

asyncio lets `SystemExit` and `KeyboardInterrupt` of any task out of the running loop. In a program
that embeds a pod that loop is the host's own.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from dsched.contracts.executor import TaskFailed
from dsched.engine.worker.interrupts import is_of_a_signal

_IN_AN_ATTEMPT: ContextVar[bool] = ContextVar("dsched_in_an_attempt", default=False)
# How many blocks keep exits in, by loop: pods of one program begin and end in any order.
_users: "WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = WeakKeyDictionary()


def mark_attempt() -> None:
    """Let every asyncio task that is started from here on count as a function's own."""
    _IN_AN_ATTEMPT.set(True)


@contextmanager
def exits_kept_in(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Until the block ends, tasks of functions end by `TaskFailed` where they would end the loop.

    A task factory of the program's own goes on making the tasks.
    """
    users = _users.get(loop, 0)
    if users == 0:
        loop.set_task_factory(_Factory(loop.get_task_factory()))
    _users[loop] = users + 1
    try:
        yield
    finally:
        _users[loop] -= 1
        ours = loop.get_task_factory()
        # A factory that was set meanwhile is the program's; it may call ours, which does no harm
        # then.
        if _users[loop] == 0 and isinstance(ours, _Factory):
            loop.set_task_factory(ours.inner)


class _Factory:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any
    ) -> "asyncio.Future[Any]":
        context = more.get("context")
        inside = _IN_AN_ATTEMPT.get() if context is None else context.get(_IN_AN_ATTEMPT, False)
        kept = _Kept(coro) if inside else coro
        if self.inner is not None:
            made: asyncio.Future[Any] = self.inner(loop, kept, **more)
            return made
        return asyncio.Task(kept, loop=loop, **more)


class _Kept(Coroutine[Any, Any, Any]):
    """A coroutine that does not leave the loop. It is no wrapper coroutine: cancelled before its
    first step, that would never run the inner one to an end."""

    def __init__(self, coro: Any) -> None:
        self._coro = coro

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            if is_of_a_signal(error):
                raise  # the operator's
            raise _instead_of(error) from error

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
    ) -> Any:
        del trace  # the exception has it
        error = kind if isinstance(kind, BaseException) else value or kind()
        try:
            return self._coro.throw(error)
        except (SystemExit, KeyboardInterrupt) as raised:
            if is_of_a_signal(raised):
                raise
            raise _instead_of(raised) from raised

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Any:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)  # its name and frames, as debuggers ask for them


def _instead_of(error: BaseException) -> TaskFailed:
    name = type(error).__name__
    code = f"({error.code!r})" if isinstance(error, SystemExit) else ""
    return TaskFailed(
        f"an asyncio task of the function raised {name}{code}; raise an exception instead",
        code=name,
    )
