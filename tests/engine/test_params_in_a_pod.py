"""The params of docs/workflows.md, as they are written there, in a real pod on a real file."""

import re

import pytest
import yaml
from aiohttp import web
from workspace import ROOT

import dsched
from dsched.model import InvalidConfigError, TaskStatus

REAL_TIME = True
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workflows.md").read_text()
SECTION = PAGE[PAGE.index("## Params") : PAGE.index("## What became of a run")]


def entry(url: str) -> dict[str, object]:
    block = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[0]
    assert "https://etl.example" in block
    (found,) = yaml.safe_load(block.replace("https://etl.example", url))["tasks"]
    return found


@pytest.fixture
async def server():
    """A server that says what it was asked; its address, and days and rows that it was told."""
    told: list[tuple[str, int]] = []

    async def answer(request: web.Request) -> web.Response:
        told.append((request.query["day"], (await request.json())["rows"]))
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_route("*", "/export", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", told
    await runner.cleanup()


async def test_the_config_of_the_page_runs_with_what_a_trigger_gives(tmp_path, monkeypatch, server):
    url, told = server
    monkeypatch.chdir(tmp_path)
    config = {"store": "sqlite", "executors": {"http": {"allow": ["127.0.0.1"]}}}
    async with dsched.pod(config) as pod:
        await pod.client.put_config(entry(url))
        made = await pod.client.trigger("export", params={"day": "2026-11-30", "rows": 10})
        assert (await made.wait(timeout=30)).status is TaskStatus.SUCCESS
        by_default = await pod.client.trigger("export")
        assert (await by_default.wait(timeout=30)).status is TaskStatus.SUCCESS
        with pytest.raises(InvalidConfigError, match="did you mean 'day'"):
            await pod.client.trigger("export", params={"days": "2026-11-30"})
        again = await pod.client.retry(made)
        assert (await again.wait(timeout=30)).status is TaskStatus.SUCCESS
    assert (told[0], told[2]) == (("2026-11-30", 10), ("2026-11-30", 10))
    assert told[1][1] == 1000
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", told[1][0])
