"""Several API pods on one store: real processes on real Redis and SQLite."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dsched_testkit.servers import RedisServer

ADMIN = "admin-token-of-the-tests-0123456789"
ENTRY = {"executor": "http", "payload": {"url": "http://target.example/"}, "every": "24h"}

pytestmark = pytest.mark.slow


class Process:
    """A `dsched-run` with the role api."""

    def __init__(self, folder: Path, name: str, env: dict[str, str], *args: str) -> None:
        self.errors = folder / f"{name}.err"
        self._file = self.errors.open("wb")
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("dsched-run")), *(args or ("--role", "api"))],
            env={"PATH": os.environ["PATH"], "POD_NAME": name, "DSCHED_API__PORT": "0", **env},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=self._file,
        )

    def text(self) -> str:
        """What it has written."""
        return self.errors.read_text()

    async def url(self) -> str:
        """Where it listens, once it does."""
        try:
            async with asyncio.timeout(40):
                while not (found := re.search(r"API: (http://\S+)/api/v1", self.text())):
                    assert self.process.poll() is None, self.text()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"it does not listen; it has said: {self.text()}") from None
        return found[1]

    def end(self) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self._file.close()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """All processes of a test; none outlives it."""
    started: list[Process] = []
    yield started
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """One server for the module."""
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def session(token: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        yield http


async def cut_off(stream: aiohttp.ClientResponse) -> None:
    """Read until the connection breaks."""
    async with asyncio.timeout(20):
        try:
            while await stream.content.readline():
                pass
        except aiohttp.ClientError:
            pass


def redis_env(server: RedisServer, prefix: str) -> dict[str, str]:
    return {
        "DSCHED_STORE": "redis",
        "DSCHED_REDIS__ADDR": server.addr,
        "DSCHED_REDIS__KEY_PREFIX": prefix,
        "DSCHED_REDIS__DURABILITY": "dev",
    }


@pytest.mark.redis
async def test_pods_on_one_redis_share_tokens_keys_and_audit_and_print_one_first_token(
    redis_server: RedisServer, tmp_path: Path, processes: list[Process]
) -> None:
    env = redis_env(redis_server, "{shared}:")
    processes += [Process(tmp_path, f"pod-{name}", env) for name in "abc"]
    urls = [await one.url() for one in processes]
    printed: list[str] = []
    async with asyncio.timeout(20):
        while not printed:
            printed = re.findall(r"dsk_\S+", "".join(one.text() for one in processes))
            await asyncio.sleep(0.05)
    async with session(printed[0]) as http:
        made = await http.post(f"{urls[0]}/api/v1/tokens", json={"name": "ci", "scope": "operate"})
        token = (await made.json())["token"]
    key = {"Idempotency-Key": "once"}
    async with session(token) as http:
        for url in urls:
            answer = await http.put(f"{url}/api/v1/configs/c", json=ENTRY)
            assert answer.status in (200, 201), await answer.text()
        tasks = {
            (await (await http.post(f"{url}/api/v1/configs/c/trigger", headers=key)).json())["id"]
            for url in urls
        }
        assert len(tasks) == 1
        audit = await (await http.get(f"{urls[2]}/api/v1/audit")).json()
        assert [one["action"] for one in audit["items"]] == [
            "config.trigger", "config.trigger", "config.trigger",
            "config.put", "config.put", "config.put", "token.create",
        ]  # fmt: skip
        # Revoked through one pod, refused by all within the time that they may remember it.
        async with session(printed[0]) as admin:
            gone = await admin.delete(f"{urls[0]}/api/v1/tokens/{token.split('_')[1]}")
            assert gone.status == 204
        async with asyncio.timeout(20):
            for url in urls:
                while (await http.get(f"{url}/api/v1/configs")).status != 401:
                    await asyncio.sleep(0.1)
    # Whoever was slow to start has looked by now, and printed none.
    assert len(re.findall(r"dsk_\S+", "".join(one.text() for one in processes))) == 1


@pytest.mark.redis
async def test_a_stream_goes_on_at_another_pod_after_the_first_was_killed(
    redis_server: RedisServer, tmp_path: Path, processes: list[Process]
) -> None:
    env = redis_env(redis_server, "{killed}:") | {"DSCHED_API__ADMIN_TOKEN": ADMIN}
    processes += [Process(tmp_path, f"pod-{name}", env) for name in "ab"]
    first, second = [await one.url() for one in processes]
    async with session(ADMIN) as http:
        async with http.get(f"{first}/api/v1/events?topics=config") as stream:
            await stream.content.readline()

            async def change() -> None:
                for number in range(200):
                    entry = {**ENTRY, "name": str(number)}
                    await http.put(f"{second}/api/v1/configs/c", json=entry)
                    await asyncio.sleep(0.05)

            changing = asyncio.create_task(change())
            line = b""
            async with asyncio.timeout(30):
                while not line.startswith(b"id: "):
                    line = await stream.content.readline()
            last = line[4:].decode().strip()
            processes[0].process.kill()
            await cut_off(stream)
        headers = {"Last-Event-ID": last}
        async with http.get(f"{second}/api/v1/events?topics=config", headers=headers) as stream:
            seen: list[str] = []
            async with asyncio.timeout(30):
                while len(seen) < 5:
                    line = await stream.content.readline()
                    assert not line.startswith(b"event: reset")
                    if line.startswith(b"id: "):
                        seen.append(line[4:].decode().strip())
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
    assert last not in seen
    assert len(set(seen)) == 5


async def test_a_pod_on_sqlite_with_all_roles_runs_tasks_and_stops_promptly_with_open_streams(
    tmp_path: Path, processes: list[Process]
) -> None:
    (tmp_path / "app.py").write_text(
        "import dsched\n@dsched.task('add')\ndef add(a, b):\n    return a + b\n"
    )
    env = {
        "DSCHED_SQLITE__PATH": str(tmp_path / "store.db"),
        "DSCHED_API__ADMIN_TOKEN": ADMIN,
        "DSCHED_METRICS__PORT": "0",
    }
    processes.append(Process(tmp_path, "pod-a", env, "--app", "app"))
    url = await processes[0].url()
    async with session(ADMIN) as http:
        spec: dict[str, Any] = {
            "executor": "local",
            "payload": {"function": "add", "args": {"a": 2, "b": 3}},
        }
        made = await http.post(f"{url}/api/v1/tasks", json=spec)
        task_id = (await made.json())["id"]
        ended = await (await http.get(f"{url}/api/v1/tasks/{task_id}/wait?timeout=30s")).json()
        assert ended["status"] == "success", ended
        result = await (await http.get(f"{url}/api/v1/tasks/{task_id}/result")).json()
        assert result["data"] == 5
        async with asyncio.timeout(20):
            while (await http.get(f"{url}/readyz")).status != 200:
                await asyncio.sleep(0.05)
        async with http.get(f"{url}/api/v1/events") as stream:
            await stream.content.readline()
            started_s = time.monotonic()
            processes[0].process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(processes[0].process.wait, 30)
            assert time.monotonic() - started_s < 10
        assert code == 0, processes[0].text()
    assert "Traceback" not in processes[0].text()
