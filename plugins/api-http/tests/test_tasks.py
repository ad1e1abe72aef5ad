"""Tasks over HTTP: submitted, batched, listed by an index, waited for, cancelled, run once more."""

import asyncio
import time
from typing import Any

import pytest

import dsched

SPEC = {"executor": "echo", "payload": {"a": [1, "ü"]}}


async def test_a_submitted_task_runs_and_its_result_is_read(cluster: Any) -> None:
    made = await cluster.ask("POST", "/tasks", {**SPEC, "id": "job-1", "priority": 7})
    assert (made.status, made.body["id"], made.body["priority"]) == (201, "job-1", 7)
    ended = await cluster.ask("GET", "/tasks/job-1/wait?timeout=20s")
    assert ended.body["status"] == "success"
    result = await cluster.ask("GET", "/tasks/job-1/result")
    assert result.body == {"code": "ok", "message": "", "data": SPEC["payload"]}
    full = await cluster.ask("GET", "/tasks/job-1?full=true")
    assert full.body["result"] == result.body
    assert full.body["spec"]["payload"] == SPEC["payload"]
    short = await cluster.ask("GET", "/tasks/job-1")
    assert not {"spec", "result"} & set(short.body)


async def test_the_same_id_and_spec_is_the_same_task_and_another_spec_a_conflict(api: Any) -> None:
    first = await api.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    again = await api.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    other = await api.ask("POST", "/tasks", {**SPEC, "id": "job-1", "payload": 2})
    assert (other.status, other.body["code"]) == (409, "conflict")


async def test_a_task_has_no_result_before_it_ends(api: Any) -> None:
    await api.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    missing = await api.ask("GET", "/tasks/job-1/result")
    assert (missing.status, missing.body["code"]) == (404, "not_found")


async def test_a_wait_ends_with_its_time_and_answers_with_the_task_as_it_is(api: Any) -> None:
    await api.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    started_s = time.monotonic()
    waited = await api.ask("GET", "/tasks/job-1/wait?timeout=200ms")
    assert 0.2 <= time.monotonic() - started_s < 10
    assert (waited.status, waited.body["status"]) == (200, "pending")


async def test_one_wrong_item_of_a_batch_refuses_no_other(api: Any) -> None:
    await api.ask("POST", "/tasks", {**SPEC, "id": "taken"})
    items = [
        {**SPEC, "id": "a"},
        {**SPEC, "id": "taken", "payload": 0},
        {**SPEC, "id": "taken-not", "executor": "none"},
        {**SPEC, "id": "a"},
        {**SPEC, "id": "not an id"},
        7,
        SPEC,
        {**SPEC, "id": "taken"},
    ]
    answer = await api.ask("POST", "/tasks/batch", {"items": items[:7]})
    assert answer.status == 207
    assert [one["outcome"] for one in answer.body["items"]] == [
        "OK", "CONFLICT", "INVALID", "INVALID", "INVALID", "INVALID", "OK",
    ]  # fmt: skip
    assert answer.body["items"][2]["problem"]["code"] == "invalid"
    for item in answer.body["items"]:
        if item["outcome"] == "OK":
            assert (await api.ask("GET", f"/tasks/{item['id']}")).status == 200
    again = await api.ask("POST", "/tasks/batch", {"items": [items[0]]})
    assert again.body["items"] == [{"id": "a", "outcome": "DUP"}]


async def test_tasks_are_listed_page_by_page_from_an_index(api: Any) -> None:
    for number in range(7):
        await api.ask("POST", "/tasks", {**SPEC, "id": f"t-{number}"})
    await api.ask("POST", "/tasks", {**SPEC, "id": "later", "delay": "1h"})
    found, cursor, pages = [], None, 0
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        page = await api.ask("GET", f"/tasks?home=ready&limit=3{more}")
        assert page.status == 200, page.text
        found += [task["id"] for task in page.body["items"]]
        pages, cursor = pages + 1, page.body["cursor"]
        if cursor is None:
            break
    assert (found, pages) == ([f"t-{number}" for number in range(7)], 3)
    delayed = await api.ask("GET", "/tasks?home=delayed")
    assert [task["id"] for task in delayed.body["items"]] == ["later"]


