"""A store that answers and takes no writes: every caller is told so, in the store's own words."""

import asyncio
import os
import re
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest
from aiohttp import web
from alert_hook import SECRET, Hook
from pods import PodProcess, clean_environment, origin_of_api, until

from dsched_testkit.servers import NoServerError, RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(180)]

TOKEN = "admin-token-of-the-tests-0123456789"
DSCHED = str(Path(sys.executable).with_name("dsched"))
TICK = """
tasks:
  - {id: tick, every: 1s, overlap: allow, executor: local, payload: {function: beat}}
"""
WORK = """
from dsched import task

@task
def beat():
    pass
"""
NOTICED_S = 25.0
FILE_BYTES = 48 * 1024  # more than the pod logs, less than the store's files have


@attrs.frozen(kw_only=True)
class Trouble:
    """A store, how its writes come to be refused, and what it says then."""

    settings: dict[str, str]
    refusing: Callable[[PodProcess], AbstractContextManager[None]]
    reason: str
    words: str


def _redis(server: RedisServer, setting: str, bad: str, good: str) -> Callable[..., object]:
    @contextmanager
    def refusing(_: PodProcess) -> Iterator[None]:
        server.command("CONFIG", "SET", setting, bad)
        try:
            yield
        finally:
            server.command("CONFIG", "SET", setting, good)

    return refusing


@contextmanager
def _no_file_may_grow(pod: PodProcess) -> Iterator[None]:
    before = resource.prlimit(pod.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pod.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pod.pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("replicas", marks=pytest.mark.long),
        pytest.param("disk", marks=pytest.mark.long),
    ]
)
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    if request.param == "disk":
        settings = {"DSCHED_STORE": "sqlite", "DSCHED_SQLITE__PATH": str(tmp_path / "store.db")}
        yield Trouble(
            settings=settings,
            refusing=_no_file_may_grow,
            reason="disk",
            words=r"store\.db takes no writes: its disk fails.*SQLITE_IOERR",
        )
        return
    try:
        server = RedisServer(least_major=7 if request.param == "replicas" else 0)
    except NoServerError as error:
        pytest.skip(str(error))  # servers before 7.0 apply the limit to no script
    with server:
        settings = {"DSCHED_STORE": "redis", "DSCHED_REDIS__ADDR": server.addr}
        if request.param == "memory":
            act, words = _redis(server, "maxmemory", "1", "0"), "maxmemory"
        else:
            act, words = _redis(server, "min-replicas-to-write", "1", "0"), "NOREPLICAS"
        yield Trouble(settings=settings, refusing=act, reason=request.param, words=words)


@asynccontextmanager
async def hooked() -> AsyncIterator[Hook]:
    hook, app = Hook(), web.Application()
    app.router.add_route("*", "/{rest:.*}", hook.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield hook
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(
    trouble: Trouble, hook: Hook, folder: Path
) -> AsyncIterator[tuple[PodProcess, str]]:
    """A pod with everything on this store, at work, and the address of its API."""
    tasks = folder / "tasks.yaml"
    tasks.write_text(TICK)
    (folder / "work.py").write_text(WORK)
    env = clean_environment(
        **trouble.settings,
        DSCHED_API__PORT="0",
        DSCHED_API__ADMIN_TOKEN=TOKEN,
        DSCHED_METRICS__PORT="0",
        DSCHED_ALERTS__URL=hook.url,
        DSCHED_ALERTS__SECRET=SECRET,
        DSCHED_ALERTS__ALLOW='["127.0.0.0/8"]',
        POD_NAME="pod-a",
    )
    argv = ("--log-format", "json", "--app", "work", "--tasks", str(tasks))
    pod = PodProcess("pod-a", argv, folder, env)
    try:
        yield pod, await origin_of_api(pod)
    finally:
        pod.end()


async def asked(
    http: aiohttp.ClientSession, url: str, method: str = "GET", body: object = None
) -> tuple[int, str]:
    async with http.request(method, url, json=body) as answer:
        return answer.status, await answer.text()


async def becomes(http: aiohttp.ClientSession, url: str, status: int, pod: PodProcess) -> str:
    """What is answered once it is answered with this status."""
    end_s = time.monotonic() + NOTICED_S
    while True:
        found, text = await asked(http, url)
        if found == status:
            return text
        assert time.monotonic() < end_s, (found, text, pod.tail())
        await asyncio.sleep(0.1)


async def fired(http: aiohttp.ClientSession, url: str) -> float:
    _, text = await asked(http, f"{url}/metrics")
    found = re.search(r"^dsched_fires_total (\S+)$", text, re.MULTILINE)
    return 0.0 if found is None else float(found[1])


async def command(url: str, *args: str) -> tuple[int | None, str]:
    env = {"PATH": os.environ["PATH"], "DSCHED_URL": url, "DSCHED_TOKEN": TOKEN, "COLUMNS": "400"}
    process = await asyncio.create_subprocess_exec(
        DSCHED, *args, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


def _about_the_store(hook: Hook) -> list[dict[str, str]]:
    return [one for one in hook.alerts if one["kind"] == "store_read_only"]


async def everybody_is_told(http: aiohttp.ClientSession, url: str, trouble: Trouble) -> None:
    status, text = await asked(http, f"{url}/api/v1/cluster")
    # Reading is the store's to grant: a script of Redis may be refused for one word that it keeps.
    assert status in (200, 503), text
    assert re.search(trouble.words, text), text
    task = {"id": "t", "executor": "local", "payload": {"function": "beat"}}
    before_s = time.monotonic()
    status, text = await asked(http, f"{url}/api/v1/tasks", "POST", task)
    assert (status, time.monotonic() - before_s < 7) == (503, True), text
    assert '"store_read_only"' in text, text
    assert re.search(trouble.words, text), text
    _, page = await asked(http, f"{url}/metrics")
    assert f'dsched_store_writable{{reason="{trouble.reason}"}} 0.0' in page
    for args in (("status",), ("doctor",)):
        code, text = await command(url, *args)
        assert code in (1, 7), text
        assert "takes no writes" in text.lower(), text
        assert re.search(trouble.words, " ".join(text.split())), text
    code, text = await command(url, "task", "cancel", "t", "--reason", "x")
    assert re.search("takes no writes", text) or code == 4, text  # there is no such task


async def test_everybody_is_told_that_writes_are_refused_and_that_it_is_over(
    trouble: Trouble, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        hooked() as hook,
        served(trouble, hook, tmp_path) as (pod, url),
        aiohttp.ClientSession(headers=headers) as http,
    ):
        assert await becomes(http, f"{url}/readyz", 200, pod) == "ready\n"
        while await fired(http, url) < 2:
            await asyncio.sleep(0.1)
        with trouble.refusing(pod):
            text = await becomes(http, f"{url}/readyz", 503, pod)
            assert text == f"the store takes no writes ({trouble.reason})\n"
            await everybody_is_told(http, url, trouble)
            await until(lambda: _about_the_store(hook), "an alert", 20, [pod])
        assert await becomes(http, f"{url}/readyz", 200, pod) == "ready\n"
        before = await fired(http, url)
        while await fired(http, url) <= before:
            await asyncio.sleep(0.1)
        (said,) = pod.said("the store takes no writes, so nothing fires")
        assert re.search(trouble.words, said["message"])
        assert len(pod.said("the store takes writes again, after")) == 1
        await until(lambda: len(_about_the_store(hook)) == 2, "it is over", 20, [pod])
        assert [one["state"] for one in _about_the_store(hook)] == ["firing", "resolved"]
