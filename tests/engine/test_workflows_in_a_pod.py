"""The workflow of docs/workflows.md, run as it is written there, by a real pod on a real file."""

import importlib
import re

import pytest
from aiohttp import web
from workspace import ROOT

import dsched
from dsched.functions.registry import REGISTRY
from dsched.functions.schedules import SCHEDULES
from dsched.model import TaskStatus

REAL_TIME = True
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workflows.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
REPORT = "https://etl.example/report"
CODE = next(block for block in BLOCKS if "@dsched.workflow" in block and REPORT in block)


@pytest.fixture
async def reports():
    """A server that the last step tells; its address, and what it was told."""
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(request.path)
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_route("*", "/report", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/report", told
    await runner.cleanup()


async def test_the_workflow_of_the_page_is_put_and_runs_from_its_first_step_to_its_last(
    tmp_path, monkeypatch, reports
):
    url, told = reports
    assert REPORT in CODE
    (tmp_path / "etl_of_the_page.py").write_text(CODE.replace(REPORT, url))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(REGISTRY, "_functions", dict(REGISTRY._functions))
    monkeypatch.setattr(SCHEDULES, "_schedules", [])
    app = importlib.import_module("etl_of_the_page")
    monkeypatch.chdir(tmp_path)
    config = {"store": "sqlite", "executors": {"http": {"allow": ["127.0.0.1"]}}}
    async with dsched.pod(config) as pod:
        put = (await pod.client.get_config("nightly")).config
        assert (put.cron_expr, put.timezone) == ("0 2 * * *", "Europe/Berlin")
        assert [step.id for step in put.workflow.steps] == ["extract", "load", "report"]
        for made in (await pod.client.trigger("nightly"), await app.nightly.submit()):
            run = await made.wait(timeout=30)
            assert (run.status, run.reason) == (TaskStatus.SUCCESS, "")
            steps = (await pod.client.get_run(made.id)).steps
            assert [(one.id, one.level) for one in steps] == [
                ("extract", 0),
                ("load", 1),
                ("report", 2),
            ]
            ended = [one.ended_ms for one in steps]
            assert ended == sorted(ended)
            assert await pod.client.result(f"{made.id}~load", timeout=5) == 3
    assert told == ["/report", "/report"]
