"""Many connections that ask nothing: the pod keeps its descriptors for its tasks (S44)."""

import asyncio
import contextlib
import re
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pods import DSCHED_RUN, PodProcess, clean_environment, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TOKEN = "admin-token-of-the-tests-0123456789"
DESCRIPTORS = 128
FLOOD = 400
SHOP = """
import contextlib, subprocess, sys
import dsched

@dsched.task
def opens():
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(open(sys.executable, "rb"))
        done = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, check=True)
        return done.stdout.decode()
"""
LIMITED = (
    sys.executable,
    "-c",
    (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, "
        f"({DESCRIPTORS}, {DESCRIPTORS})); os.execv(sys.argv[1], sys.argv[1:])"
    ),
    DSCHED_RUN,
)


@pytest.fixture(autouse=True)
def enough_of_our_own() -> Iterator[None]:
    """This process holds the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[PodProcess, str, int]]:
    """A whole pod that may open few files."""
    (folder / "shop.py").write_text(SHOP)
    env = clean_environment(
        DSCHED_SQLITE__PATH=str(folder / "dsched.db"),
        DSCHED_API__PORT="0",
        DSCHED_API__ADMIN_TOKEN=TOKEN,
        DSCHED_METRICS__PORT="0",
        PYTHONPATH=str(folder),
        POD_NAME="pod-a",
    )
    pod = PodProcess("pod-a", ("--app", "shop", "--log-format", "json"), folder, env, LIMITED)
    try:
        await until(lambda: pod.said("API: http"), "the API listens", 40, [pod])
        (line, *_) = pod.said("API: http")
        found = re.search(r"API: http://(\S+):([0-9]+)/api/v1", line["message"])
        assert found is not None
        yield pod, found[1], int(found[2])
    finally:
        pod.end()


async def test_connections_that_never_ask_take_no_descriptor_from_a_task(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        served(tmp_path) as (pod, host, port),
        aiohttp.ClientSession(f"http://{host}:{port}", headers=headers) as http,
        contextlib.AsyncExitStack() as stack,
    ):

        async def ran(task_id: str) -> str:
            body = {"id": task_id, "executor": "local", "payload": {"function": "opens"}}
            async with http.post("/api/v1/tasks", json=body) as answer:
                assert answer.status == 201, await answer.text()
            async with http.get(f"/api/v1/tasks/{task_id}/wait?timeout=60s") as answer:
                return str((await answer.json())["status"])

        assert await ran("before") == "success"
        for number in range(FLOOD):
            source = (f"127.0.1.{number % 200 + 1}", 0)
            _, writer = await asyncio.open_connection(host, port, local_addr=source)
            stack.callback(writer.close)
            with contextlib.suppress(ConnectionError):
                writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        assert [await ran(f"meanwhile-{number}") for number in range(3)] == ["success"] * 3
        assert pod.said("connections are refused")
        for line in pod.lines():
            assert "Too many open files" not in str(line)
            assert "out of system resource" not in str(line)
