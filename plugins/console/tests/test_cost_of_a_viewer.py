"""What a page that is looked at costs the store: at most a call a second, however busy the cluster
is."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from api_pods import serving

from dsched_api_http import service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WATCHED_S = 40.0


def counted(made: Counter[str]) -> Any:
    """The API's own handle of the store, each of whose calls is counted."""
    heeded = service.HeededStore

    def counting(store: Any) -> Any:
        found = heeded(store)
        for step in type(found).__abstractmethods__ or dir(type(found)):
            act = getattr(found, step, None)
            if step.startswith("_") or not asyncio.iscoroutinefunction(act):
                continue

            def call(*args: Any, _step: str = step, _act: Any = act, **kwargs: Any) -> Any:
                made[_step] += 1
                return _act(*args, **kwargs)

            object.__setattr__(found, step, call)
        return found

    return counting


@pytest.mark.long
async def test_one_viewer_costs_the_store_at_most_a_call_a_second(
    browse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()
    monkeypatch.setattr(service, "HeededStore", counted(made))
    async with (
        serving(roles=("api", "scheduler", "worker")) as api,
        browse(api) as browser,
        browser.window() as window,
    ):
        for n in range(5):
            entry = {"executor": "echo", "every": f"{n + 1}s", "payload": {"n": n}}
            await api.ask("PUT", f"/configs/often-{n}", entry)
        bad = {"executor": "echo", "every": "5s", "payload": {"fail": "no"}}
        await api.ask("PUT", "/configs/bad", {**bad, "retry": {"max_retries": 0}})
        page = await window.open()
        await page.get_by_text("live", exact=True).wait_for()
        await page.get_by_text("failed", exact=False).first.wait_for()
        made.clear()
        await asyncio.sleep(WATCHED_S)  # so long is looked at
        assert made.total() <= WATCHED_S, made
        assert made.total() > 5


# What the frame of every page asks for: the cluster at a glance, the events, and who is there.
OF_EVERY_PAGE = {
    *("get_document", "events", "counts", "list_tasks", "stats"),
    *("list_configs", "terms", "workers", "leader", "pods"),
}
# A run that lives for as long as it is looked at: its members fail again and again.
RESTLESS = {
    "every": "1h",
    "retry": {"max_retries": 1000, "retry_delay": "2s", "max_delay": "2s"},
    "steps": {
        "list": {"executor": "echo", "payload": {"items": list(range(600))}},
        "done": {
            "needs": ["list"],
            "executor": "echo",
            "for_each": "${needs.list.data.items}",
            "payload": {"log": ["a line"]},
        },
        "more": {
            "needs": ["list"],
            "executor": "echo",
            "shards": 20,
            "payload": {"log": ["a line"], "fail": "again", "retryable": True},
        },
    },
}


@pytest.mark.long
@pytest.mark.parametrize("show", ["", "?show=members", "?show=logs"])
async def test_a_run_costs_the_store_at_most_half_a_call_a_second_more_than_any_page(
    browse: Any, monkeypatch: pytest.MonkeyPatch, show: str
) -> None:
    made: Counter[str] = Counter()
    monkeypatch.setattr(service, "HeededStore", counted(made))
    async with (
        serving(roles=("api", "scheduler", "worker")) as api,
        browse(api) as browser,
        browser.window() as window,
    ):
        await api.ask("PUT", "/configs/restless", RESTLESS)
        run_id = (await api.ask("POST", "/configs/restless/trigger")).body["id"]
        page = await window.open(f"tasks/{run_id}{show}")
        await page.locator(".node").get_by_text("600 of 600 ended").wait_for()
        await page.get_by_text("live", exact=True).wait_for()
        await window.settled()
        await asyncio.sleep(5)  # what opening a page costs is not what watching it does
        made.clear()
        await asyncio.sleep(WATCHED_S)
        own = {step: number for step, number in made.items() if step not in OF_EVERY_PAGE}
        assert sum(own.values()) <= WATCHED_S / 2, made
        assert sum(own.values()) >= 2  # it is read anew all the same
