"""What needs a person and what has failed, in groups."""

from typing import Any

import pytest

from dsched.model import Task, TaskStatus
from dsched_api_http import overview
from dsched_api_http.failures import groups_of

BAD = {"executor": "echo", "every": "1h", "retry": {"max_retries": 0}}


def failed(task_id: str, error: str, end_ms: int) -> Task:
    return Task(
        id=task_id,
        status=TaskStatus.FAILED,
        home=None,
        scheduled_ms=0,
        end_ms=end_ms,
        error=error,
    )


def test_failures_that_say_the_same_but_for_numbers_are_one_group() -> None:
    groups = groups_of(
        [
            failed("etl@3", "TimeoutError: no answer in 61 s", 3),
            failed("etl@2", "TimeoutError: no answer in 60 s", 2),
            failed("etl@1", "ValueError: empty", 1),
            failed("other@1", "TimeoutError: no answer in 60 s", 1),
        ]
    )
    assert [(one.config_id, one.line, one.count, one.task_id) for one in groups] == [
        ("etl", "TimeoutError: no answer in 61 s", 2, "etl@3"),
        ("etl", "ValueError: empty", 1, "etl@1"),
        ("other", "TimeoutError: no answer in 60 s", 1, "other@1"),
    ]


async def test_what_failed_and_what_nobody_declares_is_told(
    cluster: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "SLOW_FRESH_S", 0.0)
    assert (await cluster.ask("GET", "/problems")).body["last_problem"] is None
    await cluster.ask("PUT", "/configs/etl", {**BAD, "payload": {"fail": "no rows"}})
    for _ in range(2):
        made = await cluster.ask("POST", "/configs/etl/trigger")
        await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    await cluster.ask("PUT", "/configs/old?origin=file:tasks", BAD)
    why = {"reason": "gone from the file", "orphan_of": "file:tasks"}
    await cluster.ask("POST", "/configs/old/pause", why)
    reader = cluster.using(await cluster.token_of("read"))

    async def both_failed() -> Any:
        found = (await reader.ask("GET", "/problems")).body
        return found if sum(one["count"] for one in found["groups"]) == 2 else None

    told = await eventually(both_failed)
    (group,) = told["groups"]
    assert [(one["config_id"], one["origin"]) for one in told["orphans"]] == [("old", "file:tasks")]
    assert (group["config_id"], group["count"]) == ("etl", 2)
    assert "no rows" in group["line"]
    assert told["last_problem"] == group["last"]
    assert told["complete"] is True
