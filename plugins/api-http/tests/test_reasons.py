"""Why, and how much: of configs at any instant, of tasks, by hour and by day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

CRON = {"executor": "echo", "cron_expr": "0 2 * * *", "timezone": "Europe/Berlin"}


async def test_an_instant_to_come_is_pending_and_one_that_is_none_has_neighbours(api: Any) -> None:
    await api.ask("PUT", "/configs/c", CRON)
    answer = await api.ask("GET", "/configs/c/why?at=2099-06-01T00:00:00Z")
    assert (answer.status, answer.body["verdict"]) == (200, "pending")
    answer = await api.ask("GET", "/configs/c/why?at=2099-06-01T05:00:00Z")
    assert answer.body["verdict"] == "not_due"
    assert answer.body["neighbours"] == {
        "before": "2099-06-01T00:00:00.000Z",
        "after": "2099-06-02T00:00:00.000Z",
    }
    assert answer.body["subject"] == "c"
    assert answer.body["summary"]


async def test_a_fire_is_explained_with_its_decision_and_its_task(
    cluster: Any, eventually: Any
) -> None:
    await cluster.ask("PUT", "/configs/tick", {"executor": "echo", "every": "1s"})

    async def fired() -> Any:
        return (await cluster.ask("GET", "/configs/tick/decisions")).body["items"]

    decision = (await eventually(fired))[-1]
    answer = await cluster.ask("GET", f"/configs/tick/why?at={decision['first']}")
    assert answer.body["verdict"] in ("fired", "late")
    assert answer.body["decision"]["task_id"] == decision["task_id"]
    assert answer.body["task"]["id"] == decision["task_id"]


async def test_why_of_a_task_says_what_it_waits_for(api: Any) -> None:
    task = (await api.ask("POST", "/tasks", {"executor": "echo", "payload": 1})).body
    answer = await api.ask("GET", f"/tasks/{task['id']}/why")
    assert (answer.body["verdict"], answer.body["task"]["id"]) == ("pending", task["id"])
    assert answer.body["because"]


@pytest.mark.parametrize("path", ["/configs/none/why", "/configs/a b/why", "/tasks/none/why"])
async def test_why_of_nothing_is_not_found(api: Any, path: str) -> None:
    assert (await api.ask("GET", path)).status == 404


async def test_what_was_done_is_counted_by_hour_and_in_all(cluster: Any, eventually: Any) -> None:
    for number in range(3):
        task = {"executor": "echo", "payload": {"n": number}}
        await cluster.ask("POST", "/tasks", task)
    await cluster.ask("POST", "/tasks", {"executor": "echo", "payload": {"fail": "no"}})

    async def counted() -> Any:
        found = (await cluster.ask("GET", "/stats")).body["total"]
        return found if found["success"] + found["failed"] == 4 else None

    total = await eventually(counted)
    assert (total["success"], total["failed"], total["runs"]) == (3, 1, 4)
    assert total["config_id"] is None
    assert 0 <= total["run_ms"]["p50"] <= total["run_ms"]["max"]
    by_day = (await cluster.ask("GET", "/stats?bucket=day")).body["items"]
    assert sum(one["success"] for one in by_day) == 3
    assert all(one["start"].endswith("T00:00:00.000Z") for one in by_day)
    assert (await cluster.ask("GET", "/stats?config=other")).body["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "?bucket=week",
        "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "?from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "?config=a%20b",
        "?from=yesterday",
        "?to=0001-01-01T00:00:00Z",
    ],
)
async def test_a_span_that_cannot_be_counted_is_refused(api: Any, query: str) -> None:
    assert (await api.ask("GET", f"/stats{query}")).status == 422


def later(hours: float) -> str:
    at = datetime.now(UTC) + timedelta(hours=hours)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_span_that_lies_ahead_is_empty(api: Any) -> None:
    answer = await api.ask("GET", f"/stats?from={later(1)}&to={later(2)}")
    assert (answer.status, answer.body["items"]) == (200, [])
