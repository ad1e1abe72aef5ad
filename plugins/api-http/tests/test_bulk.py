"""Acts on many tasks: counted, made, looked at, stopped, and told to the audit."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

WHY = {"reason": "the database is back"}
RETRY = {"act": "retry", "config": "etl-*"}


async def failed(api: Any, config_id: str, count: int) -> list[str]:
    """So many failed tasks of a config, that its list has."""
    entry = {"executor": "echo", "payload": {"fail": "no"}, "every": "24h"}
    await api.ask("PUT", f"/configs/{config_id}", {**entry, "retry": {"max_retries": 0}})
    ids = set()
    for _ in range(count):
        task = await api.ask("POST", f"/configs/{config_id}/trigger", {})
        ids.add(task.body["id"])
        await api.ask("GET", f"/tasks/{task.body['id']}/wait?timeout=20s")
    async with asyncio.timeout(20):
        while True:
            listed = await api.ask("GET", f"/tasks?config={config_id}&limit=500")
            if ids <= {one["id"] for one in listed.body["items"]}:
                return sorted(ids)
            await asyncio.sleep(0.05)


async def over(api: Any, operation_id: str) -> dict[str, Any]:
    """The operation, once it has ended."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await api.ask("GET", f"/bulk/{operation_id}")).body
            if found["state"] not in ("running", "stopping"):
                return found
            await asyncio.sleep(0.1)


async def test_a_dry_run_counts_and_leaves_nothing_in_store_or_audit(cluster: Any) -> None:
    api = cluster
    ids = await failed(api, "etl-a", 2) + await failed(api, "etl-b", 1)
    told = await api.ask("POST", "/bulk", {**RETRY, "dry_run": True})
    assert told.status == 200
    assert set(told.body.pop("first")) == set(ids)
    assert told.body == {
        "found": 3,
        "found_all": True,
        "configs": 2,
        "by_config": {"etl-a": 2, "etl-b": 1},
        "operation": None,
    }
    assert (await api.ask("GET", "/bulk")).body == {"items": [], "cursor": None}
    audit = (await api.ask("GET", "/audit")).body["items"]
    assert not [one for one in audit if one["action"].startswith("bulk")]


async def test_what_failed_is_retried_and_the_audit_says_who_and_why(cluster: Any) -> None:
    api = cluster
    ids = await failed(api, "etl-a", 3)
    made = await api.ask("POST", "/bulk", RETRY | WHY | {"rate": "50/s"})
    assert made.status == 201
    operation = made.body["operation"]
    done = await over(api, operation["id"])
    assert (done["state"], done["done"], done["skipped"], done["left"]) == ("done", 3, 0, 0)
    assert (done["by"], done["reason"]) == ("admin:configured", WHY["reason"])
    assert (done["config"], done["status"], done["rate"]) == ("etl-*", "failed", "50/1s")
    listed = (await api.ask("GET", "/bulk")).body["items"]
    assert listed == [done]
    tasks = (await api.ask("GET", "/tasks?config=etl-a")).body["items"]
    assert len({one["id"] for one in tasks} - set(ids)) <= 3
    (entry,) = [
        one
        for one in (await api.ask("GET", "/audit")).body["items"]
        if one["action"] == "bulk.make"
    ]
    assert (entry["object"], entry["reason"], entry["outcome"]) == (
        operation["id"],
        WHY["reason"],
        "ok",
    )
    assert entry["principal"] == "admin:configured"
    again = await api.ask("POST", "/bulk", RETRY | WHY)
    assert (await over(api, again.body["operation"]["id"]))["skips"] == {
        "was run once more already": 3
    }


