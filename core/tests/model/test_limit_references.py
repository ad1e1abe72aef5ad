"""Instances of limits that a config names by its params."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.codec import read_config, write_config
from dsched.model import InvalidConfigError, Step, TaskConfig, TaskSpec, Workflow
from dsched.model.limits import own_limit, owner_of

PARAMS = {
    "tenant": {"type": "string", "default": "acme"},
    "n": {"type": "integer", "default": 3},
    "dry": {"type": "boolean", "default": True},
}


def config(*limits: str, **more: Any) -> TaskConfig:
    given = {"id": "c", "executor": "fn", "every": "1m", "template": True, "params": PARAMS}
    return TaskConfig(**{**given, "limits": limits, **more})


def test_a_fire_names_the_instance_of_the_default_and_a_trigger_that_of_what_is_given():
    found = config("crm", "tenant:${params.tenant}", "t:${params.n}-${params.dry}")
    assert found.spec.limits == ("crm", "tenant:acme", "t:3-true")
    given = found.spec_with({"tenant": "initech", "n": 4, "dry": False})
    assert given.limits == ("crm", "tenant:initech", "t:4-false")
    assert found.spec_with({}).limits == found.spec.limits


def test_a_config_keeps_the_reference_and_is_read_again_as_it_was():
    found = config("tenant:${params.tenant}")
    assert found.limits == ("tenant:${params.tenant}",)
    assert read_config(write_config(found), revision=0, created_ms=0, updated_ms=0) == found


def test_what_is_given_is_literal_and_what_is_no_plain_text_is_hashed_as_ever():
    found = config("tenant:${params.tenant}")
    for given in ("a b", "${params.n}", "$${x}", "ü" * 300):
        (name,) = found.spec_with({"tenant": given}).limits
        digest = name.removeprefix("tenant:~")
        assert len(digest) == 40, name
        if "${" not in given:
            assert TaskSpec(executor="fn", limits=[f"tenant:{given}"]).limits == (name,)


def test_two_references_to_one_instance_are_one_limit():
    params = {**PARAMS, "other": {"type": "string", "default": "acme"}}
    found = config("tenant:${params.tenant}", "tenant:${params.other}", params=params)
    assert found.spec.limits == ("tenant:acme",)


def test_what_only_triggers_run_names_its_instance_when_it_is_triggered():
    params = {"tenant": {"type": "string"}}
    found = config("crm", "tenant:${params.tenant}", params=params, enabled=False)
    assert found.spec.limits == ("crm",)
    assert found.spec_with({"tenant": "acme"}).limits == ("crm", "tenant:acme")


def test_a_workflow_names_instances_by_its_own_params():
    flow = Workflow(params=PARAMS, steps=[Step(id="a", executor="fn", payload={})])
    found = TaskConfig(
        id="c", executor="workflow", every="1m", workflow=flow, limits=["t:${params.tenant}"]
    )
    assert found.spec_with({"tenant": "x"}).limits == ("t:x",)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tenant:${params.tenat}", "names no param; did you mean 'tenant'"),
        ("tenant:${fire.date}", "an instance may refer to params.NAME"),
        ("tenant:${params.tenant.x}", "an instance may refer to params.NAME"),
        ("tenant:${params.items}", "is of type list, which is no name of an instance"),
        ("tenant:${params.day}", "has a default that refers to the fire"),
        ("tenant:${params.tenant", "is not closed"),
        ("tenant:${params.nothing}", "names no instance after its colon"),
        ("${params.tenant}:a", "names no limit"),
        ("tenant:${params.tenant}" + "x" * 200, "at most 200 characters"),
    ],
)
def test_a_reference_that_could_be_no_instance_is_refused_where_it_is_declared(name, why):
    params = {
        **PARAMS,
        "items": {"type": "list", "default": [1]},
        "day": {"type": "string", "default": "${fire.date}"},
        "nothing": {"type": "string", "default": ""},
    }
    with pytest.raises(InvalidConfigError, match="limits: ") as refused:
        config(name, params=params)
    assert why in str(refused.value)


def test_a_value_that_is_no_instance_is_refused_where_it_is_given():
    with pytest.raises(InvalidConfigError, match="names no instance after its colon"):
        config("tenant:${params.tenant}").spec_with({"tenant": ""})


def test_a_task_of_its_own_names_literals():
    with pytest.raises(InvalidConfigError, match="only a config may refer to its params"):
        TaskSpec(executor="fn", limits=["tenant:${params.tenant}"])


def test_a_task_of_a_config_with_max_running_names_the_limit_of_its_own_after_the_others():
    found = config("crm", "a", "b", "tenant:${params.tenant}", max_running=2, overlap="allow")
    assert found.spec.limits == ("crm", "a", "b", "tenant:acme", "~c")
    assert found.spec_with({"tenant": "x"}).limits[3:] == ("tenant:x", "~c")
    assert attrs.evolve(found.spec, priority=9).limits == found.spec.limits
    assert config(max_running=1, id="a:b").spec.limits == (own_limit("a:b"),) == ("~a~b",)
    assert owner_of("~a~b") == "a:b"


@pytest.mark.parametrize("name", ["crm", "crm:a", "~", "a~b", "~a:b", "", None, 5])
def test_other_names_are_no_limits_of_a_configs_own(name):
    assert owner_of(name) is None


@pytest.mark.parametrize("wrong", [0, -1, True, "3", 1_000_001])
def test_a_max_running_that_lets_nothing_begin_or_is_no_number_is_refused(wrong):
    with pytest.raises(InvalidConfigError) as caught:
        config(max_running=wrong)
    assert caught.value.field == "max_running"


def test_max_running_of_a_run_of_many_tasks_is_refused_with_what_to_do():
    flow = Workflow(shards=2)
    with pytest.raises(InvalidConfigError, match="bound its members with limits") as caught:
        TaskConfig(id="c", executor="fn", every="1m", workflow=flow, max_running=2)
    assert caught.value.field == "max_running"


def test_a_name_of_a_configs_own_limit_is_given_once_and_last():
    with pytest.raises(InvalidConfigError, match="names no limit"):
        TaskSpec(executor="fn", limits=("~c", "crm"))
    with pytest.raises(InvalidConfigError, match="names no limit"):
        config("~c")
