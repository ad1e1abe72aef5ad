"""What a page that is looked at costs the store: at most a call a second, however busy the cluster
is; and fifty who look at it are far from costing fifty times that."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest
from api_pods import serving

from dsched_api_http import service
from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(240)]

WATCHED_S = 40.0
MANY = 50
MOST_OF_MANY = 8.0  # calls a second

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
PAGES = {
    "now": "",
    "configs": "configs",
    "config": "configs/often-0",
    "upcoming": "configs/often-0?tab=upcoming",
    "decisions": "configs/often-0?tab=decisions",
    "why": "configs/often-0?tab=why",
    "graph": "configs/restless?tab=graph",
    "editor": "configs/often-0/edit",
    "tasks": "tasks?state=success",
    "run": "tasks/{run}",
    "members": "tasks/{run}?show=members",
    "logs of a run": "tasks/{run}?show=logs",
    "task that waits for its end": "tasks/{task}",
    "calendar": "calendar",
    "problems": "problems",
    "workers": "workers",
    "limits": "limits",
    "limit": "limits/few",
    "calendars": "limits?tab=calendars",
    "cluster": "cluster",
    "terms": "cluster?tab=terms",
    "audit": "cluster?tab=audit",
}


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


@attrs.frozen(kw_only=True)
class Busy:
    """A pod on Redis in which much happens, and the calls of its API."""

    api: Any
    made: Counter[str]
    named: Mapping[str, str]


@pytest.fixture
async def busy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Busy]:
    made: Counter[str] = Counter()
    monkeypatch.setattr(service, "HeededStore", counted(made))
    with RedisServer() as server:
        settings = {"store": "redis", "redis.addr": server.addr}
        # All viewers come from here.
        bounds = {"max_streams_by_token": 100, "max_connections_by_address": 500}
        async with serving(settings, roles=("api", "scheduler", "worker"), **bounds) as api:
            yield Busy(api=api, made=made, named=await filled(api))


def echo(every: str, **payload: Any) -> dict[str, Any]:
    return {"executor": "echo", "every": every, "payload": payload}


async def filled(api: Any) -> dict[str, str]:
    """Configs that fire all the time, one that fails, a limit, a run and a task that go on."""
    entries = {f"often-{n}": echo(f"{n + 1}s", n=n) | {"limits": ["few"]} for n in range(5)}
    entries["bad"] = echo("5s", fail="no") | {"retry": {"max_retries": 0}}
    entries["restless"] = RESTLESS
    long = {"executor": "echo", "payload": {"log": ["a line"], "wait": True}, "id": "long"}
    asked = [await api.ask("PUT", "/limits/few", {"max_running": 3})]
    asked += [await api.ask("PUT", f"/configs/{name}", one) for name, one in entries.items()]
    asked.append(task := await api.ask("POST", "/tasks", long))
    asked.append(run := await api.ask("POST", "/configs/restless/trigger"))
    assert all(one.status < 300 for one in asked), asked
    return {"run": run.body["id"], "task": task.body["id"]}


@asynccontextmanager
async def looked_at(busy: Busy, browse: Any, page: str) -> AsyncIterator[Any]:
    """A page in a browser, that has been looked at for a while: opening it is not watching it."""
    async with browse(busy.api) as browser, browser.window() as window:
        shown = await window.open(PAGES[page].format(**busy.named))
        await shown.get_by_text("live", exact=True).wait_for()
        await window.settled()
        await asyncio.sleep(15)
        yield window


@pytest.mark.parametrize("page", PAGES)
async def test_a_viewer_of_any_page_costs_the_store_at_most_a_call_a_second(
    busy: Busy, browse: Any, page: str
) -> None:
    async with looked_at(busy, browse, page) as window:
        busy.made.clear()
        await asyncio.sleep(WATCHED_S)  # so long is looked at
        print(f"{page}: {busy.made.total() / WATCHED_S:.2f} {busy.made}")
        assert busy.made.total() <= WATCHED_S, busy.made
        assert busy.made.total() > 5
        assert window.complaints == []


def asked_again(window: Any) -> Counter[str]:
    """What a page asks for from now on, by address."""
    found: Counter[str] = Counter()

    def note(request: Any) -> None:
        if "max-age" in request.headers.get("cache-control", ""):
            found[request.url] += 1

    window.page.on("request", note)
    return found


async def viewer(busy: Busy, urls: Mapping[str, float]) -> None:
    """What a page asks for while it is looked at by somebody with a session of his own: the
    events, and each address every so many seconds."""
    token = await busy.api.token_of("operate")
    # A cookie is kept for a name only, not for an address of numbers.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        begun = await http.post(f"{busy.api.url}/api/v1/session", json={"token": token})
        assert begun.status == 201, await begun.text()

        async def listen() -> None:
            address = f"{busy.api.url}/api/v1/events?topics=task,config,worker,leader&within=5s"
            async with http.get(address, timeout=aiohttp.ClientTimeout(total=None)) as stream:
                assert stream.status == 200, await stream.text()
                async for _ in stream.content:
                    pass

        async def read(url: str, every_s: float) -> None:
            await asyncio.sleep(random.uniform(0, every_s))
            while True:
                async with http.get(url, headers={"Cache-Control": "max-age=2"}) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()
                await asyncio.sleep(every_s)

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            for url, every_s in urls.items():
                group.create_task(read(url, every_s))


@pytest.mark.parametrize("page", ["now", "config", "run", "workers", "problems"])
async def test_fifty_viewers_cost_the_store_far_from_fifty_times_one(
    busy: Busy, browse: Any, page: str
) -> None:
    async with looked_at(busy, browse, page) as window, asyncio.TaskGroup() as group:
        asked = asked_again(window)
        await asyncio.sleep(WATCHED_S / 2)
        assert asked
        # What is shared is paid by one of them, so that the others may ask as often as they like.
        urls = {one: 10.0 if re.search(r"/now$", one) else 2.0 for one in asked}
        others = [group.create_task(viewer(busy, urls)) for _ in range(MANY - 1)]
        await asyncio.sleep(10)
        busy.made.clear()
        await asyncio.sleep(WATCHED_S)
        print(f"{MANY} of {page}: {busy.made.total() / WATCHED_S:.2f} {busy.made}", urls)
        assert busy.made.total() <= WATCHED_S * MOST_OF_MANY, busy.made
        for one in others:
            one.cancel()
