"""The lines of tasks: pages from the first line on, and streams that end with the task."""

import asyncio
import json
from typing import Any

import pytest

from dsched_api_http import patience


async def submit(api: Any, *lines: str, wait: bool = False) -> str:
    payload = {"say": list(lines), "wait": wait}
    answer = await api.ask("POST", "/tasks", {"executor": "echo", "payload": payload})
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


async def test_what_a_task_wrote_is_read_from_the_first_line_on(
    cluster: Any, eventually: Any
) -> None:
    task_id = await submit(cluster, "one", "two\x1b[31m", "three")

    async def complete() -> Any:
        found = await cluster.ask("GET", f"/tasks/{task_id}/logs")
        return found if found.body["complete"] else None

    answer = await eventually(complete)
    said = [(one["n"], one["attempt"], one["level"], one["line"]) for one in answer.body["items"]]
    assert said == [
        (1, 1, "info", "one"),
        (2, 1, "info", "two\\x1b[31m"),
        (3, 1, "info", "three"),
    ]
    first = await cluster.ask("GET", f"/tasks/{task_id}/logs?limit=1")
    assert (len(first.body["items"]), first.body["complete"]) == (1, False)
    rest = await cluster.ask("GET", f"/tasks/{task_id}/logs?after={first.body['cursor']}")
    assert [one["line"] for one in rest.body["items"]] == ["two\\x1b[31m", "three"]
    other = await cluster.ask("GET", f"/tasks/{task_id}/logs?attempt=2")
    assert other.body["items"] == []


async def read_stream(api: Any, path: str, until: str = "end") -> list[tuple[str, Any, str]]:
    headers = {"Authorization": f"Bearer {api.token}"}
    told, fields = [], {}
    async with asyncio.timeout(20), api.http.get(api.url + path, headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        while True:
            line = (await answer.content.readline()).decode()
            if not line:
                return told
            if line == "\n" and "event" in fields:
                told.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
                fields = {}
                if told[-1][0] == until:
                    return told
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value


async def test_a_running_tasks_lines_are_followed_to_its_end(cluster: Any) -> None:
    task_id = await submit(cluster, "begun", wait=True)
    path = f"/api/v1/tasks/{task_id}/logs?follow=true"
    first = await read_stream(cluster, path, until="line")
    assert first[0][1]["line"] == "begun"
    following = asyncio.create_task(read_stream(cluster, path))
    cluster.echo.gate.set()
    told = await following
    assert [kind for kind, _, _ in told] == ["line", "end"]
    assert told[0][2] == "1"


async def test_a_stream_goes_on_where_it_was_cut_off(cluster: Any) -> None:
    task_id = await submit(cluster, "one", "two")
    await cluster.ask("GET", f"/tasks/{task_id}/wait")
    told = await read_stream(cluster, f"/api/v1/tasks/{task_id}/logs?follow=true&after=1")
    assert [data.get("line") for _, data, _ in told] == ["two", None]


async def test_many_who_follow_a_task_cost_the_store_as_much_as_one(
    cluster: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await submit(cluster, "begun", wait=True)
    made: list[float] = []
    read = patience._HEEDED.task_lines

    async def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(asyncio.get_running_loop().time())
        return await read(*args, **kwargs)

    monkeypatch.setattr(patience._HEEDED, "task_lines", counted)
    path = f"/api/v1/tasks/{task_id}/logs?follow=true&within=1s"
    following = [asyncio.create_task(read_stream(cluster, path)) for _ in range(10)]

    async def looked(often: int) -> bool:
        return len(made) >= often

    async def passed(at_s: float) -> bool:
        return bool(made) and made[-1] > at_s

    await eventually(lambda: looked(10))  # each has asked for its first page
    begun_s = made[-1] + 1.5
    await eventually(lambda: passed(begun_s + 3))
    # One look a second, not ten.
    assert 2 <= sum(begun_s <= one < begun_s + 3 for one in made) <= 4
    cluster.echo.gate.set()
    for told in await asyncio.gather(*following):
        assert [kind for kind, _, _ in told] == ["line", "end"]


@pytest.mark.parametrize(
    "query",
    [
        *("?after=x", "?after=-1", "?limit=0", "?limit=501", "?attempt=x"),
        *("?follow=true&within=1ms", "?follow=true&within=1h", "?follow=true&within=x"),
    ],
)
async def test_what_names_no_lines_is_refused(cluster: Any, query: str) -> None:
    task_id = await submit(cluster)
    assert (await cluster.ask("GET", f"/tasks/{task_id}/logs{query}")).status == 422


async def test_lines_of_nothing_are_not_found(api: Any) -> None:
    assert (await api.ask("GET", "/tasks/none/logs")).status == 404
    assert (await api.ask("GET", "/tasks/none/logs?follow=true")).status == 404


async def test_no_more_streams_are_open_than_there_may_be(serve: Any) -> None:
    async with serve(roles=("api", "scheduler", "worker"), max_streams=1) as api:
        task_id = await submit(api, "begun", wait=True)
        path = f"/tasks/{task_id}/logs?follow=true"
        headers = {"Authorization": f"Bearer {api.token}"}
        async with api.http.get(f"{api.url}/api/v1{path}", headers=headers) as answer:
            await answer.content.readline()
            refused = await api.ask("GET", path)
            assert (refused.status, refused.body["code"]) == (429, "too_many_requests")
