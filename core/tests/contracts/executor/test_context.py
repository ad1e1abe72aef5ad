"""What every target is told about an attempt."""

import re

from dsched.contracts import TaskFacts


def facts(**changes):
    known = {"task_id": "report@1", "config_id": "report", "attempt": 1, "epoch": 3}
    return TaskFacts(scheduled_time="2025-01-01T00:00:00.000Z", **{**known, **changes})


def test_a_task_is_one_trace_and_each_attempt_a_span_of_its_own():
    first, again, second = facts(), facts(epoch=4), facts(attempt=2)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", first.traceparent)
    assert first.traceparent == again.traceparent
    assert first.traceparent.split("-")[1] == second.traceparent.split("-")[1]
    assert first.traceparent.split("-")[2] != second.traceparent.split("-")[2]
    assert first.traceparent.split("-")[1] != facts(task_id="other").traceparent.split("-")[1]


def test_a_task_without_a_config_names_none():
    assert "X-Dsched-Config-Id" in facts().as_headers()
    assert "X-Dsched-Config-Id" not in facts(config_id=None).as_headers()
