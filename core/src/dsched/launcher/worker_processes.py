"""Worker processes of one pod: as many as `worker.processes` says, each a worker of its own.

Each child is a `dsched-run` with the role ``worker`` and nothing else, so it registers, beats, drains
and is recovered from like any other worker. The parent starts them again when they die, passes its
own stop on to them, and takes them along when it dies itself.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from dsched.engine.pod import WORKER
from dsched.launcher.arguments import Arguments

log = logging.getLogger("dsched.run")

PARENT_FD = "_DSCHED_PARENT_FD"  # not a setting: those begin with DSCHED_
RESTART_S = 1.0
RESTART_MAX_S = 30.0
LIVED_S = 60.0  # a child that lived for so long is started again without a wait
SLACK_S = 10.0  # beyond the drain timeout, until a child that does not leave is killed


class WorkerProcesses:
    """The children. `run` returns when `stop` has been called and all of them have left."""

    def __init__(self, arguments: Arguments, count: int, *, worker_id: str, drain_s: float) -> None:
        self._command = [sys.executable, "-m", "dsched.launcher.run", *_argv(arguments)]
        self._count = count
        self._worker_id = worker_id
        self._drain_s = drain_s
        self._stopping = asyncio.Event()
        self._running: set[asyncio.subprocess.Process] = set()

    def stop(self) -> None:
        """Let every child drain and leave: each is sent SIGTERM where it is watched."""
        self._stopping.set()

    def hurry(self) -> None:
        """Do not wait for what still runs: one more SIGTERM, as the pod itself takes it."""
        self.stop()
        for child in self._running:
            _terminate(child)

    async def run(self) -> None:
        """Keep all of them running until told to stop."""
        # The children hold the other end: it closes with this process, however it ends.
        read_end, write_end = os.pipe()
        os.set_inheritable(read_end, True)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(1, self._count + 1):
                    group.create_task(self._keep(number, read_end), name=f"worker {number}")
        finally:
            os.close(write_end)
            os.close(read_end)

    async def _keep(self, number: int, read_end: int) -> None:
        """One place: a child, and another one after it, until told to stop."""
        wait_s = RESTART_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began_s = loop.time()
            code = await self._live(number, read_end)
            if self._stopping.is_set():
                return
            wait_s = (
                RESTART_S if loop.time() - began_s > LIVED_S else min(RESTART_MAX_S, 2 * wait_s)
            )
            log.error(
                "worker process %d ended with %s; starting it again in %g s", number, code, wait_s
            )
            await self._rest(wait_s)

    async def _live(self, number: int, read_end: int) -> int:
        """One child from its start to its end; its exit code."""
        env = {**os.environ, "DSCHED_WORKER__PROCESSES": "1", PARENT_FD: str(read_end)}
        if self._worker_id:
            env["DSCHED_WORKER__ID"] = f"{self._worker_id}.{number}"
        child = await asyncio.create_subprocess_exec(
            *self._command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(read_end,),
            start_new_session=True,  # Ctrl-C is the parent's to pass on, once
        )
        self._running.add(child)
        log.info("worker process %d is %d", number, child.pid)
        ending = asyncio.create_task(child.wait(), name=f"end of worker {number}")
        stopping = asyncio.create_task(self._stopping.wait(), name=f"stop of worker {number}")
        try:
            await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                _terminate(child)
                await asyncio.wait({ending}, timeout=self._drain_s + SLACK_S)
            if not ending.done():
                log.error("worker process %d does not leave; killing it", number)
                child.kill()
            return await ending
        finally:
            self._running.discard(child)
            stopping.cancel()
            if child.returncode is None:
                child.kill()
                await child.wait()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _terminate(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.terminate()


def _argv(arguments: Arguments) -> Sequence[str]:
    """The command line of a child: the parent's, but for what only one of them should do."""
    argv = ["--role", WORKER]
    if arguments.config is not None:
        argv += ["--config", arguments.config]
    for module in arguments.app:
        argv += ["--app", module]
    flags = {"store": "--store", "log.format": "--log-format", "log.level": "--log-level"}
    for key, flag in flags.items():
        if key in arguments.flags:
            argv += [flag, str(arguments.flags[key])]
    return argv


def parent_gone() -> int | None:
    """The descriptor that becomes readable when the parent of this worker process ends."""
    text = os.environ.pop(PARENT_FD, "")
    return int(text) if text.isdigit() else None
