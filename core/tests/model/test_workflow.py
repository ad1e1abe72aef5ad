"""What may be said of a workflow, and how it is refused."""

from typing import Any

import pytest

from dsched.contracts.store.codec import (
    read_config,
    read_spec,
    write_config,
    write_spec,
    write_spec_around_revision,
)
from dsched.model import InvalidConfigError, Step, TaskConfig, TaskSpec, When, Workflow
from dsched.model.workflow import levels, needed_by
from dsched.planning.runs import member_spec


def step(step_id: str, *needs: str, **more: Any) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)


def refused(*steps: Step, **more: Any) -> InvalidConfigError:
    with pytest.raises(InvalidConfigError) as error:
        Workflow(steps=steps, **more)
    return error.value


@pytest.mark.parametrize(
    ("steps", "field", "said"),
    [
        ([step("a", "b"), step("b", "a")], "needs", "go in a circle: "),
        ([step("a", "a")], "steps.a.needs", "itself"),
        ([step("a", "z")], "steps.a.needs", "no step is called 'z'; there are no other"),
        ([step("a"), step("b", "a", "a")], "steps.b.needs", "twice"),
        ([step("a"), step("a")], "steps.a", "is there twice"),
        ([step("a", when="failure")], "steps.a.when", "failure of what"),
        ([step(f"s{at}") for at in range(101)], "steps", "has 101; at most 100"),
        ([step(f"s{at}", shards=1000) for at in range(3)], "steps", "more than 2000 members"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused(steps: list[Step], field: str, said: str) -> None:
    error = refused(*steps)
    assert error.field.endswith(field)
    assert said in error.reason


def test_a_circle_is_shown_whole() -> None:
    error = refused(step("a"), step("b", "a", "d"), step("c", "b"), step("d", "c"))
    path = error.reason.partition(": ")[2].partition(";")[0].split(" -> ")
    assert path[0] == path[-1]
    assert set(path) == {"b", "c", "d"}


@pytest.mark.parametrize("step_id", ["", "A", "1a", "a b", "a~b", "a@b", "a.b", "x" * 41, "ä"])
def test_a_bad_id_of_a_step_is_refused(step_id: str) -> None:
    with pytest.raises(InvalidConfigError, match="no id of a step"):
        step(step_id)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"when": "sometimes"}, "when"),
        ({"shards": 0}, "shards"),
        ({"shards": 1001}, "shards"),
        ({"shards": True}, "shards"),
        ({"max_parallel": 2}, "max_parallel"),
        ({"shards": 2, "max_parallel": 0}, "max_parallel"),
        ({"needs": "a"}, "needs"),
        ({"executor": ""}, "executor"),
        ({"executor": "workflow"}, "executor"),
        ({"timeout": "soon"}, "timeout"),
        ({"retry": {"max_retires": 1}}, "retry"),
        ({"on_crash": "panic"}, "on_crash"),
        ({"allow_failure": "no"}, "allow_failure"),
        ({"priority": 10}, "priority"),
        ({"labels": {"a": 1}}, "labels.a"),
    ],
)
def test_a_bad_field_of_a_step_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfigError) as error:
        Step(**{"id": "a", "executor": "local", **fields})
    assert error.value.field == field


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${needs.a.data}", "does not need 'a'"),
        ("${needs.b.results}", "names nothing"),
        ("${shard.index}", "no shards here"),
        ("${item}", "names nothing"),
        ("${fire.year}", "names nothing"),
        ("${1 + 1}", "no reference"),
        ("${needs.b.data", "not closed"),
    ],
)
def test_a_template_that_names_nothing_is_refused_when_it_is_declared(text: str, said: str) -> None:
    error = refused(
        step("a"), step("b"), step("c", "b", payload={"function": "f", "args": {"x": text}})
    )
    assert error.field == "steps.c.payload"
    assert said in error.reason


