"""A Redis that hangs: the API and the command say so within seconds, and go on when it is back."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pods import PodProcess, clean_environment, origin_of_api

from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TOKEN = "admin-token-of-the-tests-0123456789"
DSCHED = str(Path(sys.executable).with_name("dsched"))
ANSWER_S = 6.0
ENTRY = {"executor": "local", "payload": {"function": "f"}, "every": "24h"}
ASKED: tuple[tuple[str, str, object], ...] = (
    ("GET", "/cluster", None),
    ("GET", "/configs", None),
    ("GET", "/configs/c", None),
    ("GET", "/configs/c/upcoming", None),
    ("GET", "/tasks?home=ready", None),
    ("GET", "/tasks/t", None),
    ("GET", "/tasks/t/wait?timeout=60s", None),
    ("GET", "/tasks/t/logs?follow=true", None),
    ("GET", "/workers", None),
    ("GET", "/stats", None),
    ("GET", "/audit", None),
    ("GET", "/tokens", None),
    ("PUT", "/configs/c", ENTRY),
    ("DELETE", "/configs/c", None),
    ("POST", "/configs/c/trigger", {}),
    ("POST", "/configs/c/pause", {"reason": "night"}),
    ("POST", "/tasks/t/cancel", {"reason": "night"}),
    ("POST", "/tokens", {"name": "ci", "scope": "read"}),
    ("POST", "/cluster/step-down", {"reason": "night"}),
)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@asynccontextmanager
async def served(server: RedisServer, folder: Path) -> AsyncIterator[tuple[PodProcess, str]]:
    """A pod with the API on this server, and its address."""
    env = clean_environment(
        DSCHED_STORE="redis",
        DSCHED_REDIS__ADDR=server.addr,
        DSCHED_API__PORT="0",
        DSCHED_API__ADMIN_TOKEN=TOKEN,
        POD_NAME="pod-a",
    )
    pod = PodProcess("pod-a", ("--log-format", "json"), folder, env)
    try:
        yield pod, await origin_of_api(pod)
    finally:
        server.send_signal(signal.SIGCONT)
        pod.end()


@asynccontextmanager
async def hung(server: RedisServer) -> AsyncIterator[None]:
    """The server stands still, its connections open."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


async def asked(
    http: aiohttp.ClientSession, url: str, method: str, path: str, body: object
) -> tuple[float, int, str]:
    """How long it took, the status, and what was said."""
    before_s = time.monotonic()
    async with http.request(method, f"{url}/api/v1{path}", json=body) as answer:
        text = await answer.text()
    return time.monotonic() - before_s, answer.status, text


async def command(url: str, *args: str) -> tuple[float, int | None, str]:
    """The same of ``dsched``."""
    before_s = time.monotonic()
    env = {"PATH": os.environ["PATH"], "DSCHED_URL": url, "DSCHED_TOKEN": TOKEN}
    process = await asyncio.create_subprocess_exec(
        DSCHED,
        *args,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return time.monotonic() - before_s, process.returncode, out.decode()


async def test_every_call_is_answered_within_seconds_and_the_command_names_the_cause(
    server: RedisServer, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        served(server, tmp_path) as (pod, url),
        aiohttp.ClientSession(headers=headers) as http,
    ):
        assert (
            await asked(
                http,
                url,
                "POST",
                "/tasks",
                {
                    "id": "t",
                    "executor": "http",
                    "payload": {"url": "http://target.example/"},
                    "delay": "1h",
                },
            )
        )[1] == 201
        # What the same command takes here and now of a store that answers: its interpreter starts.
        usual_s = max([(await command(url, "doctor"))[0] for _ in range(2)])
        command_s = ANSWER_S + usual_s
        async with hung(server):
            answers = await asyncio.gather(*(asked(http, url, *one) for one in ASKED))
            for one, (took_s, status, text) in zip(ASKED, answers, strict=True):
                assert (status, took_s < ANSWER_S) == (503, True), (one, status, took_s, text)
                assert "store_unavailable" in text, (one, text)
                assert "the store" in text
            assert (await asked(http, url, "GET", "/../../livez", None))[1] == 200
            stranger = {"Authorization": "Bearer dsk_abcdef_" + "x" * 43}
            async with http.get(f"{url}/api/v1/cluster", headers=stranger) as answer:
                assert answer.status == 503
            for args in (("status",), ("config", "list"), ("task", "cancel", "t", "--reason", "x")):
                took_s, code, text = await command(url, *args)
                assert (code, took_s < command_s) == (7, True), (args, code, took_s, text)
                assert "the store" in text
                assert "start a pod" not in text
                assert "--local" not in text
            took_s, code, text = await command(url, "doctor")
            assert (code, took_s < command_s) == (1, True), (code, took_s, text)
            assert "start a pod" not in text
            assert "dsched doctor" not in text
        async with asyncio.timeout(30):
            while (await asked(http, url, "GET", "/cluster", None))[1] != 200:
                pass
        assert [one for one in pod.lines() if "Traceback" in one["message"]] == []
