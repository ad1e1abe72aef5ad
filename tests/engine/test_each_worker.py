"""A member for each worker, by real pods in virtual time."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from engine_cluster import SCHEDULER

from dsched.contracts.executor import TaskFailed
from dsched.model import MemberStep, Step, TaskConfig, TaskSpec, TaskStatus, Workflow
from dsched.planning.runs.progress import WORKER_LEFT, WORKER_LOST

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
NEVER = {"max_retries": 0}


def step(step_id: str, *needs: str, payload: Any = "ok", **more: Any) -> Step:
    given: dict[str, Any] = {"retry": NEVER, **more}
    return Step(id=step_id, executor="fn", payload=payload, needs=needs, **given)


def everywhere(payload: Any = "ok", **more: Any) -> Step:
    return step("all", payload=payload, shards="each_worker", **more)


def flow(*steps: Step, **more: Any) -> TaskSpec:
    return TaskSpec(executor="workflow", workflow=Workflow(steps=steps, **more))


async def ended(cluster: Any, task_id: str) -> Any:
    return await cluster.client.wait(task_id, timeout_s=200)


def where(cluster: Any) -> dict[str, list[str]]:
    """Of each task the workers at which its attempts began."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in cluster.events("claimed"):
        for item in event.items:
            found[item["task"]].append(event.by.rsplit(".", 3)[0])
    return dict(found)


async def members(cluster: Any, run_id: str = "r") -> dict[str, str]:
    """Of each worker what became of its member."""
    run = await cluster.client.get_run(run_id)
    return {one.worker: one.state for step in run.steps for one in step.members if one.worker}


async def told(cluster: Any, run_id: str = "r") -> list[tuple[str, ...]]:
    lines = await cluster.client.run_log(run_id)
    return [one.workers for one in lines if one.what is MemberStep.WORKERS]


async def start(cluster: Any, *pods: str, **more: Any) -> None:
    for pod in pods:
        cluster.start(pod, **more)
    ids = {f"{pod}-w" for pod in pods}
    await cluster.until(lambda: ids <= cluster.state.workers.keys(), "its workers")


async def test_each_worker_has_a_member_that_runs_there(cluster):
    async def answer(context: Any, task: Any) -> object:
        return task.spec.payload["at"]

    payload = {"at": "${shard.index} of ${shard.total}"}
    cluster.executor.bodies = Answers(cluster, answer)
    await start(cluster, "a", "b", "c")
    last = step("last", "all", payload={"at": "${needs.all.data}"})
    await cluster.client.submit(flow(everywhere(payload), last), task_id="r")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (SUCCESS, "")
    assert await told(cluster) == [("a-w", "b-w", "c-w")]
    at = where(cluster)
    assert [at[f"r~all~{index}"] for index in range(3)] == [["a-w"], ["b-w"], ["c-w"]]
    assert await cluster.client.result("r~last") == ["0 of 3", "1 of 3", "2 of 3"]
    assert (await cluster.client.why_task("r")).because[0] == (
        "Step all succeeded, 3 of 3 workers well."
    )


class Answers(dict[Any, Any]):
    """Bodies of which one answers each payload that is a mapping."""

    def __init__(self, cluster: Any, answer: Any) -> None:
        super().__init__(cluster.executor.bodies)
        self.answer = answer

    def __getitem__(self, payload: Any) -> Any:
        return self.answer if isinstance(payload, dict) else super().__getitem__(payload)


async def test_a_config_without_steps_runs_on_each_worker_that_has_its_labels(cluster):
    await start(cluster, "a", "b", labels={"zone": "eu"})
    await start(cluster, "c", labels={"zone": "us"})
    config = TaskConfig(
        id="c", executor="fn", payload="ok", every="1h", required_labels={"zone": "eu"},
        workflow=Workflow(shards="each_worker"),
    )  # fmt: skip
    await cluster.client.put_config(config)
    run = str(await cluster.client.trigger("c"))
    assert (await ended(cluster, run)).status is SUCCESS
    assert where(cluster) == {f"{run}~0": ["a-w"], f"{run}~1": ["b-w"]}
    member = await cluster.client.get(f"{run}~1")
    assert dict(member.spec.required_labels) == {"zone": "eu", "dsched.worker": "b-w"}


