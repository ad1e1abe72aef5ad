"""What the HTTP API never does, whoever asks: S02, S18, S20, S22, S23, S28."""

import ast
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_pods import serving
from workspace import ROOT, sources

from dsched_api_http.openapi import address_of
from dsched_api_http.table import ROUTES
from dsched_api_http.tokens import Tokens
from dsched_testkit.memory import MemoryStore, new_state

CANARY = "canary-of-the-arguments-4711"
SCRIPT = "<script>alert(1)</script>"
SECRET_WORDS = ("token", "secret", "hash", "digest", "password")
# The digest of a request, which its sender knows anyway.
HARMLESS = {"idempotency.py"}


@pytest.fixture
async def cluster() -> AsyncIterator[Any]:
    """A pod with all roles."""
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served


async def test_two_stores_have_two_first_tokens_that_nobody_guesses() -> None:
    """S02."""
    made = [await Tokens(MemoryStore(new_state())).create_first() for _ in range(2)]
    secrets = {one.token.split("_", 2)[2] for one in made if one is not None}
    assert len(secrets) == 2
    assert min(map(len, secrets)) >= 43  # 256 bits, 6 a character


async def test_no_route_shows_arguments_to_who_may_only_read(cluster: Any) -> None:
    """S18. The executor echoes its payload as result, so the task is looked at before its end."""
    payload = {"key": CANARY, "wait": True}
    await cluster.ask(
        "PUT", "/configs/job", {"executor": "echo", "every": "1h", "payload": payload}
    )
    reader = cluster.using(await cluster.token_of("read"))
    headers = {"Authorization": f"Bearer {reader.token}"}
    async with (
        asyncio.timeout(20),
        reader.http.get(f"{reader.url}/api/v1/events", headers=headers) as stream,
    ):
        assert stream.status == 200
        task_id = (await cluster.ask("POST", "/configs/job/trigger")).body["id"]
        told = ""
        while '"claimed"' not in told and "event: claimed" not in told:
            told += (await stream.content.readline()).decode()
    assert task_id in told
    assert CANARY not in told
    ids = {"config": "job", "task": task_id, "worker": await _worker(reader)}
    seen = set()
    for route in ROUTES:
        if route.method != "GET" or route.endless or route.name == "task.wait":
            continue
        name = ids.get(route.name.partition(".")[0], "none")
        path = address_of(route).replace("{id}", name).removeprefix("/api/v1")
        for query in ("", "?full=true", "?live_of=job", "?config=job"):
            answer = await reader.ask("GET", path + query)
            assert CANARY not in answer.text, (route.name, query)
            if answer.status == 200:
                seen.add(route.name)
    assert {"config.get", "config.list", "task.get", "task.list", "config.why", "task.why"} <= seen
    assert CANARY in (await cluster.ask("GET", f"/tasks/{task_id}?full=true")).text


async def _worker(reader: Any) -> str:
    (worker,) = (await reader.ask("GET", "/workers")).body["items"]
    return str(worker["id"])


async def test_a_result_that_is_a_script_is_answered_as_json_and_as_nothing_else(
    cluster: Any,
) -> None:
    """S20. A browser that is led to an address of the API shows text, and runs nothing."""
    made = await cluster.ask("POST", "/tasks", {"executor": "echo", "payload": SCRIPT})
    task_id = made.body["id"]
    ended = await cluster.ask("GET", f"/tasks/{task_id}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    html = {"Accept": "text/html"}
    refused = await cluster.ask("GET", f"/configs?limit={SCRIPT}", None, html)
    for answer in (
        await cluster.ask("GET", f"/tasks/{task_id}/result", None, html),
        await cluster.ask("GET", f"/tasks/{task_id}?full=true", None, html),
        refused,
        await cluster.ask("GET", f"/configs/{SCRIPT}", None, html),
    ):
        kind = "application/json" if answer.status == 200 else "application/problem+json"
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        json.loads(answer.text)
    assert refused.status == 422


async def test_a_stream_is_opened_by_no_other_site_and_without_no_token() -> None:
    """S22. A browser sends no header of ours with an event source, so a token in the address
    would be the way in; there is none."""
    async with serving() as api:
        foreign = await api.ask("GET", "/events", None, {"Origin": "https://evil.example"})
        assert foreign.status == 403
        stranger = api.using("")
        for query in ("", f"?token={api.token}", f"?access_token={api.token}"):
            assert (await stranger.ask("GET", f"/events{query}")).status == 401
        assert (await stranger.ask("GET", "/tasks/none/logs?follow=true")).status == 401


def test_no_secret_is_compared_by_an_equals_sign() -> None:
    """S23. A comparison that takes longer the more is right would reveal a token bit by bit."""
    found, looked_at = [], 0
    for path, tree in sources().items():
        if "api-http" not in path.as_posix() or path.name in HARMLESS:
            continue
        looked_at += 1
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(
                isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
            ):
                names = {_name(side) for side in (node.left, *node.comparators)}
                if any(word in name for name in names for word in SECRET_WORDS):
                    found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    assert found == []
    assert looked_at > 20
    tokens = (ROOT / "plugins/api-http/src/dsched_api_http/tokens.py").read_text(encoding="utf-8")
    assert tokens.count("compare_digest(") >= 2


def _name(side: ast.expr) -> str:
    """What a side of a comparison is called: `token`, `x.hash`, `value["hash"]`, `digest(x)`."""
    if isinstance(side, ast.Call):
        side = side.func
    if isinstance(side, ast.Subscript):
        return str(getattr(side.slice, "value", ""))
    if isinstance(side, ast.Attribute):
        return side.attr.lower()
    return side.id.lower() if isinstance(side, ast.Name) else ""


@pytest.mark.parametrize("entry", [{"every": "999ms"}, {"fixed_delay": "0.9s"}])
async def test_nothing_fires_more_than_once_a_second(entry: dict[str, str]) -> None:
    """S28. Six fields of a cron expression say no less than a second."""
    async with serving() as api:
        refused = await api.ask("PUT", "/configs/c", {"executor": "echo", **entry})
        assert (refused.status, refused.body["code"]) == (422, "invalid")
        assert refused.body["errors"][0]["field"] == next(iter(entry))
        kept = await api.ask(
            "PUT", "/configs/c", {"executor": "echo", **dict.fromkeys(entry, "1s")}
        )
        assert kept.status == 201
