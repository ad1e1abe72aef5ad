"""What operators ask: skip, backfill, why, how much, the lines of tasks, who leads and who runs."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dsched.contracts.store.formats import STORE_FORMAT
from dsched.contracts.store.operating import PodRecord
from dsched_testkit.memory import State, new_state

ENTRY = {"executor": "echo", "payload": 1, "cron_expr": "0 * * * *"}


def hours(number: int) -> str:
    """A full hour from now, as the API writes it."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return (hour + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def run_once(api: Any, task_id: str = "job-1", payload: Any = 1) -> dict[str, Any]:
    """A task that has ended."""
    spec = {"executor": "echo", "id": task_id, "payload": payload, "retry": {"max_retries": 0}}
    await api.ask("POST", "/tasks", spec)
    answer = await api.ask("GET", f"/tasks/{task_id}/wait?timeout=20s")
    assert answer.body["end_time"]
    task: dict[str, Any] = answer.body
    return task


async def test_an_instant_is_skipped_and_shown_where_it_matters(api: Any) -> None:
    await api.ask("PUT", "/configs/c", ENTRY)
    skipped = await api.ask("POST", "/configs/c/skip", {"at": hours(2), "reason": "release"})
    assert skipped.body == {"skipped": 1, "first": hours(2), "last": hours(2)}
    span = {"from": hours(4), "to": hours(6), "reason": "move"}
    assert (await api.ask("POST", "/configs/c/skip", span)).body["skipped"] == 3
    shown = (await api.ask("GET", "/configs/c")).body["skips"]
    assert [(one["at"], one["why"]) for one in shown] == [
        (hours(2), "release"), (hours(4), "move"), (hours(5), "move"), (hours(6), "move"),
    ]  # fmt: skip
    assert {one["who"] for one in shown} == {"admin:configured"}
    coming = await api.ask("GET", f"/configs/c/upcoming?from={hours(1)}&to={hours(3)}")
    assert [(one["time"], one["note"]) for one in coming.body["items"]] == [
        (hours(1), ""), (hours(2), "skipped: release"), (hours(3), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"reason": "x"}, 422, "invalid"),
        ({"at": hours(2)}, 422, "invalid"),
        ({"at": hours(2), "reason": " "}, 422, "invalid"),
        ({"at": hours(2), "from": hours(1), "to": hours(3), "reason": "x"}, 422, "invalid"),
        ({"from": hours(1), "reason": "x"}, 422, "invalid"),
        ({"at": "2030-01-01T00:30:00Z", "reason": "x"}, 422, "invalid"),
        ({"at": hours(-2), "reason": "x"}, 409, "too_late"),
        ({"from": hours(1), "to": hours(500), "reason": "x"}, 409, "quota_exceeded"),
    ],
)
async def test_what_cannot_be_skipped_is_refused(
    api: Any, body: Any, status: int, code: str
) -> None:
    await api.ask("PUT", "/configs/c", ENTRY)
    refused = await api.ask("POST", "/configs/c/skip", body)
    assert (refused.status, refused.body["code"]) == (status, code), refused.text
    assert (await api.ask("GET", "/configs/c")).body["skips"] == []


