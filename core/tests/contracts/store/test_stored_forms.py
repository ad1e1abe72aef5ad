"""The very bytes of what is stored, as every version has written them.

Stores compare texts of snapshots and configs, and pods of several versions share one store: none of
these may change. A new field of a record is left out at its default.
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsched.contracts.store.codec import (
    UNREADABLE,
    read_config,
    read_decision,
    read_result,
    read_spec,
    readable_spec,
    write_config,
    write_decision,
    write_result,
    write_spec,
)
from dsched.model import Decision, RetryPolicy, TaskConfig, TaskResult, TaskSpec, Verdict
from dsched.model.left_out import is_left_out

SPEC = TaskSpec(
    executor="http",
    payload={
        "url": 'https://example.com/é?a=1&b="2"',
        "n": 2**70,
        "f": [1e16, 1e-05, 0.1, -0.0, 1.0],
        "list": [1, None, True, "\x00\x1f\x7f\u2028\U0001f600\\/"],
        "": {},
        "Z": [],
        "a": (1, 2),
    },
    type="report",
    name="Täglicher Bericht",
    timeout=timedelta(seconds=90, microseconds=1500),
    retry=RetryPolicy(
        max_retries=7,
        retry_delay=timedelta(milliseconds=1),
        backoff_rate=1.5,
        max_delay=timedelta(minutes=5),
        jitter=0.0,
    ),
    on_crash="fail",
    max_crashes=0,
    start_deadline=timedelta(milliseconds=2500),
    priority=9,
    labels={"team": "a", "b": "é"},
    required_labels={"zone": "b"},
    affinity_key='k"',
    owner="\x7f o",
    revision=1767148200001,
)
SPEC_TEXT = (
    '{"affinity_key":"k\\"","executor":"http","labels":{"b":"é","team":"a"},"max_crashes":0,'
    '"name":"Täglicher Bericht","on_crash":"fail","owner":"\x7f o","payload":{"":{},"Z":[],'
    '"a":[1,2],"f":[1e+16,1e-05,0.1,-0.0,1.0],"list":[1,null,true,'
    '"\\u0000\\u001f\x7f\u2028\U0001f600\\\\/"],"n":1180591620717411303424,'
    '"url":"https://example.com/é?a=1&b=\\"2\\""},"priority":9,"required_labels":{"zone":"b"},'
    '"retry":{"backoff_rate":1.5,"jitter":0.0,"max_delay":300000,"max_retries":7,'
    '"retry_delay":1},"revision":1767148200001,"start_deadline":2500,"timeout":90001,'
    '"type":"report","v":1}'
)
SPECS = [
    (SPEC, SPEC_TEXT),
    (TaskSpec(executor="local"), '{"executor":"local","v":1}'),
    (
        TaskSpec(executor="local", name="\udfff", owner="\ud800"),
        '{"executor":"local","name":"\udfff","owner":"\ud800","v":1}',
    ),
    (
        TaskSpec(executor="local", payload=[], retry=RetryPolicy(backoff_rate=3.0)),
        '{"executor":"local","payload":[],"retry":{"backoff_rate":3.0},"v":1}',
    ),
    (TaskSpec(executor="local", payload=0), '{"executor":"local","payload":0,"v":1}'),
    (TaskSpec(executor="local", payload=False), '{"executor":"local","payload":false,"v":1}'),
    (TaskSpec(executor="local", payload=""), '{"executor":"local","payload":"","v":1}'),
]
CONFIG = TaskConfig(
    id="report",
    name="Täglicher Bericht",
    executor="http",
    type="x",
    payload={"b": 1, "a": "é"},
    cron_expr="30 2 * * *",
    timezone="Europe/Berlin",
    dst_gap="skip",
    dst_overlap="both",
    start_at=datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    end_at=datetime(2028, 1, 1, 1, 2, 3, 4, tzinfo=UTC),
    jitter=timedelta(milliseconds=250),
    misfire="fire_all",
    misfire_grace=timedelta(0),
    misfire_cap=7,
    overlap="queue_all",
    start_deadline=timedelta(seconds=1),
    timeout=timedelta(days=3650),
    retry=RetryPolicy(max_retries=0),
    on_crash="fail",
    max_crashes=1000,
    priority=0,
    labels={"a": "b"},
    required_labels={"c": "d"},
    affinity_key="k",
    owner="o",
    enabled=False,
    origin="file:x",
    revision=3,
    created_ms=4,
    updated_ms=5,
)
CONFIG_TEXT = (
    '{"affinity_key":"k","cron_expr":"30 2 * * *","dst_gap":"skip","dst_overlap":"both",'
    '"enabled":false,"end_at":"2028-01-01T01:02:03.000004+00:00","executor":"http",'
    '"id":"report","jitter":250,"labels":{"a":"b"},"max_crashes":1000,"misfire":"fire_all",'
    '"misfire_cap":7,"misfire_grace":0,"name":"Täglicher Bericht","on_crash":"fail",'
    '"origin":"file:x","overlap":"queue_all","owner":"o","payload":{"a":"é","b":1},"priority":0,'
    '"required_labels":{"c":"d"},"retry":{"max_retries":0},'
    '"start_at":"2027-01-01T00:00:00+02:00","start_deadline":1000,"timeout":315360000000,'
    '"timezone":"Europe/Berlin","type":"x","v":1}'
)
LOCAL = {"id": "a", "executor": "local"}
CONFIGS = [
    (CONFIG, CONFIG_TEXT),
    (
        TaskConfig(**LOCAL, every=timedelta(seconds=1)),
        '{"every":1000,"executor":"local","id":"a","v":1}',
    ),
    (
        TaskConfig(**LOCAL, fixed_delay=timedelta(hours=1)),
        '{"executor":"local","fixed_delay":3600000,"id":"a","v":1}',
    ),
    (
        TaskConfig(**LOCAL, at=datetime(2027, 1, 1, tzinfo=UTC)),
        '{"at":"2027-01-01T00:00:00+00:00","executor":"local","id":"a","v":1}',
    ),
]
RESULTS = [
    (TaskResult(), '{"v":1}'),
    (
        TaskResult(
            code="200", message='\ud800 "ok"', data={"n": 2**70, "s": "😀", "e": [], "f": 1e22}
        ),
        (
            '{"code":"200","data":{"e":[],"f":1e+22,"n":1180591620717411303424,"s":"😀"},'
            '"message":"\ud800 \\"ok\\"","v":1}'
        ),
    ),
    (TaskResult(data=0), '{"data":0,"v":1}'),
    (TaskResult(data=0.0), '{"data":0.0,"v":1}'),
    (TaskResult(data=False), '{"data":false,"v":1}'),
    (TaskResult(data=""), '{"data":"","v":1}'),
    (TaskResult(data=[]), '{"data":[],"v":1}'),
    (TaskResult(code="", data={"b": 1, "a": 2}), '{"code":"","data":{"a":2,"b":1},"v":1}'),
]
DECISIONS = [
    (
        Decision(
            config_id="a",
            verdict=Verdict.SKIPPED,
            first_ms=5,
            last_ms=6,
            count=2,
            reason="overlap",
            detail="d",
            late_ms=3,
            at_ms=9,
            term=4,
            task_id="a@5",
            worker_id="w",
            worker_why="y",
            ended="success",
            missed_at_ms=8,
            trigger="t",
            behind="a@4",
        ),
        (
            '{"at_ms":9,"behind":"a@4","config_id":"a","count":2,"detail":"d","ended":"success",'
            '"first_ms":5,"last_ms":6,"late_ms":3,"missed_at_ms":8,"reason":"overlap","task_id":"a@5",'
            '"term":4,"trigger":"t","v":1,"verdict":"skipped","worker_id":"w","worker_why":"y"}'
        ),
    ),
    (
        Decision(config_id="a", verdict=Verdict.FIRED, first_ms=5, last_ms=5),
        '{"config_id":"a","first_ms":5,"last_ms":5,"v":1,"verdict":"fired"}',
    ),
]


def _config_of(text):
    return read_config(text, revision=3, created_ms=4, updated_ms=5)


@pytest.mark.parametrize(
    ("write", "read", "value", "text"),
    [
        *((write_spec, read_spec, *pair) for pair in SPECS),
        *((write_config, _config_of, *pair) for pair in CONFIGS),
        *((write_result, read_result, *pair) for pair in RESULTS),
        *((write_decision, read_decision, *pair) for pair in DECISIONS),
    ],
    ids=lambda part: ascii(part)[:30] if isinstance(part, str) else "",
)
def test_a_record_has_these_bytes_and_is_read_from_them(write, read, value, text):
    assert write(value) == text
    assert write(read(text)) == text
    if value is not SPEC:  # its tuple comes back as a list, its timeout in whole milliseconds
        assert read(text) == value


def test_a_whole_number_for_a_real_one_is_kept_as_it_was_given():
    given = TaskSpec(executor="a", retry=RetryPolicy(backoff_rate=3))
    assert write_spec(given) == '{"executor":"a","retry":{"backoff_rate":3},"v":1}'
    assert read_spec(write_spec(given)) == given


def test_what_is_read_is_made_of_the_types_that_were_written():
    read = read_spec(SPEC_TEXT)
    assert read.payload == {**SPEC.payload, "a": [1, 2]}
    assert [type(one) for one in read.payload["f"]] == [float] * 5
    assert type(read.payload["n"]) is int
    assert read.timeout == timedelta(milliseconds=90_001)
    assert (read.on_crash, read.labels, read.retry) == (SPEC.on_crash, SPEC.labels, SPEC.retry)
    assert read.start_deadline == SPEC.start_deadline


@pytest.mark.parametrize(
    "text", [text for _, text in SPECS] + ['{"executor":"a","retry":{},"v":1}']
)
def test_nothing_of_what_is_read_counts_as_left_out(text):
    # Else the defaults of whoever submits it once more would replace what the task ran with.
    read = read_spec(text)
    assert not is_left_out(read.timeout)
    for name in ("max_retries", "retry_delay", "backoff_rate", "max_delay", "jitter"):
        assert not is_left_out(getattr(read.retry, name))
    config = _config_of('{"every":1000,"executor":"local","id":"a","v":1}')
    assert not is_left_out(config.timeout)
    assert not is_left_out(config.retry.jitter)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ('"executor":"a","executor":"b"', {"executor": "b"}),
        ('"executor":"a","a_new_field":[1]', {"executor": "a"}),
        ('"executor":5', {"executor": "5"}),
        ('"executor":"a","type":null', {"type": "None"}),
        ('"executor":"a","priority":"7"', {"priority": 7}),
        ('"executor":"a","priority":7.0', {"priority": 7}),
        ('"executor":"a","revision":"5"', {"revision": 5}),
        ('"executor":"a","timeout":1.5', {"timeout": timedelta(microseconds=1500)}),
        ('"executor":"a","timeout":300000', {"timeout": timedelta(minutes=5)}),
        ('"executor":"a","start_deadline":null', {"start_deadline": None}),
        ('"executor":"a","affinity_key":5', {"affinity_key": "5"}),
        ('"executor":"a","affinity_key":null', {"affinity_key": None}),
        ('"executor":"a","labels":{"a":1}', {"labels": {"a": "1"}}),
        ('"executor":"a","reserved":{}', {"executor": "a"}),
        ('"executor":"a","retry":{"max_retries":"2","new":3}',
         {"retry": RetryPolicy(max_retries=2)}),
    ],
)  # fmt: skip
def test_a_record_that_others_wrote_a_little_differently_is_read(fields, found):
    spec = read_spec(f'{{{fields},"v":1}}')
    assert {name: getattr(spec, name) for name in found} == found


@pytest.mark.parametrize(
    "fields",
    [
        '"payload":1',
        '"executor":""',
        '"executor":"a","timeout":null',
        '"executor":"a","timeout":"5"',
        '"executor":"a","timeout":0',
        '"executor":"a","labels":null',
        '"executor":"a","labels":[["a","b"]]',
        '"executor":"a","on_crash":"x"',
        '"executor":"a","retry":null',
        '"executor":"a","retry":{"max_retries":-1}',
        '"executor":"a","priority":10',
        '"executor":"a","revision":null',
        '"executor":"a","name":"a\\nb"',
        '"executor":"a","reserved":{"concurrency_key":"k"}',
        '"executor":"a","reserved":{"parents":["a"]}',
        '"executor":"a","payload":NaN',
        '"executor":"a","payload":[-Infinity]',
        '"executor":"a","payload":"\\ud800"',
    ],
)
def test_a_record_that_no_version_wrote_is_one_that_cannot_be_read(fields):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        read_spec(f'{{{fields},"v":1}}')
    assert str(caught.value)
    assert readable_spec(f'{{{fields},"v":1}}').executor == UNREADABLE


@pytest.mark.parametrize("text", ["[]", "5", "null", '"a"', "{}", '{"executor":"a"}', "{", ""])
def test_a_text_that_is_no_record_cannot_be_read(text):
    assert readable_spec(text).executor == UNREADABLE


_TEXT = st.text(max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.text(st.characters(
        exclude_categories=["Cs"]), max_size=4)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(
        exclude_categories=["Cs"]), max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_SPANS = st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms))
_LABELS = st.dictionaries(st.text(min_size=1, max_size=4), _TEXT, max_size=3)
_POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 9),
    retry_delay=st.integers(0, 10**6).map(lambda ms: timedelta(milliseconds=ms)),
    backoff_rate=st.floats(1, 100),
    jitter=st.floats(0, 10),
)


@given(
    st.fixed_dictionaries(
        {"executor": st.sampled_from(["local", "http"])},
        optional={
            "payload": _JSON,
            "type": _TEXT,
            "timeout": _SPANS,
            "retry": _POLICIES,
            "on_crash": st.sampled_from(["retry", "fail"]),
            "max_crashes": st.integers(0, 1000),
            "start_deadline": st.none() | _SPANS,
            "priority": st.integers(0, 9),
            "labels": _LABELS,
            "required_labels": _LABELS,
            "affinity_key": st.none() | _TEXT,
            "owner": _TEXT,
            "revision": st.integers(),
        },
    )
)
def test_any_snapshot_reads_back_equal_and_is_written_again_with_the_same_bytes(fields):
    spec = TaskSpec(**fields)
    text = write_spec(spec)
    read = read_spec(text)
    assert read == spec
    assert write_spec(read) == text
    assert write_spec(TaskSpec(**fields)) == text


def test_a_config_with_a_calendar_says_a_later_version_and_no_other_does():
    calendar = {
        "skip": [{"name": "de", "dates": {"2026-12-25": "Christmas Day"}, "until": "2031-12-31"}],
        "only": [{"name": "workdays", "weekdays": "mon-fri"}],
    }
    config = TaskConfig(id="c", executor="http", cron_expr="0 9 * * *", calendar=calendar)
    text = (
        '{"calendar":{"only":[{"name":"workdays","weekdays":["mon","tue","wed","thu","fri"]}],'
        '"skip":[{"dates":{"2026-12-25":"Christmas Day"},"name":"de","until":"2031-12-31"}]},'
        '"cron_expr":"0 9 * * *","executor":"http","id":"c","v":2}'
    )
    assert write_config(config) == text
    assert read_config(text, revision=0, created_ms=0, updated_ms=0) == config
    assert '"v":1' in write_config(TaskConfig(id="c", executor="http", cron_expr="0 9 * * *"))
    assert "calendar" not in write_spec(config.spec)
