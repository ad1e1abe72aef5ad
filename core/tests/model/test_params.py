"""What a trigger may set: what may be declared, what may be given, and what a task keeps of it."""

import pytest

from dsched.contracts.store.codec import read_config, read_spec, write_config, write_spec
from dsched.model import InvalidConfigError, Param, Step, TaskConfig, TaskSpec, Workflow, run_spec
from dsched.model.params import (
    bound,
    declared,
    default_values,
    given_values,
    params_of,
    resolved_values,
    same_again,
    values_of_texts,
)

DAY = {"day": {"type": "string", "default": "${fire.date}"}}
ALL = declared(
    {
        **DAY,
        "count": {"type": "integer", "default": 3},
        "share": {"type": "number", "default": 0.5},
        "dry": {"type": "boolean", "default": False},
        "tables": {"type": "list", "default": ["a"]},
        "options": {"type": "object", "default": {"at": "${fire.ms}"}},
        "who": {"type": "string"},
    }
)
INSTANT_MS = 1_795_989_600_000  # 2026-11-29T22:00Z, the 30th in Asia/Tokyo


def config(**more):
    given = {"id": "c", "executor": "http", "every": "1h", "template": True, "payload": None}
    return TaskConfig(**{**given, **more})


@pytest.mark.parametrize(
    ("params", "field", "reason"),
    [
        ([], "params", "must be a mapping"),
        ({"1st": {"type": "string"}}, "params.1st", "is no name of a param"),
        ({"day": "string"}, "params.day", "must be a mapping such as {type: string}"),
        ({"day": {"default": 1}}, "params.day.type", "is missing; it is one of string"),
        ({"day": {"type": "date"}}, "params.day.type", "must be one of string, integer"),
        ({"day": {"type": "string", "defualt": "x"}}, "params.day.defualt", "mean 'default'?"),
        ({"day": {"type": "string", "default": 3}}, "params.day.default", "must be a string"),
        ({"n": {"type": "integer", "default": True}}, "params.n.default", "must be an integer"),
        ({"n": {"type": "integer", "default": 1.5}}, "params.n.default", "must be an integer"),
        ({"n": {"type": "number", "default": "1"}}, "params.n.default", "must be a number"),
        ({"n": {"type": "boolean", "default": 1}}, "params.n.default", "must be a boolean"),
        ({"n": {"type": "list", "default": {}}}, "params.n.default", "must be a list"),
        ({"n": {"type": "object", "default": []}}, "params.n.default", "must be an object"),
        ({"n": {"type": "string", "default": "${fire.ms}"}}, "params.n.default", "a string, got 0"),
        ({"n": {"type": "string", "default": "${task.id}"}}, "params.n.default", "names nothing"),
        ({"n": {"type": "string", "default": "${fire.year}"}}, "params.n.default", "no 'year'"),
        ({"n": {"type": "string", "default": "${fire"}}, "params.n.default", "is not closed"),
        (
            {"n": {"type": "string", "default": "secret://env/A"}},
            "params.n.default",
            "secret reference",
        ),
        ({f"n{at}": {"type": "string"} for at in range(33)}, "params", "has 33; at most 32"),
        (
            {f"n{at}": {"type": "string", "default": "x" * 10_000} for at in range(2)},
            "params",
            "larger than the 16384 bytes",
        ),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_with_its_place(params, field, reason):
    with pytest.raises(InvalidConfigError) as error:
        config(params=params)
    assert error.value.field == field
    assert reason in error.value.reason


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"who": "x", "days": "y"}, "params.days", "is unknown; did you mean 'day'?"),
        ({}, "params.who", "is missing: a string that has no default"),
        ({"who": None}, "params.who", "is missing"),
        ({"who": 1}, "params.who", "must be a string, got 1"),
        ({"who": "x", "count": True}, "params.count", "must be an integer, got True"),
        ({"who": "x", "count": "3"}, "params.count", "must be an integer, got '3'"),
        ({"who": "secret://env/PASSWORD"}, "params.who", "secret reference"),
        ({"who": "x", "tables": ["secret://env/A"]}, "params.tables", "secret reference"),
        ({"who": "x" * 20_000}, "params", "larger than the 16384 bytes"),
        ([], "params", "must be a mapping"),
    ],
)
def test_what_is_given_wrongly_is_refused_with_the_name_of_the_param(given, field, reason):
    with pytest.raises(InvalidConfigError) as error:
        bound(ALL, given)
    assert error.value.field == field
    assert reason in error.value.reason


