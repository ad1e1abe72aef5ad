"""The resolver falls silent under a real pod: it waits, it says so, and it still stops in order."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pods import DSCHED_RUN, PodProcess, clean_environment, until

from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(120)]

# The time of a call, what a pod gives its tasks and itself to end, and a margin.
STOPS_S = 20.0
NAME = "redis.dsched-test.example"


def _may_have_a_resolver_of_its_own() -> bool:
    """Whether this process may give a child another /etc/resolv.conf, and listen on port 53."""
    unshare = shutil.which("unshare")
    if unshare is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    return subprocess.run([unshare, "-m", "true"], check=False, timeout=10).returncode == 0


class Resolver(threading.Thread):
    """A name server that knows one name, until it is told to be silent."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.silent = False
        self.asked_in_vain = 0
        self._address = address
        self._closing = threading.Event()
        self._open = threading.Event()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.bind((self._address, 53))
            here.settimeout(0.1)
            self._open.set()
            while not self._closing.is_set():
                try:
                    query, client = here.recvfrom(512)
                except TimeoutError:
                    continue
                if self.silent:
                    self.asked_in_vain += 1
                else:
                    here.sendto(_answer(query), client)

    def open(self) -> None:
        self.start()
        assert self._open.wait(5), "the name server listens"

    def close(self) -> None:
        self._closing.set()
        self.join(5)


def _answer(query: bytes) -> bytes:
    """127.0.0.1 for a question after an address of version 4, nothing for any other."""
    end = query.index(b"\0", 12) + 5
    is_a = query[end - 4 : end - 2] == b"\0\1"
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if is_a else b""
    return head + query[12:end] + record


@pytest.fixture
def resolver(tmp_path: Path) -> Iterator[tuple[Resolver, list[str]]]:
    """A name server, and the words before a command that make it use this one alone."""
    if not _may_have_a_resolver_of_its_own():
        pytest.skip("needs root and unshare: a resolver of its own for a child process")
    address = f"127.{os.getpid() % 200 + 10}.{os.getpid() // 200 % 250}.53"
    one = Resolver(address)
    one.open()
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {address}\noptions timeout:30 attempts:5\n")
    bind = f'mount --bind {conf} /etc/resolv.conf && exec "$@"'
    yield one, ["unshare", "-m", "sh", "-c", bind, "sh"]
    one.close()


def _start(
    folder: Path, words: list[str], port: int, event_loop: str, name: str = "pod"
) -> PodProcess:
    config = folder / f"{name}.yaml"
    settings = {
        "store": "redis",
        "redis": {"addr": f"{NAME}:{port}", "timeout": "1s"},
        "pod": {"event_loop": event_loop},
        "worker": {"drain_timeout": "1s"},
        "metrics": {"port": 0},
    }
    config.write_text(json.dumps(settings))
    argv = [DSCHED_RUN, "--config", str(config), "--log-format", "json"]
    env = clean_environment(POD_NAME=name)
    return PodProcess(name, argv, folder, env, program=tuple(words))


@pytest.mark.parametrize("event_loop", ["auto", "asyncio"])
async def test_a_pod_whose_resolver_is_silent_stops_in_order(resolver, tmp_path, event_loop):
    names, words = resolver
    with RedisServer() as server:
        pod = _start(tmp_path, words, server.port, event_loop)
        try:
            await until(lambda: pod.said("leads from now on"), "it leads", 30, [pod])
            names.silent = True
            with contextlib.suppress(ConnectionError):
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            # The pod asks and asks; each of its loops has given several look-ups up by then.
            await until(lambda: pod.said("was not resolved within"), "it says so", 20, [pod])
            await asyncio.sleep(8)
            pod.terminate()
            assert await pod.ended(STOPS_S) == 0
        finally:
            pod.end()
    assert names.asked_in_vain, "the resolver was asked"
    assert "never retrieved" not in pod.log_file.read_text()


@pytest.mark.parametrize("event_loop", ["auto", "asyncio"])
async def test_a_pod_that_starts_under_a_silent_resolver_waits_and_stops_in_order(
    resolver, tmp_path, event_loop
):
    names, words = resolver
    names.silent = True
    pod = _start(tmp_path, words, 6379, event_loop)
    try:
        await until(lambda: pod.said("was not resolved within"), "it says so", 30, [pod])
        await asyncio.sleep(5)
        pod.terminate()
        assert await pod.ended(STOPS_S) == 0
    finally:
        pod.end()
    assert "never retrieved" not in pod.log_file.read_text()
