"""More of the embedding page: several workers of one server, sync applications, a store away."""

import asyncio
import contextlib
import importlib
import json
import os
import shlex
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from docs_processes import started
from pages import ROOT

import dsched
from dsched.functions.registry import REGISTRY
from dsched.functions.schedules import SCHEDULES
from dsched_testkit.servers import wait_until

pytestmark = pytest.mark.slow
EMBEDDING = ROOT / "docs/examples/embedding"
DJANGO = EMBEDDING / "django_site"
UVICORN = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--log-level", "warning"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def runs(folder: Path) -> list[str]:
    """The tasks of the schedule, as its function wrote them down."""
    file = folder / "refreshed"
    return file.read_text().split() if file.exists() else []


def ask(method: str, url: str) -> dict:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.load(answer)


def as_printed(server: str, port: int) -> list[str]:
    """The page's command that serves with several workers, on this port."""
    page = (ROOT / "docs/embedding.md").read_text()
    (line,) = [one for one in page.splitlines() if one.startswith(f"python -m {server} workers_")]
    return [sys.executable, *shlex.split(line.replace("8001", str(port)))[1:]]


def ready(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(ask("GET", f"{url}/ready")["ready"])
    return False


async def pods_of(client: dsched.Client, *, beside: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names of two pods, once there are two that are not `beside`."""
    async with asyncio.timeout(40):
        while len(names := frozenset(pod.name for pod in await client.pods()) - beside) < 2:
            await asyncio.sleep(0.1)
    return names


async def kill_one(client: dsched.Client, names: frozenset[str]) -> str:
    """Kill a worker process of the server, which starts another one with a pod of its own."""
    killed = min(names)
    os.kill(int(killed.removeprefix("web-")), signal.SIGKILL)
    assert not await pods_of(client, beside=frozenset({killed})) <= names
    return killed


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
async def test_each_worker_process_of_a_server_has_a_pod_of_its_own(tmp_path, server):
    port = free_port()
    told = {"POD_NAME": "web", "PYTHONPATH": str(EMBEDDING)}
    url = f"http://127.0.0.1:{port}"
    store = {"sqlite": {"path": str(tmp_path / "dsched.db")}}
    with started(as_printed(server, port), tmp_path / "web", cwd=tmp_path, **told) as run:
        wait_until(lambda: ready(url), f"it is ready: {run.said()}", timeout_s=40)
        async with dsched.connect(store) as client:
            names = await pods_of(client)
            assert all(name.startswith("web-") for name in names)
            killed = await kill_one(client, names)
            task_id = ask("POST", f"{url}/reports?name=Ada")["task"]
            assert await client.result(task_id, timeout=20) == {"title": "Report for Ada"}
            wait_until(lambda: len(runs(tmp_path)) >= 2, "the schedule fires", timeout_s=20)
            run.process.send_signal(signal.SIGTERM)
            run.ends()
            left = {worker.id.rpartition("-")[0] for worker in await client.workers()}
            assert left <= {killed}, "the others took themselves off the list"
    assert len(runs(tmp_path)) == len(set(runs(tmp_path)))


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


async def test_a_sync_application_submits_through_a_client_that_it_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("DSCHED_SQLITE__PATH", str(tmp_path / "dsched.db"))
    monkeypatch.syspath_prepend(str(EMBEDDING))
    monkeypatch.chdir(tmp_path)
    # What the recipe registers ends with this test: a later pod of this process would run its
    # schedule, which writes a file, in whichever folder it stands.
    monkeypatch.setattr(REGISTRY, "_functions", {})
    monkeypatch.setattr(SCHEDULES, "_schedules", [])
    for name in ("reports", "wsgi_app"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    wsgi = importlib.import_module("wsgi_app")
    with make_server("127.0.0.1", 0, wsgi.app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/reports"
        try:
            async with dsched.pod({"store": "sqlite"}) as pod:
                task_id = (await asyncio.to_thread(ask, "POST", f"{url}/Ada"))["task"]
                result = await pod.client.result(task_id, timeout=20)
                assert result == {"title": "Report for Ada"}
                found = await asyncio.to_thread(ask, "GET", f"{url}/{task_id}")
                assert found == {"status": "success"}
                with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                    await asyncio.to_thread(ask, "GET", f"{url}/nobody")
                refused.value.close()
        finally:
            server.shutdown()
            thread.join(10)
            wsgi.client().close()
            wsgi._held.clear()
            for name in ("reports", "wsgi_app"):
                del sys.modules[name]


AWAY = {"DSCHED_STORE": "redis", "DSCHED_REDIS__ADDR": "127.0.0.1:1"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("recipe", ["fastapi", "aiohttp", "django command"])
def test_a_recipe_without_its_store_ends_on_a_signal(tmp_path, recipe, number):
    told = {"PYTHONPATH": str(EMBEDDING), **AWAY}
    command = [*UVICORN, "fastapi_app:app", "--port", str(free_port())]
    if recipe == "aiohttp":
        command = [sys.executable, str(EMBEDDING / "aiohttp_app.py"), str(free_port())]
    if recipe == "django command":
        told |= {"PYTHONPATH": str(DJANGO), "DJANGO_SECRET_KEY": "of this test"}
        command = [sys.executable, str(DJANGO / "manage.py"), "dsched_pod"]
    with started(command, tmp_path / "run", cwd=tmp_path, **told) as run:
        wait_until(lambda: "does not answer" in run.said(), "it waits for its store", timeout_s=30)
        run.process.send_signal(number)
        run.ends()
