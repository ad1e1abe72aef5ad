"""What is stored reads back as it was written."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from dsched.contracts.store.codec import (
    UNREADABLE,
    UnknownRecordError,
    read_config,
    read_decision,
    read_pod,
    read_result,
    read_spec,
    readable_config,
    readable_spec,
    write_config,
    write_decision,
    write_pod,
    write_result,
    write_spec,
)
from dsched.contracts.store.operating import PodRecord
from dsched.model import Decision, Overlap, RetryPolicy, TaskConfig, TaskResult, TaskSpec, Verdict
from dsched.model.json import loads

CONFIG = TaskConfig(
    id="report",
    name="Täglicher Bericht",
    executor="http",
    payload={"url": "https://example.com", "n": 2**60, "list": [1, None, "x"]},
    at=datetime(2027, 1, 1, tzinfo=UTC),
    timeout=timedelta(seconds=90),
    retry=RetryPolicy(max_retries=7, backoff_rate=1.5),
    overlap=Overlap.QUEUE_ONE,
    labels={"team": "a"},
    required_labels={"zone": "b"},
    jitter=timedelta(milliseconds=250),
)


def test_a_config_reads_back_with_what_the_store_knows_of_it():
    read = read_config(write_config(CONFIG), revision=3, created_ms=1, updated_ms=2)
    assert read == CONFIG
    assert (read.revision, read.created_ms, read.updated_ms) == (3, 1, 2)


def test_equal_content_has_equal_text_whatever_its_revision():
    other = read_config(write_config(CONFIG), revision=9, created_ms=8, updated_ms=7)
    assert write_config(CONFIG) == write_config(other)


def test_a_snapshot_reads_back_equal_and_small():
    text = write_spec(CONFIG.spec)
    assert CONFIG.spec == read_spec(text)
    assert "on_crash" not in text


def test_a_result_reads_back():
    result = TaskResult(code="200", data={"a": [1]})
    assert result == read_result(write_result(result))


def test_a_decision_reads_back():
    decision = Decision(config_id="a", verdict=Verdict.FIRED, first_ms=5, last_ms=5, late_ms=3)
    assert decision == read_decision(write_decision(decision))


def test_a_record_of_an_unknown_version_is_refused_with_both_versions():
    with pytest.raises(UnknownRecordError, match=r"version 99.*knows 1 and 2:"):
        read_spec('{"executor":"local","v":99}')


MISTAKES = (None, "", "x", 5, 1.5, -1, True, float("nan"), [], {}, {"a": 1}, b"x", timedelta.max)


@pytest.mark.parametrize("field", [attribute.name for attribute in attrs.fields(TaskSpec)])
def test_a_spec_is_refused_when_made_or_can_be_read_again(field):
    # A record that no pod can read would end every pod that claims it, and every leader that reaps
    # it.
    fields: dict[str, object] = {"executor": "local"}
    for mistake in MISTAKES:
        try:
            text = write_spec(TaskSpec(**{**fields, field: mistake}))
        except (TypeError, ValueError, AttributeError):
            continue
        read_spec(text)


def test_a_snapshot_that_cannot_be_read_becomes_one_that_fails_and_says_why():
    for text in ('{"executor":"http","v":99}', "{}", "no json", '{"executor":"","v":1}'):
        spec = readable_spec(text)
        assert spec.executor == UNREADABLE
        assert spec.retry.max_retries == 0
        assert "cannot be read" in spec.payload["reason"]
    assert readable_spec(write_spec(CONFIG.spec)) == CONFIG.spec


def test_a_config_that_cannot_be_read_keeps_its_id_and_revision():
    broken = readable_config("report", '{"v":99}', revision=3, created_ms=1, updated_ms=2)
    assert (broken.id, broken.revision, broken.executor) == ("report", 3, UNREADABLE)
    sound = readable_config("report", write_config(CONFIG), revision=3, created_ms=1, updated_ms=2)
    assert sound == CONFIG


# What 0.1.0 wrote, to the byte. These texts never change, since pods of 0.1.0 read them.
GOLDEN = {
    write_config: (
        CONFIG,
        (
            '{"at":"2027-01-01T00:00:00+00:00","executor":"http","id":"report","jitter":250,'
            '"labels":{"team":"a"},"name":"Täglicher Bericht","overlap":"queue_one","payload":'
            '{"list":[1,null,"x"],"n":1152921504606846976,"url":"https://example.com"},'
            '"required_labels":{"zone":"b"},"retry":{"backoff_rate":1.5,"max_retries":7},'
            '"timeout":90000,"v":1}'
        ),
    ),
    write_spec: (
        attrs.evolve(CONFIG.spec, revision=7),
        (
            '{"executor":"http","labels":{"team":"a"},"name":"Täglicher Bericht","payload":'
            '{"list":[1,null,"x"],"n":1152921504606846976,"url":"https://example.com"},'
            '"required_labels":{"zone":"b"},"retry":{"backoff_rate":1.5,"max_retries":7},"revision":7,'
            '"timeout":90000,"v":1}'
        ),
    ),
    write_result: (
        TaskResult(code="200", message="fine", data={"a": [1]}),
        '{"code":"200","data":{"a":[1]},"message":"fine","v":1}',
    ),
    write_decision: (
        Decision(config_id="a", verdict=Verdict.FIRED, first_ms=5, last_ms=5, late_ms=3),
        '{"config_id":"a","first_ms":5,"last_ms":5,"late_ms":3,"v":1,"verdict":"fired"}',
    ),
}


@pytest.mark.parametrize("write", GOLDEN, ids=lambda write: write.__name__)
def test_a_record_of_format_3_is_written_as_it_was_to_the_byte(write):
    value, text = GOLDEN[write]
    assert write(value) == text


@pytest.mark.parametrize("version", [1, 2])
def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known(version):
    text = write_spec(CONFIG.spec)[:-1].replace('"v":1', f'"v":{version}') + ',"window":["night"]}'
    assert read_spec(text) == CONFIG.spec


def test_a_pod_is_read_whatever_a_later_version_says_of_itself_and_written_as_before():
    pod = PodRecord(id="p", name="n", roles=("worker",), version="1", started_ms=5, store_format=4)
    text = write_pod(pod)
    assert set(loads(text)) == {
        *("id", "name", "roles", "version", "started_ms", "ready", "leading", "draining", "seen_ms")
    }, "a version of before refuses a pod with a key that it does not know"
    later = text[:-1] + ',"region":"eu"}'
    assert read_pod(later, seen_ms=9, store_format=4) == attrs.evolve(pod, seen_ms=9)