@pytest.mark.parametrize(
    "query",
    [
        "?home=ready&status=failed",
        "?home=nowhere",
        "?home=queue",
        "?home=ready&worker=w",
        "?status=none",
        "?config=a%20b",
        "?home=ready&home=lease",
        "?home=ready&unknown=1",
        "?home=ready&limit=0",
        "?home=ready&limit=501",
        "?home=ready&limit=ten",
        "?home=ready&cursor=abc",
        "?home=ready&cursor=%C3%BC",
        "?home=ready&cursor=",
    ],
)
async def test_a_list_that_no_index_serves_is_refused_with_what_there_is(
    api: Any, query: str
) -> None:
    refused = await api.ask("GET", f"/tasks{query}")
    assert (refused.status, refused.body["code"]) == (422, "invalid")


async def test_a_cursor_of_another_list_is_refused(api: Any) -> None:
    for number in range(3):
        await api.ask("POST", "/tasks", {**SPEC, "id": f"t-{number}"})
    page = await api.ask("GET", "/tasks?home=ready&limit=1")
    cursor = page.body["cursor"]
    for other in ("/tasks?home=delayed&limit=1", "/configs?limit=1", "/audit?limit=1"):
        refused = await api.ask("GET", f"{other}&cursor={cursor}")
        assert refused.status == 422
        assert refused.body["errors"][0]["field"] == "cursor"


async def test_a_waiting_task_is_cancelled_once_and_an_ended_one_not(cluster: Any) -> None:
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "later", "delay": "1h"})
    assert (await cluster.ask("POST", "/tasks/later/cancel", {})).status == 422
    done = await cluster.ask("POST", "/tasks/later/cancel", {"reason": "not needed"})
    assert (done.status, done.body["outcome"]) == (200, "OK")
    assert (done.body["task"]["status"], done.body["task"]["reason"]) == ("cancelled", "not needed")
    again = await cluster.ask("POST", "/tasks/later/cancel", {"reason": "again"})
    assert again.body["outcome"] == "ALREADY"
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    await cluster.ask("GET", "/tasks/job-1/wait?timeout=20s")
    late = await cluster.ask("POST", "/tasks/job-1/cancel", {"reason": "too late"})
    assert (late.status, late.body["code"]) == (409, "too_late")


async def test_a_running_task_is_asked_to_stop(cluster: Any) -> None:
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "long", "payload": {"wait": True}})
    async with asyncio.timeout(20):
        while (await cluster.ask("GET", "/tasks/long")).body["status"] != "running":
            await asyncio.sleep(0.02)
    stopped = await cluster.ask("POST", "/tasks/long/cancel", {"reason": "enough"})
    assert stopped.body["outcome"] == "REQUESTED"
    ended = await cluster.ask("GET", "/tasks/long/wait?timeout=20s")
    assert ended.body["status"] == "cancelled"


async def test_an_ended_task_runs_once_more_as_a_new_one(cluster: Any) -> None:
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "job-1", "payload": {"fail": "as told"}})
    ended = await cluster.ask("GET", "/tasks/job-1/wait?timeout=20s")
    assert (ended.body["status"], "as told" in ended.body["error"]) == ("failed", True)
    new = await cluster.ask("POST", "/tasks/job-1/retry", {"reason": "fixed"})
    assert new.status == 201
    assert new.body["id"] != "job-1"
    full = await cluster.ask("GET", f"/tasks/{new.body['id']}?full=true")
    assert full.body["spec"]["payload"] == {"fail": "as told"}
    assert (await cluster.ask("GET", "/tasks?status=failed")).status == 200
    assert (await cluster.ask("POST", "/tasks/none/retry")).status == 404


