"""Configs over HTTP: made, read, changed only as meant, paused, run out of turn, deleted."""

from typing import Any

import pytest

ENTRY = {"executor": "echo", "payload": {"a": 1}, "cron_expr": "0 2 * * *"}


async def test_a_config_is_made_read_and_listed(api: Any) -> None:
    made = await api.ask("PUT", "/configs/report", ENTRY)
    assert (made.status, made.headers["X-Dsched-Outcome"]) == (201, "created")
    assert made.headers["ETag"] == f'"{made.body["revision"]}"'
    read = await api.ask("GET", "/configs/report")
    assert (read.status, read.body, read.headers["ETag"]) == (200, made.body, made.headers["ETag"])
    listed = await api.ask("GET", "/configs")
    assert listed.body == {"items": [made.body], "cursor": None}
    assert read.body["spec"]["cron_expr"] == "0 2 * * *"
    assert read.body["due"].endswith("02:00:00.000Z")


async def test_what_a_config_answers_as_spec_puts_back_unchanged(api: Any) -> None:
    made = await api.ask(
        "PUT", "/configs/report", {**ENTRY, "timeout": "90s", "labels": {"a": "b"}}
    )
    again = await api.ask("PUT", "/configs/report", made.body["spec"])
    assert (again.status, again.headers["X-Dsched-Outcome"]) == (200, "unchanged")
    assert again.body == made.body


async def test_a_change_gives_a_new_revision_and_says_so(api: Any) -> None:
    made = await api.ask("PUT", "/configs/report", ENTRY)
    changed = await api.ask("PUT", "/configs/report", {**ENTRY, "payload": 2})
    assert (changed.status, changed.headers["X-Dsched-Outcome"]) == (200, "changed")
    assert changed.body["revision"] > made.body["revision"]


async def test_a_dry_run_answers_as_the_change_would_and_changes_nothing(api: Any) -> None:
    dry = await api.ask("PUT", "/configs/report?dry_run=true", ENTRY)
    assert (dry.status, dry.headers["X-Dsched-Outcome"]) == (200, "created")
    assert (await api.ask("GET", "/configs/report")).status == 404
    made = await api.ask("PUT", "/configs/report", ENTRY)
    dry = await api.ask("PUT", "/configs/report?dry_run=true", {**ENTRY, "payload": 2})
    assert dry.headers["X-Dsched-Outcome"] == "changed"
    assert (await api.ask("GET", "/configs/report")).body == made.body


async def test_a_stale_etag_changes_nothing(api: Any) -> None:
    made = await api.ask("PUT", "/configs/report", ENTRY)
    old = {"If-Match": made.headers["ETag"]}
    changed = await api.ask("PUT", "/configs/report", {**ENTRY, "payload": 2}, headers=old)
    assert changed.status == 200
    for method, body in (("PUT", {**ENTRY, "payload": 3}), ("PATCH", {"payload": 3})):
        refused = await api.ask(method, "/configs/report", body, headers=old)
        assert (refused.status, refused.body["code"]) == (412, "precondition_failed")
    refused = await api.ask("DELETE", "/configs/report", headers=old)
    assert refused.status == 412
    assert (await api.ask("GET", "/configs/report")).body == changed.body


@pytest.mark.parametrize(
    ("header", "value", "there", "status"),
    [
        ("If-None-Match", "*", False, 201),
        ("If-None-Match", "*", True, 412),
        ("If-Match", "*", True, 200),
        ("If-Match", "*", False, 412),
        ("If-Match", '"1"', False, 412),
        ("If-Match", '"1", W/"2"', True, 412),
        ("If-Match", '"other"', True, 412),
        ("If-Match", "17", True, 422),
        ("If-None-Match", '"17"', True, 422),
    ],
)
async def test_a_put_is_compared_with_what_is_there(
    api: Any, header: str, value: str, there: bool, status: int
) -> None:
    if there:
        await api.ask("PUT", "/configs/report", ENTRY)
    answer = await api.ask(
        "PUT", "/configs/report", {**ENTRY, "payload": 9}, headers={header: value}
    )
    assert answer.status == status, answer.text


async def test_a_patch_changes_what_it_names_and_null_takes_away(api: Any) -> None:
    await api.ask("PUT", "/configs/report", {**ENTRY, "name": "x", "labels": {"a": "1", "b": "2"}})
    patch = {"name": None, "labels": {"a": None, "c": "3"}, "cron_expr": None, "every": "1h"}
    changed = await api.ask("PATCH", "/configs/report", patch)
    spec = changed.body["spec"]
    assert (changed.status, spec["labels"], spec["every"]) == (200, {"b": "2", "c": "3"}, "1h")
    assert "name" not in spec
    assert "cron_expr" not in spec
    assert (await api.ask("PATCH", "/configs/none", patch)).status == 404