def test_a_template_may_name_what_is_needed_through_others() -> None:
    flow = Workflow(
        steps=[step("a"), step("b", "a"), step("c", "b", payload="${needs.a.data.x.0}")]
    )
    assert needed_by(flow)["c"] == {"a", "b"}
    assert levels(flow) == {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize(
    "payload",
    [
        {"function": "${labels.f}"},
        {"url": "${labels.url}"},
        {"url": "https://${labels.host}/x"},
        {"url": "${labels.scheme}://host/x"},
    ],
)
def test_a_reference_cannot_choose_the_function_or_the_server(payload: object) -> None:
    assert "literal" in refused(step("a", payload=payload)).reason


def test_a_workflow_has_steps_or_shards() -> None:
    assert "give steps, or shards" in refused().reason
    assert "give steps, or shards" in refused(step("a"), shards=3).reason
    assert refused(step("a"), timeout="1ms").field == "run_timeout"


def test_where_there_are_steps_the_config_itself_runs_nothing() -> None:
    flow = Workflow(steps=[step("a")])
    for fields in ({"executor": "http"}, {"executor": "workflow", "payload": {"x": 1}}):
        with pytest.raises(InvalidConfigError, match="belongs to each of the steps"):
            TaskSpec(workflow=flow, **fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfigError, match="what is the workflow to run"):
        TaskSpec(executor="workflow")
    with pytest.raises(InvalidConfigError, match="shards need an executor"):
        TaskSpec(executor="workflow", workflow=Workflow(shards=2))
    with pytest.raises(InvalidConfigError, match="names nothing"):
        TaskSpec(executor="local", payload="${needs.a.data}", workflow=Workflow(shards=2))


def config() -> TaskConfig:
    flow = Workflow(
        steps=[
            step("a", shards=3, max_parallel=2, labels={"x": "y"}),
            step("b", "a", when="always", timeout="3s", retry={"max_retries": 1}, payload=[1]),
        ],
        fail_fast=True,
        timeout="3h",
    )
    return TaskConfig(
        id="n", executor="workflow", every="1h", timezone="Europe/Berlin", workflow=flow
    )


def test_a_workflow_is_stored_and_read_as_it_was() -> None:
    text = write_config(config())
    assert '"v":2' in text
    assert read_config(text, revision=0, created_ms=0, updated_ms=0) == config()
    spec = config().spec
    assert read_spec(write_spec(spec)) == spec
    assert "7".join(write_spec_around_revision(spec)) == write_spec(
        read_spec("7".join(write_spec_around_revision(spec)))
    )
    assert spec.workflow is not None
    assert spec.workflow.timezone == "Europe/Berlin"


def test_a_record_without_a_workflow_is_as_it_ever_was() -> None:
    spec = TaskSpec(executor="local", payload={"function": "f"})
    assert write_spec(spec) == '{"executor":"local","payload":{"function":"f"},"v":1}'


def test_a_member_is_what_its_step_says_and_its_config_for_the_rest() -> None:
    whole = TaskConfig(
        id="n",
        executor="workflow",
        every="1h",
        timeout="9m",
        labels={"team": "data"},
        on_crash="fail",
        start_deadline="5m",
        workflow=Workflow(
            steps=[
                step("a", shards=2),
                step("b", "a", timeout="3s", payload={"x": "${needs.a.data}"}),
            ]
        ),
    )
    spec = member_spec(whole.spec, "b", None, instant_ms=17)
    assert (spec.timeout.total_seconds(), spec.on_crash.value) == (3, "fail")
    assert spec.labels == {"team": "data"}
    assert spec.workflow is None
    assert spec.start_deadline is None
    assert spec.member is not None
    assert (spec.member.step, spec.member.instant_ms, dict(spec.member.needs)) == (
        "b",
        17,
        {"a": 2},
    )
    assert member_spec(whole.spec, "a", 1, instant_ms=0).timeout.total_seconds() == 540
    assert read_spec(write_spec(spec)) == spec


def test_a_shard_is_what_its_config_says() -> None:
    spec = TaskSpec(
        executor="local", payload={"args": {"n": "${shard.index}"}}, workflow=Workflow(shards=4)
    )
    shard = member_spec(spec, "", 3, instant_ms=0)
    assert shard.payload == spec.payload
    assert shard.member is not None
    assert (shard.member.index, shard.member.total) == (3, 4)
    assert Workflow(steps=[step("a")]).steps[0].when is When.SUCCESS
