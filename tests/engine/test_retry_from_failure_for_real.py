"""The nightly workflow of docs/workflows.md and how it is retried there, as they are written, by a
real pod on a real file with a server that fails."""

import re

import pytest
import yaml
from aiohttp import web
from workspace import ROOT

import dsched
from dsched.model import TaskStatus

REAL_TIME = True
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workflows.md").read_text()
STEPS = PAGE.partition("## Steps")[2].partition("```yaml\n")[2].partition("```")[0]
GOES_ON = re.search(
    r"```python\n(.*?)```", PAGE.partition("## Retry from failure")[2], re.DOTALL
).group(1)
SERVER = "https://etl.example"


@pytest.fixture
async def etl():
    """A server; its address, the paths that fail there, and what was asked of it."""
    broken, asked = set(), []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        asked.append((request.path, dict(request.query), body))
        if request.path in broken:
            return web.json_response({"ok": False}, status=400)
        return web.json_response({"rows": 3})

    app = web.Application()
    app.router.add_route("*", "/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", broken, asked
    await runner.cleanup()


async def test_the_nightly_of_the_page_is_rolled_back_and_goes_on_as_the_page_says(
    tmp_path, monkeypatch, etl
):
    url, broken, asked = etl
    assert SERVER in STEPS
    monkeypatch.chdir(tmp_path)
    config = {
        "store": "sqlite",
        "sqlite": {"path": str(tmp_path / "etl.db")},
        "executors": {"http": {"allow": ["127.0.0.1"]}},
    }
    (tmp_path / "dsched.yaml").write_text(yaml.safe_dump(config))
    (nightly,) = yaml.safe_load(STEPS.replace(SERVER, url))["tasks"]
    nightly["retry"] = {"max_retries": 0}
    config_id = nightly.pop("id")
    namespace: dict[str, object] = {}
    exec(compile(GOES_ON, "docs/workflows.md", "exec"), namespace)
    async with dsched.pod(config) as pod:
        await pod.client.put_config({"id": config_id, **nightly})
        broken.add("/load")
        made = await pod.client.trigger(config_id, key="one")
        assert (await made.wait(timeout=30)).status is TaskStatus.FAILED
        paths = [path for path, _, _ in asked]
        assert sorted(paths) == ["/extract", "/load", "/report", "/rollback"]
        day = asked[0][1]["day"]
        broken.clear()
        asked.clear()
        again = await namespace["go_on"](made.id)
        assert again.status is TaskStatus.SUCCESS
        assert [(path, body) for path, _, body in asked] == [
            ("/load", {"rows": 3}),
            ("/report", None),
        ]
        run = await pod.client.get_run(again.id)
        states = {one.id: (one.state.value, one.taken) for one in run.steps}
        assert states == {
            "extract": ("success", 1),
            "load": ("success", 0),
            "report": ("success", 0),
            "rollback": ("skipped", 0),
        }
        assert run.task.nominal_ms == (await pod.client.get(made.id)).nominal_ms
    assert day