async def test_a_task_that_lives_is_not_run_once_more(api: Any) -> None:
    await api.ask("POST", "/tasks", {**SPEC, "id": "job-1"})
    refused = await api.ask("POST", "/tasks/job-1/retry")
    assert (refused.status, refused.body["code"]) == (409, "not_ended")


async def test_workers_are_listed_and_drained(cluster: Any) -> None:
    async with asyncio.timeout(20):
        while not (listed := await cluster.ask("GET", "/workers")).body["items"]:
            await asyncio.sleep(0.02)
    (worker,) = listed.body["items"]
    assert (await cluster.ask("GET", f"/workers/{worker['id']}")).body["id"] == worker["id"]
    assert (await cluster.ask("POST", f"/workers/{worker['id']}/drain", {})).status == 422
    drained = await cluster.ask("POST", f"/workers/{worker['id']}/drain", {"reason": "kernel"})
    assert (drained.status, drained.body["status"]) == (200, "draining")
    assert (await cluster.ask("GET", "/workers/none")).status == 404


async def test_a_drain_gives_back_what_runs_if_it_is_asked_to(cluster: Any) -> None:
    async def until(status: str, task_id: str = "job-1") -> Any:
        async with asyncio.timeout(20):
            while (task := (await cluster.ask("GET", f"/tasks/{task_id}")).body)[
                "status"
            ] != status:
                await asyncio.sleep(0.02)
        return task

    waits = {"executor": "echo", "payload": {"wait": True}}
    await cluster.ask("POST", "/tasks", {**waits, "id": "job-1"})
    await cluster.ask("POST", "/tasks", {**waits, "id": "job-2", "on_crash": "fail"})
    path = f"/workers/{(await until('running'))['worker_id']}"
    await until("running", "job-2")
    refused = await cluster.ask("POST", f"{path}/drain", {"reason": "r", "give_back": "all"})
    assert (refused.status, "give_back" in str(refused.body)) == (422, True)
    drained = await cluster.ask("POST", f"{path}/drain", {"reason": "r", "give_back": True})
    assert (drained.status, drained.body["draining"]) == (200, True)
    assert (await until("pending"))["retry_count"] == 0
    assert (await cluster.ask("GET", "/tasks/job-2")).body["status"] == "running"
    await cluster.ask("POST", f"{path}/resume", {"reason": "r"})
    assert (await until("running"))["attempt"] == 2


async def test_the_cluster_is_seen_at_a_glance(cluster: Any) -> None:
    async with asyncio.timeout(20):
        while not (seen := await cluster.ask("GET", "/cluster")).body["leader"]:
            await asyncio.sleep(0.02)
    assert seen.body["leader"]["pod"] == "pod-a"
    assert seen.body["counts"]["by_status"]["pending"] == 0
    assert seen.body["version"] == dsched.__version__


async def test_decisions_of_a_config_are_told(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/tick", {**SPEC, "every": "1s"})
    async with asyncio.timeout(30):
        while not (told := await cluster.ask("GET", "/configs/tick/decisions")).body["items"]:
            await asyncio.sleep(0.05)
    decision = told.body["items"][0]
    assert (decision["config_id"], decision["verdict"], decision["count"]) == ("tick", "fired", 1)
    ended = await cluster.ask("GET", f"/tasks/{decision['task_id']}/wait?timeout=20s")
    assert ended.body["config_id"] == "tick"


async def test_a_task_may_name_the_instant_at_which_it_starts(api: Any) -> None:
    for number, at in enumerate(("2999-01-01T00:00:00+02:00", "2001-01-01T00:00:00Z")):
        made = await api.ask("POST", "/tasks", {**SPEC, "id": f"at-{number}", "at": at})
        assert made.status == 201, made.text
    late, past = [(await api.ask("GET", f"/tasks/at-{number}")).body for number in (0, 1)]
    assert (late["home"], late["scheduled_time"]) == ("delayed", "2998-12-31T22:00:00.000Z")
    assert past["home"] == "ready"
    batch = await api.ask(
        "POST", "/tasks/batch", {"items": [{**SPEC, "id": "b", "at": "2999-01-01T00:00:00Z"}]}
    )
    assert batch.body["items"] == [{"id": "b", "outcome": "OK"}]
    assert (await api.ask("GET", "/tasks/b")).body["home"] == "delayed"


@pytest.mark.parametrize("more", [{"at": "2027-01-01T00:00:00"}, {"at": "soon"}, {"at": 5}])
async def test_an_instant_that_is_none_is_refused(api: Any, more: dict[str, Any]) -> None:
    refused = await api.ask("POST", "/tasks", {**SPEC, **more})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "at")