async def test_past_instants_are_run_after_all_and_a_dry_run_says_which(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/c", {**ENTRY, "overlap": "allow"})
    asked = {"from": hours(-3), "to": hours(-1), "reason": "was away"}
    dry = await cluster.ask("POST", "/configs/c/backfill", {**asked, "dry_run": True})
    assert dry.body["instants"] == [hours(-3), hours(-2), hours(-1)]
    assert (dry.body["count"], dry.body["done"], len(dry.body["tasks"])) == (3, True, 3)
    assert (await cluster.ask("GET", f"/tasks/{dry.body['tasks'][0]}")).status == 404
    made = await cluster.ask("POST", "/configs/c/backfill", asked)
    assert made.body["tasks"] == dry.body["tasks"]
    ended = await cluster.ask("GET", f"/tasks/{made.body['tasks'][0]}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    again = await cluster.ask("POST", "/configs/c/backfill", asked)
    assert (again.body["tasks"], len(again.body["known"])) == ([], 3)
    for bad in ({}, {**asked, "key": "k" * 41}, {**asked, "limit": 0}, {**asked, "reason": ""}):
        assert (await cluster.ask("POST", "/configs/c/backfill", bad)).status == 422


async def test_why_a_config_and_a_task_are_as_they_are(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/c", ENTRY)
    told = await cluster.ask("GET", f"/configs/c/why?at={hours(2)}")
    assert (told.status, told.body["verdict"], told.body["subject"]) == (200, "pending", "c")
    assert told.body["summary"]
    assert told.body["neighbours"] == {"before": hours(1), "after": hours(3)}
    await run_once(cluster, payload={"fail": "as told"})
    told = await cluster.ask("GET", "/tasks/job-1/why")
    assert (told.body["verdict"], told.body["task"]["id"]) == ("failed", "job-1")
    assert any("as told" in one for one in (told.body["summary"], *told.body["because"]))
    assert (await cluster.ask("GET", "/configs/none/why")).status == 404
    assert (await cluster.ask("GET", "/tasks/none/why")).status == 404
    assert (await cluster.ask("GET", "/configs/c/why?at=noon")).status == 422


async def test_how_much_was_done_is_counted(cluster: Any) -> None:
    await run_once(cluster)
    async with asyncio.timeout(20):
        while not (told := await cluster.ask("GET", "/stats")).body["total"]["success"]:
            await asyncio.sleep(0.05)
    (bucket,) = told.body["items"]
    assert (bucket["runs"], bucket["success"], bucket["failed"]) == (1, 1, 0)
    assert bucket["run_ms"]["count"] == 1
    assert bucket["wait_ms"]["p50"] is None
    empty = await cluster.ask("GET", "/stats?config=none&bucket=day")
    assert empty.body["items"] == []
    for query in (
        "?bucket=week",
        "?from=2027-01-02T00:00:00Z&to=2027-01-01T00:00:00Z",
        "?from=2020-01-01T00:00:00Z&to=2027-01-01T00:00:00Z",
        "?to=9999-12-31T23:59:59-14:00",
        "?config=a%20b",
    ):
        assert (await cluster.ask("GET", f"/stats{query}")).status == 422, query


async def test_the_lines_of_a_task_are_read_by_page_and_followed_to_their_end(
    cluster: Any,
) -> None:
    lines = [f"line {number}" for number in range(5)]
    await run_once(cluster, payload={"log": lines})
    found, after = [], ""
    async with asyncio.timeout(20):
        while True:
            page = (await cluster.ask("GET", f"/tasks/job-1/logs?limit=2{after}")).body
            found += page["items"]
            after = f"&after={page['cursor']}"
            if page["complete"] and len(found) >= len(lines):
                break
            await asyncio.sleep(0.02)
    assert [one["line"] for one in found] == lines
    assert {(one["attempt"], one["level"]) for one in found} == {(1, "info")}
    headers = {"Authorization": f"Bearer {cluster.token}", "Last-Event-ID": str(found[1]["n"])}
    address = f"{cluster.url}/api/v1/tasks/job-1/logs?follow=true"
    async with asyncio.timeout(20), cluster.http.get(address, headers=headers) as stream:
        text = (await stream.content.read()).decode()
    told = [json.loads(one[6:]) for one in text.splitlines() if one.startswith('data: {"')]
    assert [one["line"] for one in told] == lines[2:]
    assert text.endswith("event: end\ndata: {}\n\n")
    assert (await cluster.ask("GET", "/tasks/job-1/logs?after=x")).status == 422
    assert (await cluster.ask("GET", "/tasks/none/logs?follow=true")).status == 404


async def test_who_runs_and_who_leads_is_told_and_may_be_changed(cluster: Any) -> None:
    async with asyncio.timeout(20):
        while not (told := await cluster.ask("GET", "/cluster/terms")).body["items"]:
            await asyncio.sleep(0.02)
        while not (pods := await cluster.ask("GET", "/cluster/pods")).body["items"]:
            await asyncio.sleep(0.02)
    assert [one["name"] for one in pods.body["items"]] == ["pod-a"]
    assert told.body["items"][0]["pod"] == "pod-a"
    assert (await cluster.ask("POST", "/cluster/step-down", {})).status == 422
    done = await cluster.ask("POST", "/cluster/step-down", {"reason": "upgrade"})
    assert (done.status, done.body) == (202, {"pod": "pod-a"})
    (term, *_) = (await cluster.ask("GET", "/cluster/terms")).body["items"]
    assert (term["how"], term["why"], term["who"]) == (
        "stepped_down",
        "upgrade",
        "admin:configured",
    )


async def test_a_pod_whose_term_is_over_is_not_said_to_lead(api: Any, eventually: Any) -> None:
    store = api.pod.store
    record = PodRecord(
        id="dead-1", name="dead", roles=("scheduler",), version="1", started_ms=5, leading=True
    )
    await store.pod_seen(record, 60_000)
    assert (await store.acquire("dead", "token-of-the-dead", 3000)).outcome == "OK"

    async def told() -> Any:
        pods = (await api.ask("GET", "/cluster/pods")).body["items"]
        (term,) = (await api.ask("GET", "/cluster/terms")).body["items"]
        (dead,) = (pod for pod in pods if pod["id"] == "dead-1")
        return dead["leading"], term["ended"], term["how"]

    assert await told() == (True, None, "")

    async def over() -> Any:
        return await told() == (False, None, "expired")

    await eventually(over)


async def test_a_restore_is_declared_with_a_reason_and_the_past_is_told_of(api: Any) -> None:
    assert (await api.ask("POST", "/cluster/restored", {})).status == 422
    since = "2026-01-31T07:30:00.000Z"
    done = await api.ask("POST", "/cluster/restored", {"reason": "disk", "since": since})
    assert done.status == 201
    assert {"generation": 1, "loss": "declared", "why": "disk", "since": since}.items() <= (
        done.body.items()
    )
    unknown = await api.ask("GET", "/tasks/nothing/why")
    assert (unknown.status, unknown.body["code"]) == (404, "not_found")
    assert "history is broken" in unknown.body["detail"]
    assert "disk" in unknown.body["hint"]


async def test_the_format_of_the_store_is_told_and_a_migration_waits_for_older_pods(
    serve: Any,
) -> None:
    state = new_state()
    async with serve(state=state) as api:
        await _migrated_in_the_end(api, state)


async def _migrated_in_the_end(api: Any, state: State) -> None:
    newest = await api.ask("GET", "/store")
    assert newest.body == {"format": STORE_FORMAT, "newest": STORE_FORMAT, "older_pods": []}
    state.format = 3
    older = PodRecord(id="old-1", name="old", roles=(), version="0.1.0", started_ms=5)
    await api.pod.store.pod_seen(older, 60_000)
    refused = await api.ask("POST", "/store/migrate", {"reason": "update"})
    assert (refused.status, refused.body["code"]) == (409, "conflict")
    assert "old (0.1.0)" in refused.body["detail"]
    told = (await api.ask("GET", "/store")).body
    assert (told["format"], [pod["id"] for pod in told["older_pods"]]) == (3, ["old-1"])
    await api.pod.store.pod_left("old-1")
    for _ in range(2):
        done = await api.ask("POST", "/store/migrate", {"reason": "update"})
        assert (done.status, done.body) == (200, newest.body)


async def test_where_nobody_leads_nobody_steps_down(api: Any) -> None:
    refused = await api.ask("POST", "/cluster/step-down", {"reason": "upgrade"})
    assert (refused.status, refused.body["code"]) == (409, "leaderless")


async def test_a_drained_worker_is_resumed(cluster: Any) -> None:
    async with asyncio.timeout(20):
        while not (listed := await cluster.ask("GET", "/workers")).body["items"]:
            await asyncio.sleep(0.02)
    path = f"/workers/{listed.body['items'][0]['id']}"
    await cluster.ask("POST", f"{path}/drain", {"reason": "kernel"})
    resumed = await cluster.ask("POST", f"{path}/resume", {"reason": "done"})
    assert (resumed.status, resumed.body["draining"]) == (200, False)
    assert (await cluster.ask("POST", "/workers/none/resume")).status == 404