async def test_where_nobody_is_eligible_the_run_succeeds_and_says_so(cluster):
    await start(cluster, "a")
    last = step("last", "all")
    spec = flow(everywhere(required_labels={"zone": "eu"}), last)
    await cluster.client.submit(spec, task_id="r")
    run = await ended(cluster, "r")
    reason = "no worker is eligible: no worker has zone=eu"
    assert (run.status, run.reason) == (SUCCESS, reason)
    assert where(cluster) == {"r~last": ["a-w"]}, "what comes after it runs"
    because = (await cluster.client.why_task("r")).because
    assert because[0] == f"Step all succeeded: {reason}."


async def test_who_cannot_run_it_is_not_eligible(cluster):
    await start(cluster, "a")
    unknown = Step(id="all", executor="local", payload={"function": "f"}, shards="each_worker")
    await cluster.client.submit(flow(unknown), task_id="r")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (
        SUCCESS, "no worker is eligible: no worker has function f",
    )  # fmt: skip


async def test_who_drains_and_who_joins_later_is_left_out(cluster):
    await start(cluster, "a", "b", "c")
    await cluster.client.drain_worker("b-w")
    await cluster.client.submit(flow(everywhere("sleep 1"), step("last", "all")), task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "a member runs")
    await start(cluster, "d")
    await ended(cluster, "r")
    assert await told(cluster) == [("a-w", "c-w")]
    assert await members(cluster) == {"a-w": "success", "c-w": "success"}


async def busy(cluster: Any, pod: str, seconds: int = 60) -> None:
    """One slot, and a task that holds it."""
    await start(cluster, pod, capacity=1, labels={"only": pod})
    spec = TaskSpec(executor="fn", payload=f"sleep {seconds}", required_labels={"only": pod})
    await cluster.client.submit(spec, task_id=f"holds-{pod}")
    await cluster.until(lambda: f"holds-{pod}" in where(cluster), "its slot is held")


async def test_a_member_whose_worker_dies_before_it_began_is_let_off(cluster):
    await start(cluster, "a")
    await busy(cluster, "b")
    await cluster.client.submit(flow(everywhere(), step("last", "all")), task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "the other runs")
    waits = (await cluster.client.why_task("r~all~1")).summary
    assert waits.startswith("Task r~all~1 waits in the queue of b-w")
    await cluster.kill("b")
    run = await ended(cluster, "r")
    assert run.status is SUCCESS
    assert await members(cluster) == {"a-w": "success", "b-w": "skipped"}
    assert "r~all~1" not in where(cluster)
    member = await cluster.client.get("r~all~1")
    assert (member.status, member.reason) == (CANCELLED, WORKER_LEFT)
    assert (await cluster.client.why_task("r")).because[0] == (
        "Step all succeeded, 1 of 2 workers well; let off, as they left or drained: b-w."
    )


async def test_a_member_whose_worker_leaves_or_drains_before_it_began_is_let_off(cluster):
    await start(cluster, "a")
    for pod in ("b", "c"):
        await busy(cluster, pod)
    await cluster.client.submit(flow(everywhere()), task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "the other runs")
    await cluster.client.drain_worker("b-w")
    await cluster.stop("c")
    assert (await ended(cluster, "r")).status is SUCCESS
    states = await members(cluster)
    assert states == {"a-w": "success", "b-w": "skipped", "c-w": "skipped"}


async def test_what_ran_on_a_worker_that_died_runs_nowhere_else_and_fails(cluster):
    await start(cluster, "a", "b", "c")
    await cluster.client.submit(flow(everywhere("sleep 60")), task_id="r")
    await cluster.until(lambda: len(where(cluster)) == 3, "all run")
    await cluster.kill("c")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (FAILED, "all failed")
    assert where(cluster)["r~all~2"] == ["c-w"]
    assert await members(cluster) == {"a-w": "success", "b-w": "success", "c-w": "cancelled"}
    member = await cluster.client.get("r~all~2")
    assert (member.reason, member.attempt) == (WORKER_LOST, 1)


