"""Steps with a list, by real pods in virtual time."""

import asyncio
from typing import Any

import attrs
import pytest

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store.events import EventKind
from dsched.engine.leader import lists
from dsched.model import MemberLine, MemberStep, Step, TaskConfig, TaskSpec, TaskStatus, Workflow
from dsched.planning.runs import RunProgress

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
NEVER = {"max_retries": 0}
TABLES: Any = {"tables": {"type": "list", "default": []}}


class Bodies(dict[Any, Any]):
    """What steps do: answer what their payload says; ``broken`` items fail."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster.executor.bodies)
        self.broken: set[Any] = set()
        self.told: list[tuple[str, Any]] = []
        cluster.executor.bodies = self

    def __getitem__(self, payload: Any) -> Any:
        return self.answer if isinstance(payload, dict) else super().__getitem__(payload)

    async def answer(self, context: Any, task: Any) -> object:
        payload = task.spec.payload
        self.told.append((task.id, payload))
        if payload.get("item") in self.broken:
            raise TaskFailed("broken", "broken", retryable=False)
        return payload.get("answer", payload.get("item"))


def step(step_id: str, *needs: str, **more: Any) -> Step:
    return Step(id=step_id, executor="fn", needs=needs, retry=NEVER, **more)


def each(for_each: Any, *needs: str, **more: Any) -> Step:
    given: dict[str, Any] = {"payload": {"item": "${item}"}, **more}
    return step("each", *needs, for_each=for_each, **given)


def flow(*steps: Step, **more: Any) -> TaskSpec:
    values = more.pop("param_values", {})
    flow = Workflow(steps=steps, **more)
    return TaskSpec(executor="workflow", workflow=flow, param_values=values)


async def ended(cluster: Any, task_id: str) -> Any:
    return await cluster.client.wait(task_id, timeout_s=120)


def started(cluster: Any, prefix: str) -> list[str]:
    return sorted(one for one, _, _ in cluster.executor.started if one.startswith(prefix))


async def test_each_item_of_what_a_step_answered_has_a_member_so_many_at_a_time(cluster):
    bodies = Bodies(cluster)
    cluster.start("a")
    rows = [{"name": f"t{at}", "n": at} for at in range(7)]
    spec = flow(
        step("load", payload={"answer": {"tables": rows}}),
        each(
            "${needs.load.data.tables}",
            "load",
            max_parallel=2,
            payload={
                "item": "${item.name}",
                "whole": "${item}",
                "at": "${shard.index} of ${shard.total}",
            },
        ),
        step("last", "each", payload={"answer": "${needs.each.data}"}),
    )
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is SUCCESS
    told = dict(bodies.told)
    assert told["r~each~3"] == {"item": "t3", "whole": rows[3], "at": "3 of 7"}
    assert await cluster.client.result("r~last") == [f"t{at}" for at in range(7)]
    alive: set[str] = set()
    for event in cluster.events("born", "completed"):
        for item in event.items:
            if "~each~" in item["task"]:
                born = event.kind is EventKind.BORN
                (alive.add if born else alive.discard)(item["task"])
                assert len(alive) <= 2


async def test_a_list_of_params_is_what_a_trigger_gives(cluster):
    Bodies(cluster)
    cluster.start("a")
    config = TaskConfig(
        id="c", executor="workflow", every="1h", start_at="2027-01-15T08:00:00Z",
        workflow=Workflow(steps=[each("${params.tables}")], params=TABLES),
    )  # fmt: skip
    await cluster.client.put_config(config)
    run = await cluster.client.trigger("c", params={"tables": ["x", "${y}", "z"]})
    assert (await ended(cluster, str(run))).status is SUCCESS
    results = [await cluster.client.result(f"{run}~each~{at}") for at in range(3)]
    assert results == ["x", "${y}", "z"], "what an item says is no template"
    again = await cluster.client.retry(str(run))
    assert (await ended(cluster, str(again))).status is SUCCESS
    assert len(started(cluster, f"{again}~each~")) == 3
    empty = await cluster.client.trigger("c")
    assert (await ended(cluster, str(empty))).status is SUCCESS
    assert started(cluster, f"{empty}~") == []


async def test_an_empty_list_succeeds_and_is_read_as_an_empty_one(cluster):
    Bodies(cluster)
    cluster.start("a")
    spec = flow(
        step("load", payload={"answer": []}),
        each("${needs.load.data}", "load"),
        step("last", "each", payload={"answer": {"of": "${needs.each.data}"}}),
    )
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is SUCCESS
    assert await cluster.client.result("r~last") == {"of": []}
    because = (await cluster.client.why_task("r")).because
    assert because[1] == "Step each succeeded: no items."
    steps = (await cluster.client.get_run("r")).steps
    assert (steps[1].state, steps[1].reason, steps[1].total) == ("success", "no items", 0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"a": 1}, "is a dict, and for_each needs a list"),
        (None, "is nothing, and for_each needs a list"),
        (list(range(1001)), "has 1001 items; at most 1000"),
        (["x" * 1000 for _ in range(300)], "bytes; at most 262144"),
        (["secret://env/KEY"], "mentions a secret reference"),
    ],
)
async def test_what_is_no_list_or_too_long_fails_the_step_and_why_says_so(cluster, answer, said):
    bodies = Bodies(cluster)
    cluster.start("a")
    spec = flow(
        step("load", payload="list"),
        each("${needs.load.data}", "load"),
        step("undo", "each", when="failure", payload={"answer": 1}),
    )

    async def give(context: Any, task: Any) -> object:
        return answer

    bodies["list"] = give
    await cluster.client.submit(spec, task_id="r")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (FAILED, "each failed")
    assert started(cluster, "r~") == ["r~load", "r~undo"]
    told = (await cluster.client.why_task("r")).because[1]
    assert told.startswith("Step each failed: template: ${needs.load.data} ")
    assert said in told
    assert len(cluster.executor.started) == 2, "the leader went on"


async def test_a_list_for_which_the_run_has_no_room_fails_its_step(cluster):
    Bodies(cluster)
    cluster.start("a")
    spec = flow(
        step("first", payload="ok"),
        step("b", "first", when="failure", shards=1000, payload="ok"),
        step("c", "first", when="failure", shards=997, payload="ok"),
        each("${params.tables}"),
        params=TABLES,
        param_values={"tables": [1, 2, 3]},
    )
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is FAILED
    told = (await cluster.client.why_task("r")).because[-1]
    assert "template: the list has 3 items, and the run has room for 2 more of its 2000" in told
    fits = flow(*spec.workflow.steps, params=TABLES, param_values={"tables": [1, 2]})
    await cluster.client.submit(fits, task_id="q")
    assert (await ended(cluster, "q")).status is SUCCESS


def test_a_list_that_has_begun_keeps_its_room():
    made = flow(
        step("first", shards=1000, payload="ok"), step("b", shards=999, payload="ok"), each([1, 2])
    )
    born = MemberLine(what=MemberStep.BORN, name="each~0", at_ms=1)
    for lines in ([], [born]):
        progress = RunProgress(made.workflow)
        progress.take(lines)
        run = lists.ListedRun(id="r", spec=made, progress=progress, instant_ms=1)
        asyncio.run(lists.Lists(None).count(run, "each"))
        assert progress.steps["each"].counted == bool(lines)


async def test_a_list_that_cannot_be_had_any_more_fails_its_step_and_disturbs_no_other_run(
    cluster, monkeypatch
):
    Bodies(cluster)
    monkeypatch.setattr(lists, "KEPT", 0)
    cluster.start("a")
    spec = flow(
        step("load", payload={"answer": ["a", "b", "c"]}),
        each("${needs.load.data}", "load", max_parallel=1, payload="sleep 1"),
    )
    await cluster.client.submit(spec, task_id="r")
    await cluster.until(lambda: started(cluster, "r~each~"), "the first item")
    row, terms = cluster.row("r~load"), len(cluster.items("leader"))
    cluster.state.tasks["r~load"] = attrs.evolve(row, result=None)
    await cluster.client.submit(flow(step("x", payload="sleep 1")), task_id="other")
    assert (await ended(cluster, "r")).status is FAILED
    assert started(cluster, "r~each~") == ["r~each~0"]
    told = (await cluster.client.why_task("r")).because[1]
    assert told.startswith("Step each failed: template: ${needs.load.data} names nothing")
    assert (await ended(cluster, "other")).status is SUCCESS
    assert len(cluster.items("leader")) == terms, "the leader gave up"


async def test_a_failed_item_is_run_again_alone_with_the_item_that_it_had(cluster):
    bodies = Bodies(cluster)
    bodies.broken = {"b"}
    cluster.start("a")
    spec = flow(
        step("load", payload={"answer": ["a", "b", "c"]}),
        each("${needs.load.data}", "load"),
        step("last", "each", payload={"answer": "${needs.each.data}"}),
    )
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is FAILED
    why = (await cluster.client.why_task("r")).because
    assert why[1] == "Step each failed, 2 of 3 items well."
    bodies.broken = set()
    again = str(await cluster.client.retry("r", failed=True))
    assert (await ended(cluster, again)).status is SUCCESS
    assert started(cluster, f"{again}~") == [f"{again}~each~1", f"{again}~last"]
    assert await cluster.client.result(f"{again}~last") == ["a", "b", "c"]
    one = (await cluster.client.get_run(again)).steps[1]
    assert (one.total, one.taken, one.state) == (3, 2, "success")


async def test_a_new_leader_reads_the_list_once_more_and_bears_the_rest(cluster):
    bodies = Bodies(cluster)
    cluster.start("a", roles=("scheduler",))
    await cluster.lead_by("a")
    cluster.start("w", roles=("worker",))
    spec = flow(
        step("load", payload={"answer": [0.5, 1.5, 2.5]}),
        step(
            "each",
            "load",
            for_each="${needs.load.data}",
            max_parallel=1,
            payload="sleep 1",
        ),
    )
    await cluster.client.submit(spec, task_id="r")
    await cluster.until(lambda: started(cluster, "r~each~"), "the first item")
    picture = (await cluster.client.get_run("r")).steps[1]
    assert (picture.total, picture.born, picture.state) == (3, 1, "running")
    told = (await cluster.client.why_task("r")).because[1]
    assert told == "Step each runs: 0 of 3 items have ended, 1 live, 2 not born yet."
    await cluster.kill("a")
    cluster.start("b", roles=("scheduler",))
    assert (await cluster.client.wait("r", timeout_s=200)).status is SUCCESS
    assert started(cluster, "r~each~") == [f"r~each~{at}" for at in range(3)]
    assert bodies.told[0][0] == "r~load"


async def test_results_that_are_too_large_together_fail_the_step_and_not_the_leader(
    cluster, monkeypatch
):
    Bodies(cluster)
    monkeypatch.setattr(lists, "MAX_READ_BYTES", 100)
    cluster.start("a")
    parts = step("parts", shards=20, payload={"answer": "0123456789"})
    await cluster.client.submit(flow(parts, each("${needs.parts.status}", "parts")), task_id="r")
    run = await ended(cluster, "r")
    assert (run.status, run.reason) == (FAILED, "each failed")
    told = (await cluster.client.why_task("r")).because[1]
    assert "template: the results that the list refers to have more than 100 bytes" in told


async def test_lists_that_are_not_kept_are_read_again(cluster, monkeypatch):
    Bodies(cluster)
    monkeypatch.setattr(lists, "KEPT", 1)
    cluster.start("a")
    spec = flow(
        step("load", payload={"answer": ["a", "b", "c"]}),
        each("${needs.load.data}", "load", max_parallel=1),
        step("two", "load", for_each=["x", "y"], max_parallel=1, payload={"item": "${item}"}),
    )
    await cluster.client.submit(spec, task_id="r")
    assert (await ended(cluster, "r")).status is SUCCESS
    assert await cluster.client.result("r~each~2") == "c"
    assert await cluster.client.result("r~two~1") == "y"


async def test_a_cancel_stops_the_items_and_bears_no_more(cluster):
    cluster.start("a")
    spec = flow(step("each", for_each=[1, 2, 3], max_parallel=2, payload="sleep 60"))
    await cluster.client.submit(spec, task_id="r")
    await cluster.until(lambda: len(started(cluster, "r~each~")) == 2, "two items")
    await cluster.client.cancel("r", reason="enough")
    assert (await ended(cluster, "r")).status is CANCELLED
    assert len(started(cluster, "r~each~")) == 2
    assert (await cluster.client.why_task("r")).because[0] == "Step each failed, 0 of 3 items well."
