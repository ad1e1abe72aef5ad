"""The story with three pods on Redis: a config made in the editor fires, the leader is killed, and
the page tells of the change and of no fire that was missed."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from pods import PodProcess, clean_environment, until

from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TOKEN = "admin-token-of-the-tests-0123456789"
JOBS = """
import dsched

@dsched.task("beat")
def beat():
    return "done"
"""
LONG_MS = 60_000


@attrs.frozen
class Running:
    """A pod, and where its API is."""

    pod: PodProcess
    url: str


@asynccontextmanager
async def running(name: str, server: RedisServer, folder: Path) -> AsyncIterator[Running]:
    env = clean_environment(
        DSCHED_STORE="redis",
        DSCHED_REDIS__ADDR=server.addr,
        DSCHED_API__PORT="0",
        DSCHED_API__ADMIN_TOKEN=TOKEN,
        DSCHED_METRICS__PORT="0",
        POD_NAME=name,
    )
    pod = PodProcess(name, ("--log-format", "json", "--app", "jobs"), folder, env)
    try:
        await until(lambda: pod.said("API: http"), "the API listens", 40, [pod])
        found = re.search(r"API: (http://\S+)/api/v1", pod.said("API: http")[0]["message"])
        assert found is not None
        yield Running(pod, found[1])
    finally:
        pod.end()


async def asked(url: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{url}/api/v1{path}") as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def written(page: Any) -> None:
    """A config that fires every second, made in the editor."""
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await page.get_by_role("link", name=re.compile("New config")).click()
    await page.get_by_label("Name").fill("beat")
    await page.get_by_label("Payload").fill('{"function": "beat"}')
    await page.get_by_role("button", name="Every").click()
    await page.get_by_label("Every").fill("1s")
    await page.get_by_label("Overlap").select_option("allow")
    await page.get_by_label("Missed").select_option("fire_all")
    await page.keyboard.press("Control+Enter")
    await page.get_by_role("heading", name="beat").wait_for()


def gaps(items: list[dict[str, Any]]) -> list[str]:
    """Instants between the first and the last fire that were not fired."""
    times = sorted(
        datetime.fromisoformat(one["first"]) for one in items if one["verdict"] == "fired"
    )
    wanted, step = times[0], timedelta(seconds=1)
    missing = []
    while wanted <= times[-1]:
        if wanted not in times:
            missing.append(wanted.isoformat())
        wanted += step
    return missing


async def test_a_leader_is_killed_and_the_page_tells_of_it_and_of_nothing_missed(
    browse: Any, tmp_path: Path
) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer())
        pods = {
            name: await stack.enter_async_context(running(name, server, tmp_path))
            for name in ("pod-a", "pod-b", "pod-c")
        }
        leader = (await asked(pods["pod-a"].url, "/cluster"))["leader"]["pod"]
        seen_from = next(one for name, one in pods.items() if name != leader)
        browser = await stack.enter_async_context(browse(None))
        how = {"scope": None, "url": seen_from.url}
        window = await stack.enter_async_context(browser.window(**how))
        page = await window.open()
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await page.get_by_text("Three steps to a first task").wait_for()
        await written(page)
        await page.locator("tr[data-row]", has_text="Success").nth(3).wait_for()
        line = page.locator(".status")
        await line.get_by_text(leader, exact=True).wait_for()

        pods[leader].pod.kill()
        await line.get_by_text(leader, exact=True).wait_for(state="hidden", timeout=LONG_MS)
        await page.keyboard.press("g")
        await page.keyboard.press("k")
        terms = page.locator("section[aria-labelledby=terms-title] tbody tr")
        await terms.nth(1).wait_for(timeout=LONG_MS)
        assert leader not in await terms.nth(0).inner_text()
        assert leader in await terms.nth(1).inner_text()
        since = (await asked(seen_from.url, "/cluster/terms"))["items"][0]["began"]
        await page.goto(f"{seen_from.url}/ui/configs/beat?tab=decisions")

        async def fired_since() -> bool:
            items = (await asked(seen_from.url, "/configs/beat/decisions?limit=500"))["items"]
            return any(one["first"] > since for one in items if one["verdict"] == "fired")

        async with asyncio.timeout(30):
            while not await fired_since():
                await asyncio.sleep(0.1)
        await page.locator("tr", has_text="fired").nth(5).wait_for()
        items = (await asked(seen_from.url, "/configs/beat/decisions?limit=500"))["items"]
        assert gaps(items) == []
        assert {one["verdict"] for one in items} == {"fired"}
        assert await page.locator("main .s-missed").count() == 0
        assert [one for one in window.complaints if "401" not in one] == []