async def test_an_instant_beside_a_delay_is_refused(api: Any) -> None:
    both = {"at": "2999-01-01T00:00:00Z", "delay": "1h"}
    refused = await api.ask("POST", "/tasks", {**SPEC, **both})
    assert refused.status == 422
    assert "keep one of them" in refused.text


async def test_a_task_read_in_full_tells_each_of_its_attempts(cluster: Any) -> None:
    retry = {"max_retries": 2, "retry_delay": "10ms"}
    payload = {"fail": "as told", "retryable": True}
    spec = {"executor": "echo", "payload": payload, "retry": retry}
    await cluster.ask("POST", "/tasks", {**spec, "id": "tried"})
    ended = await cluster.ask("GET", "/tasks/tried/wait?timeout=20s")
    assert (ended.body["status"], "attempts" in ended.body) == ("failed", False)
    attempts = (await cluster.ask("GET", "/tasks/tried?full=true")).body["attempts"]
    assert [(one["number"], one["how"]) for one in attempts] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
    ]
    for one in attempts:
        assert one["start_time"] <= one["end_time"]
        assert one["worker_id"] == ended.body["worker_id"]
        assert "as told" in one["error"]


async def test_without_a_filter_the_latest_are_listed_page_by_page(cluster: Any) -> None:
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "runs", "payload": {"wait": True}})
    order = []
    for number in range(9):
        payload = {"fail": "as told"} if number % 3 == 1 else number
        await cluster.ask("POST", "/tasks", {**SPEC, "id": f"t{number}", "payload": payload})
        ended = await cluster.ask("GET", f"/tasks/t{number}/wait?timeout=20s")
        assert ended.body["end_time"] is not None
        order.append((ended.body["end_time"], f"t{number}"))
    await cluster.ask("POST", "/tasks", {**SPEC, "id": "later", "delay": "1h"})
    await cluster.ask("POST", "/tasks/later/cancel", {"reason": "not needed"})
    wanted = ["runs", "later", *(name for _, name in sorted(order, reverse=True))]

    async def walked(limit: int) -> list[str]:
        found, more = [], ""
        while True:
            page = await cluster.ask("GET", f"/tasks?limit={limit}{more}")
            assert page.status == 200, page.body
            found += [one["id"] for one in page.body["items"]]
            if page.body["cursor"] is None:
                return found
            more = f"&cursor={page.body['cursor']}"

    async with asyncio.timeout(20):
        while await walked(50) != wanted:  # the collector makes the lists
            await asyncio.sleep(0.05)
    for limit in (1, 3, 4, 11):
        assert await walked(limit) == wanted


async def test_a_cursor_of_one_filter_is_none_of_the_latest(api: Any) -> None:
    for name in ("a", "b"):
        await api.ask("POST", "/tasks", {**SPEC, "id": name})
    page = await api.ask("GET", "/tasks?home=ready&limit=1")
    refused = await api.ask("GET", f"/tasks?cursor={page.body['cursor']}")
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "cursor")
