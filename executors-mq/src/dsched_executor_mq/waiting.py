"""Answers by correlation id, and waits that a lost connection ends."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

T = TypeVar("T")
REPEAT_CANCEL_S = 0.5


class ConnectionLostError(Exception):
    """The connection to a broker has gone while something was waited for."""


@attrs.frozen
class Answer:
    """What came back. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Replies:
    """The attempts that wait, by the answer that each waits for. An answer that none waits for is
    dropped: it is late, given twice, or was never asked for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._waiting)

    @contextmanager
    def expect(self, correlation_id: str) -> Iterator["asyncio.Future[Answer]"]:
        """The answer to come. Expect before sending: an answer may be quick."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = waiting
        try:
            yield waiting
        finally:
            self._waiting.pop(correlation_id, None)
            waiting.cancel()
            if not waiting.cancelled():
                waiting.exception()  # it was seen, or nobody needs it any more

    def deliver(self, correlation_id: str, answer: Answer) -> bool:
        """Hand an answer to the attempt that waits for it; whether one does."""
        waiting = self._waiting.pop(correlation_id, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(answer)
        return True

    def fail(self, correlation_id: str, error: Exception) -> None:
        """Tell the waiting attempt that its answer will not come."""
        waiting = self._waiting.pop(correlation_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def lose(self, why: str) -> None:
        """No answer can come any more."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if not one.done():
                one.set_exception(ConnectionLostError(why))


class Lost:
    """Whether a connection has gone, and why; ends the waits that depend on it."""

    def __init__(self) -> None:
        self._why: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def __bool__(self) -> bool:
        """Whether it has gone."""
        return self._why.done()

    def set(self, why: str) -> None:
        """It has gone; the first reason counts."""
        if not self._why.done():
            self._why.set_result(why)

    async def unless(self, step: Coroutine[Any, Any, T]) -> T:
        """What the step gives; raises `ConnectionLostError` if the connection goes first.

        The step runs as a task of its own, because clients cancel their waiters when they lose
        their connection, and that cancel must not be taken for one of the attempt.
        """
        task = asyncio.create_task(step, name="a step of a broker's client")
        try:
            await asyncio.wait((task, self._why), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionLostError(self._why.result())
            if task.cancelled():
                raise ConnectionLostError("the client gave the message up")
            return task.result()
        finally:
            await end(task)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is over; clients swallow a cancel that comes while they
    clean up after a timeout, so one may not be enough."""
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=REPEAT_CANCEL_S)
