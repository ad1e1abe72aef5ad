"""The comparison of decisions and statistics with the log can fail, too."""

import attrs

from dsched.contracts.store.events import EventKind as Kind
from dsched.engine.leader.projecting import project
from dsched.model import Verdict
from dsched_testkit.judging.facts import facts_problems
from dsched_testkit.memory import new_state

LEADS = "1:t:a"


def _fired(ms, **more):
    return (Kind.FIRED, LEADS, {"config": "c", "ms": ms, "task": f"c@{ms}", "late": 0, **more})


def _claimed(task, attempt=1):
    return (Kind.CLAIMED, "w.i.0.1", {"task": task, "attempt": attempt})


def _cancelled(task, reason="superseded"):
    return (Kind.CANCELLED, LEADS, {"task": task, "status": "cancelled", "reason": reason})


def _collected(*entries):
    """A state whose collector has read these entries."""
    state = new_state(wall=lambda: 1000)
    for kind, by, item in entries:
        state.append(kind, 1000, by, [item])
    made = project("", state.log)
    state.collected = made.upto
    for decision in made.decisions:
        key = (decision.first_ms, decision.verdict.value, decision.reason)
        state.decisions[decision.config_id][key] = decision
    for rollup in made.rollups:
        state.stats[rollup.config_id, rollup.hour_ms] = (dict(rollup.adds), dict(rollup.tops))
    return state


def _dispatched(task, worker):
    return (Kind.DISPATCHED, LEADS, {"task": task, "worker": worker})


KEY = (5, "fired", "")
LIFE = [_fired(5), _dispatched("c@5", "w"), _claimed("c@5"), _cancelled("c@5", "expired")]


def _changed(**changes):
    state = _collected(*LIFE)
    state.decisions["c"][KEY] = attrs.evolve(state.decisions["c"][KEY], **changes)
    return state


def test_decisions_and_statistics_of_a_good_run_are_as_the_log_says():
    assert facts_problems(_collected(*LIFE)) == []


def test_a_fire_without_its_decision_or_with_another_worker_or_end_is_found():
    without = _collected(*LIFE)
    del without.decisions["c"][KEY]
    assert "has no decision" in facts_problems(without)[0]
    assert "went to w, its decision says x" in facts_problems(_changed(worker_id="x"))[0]
    assert "its decision says ''" in facts_problems(_changed(ended=""))[0]


def test_a_miss_of_what_was_fired_and_a_wrong_count_are_found():
    missed = _collected(*LIFE)
    decision = attrs.evolve(missed.decisions["c"][KEY], verdict=Verdict.MISSED)
    missed.decisions["c"][5, "missed", "leaderless"] = decision
    assert "still counts as missed" in facts_problems(missed)[0]
    counted = _collected(*LIFE)
    counted.stats["", 0][0]["runs"] = 7
    assert facts_problems(counted) == ["I22: the statistics say 7 runs, the log 1"]
