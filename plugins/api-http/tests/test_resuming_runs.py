"""Runs that go on from failed ones, over HTTP."""

from typing import Any

NEVER = {"max_retries": 0}
ETL = {
    "steps": {
        "load": {"executor": "echo", "payload": {"rows": 3}},
        "parts": {
            "needs": ["load"],
            "executor": "echo",
            "shards": 2,
            "retry": NEVER,
            "payload": {"rows": "${needs.load.data.rows}", "fail": "no part"},
        },
    },
}


async def failed(cluster: Any) -> None:
    made = await cluster.ask("POST", "/tasks", {"id": "r1", **ETL})
    assert made.status == 201, made.text
    ended = await cluster.ask("GET", "/tasks/r1/wait?timeout=20s")
    assert ended.body["status"] == "failed"


async def test_a_run_goes_on_and_tells_what_it_took_over(cluster: Any) -> None:
    await failed(cluster)
    body = {"failed": True, "reason": "mended"}
    made = await cluster.ask("POST", "/tasks/r1/retry", body)
    assert made.status == 201, made.text
    run_id = made.body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    told = await cluster.ask("GET", f"/tasks/{run_id}/run")
    load, parts = told.body["steps"]
    assert (load["state"], load["total"], load["taken"]) == ("success", 1, 1)
    (member,) = load["members"]
    assert (member["id"], member["taken_from"], member["born"]) == ("r1~load", "r1", None)
    assert (parts["taken"], parts["born"]) == (0, 2)
    assert {one["taken_from"] for one in parts["members"]} == {None}
    log = await cluster.ask("GET", f"/tasks/{run_id}/run/log")
    assert {one["name"] for one in log.body["items"]} == {"parts~0", "parts~1"}


async def test_the_same_key_gives_the_same_run(cluster: Any) -> None:
    await failed(cluster)
    key = {"Idempotency-Key": "again"}
    ids = set()
    for _ in range(2):
        made = await cluster.ask("POST", "/tasks/r1/retry", {"failed": True}, headers=key)
        ids.add(made.body["id"])
    assert len(ids) == 1


async def test_what_cannot_go_on_is_refused_with_what_to_do(cluster: Any) -> None:
    await cluster.ask("POST", "/tasks", {"id": "plain", "executor": "echo"})
    await cluster.ask("GET", "/tasks/plain/wait?timeout=20s")
    await failed(cluster)
    for task_id, status, word in (
        ("plain", 409, "retry it without asking for what failed only"),
        ("r1~load", 409, "run r1 once more instead"),
        ("gone", 404, "there is no task gone"),
    ):
        refused = await cluster.ask("POST", f"/tasks/{task_id}/retry", {"failed": True})
        assert (refused.status, word in refused.body["detail"]) == (status, True), refused.text
    odd = await cluster.ask("POST", "/tasks/r1/retry", {"failed": "yes"})
    assert odd.status == 422