def test_who_declares_nothing_is_given_nothing():
    with pytest.raises(InvalidConfigError, match="declares no params"):
        config().spec_with({"day": "x"})
    assert config().spec_with({}) == config().spec


def test_a_default_follows_the_fire_in_the_zone_of_the_config():
    values = default_values(ALL)
    assert resolved_values(values, INSTANT_MS, "UTC")["day"] == "2026-11-29"
    tokyo = resolved_values(values, INSTANT_MS, "Asia/Tokyo")
    assert (tokyo["day"], tokyo["options"]) == ("2026-11-30", {"at": INSTANT_MS})


@pytest.mark.parametrize("text", ["${fire.date}x", "$${", "$$${a}", "${", "a$b", "$${${fire.ms}}"])
def test_what_is_given_is_literal_whatever_it_looks_like(text):
    values = bound(ALL, {"who": text, "options": {"deep": [text]}})
    resolved = resolved_values(values, INSTANT_MS, "UTC")
    assert (resolved["who"], resolved["options"]) == (text, {"deep": [text]})
    assert given_values(ALL, values) == {"who": text, "options": {"deep": [text]}}
    assert bound(ALL, given_values(ALL, values)) == values


def test_a_task_that_is_run_again_has_the_params_that_it_had():
    values = bound(ALL, {"who": "${x}"})
    again = same_again(values, INSTANT_MS, "Asia/Tokyo")
    later = resolved_values(again, INSTANT_MS + 10**9, "UTC")
    assert later == resolved_values(values, INSTANT_MS, "Asia/Tokyo")


def test_texts_become_what_the_declaration_says():
    texts = {
        "day": "7",
        "count": "7",
        "share": "7",
        "dry": "true",
        "tables": '["a", "b"]',
        "options": '{"a": 1}',
    }
    assert values_of_texts(ALL, texts) == {
        "day": "7",
        "count": 7,
        "share": 7,
        "dry": True,
        "tables": ["a", "b"],
        "options": {"a": 1},
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("count", "many", "must be an integer, written as JSON has it; got 'many'"),
        ("count", "1.5", "must be an integer, got 1.5"),
        ("dry", "yes", "must be a boolean"),
        ("tables", "{}", "must be a list"),
        ("cuont", "1", "did you mean 'count'?"),
    ],
)
def test_a_text_that_is_none_of_its_type_is_refused(name, text, reason):
    with pytest.raises(InvalidConfigError) as error:
        values_of_texts(ALL, {name: text})
    assert error.value.field == f"params.{name}"
    assert reason in error.value.reason


def test_a_schedule_cannot_give_what_has_no_default():
    who = {"who": {"type": "string"}}
    with pytest.raises(InvalidConfigError, match=r"params.who: has no default.*enabled: false"):
        config(params=who)
    with pytest.raises(InvalidConfigError, match=r"params.who: has no default"):
        config(
            executor="workflow",
            template=False,
            workflow=Workflow(steps=[Step(id="a", executor="http")], params=who),
        )
    only_by_hand = config(params=who, enabled=False)
    assert only_by_hand.spec_with({"who": "me"}).param_values == {"who": "me"}


def test_params_are_for_payloads_with_references():
    with pytest.raises(InvalidConfigError, match="params: are for the references of a payload"):
        config(params=DAY, template=False)
    flow = Workflow(steps=[Step(id="a", executor="http")])
    with pytest.raises(InvalidConfigError, match=r"belong to the workflow"):
        config(executor="workflow", workflow=flow, params=DAY, template=False)
    with pytest.raises(InvalidConfigError, match="param_values: are for the references"):
        TaskSpec(executor="http", param_values={"a": 1})


