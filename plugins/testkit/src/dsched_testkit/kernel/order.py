"""Tasks that sort the same in every run: sets of them are walked in the order of their birth."""

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, not its address.

    Asyncio keeps tasks in sets and cancels them in a set's order, which must not differ between
    runs of one seed.
    """

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **how: Any) -> None:
        self.number = number  # first: a task registers itself, by its hash, while it is made
        super().__init__(coro, **how)

    def __hash__(self) -> int:
        """The number."""
        return self.number


def number_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let every further task of the loop be a numbered one."""
    numbers = count(1)

    def make(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **how: Any
    ) -> NumberedTask:
        return NumberedTask(coro, number=next(numbers), loop=loop, **how)

    loop.set_task_factory(make)  # type: ignore[arg-type]
