"""What the command says of workers that are not heard of."""

from typing import Any

import pytest

from dsched_cli.columns import worker_state
from dsched_cli.commands.status import _problems
from dsched_cli.diagnosis import _workers

CLUSTER = {"leader": {"pod": "a"}}


def _worker(worker_id: str = "w", **facts: Any) -> dict[str, Any]:
    return {"id": worker_id, "status": "idle", "running": 0, "queued": 0, "capacity": 4, **facts}


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "idle"),
        ({"silent": True}, "silent"),
        ({"silent": True, "gone": True}, "lost"),
        ({"status": "draining"}, "draining"),
    ],
)
def test_a_worker_that_is_not_heard_of_is_not_idle(facts, state):
    assert worker_state(_worker(**facts)) == state


def test_a_silent_worker_is_a_problem_and_no_worker_to_count_on():
    living, silent = _worker("living"), _worker("dead", silent=True)
    (problem,) = _problems(CLUSTER, [living, silent])
    assert problem.startswith("workers that are not heard of: dead;")
    assert "there is no worker: nothing runs" in _problems(CLUSTER, [silent])
    assert _problems(CLUSTER, [living]) == []


def test_one_that_is_gone_is_a_problem_only_while_something_is_left_of_it():
    gone = {"silent": True, "gone": True}
    assert _problems(CLUSTER, [_worker("a"), _worker("b", **gone)]) == []
    for left in ({"running": 1}, {"queued": 2}):
        (problem,) = _problems(CLUSTER, [_worker("a"), _worker("b", **gone, **left)])
        assert "b;" in problem


def test_doctor_names_workers_that_are_not_heard_of():
    finding = _workers([_worker("a"), _worker("b", silent=True)])
    assert (finding.state, finding.detail) == ("warning", "stalled or not heard of: b")
    assert _workers([_worker("b", silent=True)]).state == "error"
