"""Worker processes of one pod: as many as `worker.processes` says, each a worker of its own.

Each child is a `dsched-run` with the role ``worker`` and nothing else, so it registers, beats,
drains and is recovered like any other worker. The parent starts a child again when it dies, and
tells the store, so that nobody waits for its leases. The parent passes its own stop on to the
children, and they leave when it dies.
"""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence

from dsched.contracts.store.outcomes import StoreError
from dsched.engine.pod import WORKER
from dsched.launcher.arguments import Arguments

log = logging.getLogger("dsched.run")

PARENT_FD = "_DSCHED_PARENT_FD"  # not a setting: those begin with DSCHED_
RESTART_S = 1.0
RESTART_MAX_S = 30.0
LIVED_S = 60.0  # a child that lived for so long is started again without a wait
BURY_WITHIN_S = 5.0  # telling the store of a dead child must not delay the next one for long
SLACK_S = 10.0  # beyond the drain timeout, until a child that does not leave is killed


class WorkerProcesses:
    """The children. `run` returns when `stop` has been called and all of them have left.

    ``worker_id`` is the fixed one of the settings, if any; else each child gets a new one, which
    begins with ``pod``. ``bury`` is called with the id of each child that has died.
    """

    def __init__(
        self,
        arguments: Arguments,
        count: int,
        *,
        worker_id: str,
        drain_s: float,
        pod: str = "pod",
        bury: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "dsched.launcher.run", *_argv(arguments)]
        self._count = count
        self._worker_id = worker_id
        self._pod = pod
        self._bury = bury
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
        """Keep one child running: when it ends, start another, until told to stop."""
        wait_s = RESTART_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began_s = loop.time()
            worker_id = self._id_of(number)
            code = await self._live(number, worker_id, read_end)
            if code or not self._stopping.is_set():
                await self._buried(worker_id)
            if self._stopping.is_set():
                return
            wait_s = (
                RESTART_S if loop.time() - began_s > LIVED_S else min(RESTART_MAX_S, 2 * wait_s)
            )
            log.error(
                "worker process %d ended with %s; starting it again in %g s", number, code, wait_s
            )
            await self._rest(wait_s)

    def _id_of(self, number: int) -> str:
        """The worker id of the next child in a place."""
        if self._worker_id:
            return f"{self._worker_id}.{number}"
        return f"{self._pod[:64]}-{secrets.token_hex(6)}"

    async def _buried(self, worker_id: str) -> None:
        """Let the store know of a dead child, before another one may take its id."""
        if self._bury is None:
            return
        try:
            async with asyncio.timeout(BURY_WITHIN_S):
                await self._bury(worker_id)
        except (TimeoutError, StoreError) as error:
            log.warning(
                "the store could not be told that worker %s is dead (%s): its leases run out by "
                "themselves",
                worker_id,
                error or f"no answer within {BURY_WITHIN_S:g} s",
            )

    async def _live(self, number: int, worker_id: str, read_end: int) -> int:
        """One child from its start to its end; its exit code."""
        env = {**os.environ, "DSCHED_WORKER__PROCESSES": "1", PARENT_FD: str(read_end)}
        env["DSCHED_WORKER__ID"] = worker_id
        child = await asyncio.create_subprocess_exec(
            *self._command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(read_end,),
            start_new_session=True,  # the parent passes Ctrl-C on, once
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
    """The command line of a child: the parent's, without what only the parent should do."""
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
