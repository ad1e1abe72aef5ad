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
