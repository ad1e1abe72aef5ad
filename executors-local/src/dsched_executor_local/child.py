"""What runs in a child process: it imports the application, then runs one function at a time."""

import asyncio
import contextlib
import importlib
import operator
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any

from dsched.contracts.executor import TaskFailed
from dsched.functions.registry import REGISTRY, Function
from dsched.model import TaskResult
from dsched_executor_local.child_context import ChildContext, shows_its_records
from dsched_executor_local.frames import HEADER, Message, body_size, pack, unpack
from dsched_executor_local.results import exit_failure, failed_to_json, failure_of, result_of

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


class Terminated(SystemExit):
    """SIGTERM came. A SystemExit, because asyncio lets only those out of a running loop."""


class Connection:
    """The child's end: a thread reads, anybody may send.

    The reader also guards the worker's interest while a function runs: when the worker is gone,
    or has not killed a function well past its deadline, it kills the whole process group.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._kill_at: float | None = None
        self.requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def send(self, message: Message) -> None:
        """Send a message whole, from whatever thread."""
        data = pack(message)
        with self._sending:
            self._socket.sendall(data)

    def function_ended(self) -> None:
        """No function runs any more, so none can be late."""
        self._kill_at = None

    def read_for_ever(self) -> None:
        """Put every request into the queue, and None when the worker wants no more."""
        while (message := self._read()) is not None:
            if "kill_after_s" in message:
                self._kill_at = time.monotonic() + message["kill_after_s"]
            self.requests.put(message)
        self.requests.put(None)

    def _read(self) -> Message | None:
        self._wait_readable()
        try:
            header = self._exactly(HEADER.size)
            return unpack(self._exactly(body_size(header)))
        except (EOFError, OSError):
            if self._kill_at is not None:
                _kill_group()
            return None

    def _wait_readable(self) -> None:
        while True:
            kill_at = self._kill_at
            left = None if kill_at is None else max(0.0, kill_at - time.monotonic())
            if select.select([self._socket], [], [], left)[0]:
                return
            # Only if it is still the same function's time that has run out.
            if kill_at is not None and self._kill_at == kill_at and time.monotonic() >= kill_at:
                _kill_group()

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(min(65536, size - len(parts)))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class Child:
    """Serves the requests of one worker until it closes the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pid = os.getpid()
        self._terminated = False
        self._hears = False

    def serve(self) -> None:
        """Set up as the first message says, then run what the others ask for."""
        try:
            self._catch_sigterm()
            start = self._connection.requests.get()
            if start is None or not self._set_up(start):
                return
            while (request := self._connection.requests.get()) is not None:
                self._catch_sigterm()  # a function may have changed it
                self._answer(request)
                del request
        except Terminated:
            _die_of_sigterm()

    def _set_up(self, start: Message) -> bool:
        if start["memory_bytes"] is not None:
            _limit("RLIMIT_AS", start["memory_bytes"])
        sys.path[:] = start["path"]
        what = f"call executors.local.setup, {start['setup']}"
        try:
            _call(start["setup"])
            what = "import the application"
            for module in start["app"]:
                importlib.import_module(module)
        except Terminated:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the worker, which raises it
            broken = failed_to_json(failure_of(error))
            self._connection.send({"broken": broken, "what": what})
            return False
        # If the application writes its records to stderr, they are read from there.
        self._hears = start["hears_logging"] and not shows_its_records()
        self._connection.send({"ready": True})
        return True

    def _answer(self, request: Message) -> None:
        context = ChildContext(request["n"], request["facts"], self._connection.send)
        try:
            function = _find(request["function"], request["module"])
            result = self._run(function, request["args"], context)
            answer: Message = {
                "result": {"code": result.code, "message": result.message, "data": result.data}
            }
        except TaskFailed as failed:
            answer = {"failed": failed_to_json(failed)}
        if os.getpid() != self._pid:
            os._exit(0)  # a fork that the function made came back here; it must not answer
        if self._terminated:
            raise Terminated
        self._connection.function_ended()
        self._connection.send({"n": request["n"], **answer})

    def _run(self, function: Function, args: Any, context: ChildContext) -> TaskResult:
        positional, named = function.arguments(args, context)
        try:
            with context.heard() if self._hears else contextlib.nullcontext():
                value = function.call(*positional, **named)
                if function.is_async:
                    value = asyncio.run(value)
        except (Terminated, TaskFailed):
            raise
        except SystemExit as error:
            raise exit_failure(error, function.name) from error
        except BaseException as error:
            raise failure_of(error) from error
        return result_of(value, function.name)

    def _catch_sigterm(self) -> None:
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        """Unwind the function, so that its `finally` blocks run; SIGKILL follows if they are
        slow."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._terminated = True
        raise Terminated


def _call(setup: str) -> None:
    """Call the function ``module:function``, once in this process; nothing if none is named."""
    if setup:
        module, _, path = setup.partition(":")
        operator.attrgetter(path)(importlib.import_module(module))()


def _find(name: str, module: str | None) -> Function:
    """The function, whose module comes from the worker's registry, never from a payload."""
    function = REGISTRY.get(name)
    if function is None and module is not None:
        try:
            importlib.import_module(module)
        except Terminated:
            raise
        except BaseException as error:
            raise failure_of(error) from error
        function = REGISTRY.get(name)
    if function is None:
        raise TaskFailed(
            f"{REGISTRY.unknown(name)}; a function with isolation='process' must be registered by "
            "the import of its module: define it at the top level of a module that can be "
            "imported by name, and list that in executors.local.app",
            code="unknown_function",
            retryable=False,
        )
    return function


def _die_of_sigterm() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _kill_group() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _limit(name: str, value: int) -> None:
    import resource  # not on every platform

    number = getattr(resource, name)
    _, hard = resource.getrlimit(number)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (limit, limit))


def _protect() -> None:
    """Linux: end when the worker's loop thread ends; gain no privileges. No core files anywhere."""
    _limit("RLIMIT_CORE", 0)
    if sys.platform != "linux":
        return
    # A second defence: without ctypes the end of the connection still shows that the worker ended.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main() -> None:
    """The entry of ``python -m dsched_executor_local.child FD``."""
    inherited = int(sys.argv[1])
    # The copy is not inheritable and gets a low number, whatever the worker's was.
    channel = socket.socket(fileno=os.dup(inherited))
    os.close(inherited)
    sys.argv[1:] = []
    _protect()
    connection = Connection(channel)
    threading.Thread(target=connection.read_for_ever, name="dsched-connection", daemon=True).start()
    Child(connection).serve()


if __name__ == "__main__":
    main()
