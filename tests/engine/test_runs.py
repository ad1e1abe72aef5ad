"""Runs of many tasks, by real pods in virtual time."""

from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.store.events import EventKind
from dsched.errors import ConflictError, RefusedError
from dsched.model import Home, InvalidConfigError, Step, TaskConfig, TaskSpec, TaskStatus, Workflow

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED


def step(step_id: str, *needs: str, payload: Any = "ok", **more: Any) -> Step:
    return Step(id=step_id, executor="fn", payload=payload, needs=needs, **more)


def flow(*steps: Step, **more: Any) -> TaskSpec:
    return TaskSpec(executor="workflow", workflow=Workflow(steps=steps, **more))


def started(cluster: Any) -> list[str]:
    return [task_id for task_id, _, _ in cluster.executor.started]


async def ended(cluster: Any, task_id: str, timeout_s: float = 60) -> Any:
    return await cluster.client.wait(task_id, timeout_s=timeout_s)


async def test_steps_run_one_after_the_other_and_the_run_ends_after_the_last(cluster):
    cluster.start("a")
    await cluster.client.submit(flow(step("c", "b"), step("a"), step("b", "a")), task_id="r")
    run = await ended(cluster, "r")
    assert (run.status, run.home, run.reason) == (SUCCESS, None, "")
    assert started(cluster) == ["r~a", "r~b", "r~c"]
    last = await cluster.client.get("r~c")
    assert run.start_ms <= last.start_ms <= last.end_ms <= run.end_ms
    told = (await cluster.client.why_task("r~c")).because
    assert told[-1] == "It is a member of run r, which `dsched why r` tells about."


async def test_a_payload_is_rendered_from_what_other_members_answered(cluster):
    async def first(context: Any, task: Any) -> object:
        return {"then": ["ok", {"body": "second"}]}

    async def second(context: Any, task: Any) -> object:
        return f"{task.spec.payload} of {task.id}"

    cluster.executor.bodies = {**cluster.executor.bodies, "first": first, "second": second}
    cluster.start("a")
    await cluster.client.submit(
        flow(step("a", payload="first"), step("b", "a", payload="${needs.a.data.then.1.body}")),
        task_id="r",
    )
    await ended(cluster, "r")
    assert (await cluster.client.result("r~b")) == "second of r~b"


async def test_a_reference_to_nothing_fails_the_member_for_good_with_its_path(cluster):
    cluster.start("a")
    await cluster.client.submit(
        flow(step("a"), step("b", "a", payload="${needs.a.data.rows}")), task_id="r"
    )
    assert (await ended(cluster, "r")).status is FAILED
    member = await cluster.client.get("r~b")
    assert (member.status, member.result.code, member.attempt) == (FAILED, "template", 1)
    assert "needs.a.data has no 'rows'" in member.error


async def test_a_fire_of_shards_makes_one_task_a_shard_so_many_at_a_time(cluster):
    cluster.start("a")
    config = TaskConfig(
        id="c",
        executor="fn",
        payload="ok",
        every=timedelta(minutes=1),
        workflow=Workflow(shards=5, max_parallel=2),
    )
    await cluster.client.put_config(config)
    await cluster.until(lambda: cluster.items("run_ended"), "a run", timeout_s=90)
    run_id = cluster.items("run_ended")[0]["task"]
    assert sorted(started(cluster))[:5] == [f"{run_id}~{at}" for at in range(5)]
    run = await cluster.client.get(run_id)
    assert (run.status, run.config_id) == (SUCCESS, "c")
    alive: set[str] = set()
    for event in cluster.events("born", "completed"):
        for item in event.items:
            born = event.kind is EventKind.BORN
            (alive.add if born else alive.discard)(item["task"])
            assert len(alive) <= 2


async def test_a_failure_skips_what_needs_it_and_runs_the_rollback(cluster):
    cluster.start("a")
    await cluster.client.submit(
        flow(
            step("a", payload="fail", retry={"max_retries": 0}),
            step("b", "a"),
            step("undo", "b", when="failure"),
            step("tell", "b", when="always"),
        ),
        task_id="r",
    )
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (FAILED, "a failed")
    assert set(started(cluster)) == {"r~a", "r~undo", "r~tell"}
    assert cluster.items("step_skipped", run="r")[0]["reason"] == "a failed"


async def test_a_cancel_of_a_run_stops_its_members_and_births_no_more(cluster):
    cluster.start("a")
    await cluster.client.submit(flow(step("a", payload="sleep 60"), step("b", "a")), task_id="r")
    await cluster.until(lambda: "r~a" in started(cluster), "the first step")
    await cluster.client.cancel("r", reason="enough")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (CANCELLED, "enough")
    assert (await cluster.client.get("r~a")).status is CANCELLED
    assert started(cluster) == ["r~a"]


