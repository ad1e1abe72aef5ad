"""Params over HTTP: declared, given by a trigger, a backfill or a submission, and shown."""

from typing import Any

import pytest

DAY = {"day": {"type": "string", "default": "${fire.date}"}, "n": {"type": "integer", "default": 3}}
ECHO = {
    "executor": "echo",
    "every": "1h",
    "template": True,
    "params": DAY,
    "payload": {"day": "${params.day}", "n": "${params.n}"},
}


async def _result(cluster: Any, task_id: str) -> Any:
    await cluster.ask("GET", f"/tasks/{task_id}/wait?timeout=20s")
    return (await cluster.ask("GET", f"/tasks/{task_id}/result")).body["data"]


async def test_a_trigger_gives_params_and_the_task_shows_them(cluster: Any) -> None:
    assert (await cluster.ask("PUT", "/configs/c", ECHO)).status == 201
    assert (await cluster.ask("GET", "/configs/c")).body["spec"]["params"] == DAY
    made = await cluster.ask("POST", "/configs/c/trigger", {"key": "a", "params": {"day": "${x}"}})
    assert made.status == 201
    assert await _result(cluster, made.body["id"]) == {"day": "${x}", "n": 3}
    shown = (await cluster.ask("GET", f"/tasks/{made.body['id']}?full=true")).body
    assert shown["params"] == {"day": "${x}", "n": 3}
    again = await cluster.ask("POST", f"/tasks/{made.body['id']}/retry", {})
    assert await _result(cluster, again.body["id"]) == {"day": "${x}", "n": 3}


@pytest.mark.parametrize(
    ("given", "place", "reason"),
    [
        ({"dya": "x"}, "params.dya", "did you mean 'day'?"),
        ({"n": "3"}, "params.n", "must be an integer, got '3'"),
        ({"day": "secret://env/A"}, "params.day", "secret reference"),
    ],
)
async def test_what_is_given_wrongly_is_422_with_its_place_and_makes_nothing(
    cluster: Any, given: Any, place: str, reason: str
) -> None:
    await cluster.ask("PUT", "/configs/c", ECHO)
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z", "reason": "x"}
    for path, body in (("trigger", {"key": "a"}), ("backfill", span)):
        found = await cluster.ask("POST", f"/configs/c/{path}", {**body, "params": given})
        assert found.status == 422, found.text
        assert place in found.text
        assert reason in found.text
    assert (await cluster.ask("GET", "/tasks/c@manual-a")).status == 404
    bad = {"id": "t", **ECHO, "param_values": given}
    del bad["every"]
    assert (await cluster.ask("POST", "/tasks", bad)).status == 422
    assert (await cluster.ask("GET", "/tasks/t")).status == 404


async def test_a_declaration_that_is_wrong_is_422_with_its_place(cluster: Any) -> None:
    for change, place in (
        ({"params": {"day": {"type": "date"}}}, "params.day.type"),
        ({"params": {"day": {"type": "string"}}}, "params.day"),
        ({"payload": "${params.dya}"}, "payload"),
        ({"template": False}, "params"),
        ({"template": "yes"}, "template"),
    ):
        found = await cluster.ask("PUT", "/configs/c", {**ECHO, **change})
        assert (found.status, place in found.text) == (422, True), found.text


async def test_a_run_is_submitted_with_its_params(cluster: Any) -> None:
    steps = {"a": {"executor": "echo", "payload": {"day": "${params.day}", "n": "${params.n}"}}}
    body = {"id": "r", "steps": steps, "params": DAY, "param_values": {"day": "monday"}}
    assert (await cluster.ask("POST", "/tasks", body)).status == 201
    assert (await cluster.ask("POST", "/tasks", body)).status == 200
    await cluster.ask("GET", "/tasks/r/wait?timeout=20s")
    assert await _result(cluster, "r~a") == {"day": "monday", "n": 3}
    shown = (await cluster.ask("GET", "/tasks/r?full=true")).body
    assert shown["params"] == {"day": "monday", "n": 3}
    assert (shown["spec"]["params"], shown["spec"]["param_values"]) == (DAY, {"day": "monday"})


async def test_what_a_task_shows_makes_the_same_task(cluster: Any) -> None:
    zone = {"timezone": "Asia/Tokyo"}
    await cluster.ask("PUT", "/configs/c", {**ECHO, **zone})
    made = await cluster.ask("POST", "/configs/c/trigger", {"key": "a", "params": {"n": 4}})
    shown = (await cluster.ask("GET", f"/tasks/{made.body['id']}?full=true")).body
    spec = {key: value for key, value in shown["spec"].items() if key != "name"}
    assert spec["timezone"] == "Asia/Tokyo"
    assert (await cluster.ask("POST", "/tasks", {"id": "t", **spec})).status == 201
    assert (await _result(cluster, "t"))["n"] == 4
    again = (await cluster.ask("GET", "/tasks/t?full=true")).body
    assert again["spec"] == shown["spec"]


async def test_a_token_that_may_only_read_sees_no_values(cluster: Any) -> None:
    hush = {"day": {"type": "string", "default": "hush"}}
    await cluster.ask("PUT", "/configs/c", {**ECHO, "params": hush, "payload": "${params.day}"})
    made = await cluster.ask("POST", "/configs/c/trigger", {"key": "a", "params": {"day": "hush2"}})
    await _result(cluster, made.body["id"])
    steps = {"a": {"executor": "echo", "payload": "x"}}
    body = {"id": "r", "steps": steps, "params": hush, "param_values": {"day": "hush3"}}
    await cluster.ask("POST", "/tasks", body)
    reader = cluster.using(await cluster.token_of("read"))
    for path in ("/configs/c", "/configs", "/tasks/r?full=true"):
        seen = await reader.ask("GET", path)
        assert "hush" not in seen.text
        assert '"payload_hidden":true' in seen.text
    shown = await reader.ask("GET", f"/tasks/{made.body['id']}?full=true")
    assert (shown.body["spec"].get("payload"), shown.body.get("params")) == (None, None)
    assert "default" not in shown.body["spec"]["params"]["day"]