async def test_what_began_waits_for_a_worker_that_drains(cluster):
    async def second_time(context: Any, task: Any) -> object:
        if context.attempt == 1:
            raise TaskFailed("not yet", "busy")
        return "ok"

    cluster.executor.bodies = Answers(cluster, second_time)
    await start(cluster, "a", "b")
    retry = {"max_retries": 3, "retry_delay": "1s"}
    await cluster.client.submit(flow(everywhere({"do": "it"}, retry=retry)), task_id="r")
    await cluster.until(lambda: len(cluster.items("completed")) == 2, "both were tried")
    await cluster.client.drain_worker("b-w")
    await asyncio.sleep(60)
    assert await members(cluster) == {"a-w": "success", "b-w": "live"}
    waits = (await cluster.client.why_task("r~all~1")).because
    assert "It began at worker b-w, which is draining, and waits until that takes tasks." in waits
    await cluster.client.resume_worker("b-w")
    assert (await ended(cluster, "r")).status is SUCCESS
    assert where(cluster)["r~all~1"] == ["b-w", "b-w"]


async def test_what_was_let_off_answers_nothing_in_its_place(cluster):
    async def echo(context: Any, task: Any) -> object:
        return task.spec.payload

    cluster.executor.bodies = Answers(cluster, echo)
    await start(cluster, "a")
    await busy(cluster, "b")
    answers = {"data": "${needs.all.data}", "status": "${needs.all.status}"}
    last = step("last", "all", payload=answers)
    spec = flow(everywhere({"at": "${shard.index}"}), last)
    await cluster.client.submit(spec, task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "the other runs")
    await cluster.client.drain_worker("b-w")
    assert (await ended(cluster, "r")).status is SUCCESS
    told = await cluster.client.result("r~last")
    assert told == {"data": [{"at": 0}, None], "status": ["success", "cancelled"]}
    assert (await cluster.client.why_task("r~all~1")).summary == (
        "Task r~all~1 was cancelled: let off: its worker had left, or drained, before it began."
    )
    page = await cluster.client.run_members("r", state="skipped")
    assert [task.id for task in page.tasks] == ["r~all~1"]


async def test_a_restart_of_the_worker_takes_what_it_ran_up_again(cluster):
    await start(cluster, "a", "b")
    await cluster.client.submit(flow(everywhere("sleep 60")), task_id="r")
    await cluster.until(lambda: len(where(cluster)) == 2, "all run")
    await cluster.kill("b")
    cluster.start("b")
    run = await ended(cluster, "r")
    assert run.status is SUCCESS
    assert where(cluster)["r~all~1"] == ["b-w", "b-w"]


async def test_on_crash_fail_holds_as_for_a_task(cluster):
    await start(cluster, "a", "b")
    await cluster.client.submit(flow(everywhere("sleep 60", on_crash="fail")), task_id="r")
    await cluster.until(lambda: len(where(cluster)) == 2, "all run")
    await cluster.kill("b")
    assert (await ended(cluster, "r")).status is FAILED
    assert (await cluster.client.get("r~all~1")).reason == "crashed"


async def test_a_retry_is_at_the_same_worker(cluster):
    tried: list[str] = []

    async def second_time(context: Any, task: Any) -> object:
        tried.append(task.id)
        if tried.count(task.id) < 3:
            raise TaskFailed("not yet", "busy")
        return "ok"

    cluster.executor.bodies = Answers(cluster, second_time)
    await start(cluster, "a", "b", "c")
    retry = {"max_retries": 3, "retry_delay": "1s"}
    await cluster.client.submit(flow(everywhere({"do": "it"}, retry=retry)), task_id="r")
    assert (await ended(cluster, "r")).status is SUCCESS
    at = where(cluster)
    assert at == {f"r~all~{n}": [f"{pod}-w"] * 3 for n, pod in enumerate("abc")}


async def test_a_new_leader_goes_on_with_the_workers_that_were_written_down(cluster):
    cluster.start("lead", frozenset({"scheduler"}))
    await cluster.lead_by("lead")
    await start(cluster, "a", "b", "c")
    spec = flow(everywhere("sleep 1", max_parallel=1), step("last", "all"))
    await cluster.client.submit(spec, task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "the first runs")
    await cluster.kill("lead")
    await start(cluster, "d")
    assert (await ended(cluster, "r")).status is SUCCESS
    assert await told(cluster) == [("a-w", "b-w", "c-w")]
    at = where(cluster)
    assert [at[f"r~all~{n}"] for n in range(3)] == [["a-w"], ["b-w"], ["c-w"]]


