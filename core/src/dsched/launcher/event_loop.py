"""The event loop that a pod runs on: uvloop, or the one of asyncio."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dsched.config.settings import EventLoop

log = logging.getLogger("dsched.run")

T = TypeVar("T")


def run_on(event_loop: EventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end, as `asyncio.run`. ``auto`` is uvloop where it is installed."""
    factory = _uvloop() if event_loop == "auto" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes a loop of uvloop; None where there is none, as on Windows and PyPy."""
    try:
        import uvloop  # not everywhere, and not for who asks for asyncio
    except ImportError:
        log.info("uvloop is not installed: tasks run on the slower loop of asyncio")
        return None
    return uvloop.new_event_loop
