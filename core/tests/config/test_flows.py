"""`@dsched.workflow`: workflows that code declares, equal to those of a task file."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import dsched
from dsched.config.intake import CatalogueIntake
from dsched.config.scheduled import code_sources
from dsched.config.settings import Settings, TaskSettings
from dsched.config.task_file import read_tasks
from dsched.functions.flows import Flow, FlowError, Flows, WorkflowFunction, workflow
from dsched.functions.registry import REGISTRY, Registry
from dsched.functions.schedules import Schedules
from dsched.model import RetryPolicy, Step, TaskConfig, When, Workflow
from dsched.model.workflow import WORKFLOW

FILE = """
tasks:
  - id: nightly
    cron_expr: "0 2 * * *"
    timezone: Europe/Berlin
    run_timeout: 3h
    fail_fast: true
    retry: {max_retries: 1}
    steps:
      extract:
        executor: local
        timeout: 10s
        payload: {function: nightly.extract, args: {day: "${fire.date}"}}
      load:
        needs: [extract]
        executor: local
        payload: {function: load_rows, args: {rows: "${needs.extract.data}"}}
      parts:
        needs: [load]
        shards: 4
        max_parallel: 2
        executor: local
        payload: {function: nightly.parts, args: {part: "${shard.index}"}}
      tell:
        needs: [parts, load]
        when: always
        allow_failure: true
        executor: http
        payload: {url: "https://etl.example/report"}
