"""Every problem of a payload is found before anything runs, and said by key."""

import pytest

from dsched.contracts import TaskFailed
from dsched_executor_mq.payload import KEYS, check_payload, parse_payload

GOOD = {"broker": "orders", "subject": "jobs.report"}


@pytest.mark.parametrize(
    "payload",
    [
        GOOD,
        {"broker": "orders", "exchange": "jobs", "routing_key": "a.b", "persistent": False},
        {"broker": "orders", "exchange": "fanout"},
        {"broker": "orders", "routing_key": "queue"},
        {"broker": "orders", "topic": "jobs", "key": "ü", "json": [1, None]},
        {"broker": "orders", "stream": "jobs:{a}", "body": "text", "headers": {"X-A": "b"}},
        {**GOOD, "jetstream": False, "reply": True},
        {**GOOD, "headers": {"Authorization": "Bearer secret://env/TOKEN"}},
        {**GOOD, "json": {"token": "secret://file/token"}},
    ],
)
def test_what_can_be_published_has_no_problem(payload):
    assert check_payload(payload) == []


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (None, "payload: must map keys to values"),
        ({}, "broker: is required"),
        ({"broker": "Or ders", "subject": "a"}, "broker: is required"),
        ({"broker": "orders\n", "subject": "a"}, "broker: is required"),
        ({"broker": "orders"}, "payload: give exactly one target"),
        ({**GOOD, "topic": "a"}, "payload: give exactly one target"),
        ({**GOOD, "key": "a"}, "key: means nothing for subject; remove it"),
        ({**GOOD, "persistent": True}, "persistent: means nothing for subject"),
        ({**GOOD, "subjct": "a"}, "subjct: is not a known key; did you mean 'subject'?"),
        ({**GOOD, "url": "amqp://inner"}, "url: is not a known key"),
        ({**GOOD, "subject": "a b"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "a\r\nPUB b 0"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "a\n"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "jobs.*"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "jobs.>"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": ".jobs"}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "a" * 256}, "subject: must be words joined by dots"),
        ({**GOOD, "subject": "$JS.API.STREAM.DELETE.jobs"}, "subject: must not begin with $"),
        ({**GOOD, "subject": "_INBOX.abc.1"}, "subject: must not begin with $ or _INBOX"),
        ({**GOOD, "jetstream": False}, "jetstream: false needs `reply: true`"),
        ({**GOOD, "jetstream": "no"}, "jetstream: must be true or false"),
        ({**GOOD, "reply": 1}, "reply: must be true or false"),
        ({"broker": "a", "topic": "a b"}, "topic: must be 1 to 249 of"),
        ({"broker": "a", "topic": ".."}, "topic: must be 1 to 249 of"),
        ({"broker": "a", "topic": "__consumer_offsets"}, "topic: must not begin with __"),
        ({"broker": "a", "topic": "a", "key": "x" * 5000}, "key: must be text of at most 4096"),
        ({"broker": "a", "topic": "a", "key": 7}, "key: must be text"),
        ({"broker": "a", "stream": "a b"}, "stream: must be printable ASCII without spaces"),
        ({"broker": "a", "exchange": ""}, "routing_key: must name a queue"),
        ({"broker": "a", "exchange": "a\x00b"}, "exchange: must be printable text"),
        ({"broker": "a", "exchange": "a", "routing_key": "ü" * 128}, "routing_key: must be"),
        ({"broker": "a", "exchange": 7}, "exchange: must be printable text"),
        ({"broker": "a", "exchange": "\ud800"}, "exchange: must be printable text"),
        ({**GOOD, "body": "a", "json": 1}, "body: give json or body, not both"),
        ({**GOOD, "body": {"a": 1}}, "body: must be text; give a structure as json"),
        ({**GOOD, "body": "\ud800"}, "body: contains half a character"),
        ({**GOOD, "headers": ["a"]}, "headers: must map names to values"),
        ({**GOOD, "headers": {"X A": "b"}}, "headers.X A: is not a header name"),
        ({**GOOD, "headers": {"X-A": 1}}, "headers.X-A: must be text; quote it"),
        ({**GOOD, "headers": {"X-A": "a\r\nNats-Rollup: all"}}, "headers.X-A: must be printable"),
        ({**GOOD, "headers": {"X-A": "a\n"}}, "headers.X-A: must be printable ASCII"),
        ({**GOOD, "headers": {"X-A\n": "a"}}, "headers.X-A\\n: is not a header name"),
        ({**GOOD, "headers": {"X-A": "a", "x-a": "b"}}, "headers.x-a: is given twice"),
        ({**GOOD, "headers": {"Nats-Rollup": "all"}}, "headers.Nats-Rollup: cannot be set"),
        ({**GOOD, "headers": {"Idempotency-Key": "a"}}, "headers.Idempotency-Key: cannot be set"),
        ({**GOOD, "headers": {"x-dsched-epoch": "9"}}, "headers.x-dsched-epoch: cannot be set"),
        ({**GOOD, "headers": {"Reply-To": "a"}}, "headers.Reply-To: cannot be set"),
        ({**GOOD, "headers": {"correlation-id": "a"}}, "headers.correlation-id: cannot be set"),
        ({**GOOD, "headers": {"Body": "a"}}, "headers.Body: cannot be set"),
        ({**GOOD, "headers": {f"X-{n}": "a" for n in range(65)}}, "headers: at most 64"),
        ({**GOOD, "subject": "secret://env/A"}, "subject: cannot hold a secret reference"),
        ({"broker": "a", "topic": "t", "key": "secret://env/A"}, "key: cannot hold a secret"),
        ({**GOOD, "body": "secret://vault/A"}, "body: has a secret reference that is neither"),
    ],
)
def test_what_cannot_be_published_is_refused_by_key(payload, problem):
    problems = check_payload(payload)

    assert [one for one in problems if one.startswith(problem)], problems
    with pytest.raises(TaskFailed, match="cannot be published") as caught:
        parse_payload(payload)
    assert (caught.value.code, caught.value.retryable) == ("payload", False)


def test_all_problems_are_told_at_once():
    problems = check_payload({"subject": "a b", "headers": {"X": 1}, "body": 7, "reply": "x"})

    assert len(problems) == 5


def test_every_key_that_is_known_is_used():
    known = set(KEYS)

    assert {*GOOD, "exchange", "topic", "stream", "reply", "json", "body"} < known
    for key in known - {"broker"}:
        assert check_payload({"broker": "a", key: object()}) != [], key
