"""Runs of many tasks over HTTP: put, triggered, and read with their members."""

from typing import Any

from dsched_testkit.memory import new_state

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


PARTS = {
    "every": "1h",
    "retry": {"max_retries": 0},
    "steps": {
        "load": {"executor": "echo", "payload": {"rows": 3}},
        "parts": {
            "needs": ["load"],
            "executor": "echo",
            "for_each": [{"n": 0}, {"fail": "no"}, {"n": 2}, {"n": 3}, {"fail": "no"}],
            "payload": "${item}",
        },
    },
}


async def test_the_members_of_a_run_are_listed_as_tasks_by_step_and_state(cluster: Any) -> None:
    assert (await cluster.ask("PUT", "/configs/etl", PARTS)).status == 201
    run_id = (await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})).body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")

    async def listed(query: str) -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = await cluster.ask("GET", f"/tasks/{run_id}/run/members?{query}{cursor}")
            assert page.status == 200, page.text
            assert all(one["run_id"] == run_id for one in page.body["items"])
            found += [one["id"].partition("~")[2] for one in page.body["items"]]
            cursor = page.body["cursor"] and f"&cursor={page.body['cursor']}"
        return found

    every = ["load", *(f"parts~{at}" for at in range(5))]
    for size in (1, 2, 5, 500):
        assert await listed(f"limit={size}") == every
        assert await listed(f"step=parts&state=failed&limit={size}") == ["parts~1", "parts~4"]
    assert await listed("step=load") == ["load"]
    assert await listed("state=live") == []
    (one,) = (
        await cluster.ask("GET", f"/tasks/{run_id}/run/members?step=load&state=success")
    ).body["items"]
    assert (one["status"], one["attempt"]) == ("success", 1)
    assert one["worker_id"]
    again = (await cluster.ask("POST", f"/tasks/{run_id}/retry", {"failed": True})).body["id"]
    await cluster.ask("GET", f"/tasks/{again}/wait?timeout=20s")
    taken = (await cluster.ask("GET", f"/tasks/{again}/run/members?state=success")).body["items"]
    assert {one["run_id"] for one in taken} == {run_id}


async def test_a_question_for_members_that_cannot_be_meant_says_why(cluster: Any) -> None:
    await cluster.ask("PUT", "/configs/etl", ETL)
    run_id = (await cluster.ask("POST", "/configs/etl/trigger", {"key": "one"})).body["id"]
    await cluster.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
    for query, status, said in (
        ("step=lod", 404, f"run {run_id} has no step 'lod'"),
        ("state=running", 422, "state: must be one of live, success, failed, cancelled"),
        ("cursor=x", 422, "cursor"),
    ):
        found = await cluster.ask("GET", f"/tasks/{run_id}/run/members?{query}")
        assert (found.status, said in found.text) == (status, True), found.text


async def test_the_latest_runs_of_a_config_are_told_with_their_steps(
    cluster: Any, eventually: Any
) -> None:
    assert (await cluster.ask("PUT", "/configs/etl", PARTS)).status == 201
    ids = []
    for key in ("one", "two", "three"):
        ids.append((await cluster.ask("POST", "/configs/etl/trigger", {"key": key})).body["id"])
        await cluster.ask("GET", f"/tasks/{ids[-1]}/wait?timeout=20s")
    waits = {**PARTS["steps"], "load": {"executor": "echo", "payload": {"wait": True}}}
    await cluster.ask("PUT", "/configs/etl", {**PARTS, "steps": waits})
    live = (await cluster.ask("POST", "/configs/etl/trigger", {"key": "four"})).body["id"]

    async def listed() -> Any:  # a task that has ended is a moment later in the list of its config
        found = await cluster.ask("GET", "/configs/etl/runs")
        assert found.status == 200, found.text
        return len(found.body["items"]) == 4

    await eventually(listed)
    told = (await cluster.ask("GET", "/configs/etl/runs?limit=3")).body["items"]
    assert [one["id"] for one in told] == [live, ids[2], ids[1]]  # the open one first
    assert [one["state"] for one in told[1]["steps"]] == ["success", "failed"]
    parts = told[1]["steps"][1]
    assert (parts["total"], parts["failed"], parts["members"]) == (5, 2, [])
    assert told[1]["task"]["status"] == "failed"
    await cluster.ask("PUT", "/configs/plain", {"every": "1h", "executor": "echo"})
    assert (await cluster.ask("GET", "/configs/plain/runs")).body["items"] == []
    for address, status, said in (
        ("gone/runs", 404, "there is no config gone"),
        ("etl/runs?limit=26", 422, "must be 1 to 25, got 26"),
        ("etl/runs?limit=0", 422, "must be 1 to 25, got 0"),
    ):
        refused = await cluster.ask("GET", f"/configs/{address}")
        assert (refused.status, said in refused.text) == (status, True), refused.text