"""


@pytest.fixture
def functions() -> Registry:
    return Registry()


@pytest.fixture
def schedules(functions: Registry) -> Schedules:
    return Schedules(functions)


@pytest.fixture
def flows(schedules: Schedules) -> Flows:
    return Flows(schedules)


def declare(flows: Flows, functions: Registry) -> WorkflowFunction:
    @functions.task("load_rows")
    def load(rows: int) -> None: ...

    @flows.workflow(
        "0 2 * * *",
        timezone="Europe/Berlin",
        run_timeout="3h",
        fail_fast=True,
        retry={"max_retries": 1},
    )
    def nightly(flow: Flow) -> None:
        @flow.step(timeout=timedelta(seconds=10), args={"day": "${fire.date}"})
        def extract(day: str) -> int:
            return len(day)

        flow.step(load, needs=[extract], args={"rows": "${needs.extract.data}"})

        @flow.step(needs=[load], shards=4, max_parallel=2, args={"part": "${shard.index}"})
        async def parts(part: int) -> None: ...

        url = "https://etl.example/report"
        flow.run(
            "tell",
            executor="http",
            payload={"url": url},
            needs=[parts, "load"],
            when="always",
            allow_failure=True,
        )

    return nightly


def by_hand() -> Workflow:
    def call(function: str, **args: Any) -> dict[str, Any]:
        return {"function": function, "args": args}

    return Workflow(
        steps=[
            Step(
                id="extract",
                executor="local",
                timeout="10s",
                payload=call("nightly.extract", day="${fire.date}"),
            ),
            Step(
                id="load",
                executor="local",
                needs=["extract"],
                payload=call("load_rows", rows="${needs.extract.data}"),
            ),
            Step(
                id="parts",
                executor="local",
                needs=["load"],
                shards=4,
                max_parallel=2,
                payload=call("nightly.parts", part="${shard.index}"),
            ),
            Step(
                id="tell",
                executor="http",
                needs=["parts", "load"],
                when=When.ALWAYS,
                allow_failure=True,
                payload={"url": "https://etl.example/report"},
            ),
        ],
        timeout="3h",
        fail_fast=True,
        timezone="Europe/Berlin",
    )


def test_a_file_code_and_a_workflow_made_by_hand_are_one_config(
    tmp_path: Path, flows: Flows, functions: Registry, schedules: Schedules, catalogue: Any
) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE)
    (of_file,) = read_tasks(str(file), defaults=TaskSettings(), catalogue=catalogue)
    made = declare(flows, functions)
    (source,) = code_sources(schedules, apps=(), settings=Settings(), catalogue=catalogue)
    (of_code,) = source.configs
    assert of_code.workflow == of_file.workflow
    assert of_code.spec == of_file.spec
    assert of_code.trigger == of_file.trigger
    judge = CatalogueIntake(defaults=TaskSettings(), catalogue=catalogue)
    config = TaskConfig(
        id="nightly",
        executor=WORKFLOW,
        workflow=by_hand(),
        cron_expr="0 2 * * *",
        timezone="Europe/Berlin",
        retry=RetryPolicy(max_retries=1),
    )
    of_hand = judge.judged(config)
    assert of_hand.spec == of_file.spec
    assert judge.judged(made.spec()) == of_file.spec


def test_functions_stay_as_they_are_and_are_registered_under_the_workflow(
    flows: Flows, functions: Registry
) -> None:
    kept = []

    @flows.workflow
    def daily(flow: Flow) -> None:
        @flow.step
        def one(x: int = 2) -> int:
            return x + 1

        kept.append(one)

    assert kept[0](4) == 5
    found = functions.get("daily.one")
    assert found is not None
    assert found.call is kept[0]
    assert (daily.id, [step.id for step in daily.workflow.steps]) == ("daily", ["one"])


def test_what_a_task_says_of_all_its_runs_is_said_of_its_step(
    flows: Flows, functions: Registry
) -> None:
    @functions.task(timeout="7s", priority=8)
    def careful() -> None: ...

    @flows.workflow
    def daily(flow: Flow) -> None:
        flow.step(careful, priority=2)

    (step,) = daily.workflow.steps
    assert (step.timeout, step.priority) == (timedelta(seconds=7), 2)


def test_without_a_trigger_nothing_is_put(flows: Flows, schedules: Schedules) -> None:
    @flows.workflow(run_timeout="1h", id="by-hand")
    def unscheduled(flow: Flow) -> None:
        flow.run("a", executor="http", payload={"url": "https://a.example"})

    assert len(schedules) == 0
    assert unscheduled.id == "by-hand"
    assert unscheduled.spec(priority=7).priority == 7


def test_a_reload_replaces_the_workflow(flows: Flows, schedules: Schedules) -> None:
    for cron in ("0 1 * * *", "0 2 * * *"):

        @flows.workflow(cron)
        def job(flow: Flow) -> None:
            @flow.step
            def only() -> None: ...

    (scheduled,) = schedules
    assert scheduled.entry is not None
    assert scheduled.entry["cron_expr"] == "0 2 * * *"


def nothing(flow: Flow) -> None: ...


def unknown_need(flow: Flow) -> None:
    flow.run("a", executor="http", needs=["z"])


def later_need(flow: Flow) -> None:
    def late() -> None: ...

    flow.run("a", executor="http", needs=[late])


def circle(flow: Flow) -> None:
    flow.run("a", executor="http", needs=["b"])
    flow.run("b", executor="http", needs=["a"])


def twice(flow: Flow) -> None:
    flow.run("a", executor="http")
    flow.run("a", executor="http")


def bad_id(flow: Flow) -> None:
    flow.run("A b", executor="http")


def bad_key(flow: Flow) -> None:
    flow.run("a", executor="http", neds=["b"])  # type: ignore[call-arg]


def no_function(flow: Flow) -> None:
    flow.step("http")  # type: ignore[call-overload]


def names_nothing(flow: Flow) -> None:
    flow.run("a", executor="http", payload="${needs.b.data}")


async def awaits(flow: Flow) -> None: ...


@pytest.mark.parametrize(
    ("declares", "fields", "reason"),
    [
        (nothing, {}, r"workflow nothing at .*test_flows.py:\d+: steps: give steps"),
        (unknown_need, {}, "steps.a.needs: no step is called 'z'; there are no other"),
        (later_need, {}, "step a: needs .*late, which is no step of it yet"),
        (circle, {}, "go in a circle: a -> b -> a"),
        (twice, {}, "two steps 'a'; give one of them another id"),
        (bad_id, {}, "step A b: id: 'A b' is no id of a step"),
        (bad_key, {}, "neds is not a known key; did you mean 'needs'"),
        (no_function, {}, "step takes a plain function, .* flow.run"),
        (names_nothing, {}, "does not need 'b'"),
        (awaits, {}, "only declares, so it is no async function"),
        (nothing, {"overlaps": "skip"}, "overlaps is not a known key; did you mean 'overlap'"),
        (nothing, {"every": "1h", "cron_expr": "@daily"}, "at most one of"),
        (nothing, {"id": "a b"}, "id 'a b' is not valid"),
    ],
)
def test_what_cannot_be_a_workflow_is_refused_where_it_stands(
    flows: Flows, schedules: Schedules, declares: Any, fields: Any, reason: str
) -> None:
    with pytest.raises(FlowError, match=reason):
        flows.workflow(**fields)(declares)
    assert len(schedules) == 0


def test_a_function_that_is_two_steps_is_named_by_id(flows: Flows, functions: Registry) -> None:
    @functions.task
    def both() -> None: ...

    def ambiguous(flow: Flow) -> None:
        flow.step(both, id="first")
        flow.step(both, id="second", needs=["first"])
        flow.run("c", executor="http", needs=[both])

    with pytest.raises(FlowError, match=r"needs .*both, which is first, second: say which"):
        flows.workflow(ambiguous)


def test_the_public_decorator_fills_the_global_schedules() -> None:
    assert dsched.workflow == workflow
    assert dsched.Flow is Flow
    assert workflow.__self__._schedules.functions is REGISTRY  # type: ignore[attr-defined]
