"""The event loop that a pod runs on: uvloop, or the one of asyncio."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dsched.config.settings import EventLoop
from dsched.engine.worker.interrupts import is_of_a_signal

log = logging.getLogger("dsched.run")

T = TypeVar("T")


def run_on(event_loop: EventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, as `asyncio.run`. ``auto`` is uvloop where it is installed.

    An asyncio task of a user's function may raise past the loop, with `SystemExit` or
    `KeyboardInterrupt`. That ends neither the loop nor ``main``: whatever awaits the task gets it
    too.
    """
    factory = _uvloop() if event_loop == "auto" else None
    begun: list[asyncio.Task[Any]] = []
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(_told(main, begun))
        except (SystemExit, KeyboardInterrupt) as error:
            _raise_unless_foreign(error, begun)
        while True:
            try:
                outcome: T = runner.get_loop().run_until_complete(begun[0])
            except (SystemExit, KeyboardInterrupt) as error:
                _raise_unless_foreign(error, begun)
            else:
                return outcome


async def _told(main: Coroutine[Any, Any, T], begun: list[asyncio.Task[Any]]) -> T:
    """Run ``main``, and tell which task it is: a `Runner` does not."""
    task = asyncio.current_task()
    if task is not None:
        begun.append(task)
    return await main


def _raise_unless_foreign(error: BaseException, begun: list[asyncio.Task[Any]]) -> None:
    """Raise what the program itself ends with, or an operator's interrupt; log anything else."""
    if not begun or begun[0].done() or is_of_a_signal(error):
        raise error
    log.error(
        "an asyncio task of a function raised %s; the pod goes on",
        type(error).__name__,
        exc_info=error,
    )


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The factory of uvloop's loops; None where there is none, as on Windows and PyPy."""
    try:
        import uvloop  # not installed everywhere, and not wanted with `asyncio`
    except ImportError:
        log.info("uvloop is not installed: tasks run on the slower loop of asyncio")
        return None
    return uvloop.new_event_loop
