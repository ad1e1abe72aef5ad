"""Workflows through the HTTP clients, against a real pod with a real API."""

import asyncio

import pytest
from api_pods import ADMIN, serving

import dsched_client
from dsched.client import NotFoundError
from dsched.model import InvalidConfigError, RetryPolicy, Step, TaskConfig, TaskStatus, Workflow
from dsched_client import AsyncClient, Client

ETL = Workflow(
    steps=[
        Step(id="extract", executor="echo", payload={"rows": [1, 2]}),
        Step(
            id="load",
            needs=["extract"],
            executor="echo",
            shards=2,
            max_parallel=1,
            timeout="20s",
            retry={"max_retries": 1},
            payload={"rows": "${needs.extract.data.rows}", "part": "${shard.index}"},
        ),
        Step(id="undo", needs=["load"], when="failure", executor="echo"),
    ],
    timeout="1h",
    fail_fast=True,
)


@pytest.fixture
async def cluster():
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served


async def test_a_workflow_that_is_submitted_is_the_one_that_was_made(cluster):
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        handle = await client.submit(ETL, task_id="r")
        assert (await handle.wait(timeout=20)).status is TaskStatus.SUCCESS
        stored = (await cluster.client.get("r")).spec.workflow
        assert [step.id for step in stored.steps] == ["extract", "load", "undo"]
        load = stored.step("load")
        assert (load.shards, load.max_parallel, load.needs) == (2, 1, ("extract",))
        assert (load.timeout, load.retry.max_retries) == (ETL.steps[1].timeout, 1)
        assert (stored.timeout, stored.fail_fast) == (ETL.timeout, True)
        assert (await client.get("r~load~1", full=True)).result.data == {"rows": [1, 2], "part": 1}
        found = await client.get("r", full=True)
        assert found.spec["steps"]["undo"]["when"] == "failure"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_run_and_its_log_are_values_with_types(cluster, kind):
    await cluster.client.submit(ETL, task_id="r")
    await cluster.client.wait("r", timeout=20)
    if kind == "async":
        async with AsyncClient(cluster.url, token=ADMIN) as client:
            run, log = await client.get_run("r"), await client.run_log("r")
    else:

        def read():
            with Client(cluster.url, token=ADMIN) as client:
                return client.get_run("r"), client.run_log("r")

        run, log = await asyncio.to_thread(read)
    assert run.task.status is TaskStatus.SUCCESS
    assert [(step.id, step.level, step.state) for step in run.steps] == [
        ("extract", 0, "success"),
        ("load", 1, "success"),
        ("undo", 2, "skipped"),
    ]
    first, second = run.steps[1].members
    assert (first.id, first.index, first.attempts) == ("r~load~0", 0, 1)
    assert first.ended <= second.born  # one at a time
    kept = await cluster.client.run_log("r")
    assert [one.name for one in log] == [one.name for one in kept]
    assert log[0].at.timestamp() * 1000 == kept[0].at_ms
    assert (log[-1].what, log[-1].reason) == ("skipped", "nothing failed")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_the_members_of_a_run_are_tasks_a_page_at_a_time(cluster, kind):
    await cluster.client.submit(ETL, task_id="r")
    await cluster.client.wait("r", timeout=20)
    if kind == "async":
        async with AsyncClient(cluster.url, token=ADMIN) as client:
            first = await client.run_members("r", state="success", limit=2)
            rest = await client.run_members("r", state="success", cursor=first.cursor)
    else:

        def read():
            with Client(cluster.url, token=ADMIN) as client:
                page = client.run_members("r", state="success", limit=2)
                return page, client.run_members("r", state="success", cursor=page.cursor)

        first, rest = await asyncio.to_thread(read)
    assert [one.id for one in (*first.items, *rest.items)] == ["r~extract", "r~load~0", "r~load~1"]
    assert rest.cursor is None
    assert all(one.worker_id for one in first.items)
    kept = await cluster.client.run_members("r", step="load")
    assert [one.id for one in kept.tasks] == ["r~load~0", "r~load~1"]
    with pytest.raises(NotFoundError, match="run r has no step 'lod'"):
        await cluster.client.run_members("r", step="lod")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_the_latest_runs_of_a_config_are_values_with_types(cluster, kind):
    await cluster.ask("PUT", "/configs/etl", {"every": "1h", "steps": {"a": {"executor": "echo"}}})
    made = (await cluster.ask("POST", "/configs/etl/trigger")).body["id"]
    await cluster.client.wait(made, timeout=20)
    async with asyncio.timeout(20):  # it is a moment later in the list of its config
        while not await cluster.client.config_runs("etl"):
            await asyncio.sleep(0.02)
    if kind == "async":
        async with AsyncClient(cluster.url, token=ADMIN) as client:
            (run,) = await client.config_runs("etl", limit=25)
    else:

        def read():
            with Client(cluster.url, token=ADMIN) as client:
                return client.config_runs("etl")

        (run,) = await asyncio.to_thread(read)
    assert (run.task.id, run.task.status) == (made, TaskStatus.SUCCESS)
    assert [(one.id, one.state, one.members) for one in run.steps] == [("a", "success", ())]
    (kept,) = await cluster.client.config_runs("etl")
    assert kept.steps[0].members[0].name == "a"
    with pytest.raises(NotFoundError, match="there is no config gone"):
        await cluster.client.config_runs("gone")
    with pytest.raises(ValueError, match="limit must be 1 to 25, got 26"):
        await cluster.client.config_runs("etl", limit=26)