async def test_a_pause_needs_a_reason_shows_it_and_ends(api: Any) -> None:
    await api.ask("PUT", "/configs/report", ENTRY)
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": 7}):
        assert (await api.ask("POST", "/configs/report/pause", body)).status == 422
    paused = await api.ask("POST", "/configs/report/pause", {"reason": "release night"})
    assert paused.status == 200
    assert paused.body["paused"]["why"] == "release night"
    assert paused.body["paused"]["who"] == "admin:configured"
    assert paused.body["due"] is None
    resumed = await api.ask("POST", "/configs/report/resume")
    assert (resumed.status, resumed.body["paused"]) == (200, None)
    assert resumed.body["due"] is not None


async def test_a_pause_may_end_at_an_instant_or_after_a_span(api: Any) -> None:
    await api.ask("PUT", "/configs/report", ENTRY)
    path, why = "/configs/report/pause", {"reason": "release night"}
    paused = await api.ask("POST", path, {**why, "until": "2999-01-31T09:00:00+01:00"})
    assert (paused.status, paused.body["paused"]["until"]) == (200, "2999-01-31T08:00:00.000Z")
    spanned = (await api.ask("POST", path, {**why, "for": "2h"})).body["paused"]
    assert "2999" not in spanned["until"]
    assert (await api.ask("POST", path, why)).body["paused"]["until"] is None
    assert (await api.ask("GET", "/configs/report")).body["paused"]["until"] is None
    past = await api.ask("POST", path, {**why, "until": "2001-01-31T09:00:00Z"})
    assert (past.status, past.body["code"]) == (409, "too_late")
    assert "name an instant that lies ahead" in past.body["detail"]
    until = "2999-01-31T09:00:00Z"
    for wrong in ({"until": until[:-1]}, {"for": "2"}, {"for": "2h", "until": until}):
        assert (await api.ask("POST", path, {**why, **wrong})).status == 422


async def test_a_trigger_runs_the_task_now_and_a_key_makes_it_one(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/report", ENTRY)
    made = await cluster.ask("POST", "/configs/report/trigger", {"key": "k1", "reason": "now"})
    assert (made.status, made.body["id"]) == (201, "report@manual-k1")
    again = await cluster.ask("POST", "/configs/report/trigger", {"key": "k1"})
    assert again.body["id"] == made.body["id"]
    ended = await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    other = await cluster.ask("POST", "/configs/report/trigger")
    assert other.body["id"] != made.body["id"]
    assert (await cluster.ask("POST", "/configs/none/trigger")).status == 404


async def test_a_deleted_config_is_gone_and_its_live_tasks_may_be_cancelled(api: Any) -> None:
    await api.ask("PUT", "/configs/report", ENTRY)
    refused = await api.ask("DELETE", "/configs/report?cancel=true")
    assert (refused.status, "say why tasks are cancelled" in refused.text) == (422, True)
    gone = await api.ask("DELETE", "/configs/report?cancel=true&reason=old")
    assert (gone.status, gone.text) == (204, "")
    for method in ("GET", "DELETE"):
        assert (await api.ask(method, "/configs/report")).status == 404


async def test_there_are_no_more_configs_than_there_may_be(serve: Any) -> None:
    async with serve(max_configs=1) as api:
        assert (await api.ask("PUT", "/configs/one", ENTRY)).status == 201
        refused = await api.ask("PUT", "/configs/two", ENTRY)
        assert (refused.status, refused.body["code"]) == (409, "quota_exceeded")
        assert (await api.ask("PUT", "/configs/one", {**ENTRY, "payload": 2})).status == 200


async def test_the_log_names_who_changed_a_config(api: Any) -> None:
    token = await api.token_of("operate")
    await api.using(token).ask("PUT", "/configs/report", ENTRY)
    events = [event async for event in api.client.events()]
    assert events[-1].by == f"test:{token.split('_')[1]}"


async def test_arguments_are_hidden_from_who_may_only_read(api: Any) -> None:
    await api.ask("PUT", "/configs/report", {**ENTRY, "payload": {"secret": "canary-4711"}})
    made = await api.ask("POST", "/tasks", {"executor": "echo", "payload": "canary-4711"})
    reader = api.using(await api.token_of("read"))
    for path in ("/configs", "/configs/report", f"/tasks/{made.body['id']}?full=true"):
        seen = await reader.ask("GET", path)
        assert seen.status == 200
        assert "canary" not in seen.text
        assert '"payload_hidden":true' in seen.text
        assert "canary" in (await api.ask("GET", path)).text


async def test_what_is_hardly_meant_is_told_by_the_answer_to_a_put(api: Any) -> None:
    entry = {
        "executor": "echo",
        "cron_expr": "0 0 9 * * 2-6",
        "jitter": "2h",
        "start_deadline": "1m",
    }
    for query in ("?dry_run=true", ""):
        put = await api.ask("PUT", f"/configs/c{query}", entry)
        fields = [warning.partition(":")[0] for warning in put.body["warnings"]]
        assert fields == ["start_deadline", "cron_expr"]
    assert (await api.ask("PUT", "/configs/d", {"executor": "echo", "every": "1h"})).body[
        "warnings"
    ] == []
    assert all(one["warnings"] == [] for one in (await api.ask("GET", "/configs")).body["items"])
