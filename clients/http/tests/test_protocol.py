"""What is asked and how answers are read, without any network."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import RetryPolicy, TaskConfig, TaskSpec, TaskStatus
from dsched_client import calls, errors
from dsched_client.answers import Answer, body_of
from dsched_client.batches import config_batches
from dsched_client.requests import common_headers, endpoint, path_of, request
from dsched_client.retrying import Trouble, delay_s
from dsched_client.stream import Event, EventReader, events_request

TASK = {
    "id": "c@1",
    "config_id": "c",
    "status": "running",
    "home": "lease",
    "scheduled_time": "2026-01-31T09:00:00.000Z",
    "start_time": "2026-01-31T09:00:00.120Z",
    "end_time": None,
    "a_field_of_later": 1,
}


def answer(body, status=200, **headers):
    return Answer(status=status, headers=headers, body=json.dumps(body).encode())


def body(call):
    return json.loads(call.request.body)


def test_a_snapshot_is_sent_with_the_keys_of_a_task_file():
    spec = TaskSpec(
        executor="local",
        payload={"function": "f"},
        timeout=timedelta(seconds=90),
        retry=RetryPolicy(max_retries=1),
        required_labels={"zone": "eu"},
    )
    call = calls.submit(spec, task_id="t", delay=1.5, key="k")
    assert (call.request.method, call.request.target) == ("POST", "/api/v1/tasks")
    assert call.request.headers["Idempotency-Key"] == "k"
    assert body(call) == {
        "id": "t",
        "delay": "1500ms",
        "executor": "local",
        "payload": {"function": "f"},
        "timeout": "90000ms",
        "retry": {"max_retries": 1},  # the rest is the server's to fill in
        "required_labels": {"zone": "eu"},
    }


def test_a_config_is_put_by_its_id_and_origin_and_an_entry_may_hold_times():
    config = TaskConfig(id="a:b", executor="http", every=timedelta(hours=1), origin="code:shop")
    call = calls.put_config(config, adopt=True, origin=None, revision=7, dry_run=False)
    assert call.request.target == "/api/v1/configs/a%3Ab?origin=code%3Ashop&adopt=true"
    assert call.request.headers["If-Match"] == '"7"'
    assert body(call)["every"] == "3600000ms"
    assert "id" not in body(call)
    assert "origin" not in body(call)
    entry = {"id": "x", "executor": "http", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    call = calls.put_config(entry, adopt=False, origin=None, revision=0, dry_run=True)
    assert call.request.target == "/api/v1/configs/x?dry_run=true"
    assert call.request.headers["If-None-Match"] == "*"
    assert body(call) == {"executor": "http", "at": "2026-01-01T00:00:00.000Z"}


def test_many_configs_are_cut_into_batches_by_origin_number_and_size():
    def config(number, origin="api", payload=None):
        return TaskConfig(
            id=f"c{number}", executor="x", every=timedelta(hours=1), origin=origin, payload=payload
        )

    configs = [config(number) for number in range(250)]
    assert [len(one.items) for one in config_batches(configs)] == [100, 100, 50]
    configs = [config(1), config(2), config(3, "code:a"), config(4)]
    batches = [(one.origin, len(one.items)) for one in config_batches(configs)]
    assert batches == [("api", 2), ("code:a", 1), ("api", 1)]
    (batch,) = config_batches([*configs, {"id": "e", "executor": "x"}], origin="file:f")
    assert (batch.origin, [item["id"] for item in batch.items]) == (
        "file:f",
        ["c1", "c2", "c3", "c4", "e"],
    )
    large = [config(number, payload="\u00e4" * 120_000) for number in range(5)]
    assert [len(one.items) for one in config_batches(large)] == [3, 2]
    for batch in config_batches(large):
        assert len(calls.put_configs(batch, adopt=False, dry_run=False).request.body) < 2**20
    assert list(config_batches([])) == []


def test_a_body_may_be_json_already():
    text = b'{"items":[{"id":"\xc3\xa4"}]}'
    asked = request("POST", "/configs/batch", body=text)
    assert asked.body == text
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.body == request("POST", "/x", body={"items": [{"id": "\u00e4"}]}).body.replace(
        b" ", b""
    )


def test_a_task_is_read_with_aware_times_and_unknown_fields_are_passed_over():
    task = calls.get("c@1", full=False).read(answer(TASK))
    assert task.status is TaskStatus.RUNNING
    assert task.scheduled_time == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert (task.end_time, task.ended, task.result) == (None, False, None)


def test_a_put_answers_with_its_outcome():
    read = calls.put_config(
        {"id": "x"}, adopt=False, origin=None, revision=None, dry_run=False
    ).read
    found = read(answer({"id": "x", "revision": 3}, **{"x-dsched-outcome": "changed"}))
    assert (found.outcome, found.config.revision) == ("changed", 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.AuthenticationError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (412, errors.PreconditionError),
        (413, errors.InvalidError),
        (422, errors.InvalidError),
        (429, errors.TooManyRequestsError),
        (503, errors.UnavailableError),
        (418, errors.ApiError),
    ],
)
def test_a_refusal_is_an_exception_of_its_kind_with_code_fields_and_hint(status, kind):
    problem = {
        "code": "some_code",
        "title": "T",
        "detail": "why",
        "errors": [{"field": "every", "reason": "too short"}],
        "hint": "do this",
    }
    with pytest.raises(kind) as caught:
        body_of(answer(problem, status, **{"retry-after": "3"}))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == ("some_code", status)
    assert caught.value.errors == (errors.FieldFlaw("every", "too short"),)
    assert caught.value.problem.retry_after_s == 3
    assert str(caught.value) == f"{status} some_code: why | every: too short | do this"


@pytest.mark.parametrize(
    ("status", "text"), [(200, b"<html>"), (302, b""), (200, b'{"id": 3'), (101, b"")]
)
def test_an_answer_that_is_not_the_apis_is_said_so(status, text):
    with pytest.raises(errors.ProtocolError, match="API"):
        body_of(Answer(status=status, headers={"location": "http://elsewhere"}, body=text))


@pytest.mark.parametrize("wrong", [[], {"id": "x"}, {**TASK, "status": "dancing"}, None, "x"])
def test_an_answer_of_another_shape_is_said_so(wrong):
    with pytest.raises(errors.ProtocolError, match="is no Task"):
        calls.get("x", full=False).read(answer(wrong))


def test_a_refusal_made_up_by_a_proxy_is_a_refusal_all_the_same():
    with pytest.raises(errors.UnavailableError) as caught:
        body_of(Answer(status=502, headers={}, body=b"<html>Bad gateway</html>"))
    assert caught.value.code == "http_502"


@pytest.mark.parametrize("part", ["a/b", "a?b", "a#b", "a%2fb", "ä", "a b", "a\r\nb"])
def test_no_id_can_leave_its_place_in_the_path(part):
    path = path_of("tasks", part)
    assert path.startswith("/api/v1/tasks/")
    assert path.count("/") == 4
    assert path.isascii()
    assert not set("?# \r\n") & set(path)


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_what_would_change_the_path_is_refused(part):
    with pytest.raises(ValueError, match="is no id"):
        path_of("tasks", part)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8700",
        "ftp://x",
        "http://",
        "http://a:b@x",
        "http://x?y=1",
        "http://x/\r\nA:b",
    ],
)
def test_an_address_that_cannot_be_is_refused(url):
    with pytest.raises(ValueError, match="url must"):
        endpoint(url)


def test_an_address_may_have_a_prefix_and_an_ip_of_six():
    found = endpoint("https://[::1]:9000/dsched/")
    assert (found.host, found.port, found.prefix) == ("::1", 9000, "/dsched")
    assert found.origin == "https://[::1]:9000"
    assert endpoint("https://x").port == 443


def test_a_token_that_a_header_cannot_carry_is_refused():
    assert common_headers("dsk_a_b", "x")["Authorization"] == "Bearer dsk_a_b"
    for token in ("", "a b", "a\r\nX: y", "ä", "x" * 513):
        with pytest.raises(ValueError, match="token must be"):
            common_headers(token, "x")


def wait(outcome, *, attempt=1, attempts=6, repeatable=True, left_s=10.0, uniform=0.5):
    return delay_s(
        outcome,
        attempt=attempt,
        attempts=attempts,
        repeatable=repeatable,
        left_s=left_s,
        uniform=uniform,
    )


def test_what_may_be_repeated_is_tried_again_and_the_rest_only_if_nothing_was_done():
    sent, unsent = Trouble(sent=True, message=""), Trouble(sent=False, message="")
    assert wait(sent) is not None
    assert wait(sent, repeatable=False) is None
    assert wait(unsent, repeatable=False) is not None
    assert wait(answer({}, 503)) is not None
    assert wait(answer({}, 503), repeatable=False) is None
    assert wait(answer({}, 429), repeatable=False) is not None
    for status in (200, 404, 409, 500):
        assert wait(answer({}, status)) is None


def test_a_retry_after_is_kept_to_unless_it_takes_too_long():
    later = answer({}, 503, **{"retry-after": "4"})
    assert wait(later) == 4
    assert wait(later, left_s=3) is None
    assert wait(answer({}, 503, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})) < 1


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_delays_grow_are_bounded_and_end(attempt, uniform):
    delay = wait(Trouble(sent=True, message=""), attempt=attempt, attempts=100, uniform=uniform)
    if attempt >= 100:
        assert delay is None
    else:
        assert 0.05 <= delay <= 5.0


STREAM = (
    b': hello\n\nid: 1-1\nevent: fired\ndata: {"a":\ndata: 1}\n\n'
    b"event: reset\r\n\r\nid: 1-3\ndata: null\n\n: beat\n"
)
EVENTS = [
    Event(cursor="1-1", kind="fired", data={"a": 1}),
    Event(cursor="1-1", kind="reset", data=None),
    Event(cursor="1-3", kind="message", data=None),
]


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_is_read_the_same_however_it_is_cut(cuts):
    reader, found = EventReader(), []
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(edges):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


def test_an_event_without_end_is_refused():
    reader = EventReader()
    pieces = b"data: x\n" * 5_000_000
    with pytest.raises(errors.ProtocolError, match="more than"):
        list(reader.feed(pieces))


def test_a_stream_is_taken_up_at_its_cursor():
    asked = events_request(["task", "leader"], "5-1")
    assert asked.target == "/api/v1/events?topics=task%2Cleader"
    assert asked.headers["Last-Event-ID"] == "5-1"
    with pytest.raises(ValueError, match="offset"):
        calls.why_config("c", at=datetime(2026, 1, 1))  # noqa: DTZ001
