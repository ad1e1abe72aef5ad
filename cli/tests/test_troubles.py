"""What `status` and `doctor` say of a store that takes no writes, and of tasks that wait beside
room."""

import pytest

from dsched_cli.commands.status import _problems
from dsched_cli.diagnosis import _store
from dsched_cli.troubles import (
    SHOWN_FULL,
    busy_beside_room,
    nobody_can_run,
    refused_writes,
    waits_beside_room,
    waits_under_limits,
)

READY = {"oldest_ready": "2030-01-01T00:00:00.000Z", "by_home": {"ready": 7}}
CLUSTER = {
    "leader": {"pod": "a"},
    "counts": READY,
    "store_time": "2030-01-01T00:01:00.000Z",
    "store": {"writable": True, "reason": "", "words": ""},
}


def _worker(worker_id="w", **facts):
    return {"id": worker_id, "running": 0, "queued": 0, "capacity": 4, **facts}


def test_a_store_that_takes_no_writes_comes_first_and_in_its_own_words():
    refused = {"writable": False, "reason": "memory", "words": "OOM command not allowed"}
    cluster = CLUSTER | {"store": refused, "counts": {}}
    (problem,) = _problems(cluster, [_worker()])
    assert problem.endswith("OOM command not allowed")
    assert _store(cluster).state == "error"
    assert _store(CLUSTER).state == "ok"
    assert refused_writes({}) == ""  # a server of an earlier version does not say


def test_tasks_that_wait_while_a_worker_has_room_are_a_problem():
    (problem,) = _problems(CLUSTER, [_worker("idle"), _worker("full", running=4)])
    assert "7 ready tasks wait, the oldest for 60 s" in problem
    assert "(idle)" in problem


@pytest.mark.parametrize(
    "facts", [{"running": 4}, {"queued": 1}, {"silent": True}, {"draining": True}]
)
def test_where_no_worker_has_room_waiting_is_no_problem_of_its_own(facts):
    assert waits_beside_room(CLUSTER, [_worker(**facts)]) == ""


def test_a_short_wait_is_none():
    soon = CLUSTER | {"store_time": "2030-01-01T00:00:20.000Z"}
    assert waits_beside_room(soon, [_worker()]) == ""
    assert waits_beside_room(CLUSTER | {"counts": {}}, [_worker()]) == ""


def test_tasks_that_nobody_can_run_are_a_problem_for_each_reason():
    waits = [
        {
            "reason": "no worker has function etl.load\x1b[2J",
            "tasks": 3,
            "since": "2030-01-01T00:00:30.000Z",
        },
        {"reason": "no worker has executor grpc", "tasks": 1},
    ]
    cluster = CLUSTER | {"counts": {}, "unrunnable": waits}
    first, second = _problems(cluster, [_worker()])
    assert first.startswith("3 tasks wait for 30 s: no worker has function etl.load")
    assert "\x1b" not in first
    assert second == "1 task waits: no worker has executor grpc"
    assert nobody_can_run(CLUSTER) == []  # a server of an earlier version does not say


def _full(number, since="2030-01-01T00:00:20.000Z", tasks=9):
    return {"demands": f"pool={number}\x1b[2J", "tasks": tasks, "since": since}


def test_tasks_whose_workers_are_full_while_others_have_room_are_a_problem_for_each_demand():
    cluster = CLUSTER | {"counts": {}, "full": [_full("a"), _full("b", tasks=1)]}
    first, second = _problems(cluster, [_worker()])
    assert first.startswith("9 tasks wait for 40 s: all workers with pool=a")
    assert first.endswith("are full, though others have room")
    assert "\x1b" not in first
    assert second.startswith("1 task waits for 40 s: ")
    assert busy_beside_room(CLUSTER) == []  # a server of an earlier version does not say


def test_workers_that_have_been_full_for_a_moment_are_no_problem_and_many_demands_are_counted():
    soon = _full("a", since="2030-01-01T00:00:31.000Z")
    assert busy_beside_room(CLUSTER | {"full": [soon]}) == []
    many = busy_beside_room(CLUSTER | {"full": [_full(number) for number in range(SHOWN_FULL + 3)]})
    assert len(many) == SHOWN_FULL + 1
    assert many[-1] == "and 3 more such demands"


def _limit(name, since="2030-01-01T00:00:20.000Z", tasks=9, held=2, most=2):
    return {"limit": name, "tasks": tasks, "since": since, "held": held, "max_running": most}


def test_limits_whose_oldest_has_waited_longest_are_told_and_are_no_problem():
    limits = [
        _limit("crm\x1b[2J"),
        _limit("tenant:a", since="2030-01-01T00:00:00.000Z", tasks=1),
        _limit("paced", since="2030-01-01T00:00:25.000Z", most=None),
        _limit("stopped", since="2030-01-01T00:00:30.000Z", held=0, most=0),
        _limit("soon", since="2030-01-01T00:00:31.000Z"),
    ]
    cluster = CLUSTER | {"counts": {}, "limits": limits}
    first, second, third, last = waits_under_limits(cluster)
    assert first == "limit tenant:a: 1 task waits for 60 s; 2 of 2 places are held"
    assert second.endswith("9 tasks wait, the oldest for 40 s; 2 of 2 places are held")
    assert "\x1b" not in second
    assert third.endswith("; its rate lets no more begin")
    assert last.endswith("; it lets nothing begin (max_running is 0)")
    assert _problems(cluster, [_worker()]) == []
    assert waits_under_limits(CLUSTER) == []  # a server of an earlier version does not say
    (own,) = waits_under_limits(CLUSTER | {"limits": [_limit("~nightly")]})
    assert own.startswith("max_running of nightly: 9 tasks wait")
    many = [_limit(f"t{number}") for number in range(SHOWN_FULL + 3)]
    assert len(waits_under_limits(CLUSTER | {"limits": many})) == SHOWN_FULL