async def test_the_blocking_client_puts_a_config_that_is_a_workflow(cluster):
    config = TaskConfig(
        id="nightly",
        executor="workflow",
        workflow=ETL,
        every="1h",
        timeout="5m",
        retry=RetryPolicy(max_retries=0),
    )

    def put():
        with Client(cluster.url, token=ADMIN) as client:
            assert client.put_config(config).outcome == "created"
            assert client.put_config(config).outcome == "unchanged"
            return client.submit(ETL).wait(timeout=20).status

    assert await asyncio.to_thread(put) is TaskStatus.SUCCESS
    stored = (await cluster.client.get_config("nightly")).config
    assert stored.workflow.steps[1].needs == ("extract",)


async def test_what_is_no_workflow_is_refused_with_the_place_and_nothing_is_made(cluster):
    async with AsyncClient(cluster.url, token=ADMIN) as client:
        with pytest.raises(InvalidConfigError, match="shards alone do not say what they run"):
            await client.submit(Workflow(shards=2), task_id="r")
        steps = {"a": {"executor": "echo", "needs": ["z"]}}
        with pytest.raises(dsched_client.InvalidError) as caught:
            await client.submit({"steps": steps}, task_id="r")
        assert "steps.a.needs: no step is called 'z'" in str(caught.value)
        with pytest.raises(dsched_client.NotFoundError):
            await client.get("r")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_run_goes_on_from_a_failed_one(cluster, kind):
    flow = Workflow(
        steps=[
            Step(id="extract", executor="echo", payload={"rows": 1}),
            Step(id="load", needs=["extract"], executor="echo", payload={"fail": "no"}),
        ]
    )
    await cluster.client.submit(flow, task_id="r1")
    await cluster.client.wait("r1", timeout=20)
    if kind == "async":
        async with AsyncClient(cluster.url, token=ADMIN) as client:
            again = await client.retry("r1", failed=True)
            await again.wait(timeout=20)
            run = await client.get_run(again.id)
    else:

        def goes_on():
            with Client(cluster.url, token=ADMIN) as client:
                again = client.retry("r1", failed=True)
                again.wait(timeout=20)
                return client.get_run(again.id)

        run = await asyncio.to_thread(goes_on)
    extract, load = run.steps
    assert (extract.taken, extract.members[0].taken_from, extract.members[0].id) == (
        1,
        "r1",
        "r1~extract",
    )
    assert (load.taken, load.state) == (0, "failed")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_list_goes_through_the_clients_as_it_was_written(cluster, kind):
    each = Workflow(
        steps=[
            Step(
                id="each",
                executor="echo",
                for_each=["a", {"b": 1}],
                max_parallel=1,
                payload="${item}",
            ),
            Step(id="all", needs=["each"], executor="echo", payload="${needs.each.data}"),
        ]
    )
    if kind == "async":
        async with AsyncClient(cluster.url, token=ADMIN) as client:
            await (await client.submit(each, task_id="e")).wait(timeout=20)
            run = await client.get_run("e")
    else:

        def submitted():
            with Client(cluster.url, token=ADMIN) as client:
                client.submit(each, task_id="e").wait(timeout=20)
                return client.get_run("e")

        run = await asyncio.to_thread(submitted)
    assert run.task.status is TaskStatus.SUCCESS
    assert (run.steps[0].total, run.steps[0].state) == (2, "success")
    stored = (await cluster.client.get("e")).spec.workflow.step("each")
    assert (stored.for_each, stored.max_parallel) == (["a", {"b": 1}], 1)
    assert await cluster.client.result("e~all") == ["a", {"b": 1}]
