"""The checker passes a good history and flags bad ones, each made by hand."""

import pytest

from dsched.contracts.steps import EventKind as Kind
from dsched.model import TaskSpec, TaskStatus
from dsched_testkit.checker import History
from dsched_testkit.memory import new_state
from dsched_testkit.memory.state import TaskRow

A, B = "1:t:a", "2:t:b"
LEADS_A = (Kind.LEADER, A, {"act": "acquired"})
LEADS_B = (Kind.LEADER, B, {"act": "acquired"})


def _fired(ms, by=A):
    return (Kind.FIRED, by, {"config": "c", "ms": ms, "task": f"c@{ms}", "late": 0})


def _skipped(first, last, count):
    item = {"config": "c", "first": first, "last": last, "count": count, "reason": "misfire"}
    return (Kind.SKIPPED, A, item)


def _claimed(attempt):
    return (Kind.CLAIMED, "w.i.0.1", {"task": "t", "attempt": attempt})


def _completed(attempt, status="success"):
    return (Kind.COMPLETED, "w", {"task": "t", "attempt": attempt, "status": status})


REAPED = (Kind.REAPED, A, {"task": "t", "status": "pending", "crashes": 1})
RELEASED = (Kind.RELEASED, "w", {"task": "t", "status": "pending", "reason": "released"})


def _history(*entries):
    state = new_state(wall=lambda: 1000)
    for kind, by, item in entries:
        state.append(kind, 1000, by, [item])
    return History(state)


GOOD = (LEADS_A, _fired(1), _claimed(1), REAPED, _claimed(2), RELEASED, _claimed(3), _completed(3))

BAD = {
    "I1": (LEADS_A, _fired(1), _fired(1)),
    "I3": (LEADS_A, LEADS_B, _fired(1, by=A)),
    "I3 epoch": (LEADS_B, LEADS_A),
    "I3 resigned": (LEADS_A, (Kind.LEADER, A, {"act": "resigned"}), _fired(1)),
    "I4 two at once": (LEADS_A, _claimed(1), _claimed(2)),
    "I4 none": (LEADS_A, _completed(1)),
    "I5": (LEADS_A, _claimed(2), _completed(1)),
    "I6": (LEADS_A, _claimed(1), _completed(1), RELEASED),
    "I6 twice": (LEADS_A, _claimed(1), _completed(1), _completed(1)),
    "I10": (LEADS_A, _claimed(1), _claimed(2), _completed(2)),
}


def test_a_good_history_has_no_problems():
    assert _history(*GOOD).problems() == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_flagged_by_its_invariant(name):
    invariant = name.partition(" ")[0]
    problems = _history(*BAD[name]).problems()
    assert any(problem.startswith(f"{invariant}:") for problem in problems), problems


def test_state_that_contradicts_itself_is_flagged():
    state = new_state(wall=lambda: 1000)
    state.tasks["t"] = TaskRow(id="t", spec=TaskSpec(executor="x"), scheduled_ms=0)
    assert any(problem.startswith("I8:") for problem in History(state).problems())


def test_tasks_that_are_gone_or_have_not_ended_are_lost():
    state = new_state(wall=lambda: 1000)
    spec = TaskSpec(executor="x")
    for task_id, status in (("done", TaskStatus.SUCCESS), ("waits", TaskStatus.PENDING)):
        state.tasks[task_id] = TaskRow(id=task_id, spec=spec, scheduled_ms=0, status=status)
    assert History(state).lost(["done"]) == []
    assert ["I7" in line for line in History(state).lost(["waits", "gone"])] == [True, True]


@pytest.mark.parametrize(
    "entries",
    [
        (_fired(1), _fired(2)),  # 3 is missing
        (_fired(1), _fired(2), _fired(3), _skipped(3, 3, 1)),  # 3 is accounted for twice
        (_fired(1), _fired(2), _fired(3), _fired(4)),  # 4 is not owed
        (_fired(1), _skipped(2, 3, 1)),  # the count is wrong
    ],
    ids=["missing", "twice", "not owed", "count"],
)
def test_instants_that_are_not_accounted_for_once_are_flagged(entries):
    assert _history(LEADS_A, *entries).unaccounted("c", [1, 2, 3]) != []


def test_instants_that_are_fired_or_skipped_are_accounted_for():
    assert _history(LEADS_A, _fired(1), _skipped(2, 3, 2)).unaccounted("c", [1, 2, 3]) == []
