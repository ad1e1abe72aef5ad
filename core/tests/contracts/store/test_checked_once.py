"""A value is checked and written when it enters, and neither again on its way."""

from datetime import timedelta

import pytest

from dsched.contracts.store.codec import (
    read_spec,
    write_config,
    write_result,
    write_spec,
    write_spec_around_revision,
)
from dsched.engine.worker.completion import judge_result
from dsched.model import Task, TaskConfig, TaskResult, TaskSpec, TaskStatus
from dsched.model.json import MAX_RESULT_BYTES
from dsched.model.task_config import typed

TASK = Task(id="a", status=TaskStatus.RUNNING, scheduled_ms=1)
TRICKY = {"revision": 5, "a": [{'"revision":': 1e22, "z": ',"revision":7,'}]}


def test_what_is_done_to_a_payload_after_it_was_checked_is_not_stored():
    payload = {"list": [1]}
    spec = TaskSpec(executor="local", payload=payload)
    config = TaskConfig(id="a", executor="local", payload=payload, every=timedelta(hours=1))
    payload["list"].append(object())

    assert read_spec(write_spec(spec)).payload == {"list": [1]}
    assert read_spec(write_spec(config.spec)).payload == {"list": [1]}
    assert '"payload":{"list":[1]}' in write_config(config)


@pytest.mark.parametrize("payload", [None, 0, [], TRICKY, "\u2028", [1e-5]])
@pytest.mark.parametrize("more", [{}, {"type": '"revision":5,', "owner": "\ud800"}])
def test_the_text_around_the_revision_is_that_of_the_snapshot(payload, more):
    spec = TaskSpec(
        executor="a", payload=payload, revision=3, start_deadline=timedelta(seconds=1), **more
    )
    before, after = write_spec_around_revision(spec)
    assert before + "3" + after == write_spec(spec)


def test_the_snapshot_of_a_config_is_the_one_that_its_fields_make():
    config = TaskConfig(
        id="a",
        executor="http",
        payload=TRICKY,
        labels={"a": "b"},
        on_crash="fail",
        every=timedelta(hours=1),
        revision=7,
    )
    made = TaskSpec(executor="http", payload=TRICKY, labels={"a": "b"}, on_crash="fail", revision=7)
    assert config.spec == made
    assert write_spec(config.spec) == write_spec(made)


def test_a_result_that_was_checked_is_stored_as_it_was_then():
    data = {"list": [1]}
    completion = judge_result(TASK, "t", TaskResult(data=data))
    data["list"].append(object())
    assert write_result(completion.result) == '{"data":{"list":[1]},"v":1}'


def test_a_result_with_long_words_keeps_its_data_as_it_was_checked():
    data = {"list": [1]}
    result = TaskResult(code="c" * 100, message="m" * 5000, data=data)
    completion = judge_result(TASK, "t", result)
    data["list"].append(2)
    assert len(completion.result.message) < 5000
    assert '"data":{"list":[1]}' in write_result(completion.result)


def test_results_that_differ_in_their_texts_alone_are_equal():
    assert TaskResult(data=[1]).with_text("[1]") == TaskResult(data=[1])
    assert repr(TaskResult(data=[1]).with_text("[1]")) == repr(TaskResult(data=[1]))


@pytest.mark.parametrize("data", ["x" * MAX_RESULT_BYTES, {1}, float("nan"), "\ud800"])
def test_a_result_that_cannot_be_kept_is_no_checked_one(data):
    result = TaskResult(data=data)
    assert not result.checked
    assert not judge_result(TASK, "t", result).success


def test_a_type_that_the_executor_gives_changes_the_text_and_nothing_else():
    spec = TaskSpec(executor="http", payload=TRICKY)
    before = write_spec(spec)
    told = typed(spec, "http")
    assert told == TaskSpec(executor="http", payload=TRICKY, type="http")
    assert write_spec(told) == write_spec(TaskSpec(executor="http", payload=TRICKY, type="http"))
    assert write_spec(spec) == before
    config = TaskConfig(id="a", executor="http", payload=[1], every=timedelta(hours=1))
    assert typed(config, "http").type == "http"
    assert typed(config, "http").payload_text == "[1]"
