"""The web applications of the embedding page, in replicas behind real servers on one store."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from docs_processes import Running, started
from pages import ROOT

import dsched
from dsched.functions.registry import REGISTRY
from dsched.model import TaskStatus
from dsched_testkit.servers import RedisServer, wait_until

pytestmark = pytest.mark.slow

EMBEDDING = ROOT / "docs/examples/embedding"
DJANGO = EMBEDDING / "django_site"
UVICORN = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--log-level", "warning"]


@attrs.frozen
class Replica:
    """One web server."""

    run: Running
    url: str

    def ask(self, method: str, path: str) -> dict:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        try:
            self.ask("GET", "/reports/none")
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 404
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def replicas(command: list[str], port_flag: list[str], tmp_path: Path, **env) -> Iterator[list]:
    """Two of them, in one folder, so on one store; each a pod with a name of its own."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in "ab":
            port = free_port()
            told = {"POD_NAME": name, "PYTHONPATH": str(EMBEDDING), **env}
            run = stack.enter_context(
                started([*command, *port_flag, str(port)], tmp_path / name, cwd=tmp_path, **told)
            )
            found.append(Replica(run, f"http://127.0.0.1:{port}"))
        for one in found:
            wait_until(one.answers, f"an answer of {one.url}: {one.run.said()}", timeout_s=30)
        yield found


def runs(folder: Path) -> list[str]:
    """The tasks of the schedule, as its function wrote them down."""
    file = folder / "refreshed"
    return file.read_text().split() if file.exists() else []


async def the_recipe_holds(two: list[Replica], folder: Path, store: dict, *more: Running) -> None:
    """Fires once an instant, does what one replica was asked for, and stops without losing it."""
    one, other = two
    wait_until(lambda: len(runs(folder)) >= 3, "the schedule fires", timeout_s=20)
    task_id = one.ask("POST", "/reports?name=Ada")["task"]
    wait_until(
        lambda: other.ask("GET", f"/reports/{task_id}")["status"] == "success", "it is done", 20
    )
    assert other.ask("GET", f"/reports/{task_id}")["result"] == {"title": "Report for Ada"}
    slow = other.ask("POST", "/reports?name=Grace&seconds=1.5")["task"]
    wait_until(lambda: one.ask("GET", f"/reports/{slow}")["status"] == "running", "it runs", 20)
    for run in (one.run, other.run, *more):
        run.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    codes = [run.ends() for run in (one.run, other.run, *more)]
    assert set(codes) <= {0, -signal.SIGTERM}, [run.said() for run in (one.run, other.run)]
    assert time.monotonic() - began_s < 15
    fired = runs(folder)
    assert len(fired) == len(set(fired)), "an instant fired twice"
    async with dsched.connect(store) as client:
        task = await client.get(slow)
        assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)
        config = (await client.get_config("rates.refresh")).config
        assert config.origin in ("code:reports", "code:shop")
        assert await client.workers() == ()


async def test_replicas_of_a_fastapi_application_share_the_work(tmp_path):
    command = [*UVICORN, "fastapi_app:app"]
    with replicas(command, ["--port"], tmp_path) as two:
        await the_recipe_holds(two, tmp_path, {"sqlite": {"path": str(tmp_path / "dsched.db")}})


async def test_replicas_of_an_aiohttp_application_share_the_work_on_redis(tmp_path):
    with RedisServer() as server:
        told = {"DSCHED_STORE": "redis", "DSCHED_REDIS__ADDR": server.addr}
        command = [sys.executable, str(EMBEDDING / "aiohttp_app.py")]
        with replicas(command, [], tmp_path, **told) as two:
            store = {"store": "redis", "redis": {"addr": server.addr}}
            await the_recipe_holds(two, tmp_path, store)


async def names_of_workers(client) -> set[str]:
    return {worker.id.rpartition("-")[0] for worker in await client.workers()}


def of_site(folder: Path, told: dict[str, str], *words: str) -> None:
    """A command of the site, to its end."""
    command = [sys.executable, str(DJANGO / "manage.py"), *words]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def no_functions_of_other_tests(monkeypatch):
    """A client refuses a function that its process, where it registers some, does not."""
    monkeypatch.setattr(REGISTRY, "_functions", {})


async def counted_in_a_child(client) -> object:
    """What a function with models finds in a child process of whichever worker."""
    payload = {"function": "report.count", "args": ["Ada"]}
    once = dsched.RetryPolicy(max_retries=0)
    spec = dsched.TaskSpec(executor="local", payload=payload, retry=once)
    return await client.result(await client.submit(spec), timeout_s=25)


async def test_replicas_of_a_django_site_and_its_command_share_the_work(tmp_path):
    told = {"PYTHONPATH": str(DJANGO), "DJANGO_SECRET_KEY": "of this test"}
    pod = [sys.executable, str(DJANGO / "manage.py"), "dsched_pod"]
    of_site(tmp_path, told, "migrate", "--run-syncdb", "--verbosity", "0")
    fill = "from shop.models import Report as R; [R(name=n).save() for n in ('Ada', 'Adam', 'Bo')]"
    of_site(tmp_path, told, "shell", "--verbosity", "0", "-c", fill)
    with contextlib.ExitStack() as stack:
        command = stack.enter_context(
            started(pod, tmp_path / "pod", cwd=tmp_path, POD_NAME="pod", **told)
        )
        two = stack.enter_context(
            replicas([*UVICORN, "shop.asgi:application"], ["--port"], tmp_path, **told)
        )
        store = {"sqlite": {"path": str(tmp_path / "dsched.db")}}
        async with dsched.connect(store) as client, asyncio.timeout(30):
            while await names_of_workers(client) != {"a", "b", "pod"}:
                await asyncio.sleep(0.1)
            assert await counted_in_a_child(client) == 2
        await the_recipe_holds(two, tmp_path, store, command)