@pytest.mark.parametrize(
    ("payload", "field", "reason"),
    [
        ("${params.dya}", "payload", "params declares no 'dya'; did you mean 'day'?"),
        ("${params}", "payload", "names nothing"),
        ("${run.id}", "payload", "this is no run of many tasks"),
        ("${shard.index}", "payload", "there are no shards here"),
        ("${needs.a.data}", "payload", "does not need 'a'"),
        ("${labels.zona}", "payload", "labels has no 'zona'; did you mean 'zone'?"),
        ("${nothing}", "payload", "names nothing; there are fire.time"),
        ("${fire.date", "payload", "is not closed"),
        ({"url": "${params.day}"}, "payload.url", "literal scheme and host"),
        ({"url": "https://${params.day}/x"}, "payload.url", "literal scheme and host"),
        ({"url": "https://a.b${params.day}/x"}, "payload.url", "literal scheme and host"),
        ({"function": "${params.day}"}, "payload.function", "must be a literal"),
        ({"target": "${params.day}:1"}, "payload.target", "must be a literal"),
        ({"method": "a.B/${params.day}"}, "payload.method", "must be a literal"),
        ({"broker": "${params.day}"}, "payload.broker", "must be a literal"),
    ],
)
def test_a_template_that_cannot_be_resolved_is_refused_where_it_is_declared(payload, field, reason):
    with pytest.raises(InvalidConfigError) as error:
        config(params=DAY, payload=payload, labels={"zone": "eu"})
    assert error.value.field == field
    assert reason in error.value.reason


def test_a_payload_without_the_word_means_what_it_says():
    assert config(template=False, payload="${anything} at all").payload == "${anything} at all"


def test_a_config_with_shards_needs_no_such_word():
    with pytest.raises(InvalidConfigError, match="template: is for what runs one task"):
        config(workflow=Workflow(shards=2))


def test_steps_refer_to_the_params_of_their_workflow():
    step = Step(id="a", executor="http", payload={"day": "${params.day}"})
    flow = Workflow(steps=[step], params=DAY)
    assert run_spec(flow).param_values == {"day": "${fire.date}"}
    assert run_spec(flow, {"day": "today"}).param_values == {"day": "today"}
    with pytest.raises(InvalidConfigError, match=r"steps.a.payload.*declares no 'day'"):
        Workflow(steps=[step])
    with pytest.raises(InvalidConfigError, match=r"params.day: must be a string"):
        TaskSpec(executor="workflow", workflow=flow, param_values={"day": 3})
    with pytest.raises(InvalidConfigError, match=r"params.dya: is unknown"):
        run_spec(flow, {"dya": "x"})


def test_a_zone_that_is_none_is_refused():
    with pytest.raises(InvalidConfigError, match="'Mars/Base' is no zone"):
        TaskSpec(executor="http", template=True, timezone="Mars/Base")


def test_records_keep_params_and_say_that_they_are_of_a_later_version():
    made = config(
        params=dict(ALL) | {"who": Param(type="string", default="x")}, payload="${fire.ms}"
    )
    text = write_config(made)
    assert '"v":2' in text
    assert read_config(text, revision=0, created_ms=0, updated_ms=0) == made
    spec = made.spec_with({"who": "me", "options": {"a": [None, 1.5]}})
    assert '"v":2' in write_spec(spec)
    assert read_spec(write_spec(spec)) == spec
    flow = Workflow(steps=[Step(id="a", executor="http")], params=DAY)
    assert read_spec(write_spec(run_spec(flow))) == run_spec(flow)


def test_a_record_without_them_is_to_the_byte_what_it_was():
    plain = TaskConfig(id="c", executor="http", every="1h", timezone="Asia/Tokyo")
    assert write_config(plain) == (
        '{"every":3600000,"executor":"http","id":"c","timezone":"Asia/Tokyo","v":1}'
    )
    assert write_spec(plain.spec) == '{"executor":"http","v":1}'


def test_values_of_a_task_can_be_declared_anew():
    values = bound(ALL, {"who": "${x}"})
    again = params_of(values)
    assert default_values(again) == values
    assert {name: one.type for name, one in again.items()} == {
        name: one.type for name, one in ALL.items()
    }
