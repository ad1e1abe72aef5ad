"""`dsched task retry RUN --failed`: what succeeded is taken over, and shown so."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

ONCE = {"max_retries": 0}
STEPS = {
    "greet": {"executor": "local", "payload": {"function": "hello", "args": {"name": "first"}}},
    "parts": {
        "executor": "local",
        "shards": 2,
        "payload": {"function": "hello", "args": {"name": "${shard.index}"}},
    },
    "last": {
        "needs": ["greet", "parts"],
        "executor": "local",
        "retry": ONCE,
        "payload": {"function": "boom"},
    },
}


@pytest.fixture(scope="module")
def run_id(pod: Any) -> str:
    pod.put("nightly", every="1h", steps=STEPS)
    made = pod.ok("trigger", "nightly", "--key", "one", "--wait", "-o", "json").data
    assert made["status"] == "failed"
    return str(made["id"])


def test_what_succeeded_is_taken_over_and_drawn_so(pod: Any, run_id: str) -> None:
    again = pod.ok("task", "retry", run_id, "--failed", "--wait", "-o", "json").data
    assert again["status"] == "failed"
    shown = pod.ok("task", "get", again["id"]).out
    graph = [line.split() for line in shown[shown.index("level 0") :].splitlines()]
    assert graph[1] == ["greet", "success", "taken", "over", "from", run_id]
    parts = ["2", "of", "2", "ended", "2", "taken", "over", "from", run_id]
    assert graph[2] == ["parts", "success", *parts]
    assert graph[3] == ["++"]
    assert graph[5][:2] == ["last", "failed"]
    data = pod.ok("task", "get", again["id"], "-o", "json").data
    assert data["steps"][0]["members"][0]["id"] == f"{run_id}~greet"
    assert {one["member"] for one in pod.ok("logs", again["id"], "-o", "json").data} <= {"last"}
    why = pod.ok("why", again["id"]).out
    assert f"It goes on from run {run_id}" in why


@pytest.mark.parametrize(
    ("wrong", "word"), [("{}~greet", "once more instead"), ("{}-gone", "no task")]
)
def test_what_is_no_failed_run_is_refused(pod: Any, run_id: str, wrong: str, word: str) -> None:
    done = pod.run("task", "retry", wrong.format(run_id), "--failed")
    assert done.code != 0
    assert word in done.err
