"""Server-sent events: topics, resuming, gaps, heartbeats, bounds, and leaving with open streams."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from dsched_api_http import events

SPEC = {"executor": "echo"}


@attrs.frozen
class Told:
    """One message of a stream."""

    kind: str
    id: str
    data: Any


class Stream:
    """A stream being read."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.comments = 0

    async def next(self, timeout_s: float = 20.0) -> Told:
        """The next message that is no comment."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(timeout_s):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    raise EOFError
                name, _, value = line.rstrip("\n").partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif line == "\n" and "event" in fields:
                    data = json.loads(fields["data"])
                    return Told(fields["event"], fields.get("id", ""), data)
                elif line != "\n":
                    fields[name] = value


@asynccontextmanager
async def stream(api: Any, query: str = "", last: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {api.token}"}
    if last is not None:
        headers["Last-Event-ID"] = last
    async with api.http.get(f"{api.url}/api/v1/events{query}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = Stream(answer)
        # The hub is at the end of the log once a listener is there and an event went through.
        assert (await answer.content.readline()).startswith(b"retry: ")
        yield found


async def submit(api: Any, *ids: str) -> None:
    for task_id in ids:
        assert (await api.ask("POST", "/tasks", {**SPEC, "id": task_id})).status == 201


async def ready(api: Any, opened: Stream) -> None:
    """Wait until the stream tells of what happens from now on."""

    async def knock() -> None:
        number = 0
        while True:
            await submit(api, f"knock-{time.monotonic_ns()}-{number}")
            number += 1
            await asyncio.sleep(0.1)

    knocking = asyncio.create_task(knock())
    await opened.next()
    knocking.cancel()
    await asyncio.gather(knocking, return_exceptions=True)


async def until(opened: Stream, task_id: str) -> Told:
    """The message about a task."""
    while True:
        told = await opened.next()
        if any(item.get("task") == task_id for item in told.data.get("items", [])):
            return told


async def test_what_happens_is_told_with_who_did_it(api: Any) -> None:
    async with stream(api) as opened:
        await ready(api, opened)
        await submit(api, "a")
        told = await until(opened, "a")
    assert (told.kind, told.data["by"]) == ("submitted", "admin:configured")
    assert told.data["items"] == [{"task": "a"}]
    assert told.data["at"].endswith("Z")


async def test_only_the_topics_that_were_asked_for_are_told(api: Any) -> None:
    async with stream(api, "?topics=config,worker") as opened, stream(api) as all_of_it:
        await ready(api, all_of_it)
        await submit(api, "a")
        await api.ask("PUT", "/configs/c", {**SPEC, "every": "1h"})
        told = await opened.next()
    assert (told.kind, told.data["items"][0]["config"]) == ("config", "c")
    refused = await api.ask("GET", "/events?topics=config,none")
    assert (refused.status, refused.body["code"]) == (422, "invalid")


async def test_a_client_that_was_cut_off_goes_on_where_it_was_without_gap_or_repeat(
    api: Any,
) -> None:
    async with stream(api) as opened:
        await ready(api, opened)
        await submit(api, "a")
        last = (await until(opened, "a")).id
    await submit(api, "b", "c")
    async with stream(api, last=last) as opened:
        told = [await opened.next(), await opened.next()]
        await submit(api, "d")
        told.append(await opened.next())
    assert [one.data["items"][0]["task"] for one in told] == ["b", "c", "d"]


@pytest.mark.parametrize("last", ["nonsense", "99999999999999999", "1-1-1", "ü"])
async def test_a_place_that_the_log_does_not_have_is_a_reset(api: Any, last: str) -> None:
    await submit(api, "a")
    async with stream(api, last=last) as opened:
        assert (await opened.next()).kind == "reset"
        await ready(api, opened)
        await submit(api, "b")
        assert (await until(opened, "b")).kind == "submitted"


async def test_a_place_that_was_trimmed_away_is_a_reset(api: Any) -> None:
    await submit(api, "a", "b", "c", "d")
    log = api.pod.store.inner._state.log
    gone = log[0].cursor
    del log[:3]
    async with stream(api, last=gone) as opened:
        assert (await opened.next()).kind == "reset"


async def test_a_listener_that_is_too_slow_is_reset_and_goes_on(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = events.EventHub(api.pod.store)
    running = asyncio.create_task(hub.run())
    try:
        slow = hub.follow(None)
        first = asyncio.create_task(anext(slow))
        async with asyncio.timeout(20):
            while not first.done():
                await submit(api, f"k-{time.monotonic_ns()}")
        await first
        items = [{**SPEC, "id": f"t-{number}-{part}"} for part in range(2) for number in range(50)]
        for start in range(0, 100, 50):
            await api.ask("POST", "/tasks/batch", {"items": items[start : start + 50]})
        for number in range(events.RING):
            api.pod.store.inner._state.append(events.EventKind.WORKER, 0, "w", [{"n": number}])
        async with asyncio.timeout(20):
            while hub._count < events.RING + 3:
                await asyncio.sleep(0.01)
        with pytest.raises(events.TooOldError):
            async for _ in slow:
                pass
        assert hub.listeners == 0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_kept_for_listeners_is_bounded_by_what_entries_are_about(api: Any) -> None:
    """An entry about a hundred tasks takes the memory of a hundred."""
    hub = events.EventHub(api.pod.store, 500)
    running = asyncio.create_task(hub.run())
    state = api.pod.store.inner._state
    try:
        listener = hub.follow(None)
        first = asyncio.create_task(anext(listener))
        async with asyncio.timeout(20):
            while not first.done():
                await submit(api, f"k-{time.monotonic_ns()}")
        await first
        for size, kept in ((100, 5), (1, 500), (1000, 1)):
            before = hub._count
            for number in range(600):
                items = [{"n": number, "part": part} for part in range(size)]
                state.append(events.EventKind.WORKER, 0, "w", items)
            async with asyncio.timeout(20):
                while hub._count < before + 600:
                    await asyncio.sleep(0.01)
            assert len(hub._ring) == kept
        await listener.aclose()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_quiet_stream_has_heartbeats(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    async with stream(api) as opened:
        async with asyncio.timeout(20):
            line = b""
            while not line.startswith(b":"):
                line = await opened.answer.content.readline()
    assert line == b": still here\n"


async def test_there_are_no_more_streams_than_there_may_be(serve: Any) -> None:
    async with serve(max_streams=1) as api:
        async with stream(api) as opened:
            await ready(api, opened)
            refused = await api.ask("GET", "/events")
            assert (refused.status, refused.body["code"]) == (429, "too_many_requests")
        async with asyncio.timeout(20):
            while True:
                async with api.http.get(
                    f"{api.url}/api/v1/events", headers={"Authorization": f"Bearer {api.token}"}
                ) as again:
                    if again.status == 200:
                        break
                await submit(api, f"k-{time.monotonic_ns()}")  # the old stream sees its client gone


async def test_tokens_of_attempts_and_terms_are_not_told(cluster: Any) -> None:
    async with stream(cluster) as opened:
        await ready(cluster, opened)
        await submit(cluster, "a")
        kinds: dict[str, str] = {}
        while "completed" not in kinds:
            told = await until(opened, "a")
            kinds[told.kind] = told.data["by"]
    assert kinds["dispatched"] == "pod-a"
    (worker,) = (await cluster.ask("GET", "/workers")).body["items"]
    assert kinds["claimed"] == worker["id"]


async def test_a_pod_with_open_streams_and_waits_leaves_at_once(serve: Any) -> None:
    async with serve() as api:
        await submit(api, "a")
        headers = {"Authorization": f"Bearer {api.token}"}
        wait = f"{api.url}/api/v1/tasks/a/wait?timeout=60s"
        async with stream(api) as opened:
            await ready(api, opened)
            waiting = asyncio.create_task(api.http.get(wait, headers=headers))
            await ready(api, opened)  # the wait has been asked for before these
            started_s = time.monotonic()
            api.pod.stop()
            async with asyncio.timeout(20):
                await opened.answer.content.read()
                answer = await waiting
            assert time.monotonic() - started_s < 5
            assert (answer.status, (await answer.json())["status"]) == (200, "pending")


@pytest.mark.parametrize("path", ["/events", "/tasks/t/logs?follow=true"])
@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_a_stream_ends_with_its_token(
    api: Any, path: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched_api_http.streams.CHECK_S", 0.2)
    await submit(api, "t")
    fields = {"expires_in": "2s"} if way == "expired" else {}
    token = await api.token_of("read", **fields)
    headers = {"Authorization": f"Bearer {token}"}
    lasting = {"Authorization": f"Bearer {api.token}"}
    url = f"{api.url}/api/v1{path}"
    async with (
        asyncio.timeout(20),
        api.http.get(url, headers=lasting) as other,
        api.http.get(url, headers=headers) as answer,
    ):
        assert (answer.status, other.status) == (200, 200)
        if way == "revoked":
            assert (await api.ask("DELETE", f"/tokens/{token.split('_')[1]}")).status == 204
        while await answer.content.readany():
            pass
        assert answer.content.at_eof()
        assert not other.content.at_eof()


async def test_one_token_has_its_share_of_the_streams_and_of_the_waits(serve: Any) -> None:
    bounds = {"max_streams": 5, "max_streams_by_token": 3, "max_waits": 4, "max_waits_by_token": 2}
    async with serve(**bounds) as api:
        await submit(api, "t")
        one, two = [api.using(await api.token_of("read")) for _ in range(2)]
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(stream(one))
            refused = await one.ask("GET", "/events")
            assert (refused.status, refused.body["code"]) == (429, "too_many_requests")
            assert refused.body["hint"] == "close some, or raise api.max_streams_by_token"
            assert (await one.ask("GET", "/tasks/t/logs?follow=true")).status == 429
            for _ in range(2):
                await stack.enter_async_context(stream(two))
            full = await two.ask("GET", "/events")
            assert (full.status, full.body["hint"]) == (429, "close some, or raise api.max_streams")
        waits = [asyncio.create_task(one.ask("GET", "/tasks/t/wait?timeout=60s")) for _ in range(3)]
        first, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        refused = first.pop().result()
        assert refused.status == 429
        assert refused.body["hint"] == "close some, or raise api.max_waits_by_token"
        assert (await two.ask("GET", "/tasks/t/wait?timeout=1ms")).status == 200
        assert (await api.ask("POST", "/tasks/t/cancel", {"reason": "over"})).status == 200
        assert [(await each).status for each in rest] == [200, 200]
        assert (await one.ask("GET", "/tasks/t/wait?timeout=1ms")).status == 200


async def test_who_has_time_spares_the_store_and_nobody_else_waits_for_it(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = events.EventHub(api.pod.store)
    reads: list[float] = []
    read = hub._read

    async def counted() -> bool:
        reads.append(asyncio.get_running_loop().time())
        return await read()

    monkeypatch.setattr(hub, "_read", counted)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(hub.run())
        patient = hub.follow(None, 10.0)
        first = group.create_task(anext(patient))
        while not reads:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)
        assert len(reads) == 1
        hasty = hub.follow(None)
        second = group.create_task(anext(hasty))
        while len(reads) < 4:
            await asyncio.sleep(0.01)
        assert reads[3] - reads[1] < 5.0
        await api.ask("POST", "/tasks", {"executor": "echo", "id": "seen"})
        assert {(await first).kind.value, (await second).kind.value} == {"submitted"}
        await patient.aclose()
        await hasty.aclose()
        running.cancel()


@pytest.mark.parametrize("within", ["10ms", "1m", "x"])
async def test_how_late_an_event_may_be_has_bounds(api: Any, within: str) -> None:
    answer = await api.ask("GET", f"/events?within={within}")
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "within")


async def test_a_stream_whose_client_has_left_takes_no_share(serve: Any) -> None:
    async with serve(max_streams_by_token=2) as api:
        for _ in range(6):
            async with asyncio.timeout(20):
                while True:
                    headers = {"Authorization": f"Bearer {api.token}"}
                    async with api.http.get(f"{api.url}/api/v1/events", headers=headers) as stream:
                        if stream.status == 200:
                            await stream.content.readuntil(b"\n\n")
                            break
                    await asyncio.sleep(0.1)