async def test_a_repeat_of_the_request_is_the_same_operation(cluster: Any) -> None:
    api = cluster
    await failed(api, "etl-a", 1)
    key = {"Idempotency-Key": "k1"}
    first = await api.ask("POST", "/bulk", RETRY | WHY, headers=key)
    again = await api.ask("POST", "/bulk", RETRY | WHY, headers=key)
    assert (first.status, again.status) == (201, 200)
    assert first.body["operation"]["id"] == again.body["operation"]["id"]
    other = await api.ask("POST", "/bulk", RETRY | {"reason": "another"}, headers=key)
    assert other.body["code"] == "idempotency_mismatch"
    await over(api, first.body["operation"]["id"])


async def test_it_is_stopped_once_and_not_when_it_has_ended(cluster: Any) -> None:
    api = cluster
    await failed(api, "etl-a", 4)
    made = await api.ask("POST", "/bulk", RETRY | WHY | {"rate": "1/1m"})
    path = f"/bulk/{made.body['operation']['id']}"
    stopped = await api.ask("POST", f"{path}/stop", {"reason": "wrong ones"})
    assert (stopped.body["state"], stopped.body["stop_reason"]) == ("stopping", "wrong ones")
    ended = await over(api, made.body["operation"]["id"])
    assert (ended["state"], ended["stopped_by"]) == ("stopped", "admin:configured")
    assert ended["done"] <= 1
    late = await api.ask("POST", f"{path}/stop", {"reason": "again"})
    assert (late.status, late.body["code"]) == (409, "too_late")
    assert "has ended: it is stopped" in late.body["detail"]
    gone = await api.ask("POST", "/bulk/nothing/stop", {"reason": "again"})
    assert (gone.status, gone.body["code"]) == (404, "not_found")


async def test_what_waits_is_cancelled(cluster: Any) -> None:
    api = cluster
    entry = {"executor": "echo", "payload": {"wait": True}, "every": "1s", "overlap": "allow"}
    await api.ask("PUT", "/configs/busy", entry)
    async with asyncio.timeout(20):
        while len((await api.ask("GET", "/tasks?live_of=busy")).body["items"]) < 2:
            await asyncio.sleep(0.1)
    await api.ask("POST", "/configs/busy/pause", {"reason": "enough"})
    live = (await api.ask("GET", "/tasks?live_of=busy")).body["items"]
    made = await api.ask("POST", "/bulk", {"act": "cancel", "config": "bus*"} | WHY)
    done = await over(api, made.body["operation"]["id"])
    assert done["done"] == len(live)
    for one in live:
        task = (await api.ask("GET", f"/tasks/{one['id']}/wait?timeout=20s")).body
        assert task["status"] == "cancelled"


SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"act": "retry"} | WHY, "config"),
        (RETRY, "reason"),
        (RETRY | {"reason": " "}, "reason"),
        ({"act": "delete", "config": "etl-*"} | WHY, "act"),
        (RETRY | WHY | {"status": "broken"}, "status"),
        (RETRY | WHY | {"status": "running"}, "status"),
        ({"act": "cancel", "config": "etl-*", "status": "success"} | WHY, "status"),
        ({"act": "cancel", "config": "etl-*", "since": SOON} | WHY, "since"),
        (RETRY | WHY | {"since": SOON}, "since"),
        (RETRY | WHY | {"rate": "quick"}, "rate"),
        (RETRY | WHY | {"rate": "1000/s"}, "rate"),
        (RETRY | WHY | {"labels": {"": "x"}}, "label."),
        (RETRY | WHY | {"config": "e*l"}, "config"),
        (RETRY | WHY | {"config": "nothing-*"}, "config"),
        (RETRY | WHY | {"more": 1}, "more"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(
    api: Any, body: dict[str, Any], field: str
) -> None:
    await api.ask("PUT", "/configs/etl-a", {"executor": "echo", "payload": 1, "every": "24h"})
    refused = await api.ask("POST", "/bulk", body)
    assert (refused.status, refused.body["code"]) == (422, "invalid"), refused.body
    assert field in [one["field"] for one in refused.body["errors"]], refused.body
    assert (await api.ask("GET", "/bulk")).body["items"] == []