async def test_a_run_that_takes_too_long_is_stopped(cluster):
    cluster.start("a")
    await cluster.client.submit(
        flow(step("a", payload="sleep 60"), step("b", "a", when="always"), timeout="3s"),
        task_id="r",
    )
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (FAILED, "timeout")
    assert 3000 <= run.end_ms - run.start_ms < 6000
    assert started(cluster) == ["r~a"]


async def test_a_new_leader_goes_on_from_what_is_stored(cluster):
    cluster.start("a", roles=("scheduler",))
    await cluster.lead_by("a")
    cluster.start("w", roles=("worker",))
    await cluster.client.submit(flow(step("a", payload="sleep 1"), step("b", "a")), task_id="r")
    await cluster.until(lambda: "r~a" in started(cluster), "the first step")
    await cluster.kill("a")
    cluster.start("b", roles=("scheduler",))
    assert (await ended(cluster, "r", 120)).status is SUCCESS
    assert started(cluster) == ["r~a", "r~b"]


async def test_many_members_are_born_in_pages(cluster):
    cluster.start("a")
    spec = TaskSpec(executor="fn", payload="ok", workflow=Workflow(shards=250))
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r", 120)).status is SUCCESS
    assert len(set(started(cluster))) == len(started(cluster)) == 250
    assert all(len(event.items) <= 100 for event in cluster.events("born"))


async def test_an_open_run_is_on_the_list_of_those(cluster):
    cluster.start("a")
    await cluster.client.submit(flow(step("a", payload="sleep 60")), task_id="r")
    await cluster.until(lambda: "r~a" in started(cluster), "the first step")
    assert cluster.row("r").home is Home.OPEN
    assert (await cluster.client.list(home=Home.OPEN)).tasks[0].id == "r"


async def test_why_says_of_each_step_what_became_of_it_or_what_it_waits_for(cluster):
    cluster.start("a")
    await cluster.client.submit(
        flow(step("a", payload="fail", retry={"max_retries": 0}), step("b", "a"), step("c")),
        task_id="r",
    )
    await ended(cluster, "r")
    why = await cluster.client.why_task("r")
    assert why.summary == "Run r ended failed: a failed."
    assert why.because == (
        "Step a failed.",
        "Step b was skipped: a failed.",
        "Step c succeeded.",
    )
    await cluster.client.submit(
        flow(step("x", payload="sleep 60"), step("y", "x"), step("z", shards=2)), task_id="open"
    )
    await cluster.until(lambda: "open~z~1" in started(cluster), "the shards")
    await cluster.until(lambda: cluster.row("open~z~1").status is SUCCESS, "the end of one")
    why = await cluster.client.why_task("open")
    assert why.summary.startswith("Run open is open since ")
    assert why.because == (
        "Step x runs.",
        "Step y waits for x.",
        "Step z succeeded, 2 of 2 shards well.",
    )


async def test_a_member_is_run_once_more_with_its_run_only(cluster):
    cluster.start("a")
    await cluster.client.submit(flow(step("a")), task_id="r")
    await ended(cluster, "r")
    with pytest.raises(ConflictError, match="run r once more instead"):
        await cluster.client.retry("r~a")
    again = await cluster.client.retry("r")
    assert (await ended(cluster, str(again))).status is SUCCESS
    assert f"{again}~a" in started(cluster)


async def test_before_the_store_was_migrated_a_workflow_is_refused(cluster):
    cluster.state.format = 3
    config = TaskConfig(id="c", executor="fn", every="1h", workflow=Workflow(shards=2))
    with pytest.raises(RefusedError, match="dsched store migrate"):
        await cluster.client.submit(flow(step("a")), task_id="r")
    with pytest.raises(InvalidConfigError, match="dsched store migrate"):
        await cluster.client.put_config(config)
    assert not cluster.state.tasks
    assert not cluster.state.configs


async def test_statistics_count_a_run_for_its_config_and_members_for_their_step(cluster):
    cluster.start("a")
    steps = [step("a", shards=3), step("b", "a")]
    config = TaskConfig(
        id="c", executor="workflow", every="1h", start_at="2027-01-15T08:00:00Z",
        workflow=Workflow(steps=steps),
    )  # fmt: skip
    await cluster.client.put_config(config)
    run_id = await cluster.client.trigger("c")
    await ended(cluster, run_id)
    totals = cluster.state.stats
    await cluster.until(
        lambda: any(key[0] == "c" and adds.get("success") for key, (adds, _) in totals.items()),
        "the collector",
    )

    def counted(owner: str) -> int:
        return sum(adds.get("success", 0) for key, (adds, _) in totals.items() if key[0] == owner)

    assert (counted("c"), counted("c~a"), counted("c~b"), counted("")) == (1, 3, 1, 4)
