"""How long a healed simulation may take: work over slots, and the longest chain of held tasks."""

from datetime import timedelta

import pytest

from dsched.model import Home, RetryPolicy, TaskSpec, TaskStatus
from dsched_testkit.memory.rows import TaskRow
from dsched_testkit.simulation.liveness import (
    LONGEST_RETRY_DELAY_S,
    SETTLE_S,
    STANDSTILL_S,
    Ends,
    rest_within_s,
)

WORK_S = 10.0
TRY_S = WORK_S + LONGEST_RETRY_DELAY_S
TRIES = 2  # without retries: one, and one whose worker is gone


def a_row(task_id, home=Home.READY, **fields):
    spec = TaskSpec(
        executor="fn",
        payload={"do": "work", "s": WORK_S},
        timeout=timedelta(seconds=20),
        retry=RetryPolicy(max_retries=0),
    )
    return TaskRow(id=task_id, spec=spec, scheduled_ms=1, home=home, **fields)


def chain_s(*rows):
    """What a bound allows for the longest chain, as if there were slots without end."""
    return rest_within_s(rows, slots=10**9, labelled_slots=10**9) - SETTLE_S


def test_an_idle_cluster_has_two_minutes():
    ended = a_row("c@1", None, status=TaskStatus.SUCCESS)
    assert rest_within_s([ended], slots=4, labelled_slots=4) == SETTLE_S


def test_work_is_shared_by_the_slots():
    rows = [a_row(f"t{n}") for n in range(8)]
    expected = SETTLE_S + 8 * TRIES * WORK_S / 4 + TRIES * TRY_S
    assert rest_within_s(rows, slots=4, labelled_slots=4) == pytest.approx(expected)


def test_each_held_task_of_a_config_waits_for_all_before_it():
    rows = [a_row("c@1", Home.LEASE), *[a_row(f"c@{n}", Home.HELD) for n in range(2, 14)]]
    assert chain_s(*rows) == pytest.approx(13 * TRIES * TRY_S, rel=1e-4)


def test_what_may_run_side_by_side_makes_no_chain():
    beside = [a_row(f"c@{n}", Home.LEASE) for n in range(1, 10)]
    others = [a_row(f"{name}@1", Home.HELD) for name in "defg"]
    assert chain_s(*beside) == pytest.approx(TRIES * TRY_S, rel=1e-4)
    assert chain_s(*others) == pytest.approx(TRIES * TRY_S, rel=1e-4)
    assert chain_s(*beside, *others) == pytest.approx(TRIES * TRY_S, rel=1e-4)


def test_a_task_that_somebody_triggered_is_in_no_chain_of_its_config():
    rows = [a_row("c@1", Home.LEASE), a_row("c@2", Home.HELD)]
    assert chain_s(*rows, a_row("c@manual-k1")) == pytest.approx(2 * TRIES * TRY_S, rel=1e-4)


def test_an_end_is_seen_although_another_task_was_born_in_its_place():
    ends = Ends(0.0)
    assert ends.see([a_row("run1~0")], 1.0) == 1
    ended = a_row("run1~0", None, status=TaskStatus.SUCCESS)
    assert ends.see([ended, a_row("run1~1")], STANDSTILL_S - 1) == 1
    assert not ends.stands_still(STANDSTILL_S)
    assert ends.see([ended, a_row("run1~1")], 2 * STANDSTILL_S - 2) == 1
    assert ends.stands_still(2 * STANDSTILL_S - 1)


def test_births_without_an_end_are_a_standstill():
    ends = Ends(0.0)
    for second in range(int(STANDSTILL_S)):
        assert ends.see([a_row(f"t{n}") for n in range(second + 1)], float(second)) == second + 1
    assert ends.stands_still(STANDSTILL_S)


def test_what_was_seen_to_end_and_is_removed_is_no_end():
    ends = Ends(0.0)
    ended = [a_row(f"t{n}", None, status=TaskStatus.SUCCESS) for n in range(3)]
    ends.see([*ended, a_row("u")], 1.0)
    ends.see([*ended[1:], a_row("u")], STANDSTILL_S)
    assert ends.stands_still(STANDSTILL_S + 1)
