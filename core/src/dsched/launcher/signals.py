"""How `dsched-run` is told to stop: by signals, by the time given, or by the end of its parent."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Protocol, Self

from dsched.launcher.worker_processes import parent_gone

log = logging.getLogger("dsched.run")

FAILED = 1  # the exit code of a part that failed for good, and of leaving at once


class Stoppable(Protocol):
    """What runs until it is told to stop."""

    def stop(self) -> None:
        """Leave in order."""

    def hurry(self) -> None:
        """Leave without waiting for what still runs."""


class Signals:
    """SIGTERM, SIGINT and SIGHUP: the first stops cleanly, the second skips the wait, the third
    exits.

    A terminal that is closed sends SIGHUP: what runs then ends as cleanly as with SIGTERM. SIGHUP
    does not read the settings again, since a pod is replaced rather than changed."""

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._parent = parent_gone()
        self._stopping = False
        self._hurried = False
        self._run_for_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._parts: tuple[Stoppable, ...] = ()
        self._main: asyncio.Task[object] | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def stop_after(self, seconds: float) -> None:
        """Stop by itself after this time from the start's completion; or from now if the start is
        not complete by then."""
        self._run_for_s = seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_over)

    def _time_is_over(self) -> None:
        log.info("the time given with --for is over (a signal ends the wait for running tasks)")
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        if self._parts:
            for part in self._parts:
                part.stop()
        elif self._main is not None:
            self._main.cancel()

    def follow(self, *parts: Stoppable) -> None:
        """From now on signals stop these; before, a signal just ends the start-up."""
        self._parts = parts
        if self._stopping:
            self._stop()
        elif self._timer is not None:
            self._timer.cancel()
            self.stop_after(self._run_for_s)

    def __enter__(self) -> Self:
        self._main = asyncio.current_task()
        self._each(lambda loop, number: loop.add_signal_handler(number, self._received, number))
        if self._parent is not None:
            asyncio.get_running_loop().add_reader(self._parent, self._orphaned, self._parent)
        return self

    def _orphaned(self, parent: int) -> None:
        """The pod that this worker process belongs to is gone: leave as on SIGTERM."""
        asyncio.get_running_loop().remove_reader(parent)
        log.warning("the pod of this worker process is gone; leaving")
        if not self._stopping:
            self._stop()

    def __exit__(self, *_: object) -> None:
        if self._parent is not None:
            asyncio.get_running_loop().remove_reader(self._parent)
        self._each(lambda loop, number: loop.remove_signal_handler(number))

    @staticmethod
    def _each(act: Callable[[asyncio.AbstractEventLoop, signal.Signals], object]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A pod that was started under nohup must outlive the terminal.
            if signal.getsignal(number) is not signal.SIG_IGN:
                act(loop, number)

    def _received(self, number: signal.Signals) -> None:
        if not self._parts:
            log.info("%s: stopping before the start is complete", number.name)
            self._stop()
        elif not self._stopping:
            log.info(
                "%s: no new tasks; waiting up to %g s for running ones (again to stop them now)",
                number.name,
                self._drain_s,
            )
            self._stop()
        elif not self._hurried:
            self._hurried = True
            log.info("%s again: stopping what runs, to be run elsewhere", number.name)
            for part in self._parts:
                part.hurry()
        else:
            log.error("%s once more: leaving at once", number.name)
            os._exit(FAILED)
