"""One child process seen from the worker: started, spoken to, and killed for certain."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from dsched.contracts.store.tasklogs import LineLevel
from dsched_executor_local.child_output import ChildOutput, OnLine
from dsched_executor_local.environment import child_environment
from dsched_executor_local.frames import HEADER, FrameError, Message, body_size, pack, unpack
from dsched_executor_local.options import LocalOptions

log = logging.getLogger(__name__)

POLL_S = 0.05
WARN_EVERY_S = 5.0
# A socket that a runaway grandchild still holds is cut this long after its child has ended.
ORPHANED_SOCKET_S = 1.0


class ChildEndedError(Exception):
    """The child closed its end, or said something that is no message."""


class ChildProcess:
    """A Python interpreter of its own, in its own session, that runs one function at a time.

    ``ended`` is a future, done once the process is gone, its group killed and its exit status
    collected. Everything happens on the loop that started it.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        *,
        writer: asyncio.StreamWriter,
        on_end: Callable[["ChildProcess"], None],
        output: ChildOutput | None,
    ) -> None:
        self._process = process
        self._output = output
        self._reader = reader
        self._writer = writer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd: int | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.tasks_run = 0
        self.printed_to(None)
        self._watch()

    @classmethod
    async def start(
        cls, options: LocalOptions, on_end: Callable[["ChildProcess"], None]
    ) -> "ChildProcess":
        """Start an interpreter; it is not ready before it has answered to its first message."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            output = None
            if options.capture_output:
                output = ChildOutput()
                undo.callback(output.close)
            with theirs:
                # On the loop's thread, which outlives the child: Linux ends a child whose
                # starting thread has ended. It takes a few milliseconds.
                process = _spawn(theirs.fileno(), options, output)
            undo.callback(_kill_unwatched, process)
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours)
            undo.pop_all()
        return cls(process, reader, writer=writer, on_end=on_end, output=output)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group and session."""
        return self._process.pid

    @property
    def ending(self) -> str:
        """How the process ended, in words; only once ``ended`` is done."""
        status = self._process.returncode
        if status is None:
            return "is still running"
        if status >= 0:
            return f"exited with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", perhaps by the kernel for want of memory" if -status == signal.SIGKILL else ""
        return f"was killed by {name}{hint}"

    def printed_to(self, on_line: OnLine | None) -> None:
        """Take what the child has printed by now; what it prints from now on goes to ``on_line``,
        or to the worker's own log."""
        if self._output is not None:
            self._output.drain()
            self._output.on_line = on_line or self._printed_aside

    def _printed_aside(self, level: LineLevel, line: str) -> None:
        # Before its first function this says why it cannot start; later it is a leftover thread's.
        log.log(
            logging.DEBUG if self.tasks_run else logging.INFO,
            "child process %d, %s: %s",
            self.pid,
            level,
            line,
        )

    async def send(self, message: Message) -> None:
        """Send a message; raises `ChildEndedError` when nobody is there to read it."""
        try:
            self._writer.write(pack(message))
            await self._writer.drain()
        except OSError as error:
            raise ChildEndedError(str(error)) from error

    async def receive(self) -> Message:
        """The next message; raises `ChildEndedError` when there will be none."""
        try:
            header = await self._reader.readexactly(HEADER.size)
            return unpack(await self._reader.readexactly(body_size(header)))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ChildEndedError("it closed its connection") from error
        except FrameError as error:
            raise ChildEndedError(f"it sent no valid message: {error}") from error

    def retire(self, grace_s: float) -> None:
        """Ask an idle child to end by itself, and kill it if it has not after ``grace_s``."""
        if self.ended.done():
            return
        if self._writer.can_write_eof():
            self._writer.write_eof()
        self._set_timer(grace_s, self._signal_group, signal.SIGKILL)

    def set_idle_timer(self, idle_s: float, call: Callable[["ChildProcess"], None]) -> None:
        """Call back with this child unless `clear_idle_timer` comes first."""
        self._set_timer(idle_s, call, self)

    def clear_idle_timer(self) -> None:
        """The child is wanted again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def kill(self, grace_s: float) -> None:
        """End the process and its group: SIGTERM, then SIGKILL. Returns once it is gone.

        A cancellation meanwhile is raised only after that.
        """
        self.clear_idle_timer()
        self._signal_group(signal.SIGTERM)
        cancelled = await self._gone(grace_s)
        while not self.ended.done():
            self._signal_group(signal.SIGKILL)
            cancelled = await self._gone(WARN_EVERY_S) or cancelled
            if not self.ended.done():
                log.warning("child process %d does not end after SIGKILL; still waiting", self.pid)
        if cancelled:
            raise asyncio.CancelledError

    async def _gone(self, timeout_s: float) -> bool:
        """Wait for the end, at most so long; whether a cancellation came meanwhile."""
        cancelled = False
        end = time.monotonic() + timeout_s
        while not self.ended.done() and (left := end - time.monotonic()) > 0:
            try:
                await asyncio.wait([self.ended], timeout=left)
            except asyncio.CancelledError:
                cancelled = True
        return cancelled

    def _watch(self) -> None:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError, NotImplementedError):
                self._pidfd = os.pidfd_open(self.pid)
                self._loop.add_reader(self._pidfd, self._collect)
                return
        self._poll()

    def _poll(self) -> None:
        """Where there are no pidfds: look again and again."""
        if self._process.poll() is not None:
            self._collect()
        else:
            self._loop.call_later(POLL_S, self._poll)

    def _collect(self) -> None:
        """The process has ended: kill what is left of its group, then reap it.

        In this order, because the unreaped process keeps its id, and so its group's, from being
        given to a stranger.
        """
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        if self._output is not None:
            self._output.drain()
            self._output.close()
        self.clear_idle_timer()
        self._loop.call_later(ORPHANED_SOCKET_S, self._writer.transport.abort)
        if not self.ended.done():
            self.ended.set_result(None)
        self._on_end(self)

    def disconnect(self) -> None:
        """Close the worker's end of the connection; what was not read is lost."""
        self._writer.transport.abort()

    def _signal_group(self, number: signal.Signals) -> None:
        if self.ended.done():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _set_timer(self, after_s: float, call: Callable[..., None], *args: object) -> None:
        self.clear_idle_timer()
        self._timer = self._loop.call_later(after_s, call, *args)


def _spawn(
    connection: int, options: LocalOptions, output: ChildOutput | None
) -> "subprocess.Popen[bytes]":
    """A fresh interpreter: the environment is clean before its first instruction."""
    out, err = (None, None) if output is None else output.write_ends
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell, no outside input
        [sys.executable, "-u", "-P", "-m", "dsched_executor_local.child", str(connection)],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        pass_fds=(connection,),
        close_fds=True,
        start_new_session=True,
        env=child_environment(os.environ, options.pass_env),
    )
    if output is not None:
        output.close_write_ends()
    return process


def _kill_unwatched(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
