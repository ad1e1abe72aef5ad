"""The checks of whole runs flag bad histories, each made by hand, and pass good ones."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from dsched.contracts.steps import EventKind as Kind
from dsched.engine.projecting import project
from dsched.model import (
    Overlap,
    RetryPolicy,
    TaskConfig,
    TaskResult,
    TaskSpec,
    Verdict,
    from_ms,
)
from dsched.planning.compile import config_instants
from dsched_testkit.checker import History
from dsched_testkit.memory import new_state
from dsched_testkit.memory.state import TaskRow
from dsched_testkit.simulation.facts import facts_problems
from dsched_testkit.simulation.instants import owed

LEADS = "1:t:a"
ENDED = {"status": "success", "attempt": 1, "code": "ok"}
RETRY = RetryPolicy(max_retries=1, retry_delay=timedelta(seconds=2), jitter=0.25)
ONCE = TaskSpec(executor="fn", retry=RetryPolicy(max_retries=0), on_crash="fail")


def _fired(ms, **more):
    return (Kind.FIRED, LEADS, {"config": "c", "ms": ms, "task": f"c@{ms}", "late": 0, **more})


def _claimed(task, attempt=1):
    return (Kind.CLAIMED, "w.i.0.1", {"task": task, "attempt": attempt})


def _ended(task):
    return (Kind.COMPLETED, "w", {"task": task, **ENDED})


def _retrying(delay):
    return (Kind.COMPLETED, "w", {"task": "t", "status": "retrying", "attempt": 1, "delay": delay})


def _asked(task="t"):
    return (Kind.CANCEL_REQUESTED, "client", {"task": task, "reason": "why"})


def _cancelled(task, reason="superseded"):
    return (Kind.CANCELLED, LEADS, {"task": task, "status": "cancelled", "reason": reason})


def _skipped(first, last):
    item = {"config": "c", "first": first, "last": last, "count": 1, "reason": "misfire"}
    return (Kind.SKIPPED, LEADS, item)


def _history(*entries, spec=None, result=None):
    state = new_state(wall=lambda: 1000)
    for kind, by, item in entries:
        state.append(kind, 1000, by, [item])
    if spec is not None:
        state.tasks["t"] = TaskRow(id="t", spec=spec, scheduled_ms=1, result=result)
    return History(state)


@pytest.mark.parametrize(
    ("policy", "entries", "good"),
    [
        ("skip", [_fired(1), _ended("c@1"), _fired(2)], True),
        ("skip", [_fired(1), _fired(2)], False),
        ("skip", [_fired(1), _fired(2, held=True)], False),
        ("queue_one", [_fired(1), _fired(2, held=True), _ended("c@1"), _claimed("c@2")], True),
        ("queue_one", [_fired(1), _fired(2, held=True), _fired(3, held=True)], False),
        ("queue_one", [_fired(1), _fired(2, held=True), _claimed("c@2")], False),
        ("queue_one", [_fired(1), _fired(2)], False),
        ("cancel_previous", [_fired(1), _fired(2), _cancelled("c@1")], True),
        ("cancel_previous", [_fired(1), _fired(2), _cancelled("c@1", "asked")], False),
        ("cancel_previous", [_fired(1), _fired(2)], False),
        ("allow", [_fired(1), _fired(2)], True),
    ],
)
def test_overlap_is_checked_by_its_policy(policy, entries, good):
    found = _history(*entries).overlaps("c", Overlap(policy))
    assert (found == []) is good
    assert all(line.startswith("I18") for line in found)


def test_a_fixed_delay_fires_only_after_its_task_has_ended():
    assert _history(_fired(1), _ended("c@1"), _fired(2)).one_at_a_time("c") == []
    assert _history(_fired(1), _fired(2)).one_at_a_time("c") != []


def test_a_cancel_that_was_requested_wins():
    good = (Kind.RELEASED, "w", {"task": "t", "status": "cancelled", "reason": "why"})
    assert _history(_claimed("t"), _asked(), good).cancels_win() == []
    assert _history(_claimed("t"), _asked(), _ended("t")).cancels_win() != []
    assert _history(_claimed("t"), _asked(), _claimed("t", 2)).cancels_win() != []


def test_an_at_most_once_task_is_claimed_once():
    assert _history(_claimed("t"), spec=ONCE).at_most_once() == []
    assert _history(_claimed("t"), _claimed("t", 2), spec=ONCE).at_most_once() != []


@pytest.mark.parametrize(
    ("delay", "good"), [(2000, True), (2500, True), (1999, False), (2502, False)]
)
def test_the_delay_before_a_retry_lies_within_its_policy(delay, good):
    spec = TaskSpec(executor="fn", retry=RETRY)
    assert (_history(_retrying(delay), spec=spec).retry_delays() == []) is good


def test_more_retries_than_allowed_are_found():
    spec = TaskSpec(executor="fn", retry=RETRY)
    assert "2 times" in _history(_retrying(2000), _retrying(4000), spec=spec).retry_delays()[0]


def test_another_result_than_the_accepted_one_is_found():
    spec, mine = TaskSpec(executor="fn"), TaskResult(data=1)
    assert _history(spec=spec, result=mine).results_kept({"t": mine}) == []
    assert _history(spec=spec, result=mine).results_kept({"t": TaskResult(data=2)}) != []


def test_a_success_that_no_executor_began_or_of_another_attempt_is_found():
    spec = TaskSpec(executor="fn")
    result = TaskResult(data={"task": "t", "attempt": 1})
    stale = TaskResult(data={"task": "t", "attempt": 0})
    assert _history(_ended("t"), spec=spec, result=result).ran({("t", 1)}) == []
    assert _history(_ended("t"), spec=spec, result=result).ran(set()) != []
    assert _history(_ended("t"), spec=spec, result=stale).ran({("t", 1)}) != []


def test_a_step_back_of_the_clock_that_is_not_counted_is_found():
    back = (Kind.CLOCK_BACK, "store", {"back": 5000, "gen": 1})
    assert _history().clock_events() == []
    assert _history(back).clock_events() != []


PUT = (0, "c", "put", True)


@pytest.mark.parametrize(
    ("acts", "good"),
    [
        ([PUT], True),
        ([], False),
        ([PUT, (0, "c", "deleted", False)], False),
        ([PUT, (0, "c", "paused", True)], False),
        ([PUT, (0, "c", "paused", True), (0, "c", "resumed", True)], True),
        ([PUT, (0, "c", "put", False)], False),
        ([PUT, (5, "c", "deleted", False)], True),
    ],
)
def test_a_config_that_is_gone_paused_or_disabled_does_not_fire(acts, good):
    assert (_history(_fired(1)).fires_are_of_the_config(acts) == []) is good


def test_a_fire_before_its_instant_is_found():
    assert "early" in _history(_fired(1001)).fires_are_of_the_config([PUT])[0]


def test_where_the_clock_went_back_each_instant_has_at_least_one_account():
    history = _history(_fired(1), _skipped(2, 3), _skipped(3, 3))
    assert history.covered("c", [1, 2, 3], [1, 2, 3]) == []
    assert history.covered("c", [1, 2, 3, 4], [1, 2, 3, 4]) != []
    assert history.covered("c", [2], [2]) != []


@pytest.mark.parametrize(
    "trigger",
    [
        {"every": timedelta(milliseconds=7777)},
        {"every": timedelta(seconds=30), "start_at": from_ms(1_800_000_015_000)},
        {"cron_expr": "*/7 * * * * *"},
        {"cron_expr": "3,17,59 * * * * *", "end_at": from_ms(1_800_000_200_000)},
        {"cron_expr": "5 */2 * * * *"},
        {"at": datetime(2027, 1, 15, 8, 1, tzinfo=UTC)},
    ],
)
def test_the_enumerator_finds_what_the_planner_finds_by_other_means(trigger):
    config = TaskConfig(id="c", executor="fn", created_ms=1_800_000_001_234, **trigger)
    after_ms, upto_ms = config.created_ms, config.created_ms + 400_000
    found, at_ms = [], config_instants(config).next_after(after_ms)
    while at_ms is not None and at_ms <= upto_ms:
        found.append(at_ms)
        at_ms = config_instants(config).next_after(at_ms)
    assert owed(config, after_ms, upto_ms) == found
    assert found


def test_the_enumerator_refuses_a_cron_that_it_does_not_know():
    config = TaskConfig(id="c", executor="fn", cron_expr="0 0 12 * * 1")
    with pytest.raises(ValueError, match="does not know"):
        owed(config, 0, 1000)


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
