"""A bounded pool of threads of our own, for functions that block."""

import asyncio
import contextvars
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeAlias

import attrs

from dsched_executor_local.context import AttemptContext

JOIN_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


@attrs.frozen
class Ended:
    """How a call in a thread ended; exactly one of the two fields counts.

    An outcome rather than a raised exception: futures cannot carry `StopIteration`, and
    `SystemExit` would travel into the loop.
    """

    value: Any = None
    error: BaseException | None = None


_Job: TypeAlias = "tuple[Future[Ended], Callable[[], Any]]"


class ThreadPool:
    """At most ``size`` daemon threads, started on demand, each running one call at a time.

    Daemon threads: a function that never returns must not keep the process from ending. Those of
    `concurrent.futures` are joined at exit for ever.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # calls no thread has taken yet
        self._free = 0  # threads running no call
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def run(self, call: Callable[[], Any], context: AttemptContext) -> Ended:
        """Run ``call`` in a thread and say how it ended.

        Cancelled while the call still waits for a thread, it ends at once. Cancelled while the
        call runs, the context says so and this ends, with CancelledError, only when the
        thread has returned, however long that takes: a thread cannot be stopped from outside,
        and its slot must not be given away.
        """
        future = self._submit(call)
        waiter = asyncio.wrap_future(future)
        cancelled: asyncio.CancelledError | None = None
        while not waiter.done():
            try:
                await asyncio.wait([waiter])
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
                if future.cancel():
                    raise
        ended = waiter.result()
        if cancelled is not None:
            if ended.error is not None:
                context.logger.warning(
                    "the function raised after it was cancelled", exc_info=ended.error
                )
            raise cancelled
        return ended

    async def close(self) -> None:
        """Let idle threads end and wait for them; a thread still busy is named in a warning."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        end = time.monotonic() + JOIN_TIMEOUT_S
        pause_s = 0.001
        while any(t.is_alive() for t in self._threads) and time.monotonic() < end:
            await asyncio.sleep(pause_s)
            pause_s = min(0.05, pause_s * 2)
        stuck = [t.name for t in self._threads if t.is_alive()]
        if stuck:
            log.warning("closing while functions still run in %s; they are left", ", ".join(stuck))

    def _submit(self, call: Callable[[], Any]) -> "Future[Ended]":
        if self._closed:
            raise RuntimeError("the thread pool is closed; run nothing after closing the executor")
        future: Future[Ended] = Future()
        # The caller's context variables (log bindings, tracing) hold inside the thread too.
        variables = contextvars.copy_context()
        with self._lock:
            self._jobs.put((future, lambda: variables.run(call)))
            self._waiting += 1
            if self._waiting > self._free and len(self._threads) < self._size:
                self._start_thread()
        return future

    def _start_thread(self) -> None:
        name = f"dsched-local-{next(_numbers)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._free += 1
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._waiting -= 1
                self._free -= 1
            future, call = job
            ended = _end_of(call) if future.set_running_or_notify_cancel() else None
            # Free before its caller knows: the caller's next call then takes this thread, not a
            # new one.
            with self._lock:
                self._free += 1
            if ended is not None:
                future.set_result(ended)
            del job, future, call, ended  # hold no argument or result while idle


def _end_of(call: Callable[[], Any]) -> Ended:
    try:
        return Ended(value=call())
    except BaseException as error:  # noqa: BLE001 - it becomes the attempt's outcome
        return Ended(error=error)
