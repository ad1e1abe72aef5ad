"""Dates at the edge of the calendar, forged cursors, doubled headers: a problem, never a defect."""

import asyncio
import re
import socket
from typing import Any

import pytest

from dsched_api_http.cursors import Cursors
from dsched_api_http.list_requests import TaskList
from dsched_api_http.table import ROUTES

ENTRY = {"executor": "echo", "every": "1h"}
EDGES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "1970-01-01T00:00:00Z",
)
TRIGGERS: tuple[dict[str, str], ...] = (
    {"every": "1h"},
    {"every": "30000d"},
    {"fixed_delay": "1h"},
    {"cron_expr": "0 0 29 2 *"},
    {"cron_expr": "* * * * * *", "timezone": "Asia/Tokyo"},
    {"cron_expr": "30 2 * * *", "timezone": "America/New_York"},
)


def sane(reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Answered or refused, but no defect, and nothing in the log."""
    assert reply.status in (200, 201, 404, 409, 412, 422), reply.text
    assert [one for one in caplog.records if one.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize("edge", EDGES)
async def test_a_date_at_the_edge_is_answered_or_refused_by_every_route(
    api: Any, edge: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = edge.replace("+", "%2B")
    for number, trigger in enumerate(TRIGGERS):
        config = f"/configs/c-{number}"
        sane(await api.ask("PUT", config, {"executor": "echo", **trigger}), caplog)
        for query in (
            f"?from={text}",
            f"?from={text}&to={text}",
            f"?from=2026-01-01T00:00:00Z&to={text}",
            f"?from={text}&to=2026-01-01T00:00:00Z",
        ):
            sane(
                await api.ask(
                    "GET",
                    f"{config}/upcoming{query}&limit=3".replace(
                        "&limit=3", "" if "to=" in query else "&limit=3"
                    ),
                ),
                caplog,
            )
        sane(await api.ask("GET", f"{config}/why?at={text}"), caplog)
        why = {"reason": "edge"}
        for body in (
            {"at": edge},
            {"from": edge, "to": edge},
            {"from": "2026-01-01T00:00:00Z", "to": edge},
            {"from": edge, "to": "2026-01-01T00:00:00Z"},
        ):
            sane(await api.ask("POST", f"{config}/skip", body | why), caplog)
            if "from" in body:
                sane(await api.ask("POST", f"{config}/backfill", body | why), caplog)
                sane(
                    await api.ask("POST", f"{config}/backfill", body | why | {"dry_run": True}),
                    caplog,
                )
        for field in ("from", "start_at", "end_at"):
            sane(await api.ask("POST", "/preview", {**trigger, field: edge, "limit": 3}), caplog)
        for field in ("start_at", "end_at"):
            sane(
                await api.ask("PUT", f"{config}-x", {"executor": "echo", **trigger, field: edge}),
                caplog,
            )
            sane(await api.ask("GET", f"{config}-x/upcoming"), caplog)
            sane(await api.ask("GET", f"{config}-x/why?at={text}"), caplog)
    sane(await api.ask("POST", "/preview", {"at": edge}), caplog)
    sane(await api.ask("PUT", "/configs/once", {"executor": "echo", "at": edge}), caplog)
    sane(await api.ask("GET", "/configs/once"), caplog)
    sane(await api.ask("GET", "/configs/once/upcoming"), caplog)
    for query in (f"?from={text}", f"?to={text}", f"?from={text}&to={text}"):
        sane(await api.ask("GET", f"/stats{query}"), caplog)
    listed = await api.ask("GET", "/configs")
    sane(listed, caplog)
    assert listed.status == 200


INNER = (
    "",
    "0",
    "-1",
    "x",
    "{}",
    "[]",
    "null",
    "1-1",
    "0-0",
    "-",
    ":",
    "a:b",
    "a|b",
    "1e9",
    "99999999999999999999",
    "-99999999999999999999",
    "\x00",
    "\n",
    "\u00e9",
    "'",
    "%00",
    "a" * 600,
    "0:0",
    "0,0",
    "1|x|y",
    '["a","b"]',
    '{"a":1}',
    "AAAA",
    "1.5",
    "nan",
    "inf",
    "+5",
    " 5",
    "\u0665",
    "1_000",
    "\u202e",
)
LISTS = {
    "/configs": "configs",
    "/configs/c/decisions": "decisions c",
    "/workers": "workers",
    "/audit": "audit",
    "/tokens": "tokens",
    "/plugins": "plugins",
    "/cluster/pods": "pods",
    "/cluster/terms": "terms",
    "/timetable": "timetable",
    "/limits": "limits",
    "/bulk": "bulk",
    "/limits/l": "uses of limit l",
    "/configs/c/runs": "runs of config c",
    "/tasks/r/run/log": "log of run r",
    "/tasks/r/run/members": "members of run r None None",
}
# What a list asks for besides.
NEEDS = {"/timetable": "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&"}


@pytest.mark.parametrize("store", ["fresh", "sqlite"])
async def test_a_forged_cursor_is_refused_or_the_start_of_a_page_but_never_a_defect(
    serve: Any, store: str, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads this code can write a cursor with any inside."""
    settings = {"store": store} | (
        {"sqlite.path": str(tmp_path / "d.db")} if store == "sqlite" else {}
    )
    async with serve(settings) as api:
        for number in range(3):
            await api.ask("PUT", f"/configs/c{number or ''}", ENTRY)
            await api.ask("POST", "/tasks", {"executor": "echo"})
        await api.ask("PUT", "/limits/l", {"max_running": 1})
        await api.ask("POST", "/tasks", {"id": "r", "executor": "echo", "shards": 2})
        await forged(api, caplog)


async def forged(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    listed = {route.path for route in ROUTES if route.listed and "limit" in dir(route.query)}
    assert {re.sub("/[clr](?=/)", "/{id}", one) for one in LISTS} | {"/tasks"} >= listed
    for inner in INNER:
        for path, name in LISTS.items():
            cursor = Cursors.write(name, inner)
            query = f"{NEEDS.get(path, '')}cursor={cursor}"
            sane(await api.ask("GET", f"{path}?{query}"), caplog)
        for query in (
            "home=ready",
            "config=c",
            "status=success",
            "live_of=c",
            "home=queue&worker=w",
            "config=c*",
            "live_of=c*",
            "owner=",
        ):
            cursor = Cursors.write(named(query), inner)
            reply = await api.ask("GET", f"/tasks?{query}&cursor={cursor}")
            sane(reply, caplog)
        cursor = Cursors.write("tasks", inner)
        sane(await api.ask("GET", f"/tasks?cursor={cursor}"), caplog)
    for query in ("?after=999999999999999", "?after=000", "?after=0&limit=1&attempt=999999"):
        sane(await api.ask("GET", f"/tasks/none/logs{query}"), caplog)


def named(query: str) -> str:
    """What the cursor of a list of tasks is for."""
    from dsched.selecting import ALWAYS
    from dsched_api_http.routes import task_lists

    asked = TaskList(**dict(part.split("=") for part in query.split("&")))
    index = task_lists._query(asked, ALWAYS)
    if index is not None:
        return task_lists._name_of(index)
    return task_lists._name_of_walk(task_lists._selection(asked))


async def test_the_headers_of_a_precondition_may_come_in_several_lines(api: Any) -> None:
    made = await api.ask("PUT", "/configs/c", ENTRY)
    tag = made.headers["ETag"]
    changed = {**ENTRY, "payload": 1}
    for lines in ([tag, '"999"'], ['"999"', tag]):
        assert (await raw(api, [("If-Match", one) for one in lines])) == 200
    assert (await raw(api, [("If-Match", '"998"'), ("If-Match", '"999"')])) == 412
    assert (await raw(api, [("If-None-Match", "*"), ("If-None-Match", "*")])) == 422
    assert (await raw(api, [("If-Match", tag), ("If-Match", "*")])) == 422
    assert (await raw(api, [("If-Match", tag), ("If-Match", "")])) in (200, 422)
    assert (await api.ask("PUT", "/configs/c", changed, {"If-Match": tag})).status == 200


async def raw(api: Any, headers: list[tuple[str, str]]) -> int:
    """The status of a put with these headers, line by line."""
    from multidict import CIMultiDict

    sent = CIMultiDict([*headers, ("Authorization", f"Bearer {api.token}")])
    async with api.http.put(f"{api.url}/api/v1/configs/c", json=ENTRY, headers=sent) as answer:
        return int(answer.status)


async def test_an_expectation_that_is_none_is_a_problem_that_repeats_nothing(api: Any) -> None:
    reply = await api.ask("PUT", "/configs/c", ENTRY, {"Expect": "<b>"})
    assert (reply.status, reply.body["code"]) == (400, "bad_request")
    assert "100-continue" in reply.body["detail"]
    assert "<b>" not in reply.text
    assert (await api.ask("PUT", "/configs/c", ENTRY, {"Expect": "100-continue"})).status == 201


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_client_that_leaves_is_no_error(
    api: Any, eventually: Any, abruptly: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert (await api.ask("POST", "/tasks", {"executor": "echo", "id": "t"})).status == 201
    host, port = api.url.removeprefix("http://").split(":")
    auth = f"Host: localhost\r\nAuthorization: Bearer {api.token}\r\n"
    json = "Content-Type: application/json\r\n"
    for text in (
        f"POST /api/v1/tasks HTTP/1.1\r\n{auth}{json}Content-Length: 1000\r\n\r\n{{",
        f"POST /api/v1/tasks HTTP/1.1\r\n{auth}{json}Transfer-Encoding: chunked\r\n\r\n5\r\n{{",
        f"GET /api/v1/tasks/t/wait?timeout=1s HTTP/1.1\r\n{auth}\r\n",
        f"GET /api/v1/events HTTP/1.1\r\n{auth}\r\n",
        f"GET /api/v1/tasks/t/logs?follow=true HTTP/1.1\r\n{auth}\r\n",
        f"GET /api/v1/openapi.json HTTP/1.1\r\n{auth}\r\n" * 20,
        f"GET /api/v1/cluster HTTP/1.1\r\n{auth}",
    ):
        for wait_s in (0.0, 0.05):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(text.encode())
            await writer.drain()
            await asyncio.sleep(wait_s)
            if abruptly:  # a reset rather than an end
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            writer.close()
    for number in range(20):  # events for those streams whose clients are gone
        await api.ask("POST", "/tasks", {"executor": "echo", "id": f"t-{number}"})
    await api.ask("POST", "/tasks/t/cancel", {"reason": "over"})

    async def calm() -> bool:
        return bool((await api.ask("GET", "/tasks/t/wait?timeout=0s")).status == 200)

    await eventually(calm)
    await asyncio.sleep(1.2)  # for longer than the wait of the client that has left
    found = [(one.levelname, one.getMessage()) for one in caplog.records if one.levelno >= 30]
    assert found == []
