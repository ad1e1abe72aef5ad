"""Runs that go on from failed ones, by real pods in virtual time."""

from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.executor import TaskFailed
from dsched.errors import ConflictError, NotFoundError
from dsched.model import Step, TaskConfig, TaskSpec, TaskStatus, Workflow

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
NEVER = {"max_retries": 0}


class Bodies(dict[Any, Any]):
    """What steps do: say what they were given; while it is broken, fail."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster.executor.bodies)
        self.broken: set[str] = set()
        cluster.executor.bodies = self

    def __getitem__(self, payload: Any) -> Any:
        return self.told if isinstance(payload, dict) else super().__getitem__(payload)

    async def told(self, context: Any, task: Any) -> object:
        name = task.id.partition("~")[2]
        if name in self.broken:
            raise TaskFailed(f"{name} is broken", "broken", retryable=False)
        return {**task.spec.payload, "in": task.id}


def step(step_id: str, *needs: str, **payload: Any) -> Step:
    more = {name: payload.pop(name) for name in ("shards", "when") if name in payload}
    return Step(id=step_id, executor="fn", payload=payload, needs=needs, retry=NEVER, **more)


ETL = Workflow(
    steps=[
        step("extract"),
        step("parts", "extract", shards=3, of="${needs.extract.data.in}"),
        step("load", "parts", got="${needs.parts.data}", day="${fire.ms}"),
        step("undo", "load", when="failure"),
    ]
)
FLOW = TaskSpec(executor="workflow", workflow=ETL)


async def ended(cluster: Any, run_id: str) -> Any:
    return await cluster.client.wait(run_id, timeout_s=60)


def started(cluster: Any, run_id: str) -> list[str]:
    names = [task_id for task_id, _, _ in cluster.executor.started]
    return sorted(name for name in names if name.startswith(f"{run_id}~"))


async def test_what_succeeded_is_not_run_again_and_is_read_where_it_ran(cluster):
    bodies = Bodies(cluster)
    bodies.broken = {"parts~1", "undo"}
    cluster.start("a")
    await cluster.client.submit(FLOW, task_id="r1")
    assert (await ended(cluster, "r1")).status is FAILED
    bodies.broken = {"load", "undo"}
    await cluster.client.retry("r1", key="r2", failed=True)
    assert (await ended(cluster, "r2")).status is FAILED
    assert started(cluster, "r2") == ["r2~load", "r2~parts~1", "r2~undo"]
    part = await cluster.client.result("r2~parts~1")
    assert part == {"of": "r1~extract", "in": "r2~parts~1"}
    bodies.broken = set()
    await cluster.client.retry("r2", key="r3", failed=True)
    assert (await ended(cluster, "r3")).status is SUCCESS
    assert started(cluster, "r3") == ["r3~load"]
    got = (await cluster.client.result("r3~load"))["got"]
    assert [one["in"] for one in got] == ["r1~parts~0", "r2~parts~1", "r1~parts~2"]
    await cluster.client.retry("r3", key="r4")
    assert (await ended(cluster, "r4")).status is SUCCESS
    assert len(started(cluster, "r4")) == 5  # a whole run takes over nothing


async def test_it_is_for_the_instant_of_the_run_that_it_goes_on_from(cluster):
    bodies = Bodies(cluster)
    bodies.broken = {"parts~1", "undo"}
    cluster.start("a")
    await cluster.client.put_config(
        TaskConfig(id="c", executor="workflow", workflow=ETL, every=timedelta(minutes=1))
    )
    await cluster.until(lambda: cluster.items("run_ended"), "a run", timeout_s=90)
    run_id = cluster.items("run_ended")[0]["task"]
    fire_ms = int(run_id.partition("@")[2])
    bodies.broken = set()
    again = await cluster.client.retry(run_id, failed=True, reason="mended")
    run = await ended(cluster, again)
    assert (run.status, run.config_id, run.nominal_ms) == (SUCCESS, "c", fire_ms)
    assert (await cluster.client.result(f"{again}~load"))["day"] == fire_ms
    # The leader bears it when it has read the snapshot of the run before.
    assert (await cluster.client.get(f"{again}~load")).nominal_ms == fire_ms
    (submitted,) = [one for one in cluster.items("submitted") if one["task"] == again]
    assert submitted["why"] == "mended"


async def test_it_has_the_params_of_the_run_that_it_goes_on_from(cluster):
    bodies = Bodies(cluster)
    bodies.broken = {"b"}
    flow = Workflow(
        steps=[step("a"), step("b", "a", of="${params.of} ${params.at}")],
        params={"of": {"type": "string"}, "at": {"type": "integer", "default": "${fire.ms}"}},
    )
    cluster.start("a")
    await cluster.client.submit(flow, task_id="r1", params={"of": "x${y}"})
    first = await ended(cluster, "r1")
    bodies.broken = set()
    await cluster.client.retry("r1", key="r2", failed=True)
    assert (await ended(cluster, "r2")).status is SUCCESS
    assert (await cluster.client.result("r2~b"))["of"] == f"x${{y}} {first.nominal_ms}"


async def test_a_cancelled_run_goes_on_and_why_says_from_where(cluster):
    Bodies(cluster)
    flow = Workflow(steps=[step("a"), Step(id="b", executor="fn", payload="block", needs=["a"])])
    cluster.start("a")
    await cluster.client.submit(flow, task_id="r1")
    await cluster.until(lambda: "r1~b" in started(cluster, "r1"), "b", timeout_s=30)
    await cluster.client.cancel("r1")
    assert (await ended(cluster, "r1")).status is CANCELLED
    await cluster.client.retry("r1", key="r2", failed=True)
    await cluster.until(lambda: started(cluster, "r2"), "b", timeout_s=30)
    assert started(cluster, "r2") == ["r2~b"]
    told = (await cluster.client.why_task("r2")).because
    assert told[:3] == (
        "It goes on from run r1: it takes over what had succeeded there of a.",
        "Step a was taken over from r1.",
        "Step b runs.",
    )
    run = await cluster.client.get_run("r2")
    assert [(one.id, one.taken, one.state.value) for one in run.steps] == [
        ("a", 1, "success"),
        ("b", 0, "running"),
    ]
    await cluster.client.cancel("r2")


async def test_only_a_run_of_which_something_failed_goes_on(cluster):
    bodies = Bodies(cluster)
    cluster.start("a")
    with pytest.raises(NotFoundError, match="there is no task nobody"):
        await cluster.client.retry("nobody", failed=True)
    await cluster.client.submit(TaskSpec(executor="fn", payload="ok"), task_id="plain")
    await ended(cluster, "plain")
    with pytest.raises(ConflictError, match="no run of many tasks") as refused:
        await cluster.client.retry("plain", failed=True)
    assert refused.value.code == "no_run"
    await cluster.client.submit(FLOW, task_id="r1")
    with pytest.raises(ConflictError) as refused:
        await cluster.client.retry("r1", failed=True)
    assert refused.value.code == "not_ended"
    await ended(cluster, "r1")
    with pytest.raises(ConflictError, match="nothing is left to be run again") as refused:
        await cluster.client.retry("r1", failed=True)
    assert refused.value.code == "nothing_failed"
    with pytest.raises(ConflictError, match="run r1 once more instead") as refused:
        await cluster.client.retry("r1~load", failed=True)
    assert refused.value.code == "member"
    bodies.broken = {"load"}
    await cluster.client.submit(FLOW, task_id="r2")
    await ended(cluster, "r2")
    await cluster.client.retry("r2", key="again", failed=True)
    await ended(cluster, "again")
    await cluster.client.retry("r2", key="again", failed=True)
    assert [one["task"] for one in cluster.items("submitted")].count("again") == 1