async def test_a_cancel_and_the_time_of_the_run_end_all_members(cluster):
    await start(cluster, "a", "b")
    await cluster.client.submit(flow(everywhere("sleep 60")), task_id="r")
    await cluster.until(lambda: len(where(cluster)) == 2, "all run")
    await cluster.client.cancel("r")
    assert (await ended(cluster, "r")).status is CANCELLED
    await cluster.client.submit(flow(everywhere("sleep 60"), timeout="5s"), task_id="late")
    run = await ended(cluster, "late")
    assert (run.status, run.reason) == (FAILED, "timeout")
    assert set((await members(cluster, "late")).values()) == {"cancelled"}


async def test_a_failed_step_is_run_again_by_all_that_are_there_then(cluster):
    broken = {"r~all~1"}

    async def body(context: Any, task: Any) -> object:
        if task.id in broken:
            raise TaskFailed("broken", "broken", retryable=False)
        return task.id

    cluster.executor.bodies = Answers(cluster, body)
    await start(cluster, "a", "b")
    last = step("last", "first", "all", payload={"all": "${needs.all.data}"})
    first = step("first", shards="each_worker")
    await cluster.client.submit(flow(first, everywhere({"do": "it"}), last), task_id="r")
    assert (await ended(cluster, "r")).status is FAILED
    await start(cluster, "c")
    again = str(await cluster.client.retry("r", failed=True))
    assert (await ended(cluster, again)).status is SUCCESS
    at = where(cluster)
    assert f"{again}~first~0" not in at, "what succeeded as a whole is taken over"
    assert [at[f"{again}~all~{n}"] for n in range(3)] == [["a-w"], ["b-w"], ["c-w"]]
    first_step, second, _ = (await cluster.client.get_run(again)).steps
    assert (first_step.total, first_step.taken) == (2, 2)
    assert (second.total, second.taken) == (3, 0)


async def test_a_busy_worker_is_waited_for_and_others_do_not_wait_for_it(cluster):
    await start(cluster, "a")
    await busy(cluster, "b", seconds=60)
    await cluster.client.submit(flow(everywhere()), task_id="r")
    await cluster.until(lambda: "r~all~0" in where(cluster), "the other runs")
    for number in range(12):
        await cluster.client.submit(TaskSpec(executor="fn", payload="ok"), task_id=f"t{number}")
    await asyncio.sleep(10)
    assert (await cluster.client.get("t11")).status is SUCCESS
    assert (await ended(cluster, "r")).status is SUCCESS
    assert where(cluster)["r~all~1"] == ["b-w"]


async def test_room_at_another_worker_lets_nothing_out_that_is_for_a_full_one(cluster):
    cluster.start("lead", SCHEDULER)
    await start(cluster, "a", capacity=1)
    runs = [f"r{number}" for number in range(8)]
    for run in runs:
        await cluster.client.submit(flow(everywhere("sleep 60")), task_id=run)
    await cluster.until(lambda: len(cluster.state.ready) == 6, "a is full")
    await start(cluster, "b", capacity=8)
    rows = cluster.state.tasks
    await cluster.until(lambda: all(rows[one].under for one in cluster.state.ready), "they wait")
    for _ in range(200):
        await asyncio.sleep(0.05)
        assert all(rows[one].under for one in cluster.state.ready)
    for run in runs:
        assert (await cluster.client.wait(run, timeout_s=600)).status is SUCCESS
    assert {name for names in where(cluster).values() for name in names} == {"a-w"}


@pytest.mark.parametrize("max_parallel", [None, 7])
async def test_more_workers_than_one_call_takes(cluster, max_parallel):
    cluster.start("lead", frozenset({"scheduler"}))
    await start(cluster, *(f"p{number:03}" for number in range(110)))
    spec = flow(everywhere(max_parallel=max_parallel))
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is SUCCESS
    at = where(cluster)
    assert [at[f"r~all~{n}"] for n in range(110)] == [[f"p{n:03}-w"] for n in range(110)]
