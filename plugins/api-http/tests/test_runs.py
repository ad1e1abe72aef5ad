"""Runs of many tasks over HTTP: put, triggered, and read with their members."""

from typing import Any

ETL = {
    "every": "1h",
    "steps": {
        "load": {"executor": "echo", "payload": {"rows": 3}},
        "parts": {
            "needs": ["load"],
            "executor": "echo",
            "payload": {"of": "${needs.load.data.rows}"},
            "shards": 2,
        },
    },
}


async def test_a_run_and_its_members_are_found_by_their_ids(cluster: Any) -> None:
    assert (await cluster.ask("PUT", "/configs/etl", ETL)).status == 201
    made = await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})
    run_id = made.body["id"]
    ended = await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    for name, data in (("load", {"rows": 3}), ("parts~0", {"of": 3}), ("parts~1", {"of": 3})):
        member = await cluster.ask("GET", f"/tasks/{run_id}~{name}")
        assert (member.status, member.body["status"]) == (200, "success")
        assert (await cluster.ask("GET", f"/tasks/{run_id}~{name}/result")).body["data"] == data
    for name in ("", "~", "Load", "load~x", "load~1~2", "parts~2"):
        assert (await cluster.ask("GET", f"/tasks/{run_id}~{name}")).status == 404


async def test_a_token_that_may_only_read_sees_no_payload_of_any_step(cluster: Any) -> None:
    secret = {"every": "1h", "steps": {"a": {"executor": "echo", "payload": {"key": "hush"}}}}
    assert (await cluster.ask("PUT", "/configs/etl", secret)).status == 201
    made = await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})
    run_id = made.body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    reader = cluster.using(await cluster.token_of("read"))
    for path in ("/configs/etl", "/configs", f"/tasks/{run_id}?full=true"):
        seen = await reader.ask("GET", path)
        assert "hush" not in seen.text
        assert '"payload_hidden":true' in seen.text
    assert "hush" in (await cluster.ask("GET", "/configs/etl")).text


async def test_a_run_is_told_by_levels_and_by_its_log(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/etl", ETL)
    run_id = (await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})).body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    told = await cluster.ask("GET", f"/tasks/{run_id}/run")
    assert (told.status, told.body["id"], told.body["task"]["status"]) == (200, run_id, "success")
    load, parts = told.body["steps"]
    assert (load["id"], load["level"], load["state"], load["total"]) == ("load", 0, "success", 1)
    assert (parts["needs"], parts["level"], parts["ended"]) == (["load"], 1, 2)
    assert [one["id"] for one in parts["members"]] == [f"{run_id}~parts~0", f"{run_id}~parts~1"]
    assert load["members"][0]["ended"] <= parts["members"][0]["born"]
    log, cursor = [], ""
    while cursor is not None:
        page = await cluster.ask("GET", f"/tasks/{run_id}/run/log?limit=4{cursor}")
        log += page.body["items"]
        cursor = page.body["cursor"] and f"&cursor={page.body['cursor']}"
    assert sorted((one["what"], one["name"]) for one in log) == sorted(
        (what, name) for what in ("born", "ended") for name in ("load", "parts~0", "parts~1")
    )
    assert log[1]["status"] == "success"


async def test_what_is_no_run_is_answered_with_what_it_is(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/etl", ETL)
    run_id = (await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})).body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    await cluster.ask("POST", "/tasks", {"id": "plain", "executor": "echo"})
    for path in ("run", "run/log"):
        for task_id, word in (
            (f"{run_id}~load", f"names a member of run {run_id}; ask for {run_id}"),
            ("plain", "task plain is no run"),
            ("gone", "there is no run gone"),
        ):
            found = await cluster.ask("GET", f"/tasks/{task_id}/{path}")
            assert (found.status, word in found.body["detail"]) == (404, True), found.text
    assert (await cluster.ask("GET", f"/tasks/{run_id}/run/log?cursor=x")).status == 422
    member = await cluster.ask("GET", f"/tasks/{run_id}~load")
    assert (member.body["run_id"], (await cluster.ask("GET", "/tasks/plain")).body["run_id"]) == (
        run_id,
        None,
    )


EACH = {
    "every": "1h",
    "steps": {
        "load": {"executor": "echo", "payload": {"tables": ["a", "b", "c"]}},
        "each": {
            "needs": ["load"],
            "executor": "echo",
            "for_each": "${needs.load.data.tables}",
            "max_parallel": 2,
            "payload": {"table": "${item}", "at": "${shard.index}"},
        },
    },
}


async def test_a_step_with_a_list_is_put_triggered_told_and_tried_again(cluster: Any) -> None:
    assert (await cluster.ask("PUT", "/configs/each", EACH)).status == 201
    kept = (await cluster.ask("GET", "/configs/each")).body["spec"]["steps"]["each"]
    assert (kept["for_each"], kept["max_parallel"]) == ("${needs.load.data.tables}", 2)
    run_id = (await cluster.ask("POST", "/configs/each/trigger", {"key": "one"})).body["id"]
    ended = await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    each = (await cluster.ask("GET", f"/tasks/{run_id}/run")).body["steps"][1]
    assert (each["state"], each["total"], each["ended"], each["failed"]) == ("success", 3, 3, 0)
    result = await cluster.ask("GET", f"/tasks/{run_id}~each~1/result")
    assert result.body["data"] == {"table": "b", "at": 1}
    told = (await cluster.ask("GET", f"/tasks/{run_id}/why")).body["because"]
    assert told[1] == "Step each succeeded, 3 of 3 items well."
    again = (await cluster.ask("POST", f"/tasks/{run_id}/retry", {})).body["id"]
    ended = await cluster.ask("GET", f"/tasks/{again}/wait?timeout=20s")
    assert ended.body["status"] == "success"
    assert (await cluster.ask("GET", f"/tasks/{again}~each~2")).body["status"] == "success"


async def test_a_list_that_can_be_none_is_refused_with_its_key(cluster: Any) -> None:
    long = [{"n": at} for at in range(1001)]
    for for_each, said in (("tables", "is no list"), (long, "1001 items"), (3, "must be a list")):
        steps = {"a": {"executor": "echo", "for_each": for_each}}
        for path, body in (("/configs/bad", {"every": "1h"}), ("/tasks", {})):
            method = "PUT" if path.startswith("/configs") else "POST"
            answer = await cluster.ask(method, path, {**body, "steps": steps})
            assert answer.status == 422
            assert "steps.a.for_each" in answer.text
            assert said in answer.text
    assert (await cluster.ask("GET", "/configs/bad")).status == 404


async def test_a_list_that_is_written_out_is_hidden_as_a_payload_is(cluster: Any) -> None:
    steps = {"a": {"executor": "echo", "for_each": ["hush"]}}
    assert (await cluster.ask("PUT", "/configs/c", {"every": "1h", "steps": steps})).status == 201
    assert (await cluster.ask("PUT", "/configs/each", EACH)).status == 201
    reader = cluster.using(await cluster.token_of("read"))
    seen = await reader.ask("GET", "/configs/c")
    assert "hush" not in seen.text
    assert seen.body["payload_hidden"] is True
    assert "hush" in (await cluster.ask("GET", "/configs/c")).text
    shown = (await reader.ask("GET", "/configs/each")).body["spec"]["steps"]["each"]
    assert shown["for_each"] == "${needs.load.data.tables}"