async def test_a_member_for_each_worker_is_told_with_its_worker(
    serve: Any, eventually: Any
) -> None:
    state = new_state()
    both = {"pod.name": "pod-b", "worker.id": "w-b", "worker.labels": {"only": "b"}}
    roles = ("api", "scheduler", "worker")
    async with (
        serve({"worker.id": "w-a"}, roles=roles, state=state) as api,
        serve(both, roles=("api", "worker"), state=state),
    ):

        async def two() -> bool:
            return len((await api.ask("GET", "/workers")).body["items"]) == 2

        await eventually(two)
        entry = {"every": "1h", "executor": "echo", "shards": "each_worker", "payload": {"a": 1}}
        assert (await api.ask("PUT", "/configs/all", entry)).status == 201
        assert (await api.ask("GET", "/configs/all")).body["spec"]["shards"] == "each_worker"
        run_id = (await api.ask("POST", "/configs/all/trigger", {"key": "one"})).body["id"]
        done = await api.ask("GET", f"/tasks/{run_id}/wait?timeout=20s")
        assert done.body["status"] == "success"
        (step,) = (await api.ask("GET", f"/tasks/{run_id}/run")).body["steps"]
        assert {one["worker"]: one["state"] for one in step["members"]} == {
            "w-a": "success", "w-b": "success",
        }  # fmt: skip
        log = (await api.ask("GET", f"/tasks/{run_id}/run/log")).body["items"]
        assert (log[0]["what"], log[0]["workers"]) == ("workers", ["w-a", "w-b"])
        let_off = await api.ask("GET", f"/tasks/{run_id}/run/members?state=skipped")
        assert (let_off.status, let_off.body["items"]) == (200, [])

        one = {"executor": "echo", "shards": "each_worker", "required_labels": {"only": "b"}}
        body = {"id": "one", "steps": {"all": one}}
        assert (await api.ask("POST", "/tasks", body)).status in (200, 201)
        assert (await api.ask("GET", "/tasks/one/wait?timeout=20s")).body["status"] == "success"
        (step,) = (await api.ask("GET", "/tasks/one/run")).body["steps"]
        assert [one["worker"] for one in step["members"]] == ["w-b"]


async def test_shards_that_cannot_be_are_refused_with_their_key(cluster: Any) -> None:
    for shards, said in (("each", "each_worker"), (0, "1 to 1000"), ({"each_worker": 2}, "shards")):
        body = {"executor": "echo", "shards": shards}
        for method, path, more in (
            ("PUT", "/configs/bad", {"every": "1h"}),
            ("POST", "/tasks", {}),
        ):
            answer = await cluster.ask(method, path, {**body, **more})
            assert answer.status == 422, answer.text
            assert "shards" in answer.text
            assert said in answer.text
    pinned = {"executor": "echo", "required_labels": {"dsched.worker": "w"}}
    answer = await cluster.ask("POST", "/tasks", pinned)
    assert (answer.status, "dsched.worker" in answer.text) == (422, True)
