"""What docs/workflows.md says of each worker, run as it is written there, on two real pods."""

import importlib
import re

import pytest
from aiohttp import web
from workspace import ROOT

import dsched
from dsched.config.settings import TaskSettings
from dsched.config.task_file import read_tasks
from dsched.loading import load_catalogue

REAL_TIME = True
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workflows.md").read_text()
SECTION = PAGE[PAGE.index("## Each worker") : PAGE.index("## Lists")]
(YAML,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
(CODE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
HOSTS = ("http://127.0.0.1:8080", "https://models.example")


@pytest.fixture
async def hosts():
    """A server that stands for all hosts of the page: its address, and what it was asked."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, await request.json() if request.can_read_body else None))
        return web.json_response({"name": "m7"})

    app = web.Application()
    app.router.add_route("*", "/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


def of_the_page(text: str, url: str) -> str:
    """A block of the page, with this host for all of its."""
    for host in HOSTS:
        text = text.replace(host, url)
    return text


async def test_the_examples_run_on_each_worker(tmp_path, monkeypatch, hosts, capsys):
    url, asked = hosts
    monkeypatch.chdir(tmp_path)
    settings = {"store": "sqlite", "sqlite": {"path": str(tmp_path / "dsched.db")}}
    (tmp_path / "dsched.yaml").write_text(
        f"store: sqlite\nsqlite: {{path: {tmp_path}/dsched.db}}\n"
    )
    (tmp_path / "everywhere_of_the_page.py").write_text(of_the_page(CODE, url))
    (tmp_path / "tasks.yaml").write_text(of_the_page(YAML, url))
    monkeypatch.syspath_prepend(str(tmp_path))
    app = importlib.import_module("everywhere_of_the_page")
    settings |= {"executors": {"http": {"allow": ["127.0.0.1"]}}}
    eu = {"id": "w-eu", "labels": {"zone": "eu"}}
    async with (
        dsched.pod({**settings, "worker": eu}) as pod,
        dsched.pod({**settings, "worker": {"id": "w-us"}, "pod": {"name": "other"}}),
    ):
        await app.everywhere()
        assert capsys.readouterr().out == "{'w-eu': 'success', 'w-us': 'success'}\n"
        assert asked == [("/clear-caches", None)] * 2
        asked.clear()
        clear, roll = read_tasks("tasks.yaml", defaults=TaskSettings(), catalogue=load_catalogue())
        for config in (clear, roll):
            await pod.client.put_config(config)
        run = await (await pod.client.trigger("clear-caches")).wait(timeout=30)
        (step,) = (await pod.client.get_run(run.id)).steps
        assert [(one.worker, one.state) for one in step.members] == [("w-eu", "success")]
        asked.clear()
        run = await (await pod.client.trigger("roll-models")).wait(timeout=30)
        assert (run.status, run.reason) == ("success", "")
        _, load, _ = (await pod.client.get_run(run.id)).steps
        assert [one.worker for one in load.members] == ["w-eu", "w-us"]
        assert load.members[0].ended_ms <= load.members[1].born_ms, "one after the other"
    assert [path for path, _ in asked] == ["/latest", "/load", "/load", "/loaded"]
    assert asked[1][1] == {"model": "m7"}
    assert [one["body"] for one in asked[3][1]["answers"]] == [{"name": "m7"}] * 2
