"""`dsched.run`: a program of your own that carries a pod, with signals and drain."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from dsched.config import LoadedSettings
from dsched.embedding import ConfigSource, EmbeddedPod, StartStoppedError, load, running_pod
from dsched.launcher.event_loop import run_on
from dsched.launcher.signals import Signals
from dsched.loading import Catalogue
from dsched.model import TaskConfig, Wait

log = logging.getLogger("dsched.run")

T = TypeVar("T")


def run(
    main: Callable[[EmbeddedPod], Awaitable[T]] | None = None,
    *,
    config: ConfigSource = None,
    tasks: Iterable[TaskConfig] = (),
    roles: Iterable[str] | None = None,
    plugins: Iterable[object] = (),
    wait: bool = True,
    start_timeout: Wait | None = None,
) -> T | None:
    """Run a pod until SIGTERM or SIGINT, or until ``main`` returns, then drain it.

    ``main`` is an async function that is given the pod; what it returns is returned, None if a
    signal came first. The first signal cancels ``main`` and drains the pod, a second one skips the
    wait for what still runs, a third one leaves at once. One that comes during the start ends it.
    All else is as with `dsched.pod`. Call it from the main thread.
    """
    loaded, catalogue = load(config, plugins)
    work = _run(
        main,
        loaded,
        catalogue=catalogue,
        tasks=tasks,
        roles=roles,
        wait=wait,
        start_timeout=start_timeout,
    )
    return run_on(loaded.settings.pod.event_loop, work)


class _Program:
    """What the signals stop: the program's own part first, then its pod."""

    def __init__(self, pod: EmbeddedPod) -> None:
        self._pod = pod
        self.told = asyncio.Event()

    def stop(self) -> None:
        """Leave in order."""
        self.told.set()

    def hurry(self) -> None:
        """Leave without waiting for what still runs."""
        self.told.set()
        self._pod.hurry()


async def _run(
    main: Callable[[EmbeddedPod], Awaitable[T]] | None,
    loaded: LoadedSettings,
    *,
    catalogue: Catalogue,
    tasks: Iterable[TaskConfig],
    roles: Iterable[str] | None,
    wait: bool,
    start_timeout: Wait | None,
) -> T | None:
    signals = Signals(loaded.settings.worker.drain_timeout.total_seconds())
    running = running_pod(
        loaded, catalogue, tasks=tasks, roles=roles, wait=wait, start_timeout=start_timeout
    )
    with signals:
        try:
            async with running as pod:
                program = _Program(pod)
                signals.follow(program)
                return await _until_told(program, main, pod)
        except (asyncio.CancelledError, StartStoppedError):
            if not signals.stopped:
                raise
            log.info("stopped before the start was complete")
            return None


async def _until_told(
    program: _Program, main: Callable[[EmbeddedPod], Awaitable[T]] | None, pod: EmbeddedPod
) -> T | None:
    """What ``main`` returns, or None once the program is told to stop."""
    if main is None:
        await program.told.wait()
        return None
    working = asyncio.create_task(_awaited(main(pod)), name="main")
    told = asyncio.create_task(program.told.wait(), name="signals")
    try:
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        working.cancel()  # nothing, if it has returned
        await asyncio.wait({working, told})
    return None if working.cancelled() else working.result()


async def _awaited(work: Awaitable[T]) -> T:
    return await work
