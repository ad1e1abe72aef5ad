"""The lists of docs/workflows.md, as they are written there, in a real pod on a real file."""

import importlib
import re

import pytest
import yaml
from aiohttp import web
from workspace import ROOT

import dsched
from dsched.functions.registry import REGISTRY
from dsched.functions.schedules import SCHEDULES
from dsched.model import MemberStep, TaskStatus

REAL_TIME = True
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workflows.md").read_text()
SECTION = PAGE[PAGE.index("## Lists") : PAGE.index("## References")]
TABLES = [{"name": f"t{at}", "rows": at * 10} for at in range(20)]


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)[0]


def entry(url: str) -> dict[str, object]:
    text = block("yaml")
    assert "https://etl.example" in text
    (found,) = yaml.safe_load(text.replace("https://etl.example", url))["tasks"]
    return found


class Server:
    """A server that has twenty tables, of which ``broken`` cannot be indexed."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.indexed: list[tuple[str, int]] = []
        self.answers: list[list[object]] = []
        self.tables: object = TABLES

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response({"tables": self.tables})

    async def index(self, request: web.Request) -> web.Response:
        name = request.query["table"]
        self.indexed.append((name, (await request.json())["rows"]))
        return web.json_response({"name": name}, status=400 if name in self.broken else 200)

    async def report(self, request: web.Request) -> web.Response:
        self.answers.append((await request.json())["answers"])
        return web.json_response({"ok": True})


@pytest.fixture
async def server():
    made, app = Server(), web.Application()
    for path in ("tables", "index", "report"):
        app.router.add_route(
            "*", f"/{path}", made.list if path == "tables" else getattr(made, path)
        )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", made
    await runner.cleanup()


def most_at_once(log, step: str) -> int:
    """How many members of a step lived at the same time."""
    live = most = 0
    for line in log:
        if line.name.startswith(f"{step}~"):
            live += 1 if line.what is MemberStep.BORN else -1
            most = max(most, live)
    return most


CONFIG = {"store": "sqlite", "executors": {"http": {"allow": ["127.0.0.1"]}}}


async def test_of_twenty_items_of_the_page_one_fails_and_is_run_again_alone(
    tmp_path, monkeypatch, server
):
    url, etl = server
    etl.broken = {"t7"}
    monkeypatch.chdir(tmp_path)
    async with dsched.pod(CONFIG) as pod:
        await pod.client.put_config(entry(url))
        made = await pod.client.trigger("nightly-tables")
        run = await made.wait(timeout=60)
        assert (run.status, run.reason) == (TaskStatus.FAILED, "index failed")
        assert sorted(etl.indexed) == sorted((one["name"], one["rows"]) for one in TABLES)
        assert most_at_once(await pod.client.run_log(made.id), "index") == 5
        step = (await pod.client.get_run(made.id)).steps[1]
        assert (step.total, step.ended, step.failed, step.state) == (20, 20, 1, "failed")
        told = (await pod.client.why_task(made.id)).because
        assert told[1:3] == (
            "Step index failed, 19 of 20 items well.",
            "Step report was skipped: index failed.",
        )
        etl.broken, etl.indexed = set(), []
        again = await pod.client.retry(made, failed=True)
        assert (await again.wait(timeout=60)).status is TaskStatus.SUCCESS
        assert etl.indexed == [("t7", 70)]
        (answers,) = etl.answers
        assert [one["body"]["name"] for one in answers] == [one["name"] for one in TABLES]


async def test_no_tables_are_success_and_what_is_no_list_is_told(tmp_path, monkeypatch, server):
    url, etl = server
    monkeypatch.chdir(tmp_path)
    async with dsched.pod(CONFIG) as pod:
        await pod.client.put_config(entry(url))
        etl.tables = []
        made = await pod.client.trigger("nightly-tables")
        assert (await made.wait(timeout=30)).status is TaskStatus.SUCCESS
        assert etl.answers == [[]]
        etl.tables = "none"
        made = await pod.client.trigger("nightly-tables")
        assert (await made.wait(timeout=30)).status is TaskStatus.FAILED
        told = (await pod.client.why_task(made.id)).because[1]
        assert (
            "template: ${needs.list.data.body.tables} is a str, and for_each needs a list" in told
        )


async def test_the_function_of_the_page_is_called_with_each_item(tmp_path, monkeypatch):
    (tmp_path / "tables_of_the_page.py").write_text(block("python"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(REGISTRY, "_functions", dict(REGISTRY._functions))
    monkeypatch.setattr(SCHEDULES, "_schedules", [])
    app = importlib.import_module("tables_of_the_page")
    monkeypatch.chdir(tmp_path)
    async with dsched.pod({"store": "sqlite"}) as pod:
        made = await app.tables.submit()
        assert (await made.wait(timeout=30)).status is TaskStatus.SUCCESS
        results = [await pod.client.result(f"{made.id}~index~{at}") for at in range(2)]
        assert results == ["ORDERS", "CUSTOMERS"]
