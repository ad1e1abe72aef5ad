"""The transition table: every public status, every home, and nothing beyond them."""

import itertools

import pytest

from dsched.model import Home, IllegalTransitionError, TaskStatus, check_transition
from dsched.model.status import BIRTH, TERMINAL, TRANSITIONS

HOMES = {
    TaskStatus.PENDING: {Home.DELAYED, Home.READY, Home.QUEUE, Home.HELD, Home.OPEN},
    TaskStatus.RUNNING: {Home.LEASE, Home.OPEN},
    TaskStatus.RETRYING: {Home.DELAYED},
    TaskStatus.SUCCESS: {None},
    TaskStatus.FAILED: {None},
    TaskStatus.CANCELLED: {None},
}
EVERY_STATE = list(itertools.product(TaskStatus, [*Home, None]))


def test_the_public_statuses_are_six():
    assert {str(status) for status in TaskStatus} == {
        "pending", "running", "success", "failed", "retrying", "cancelled"
    }  # fmt: skip


def test_the_table_knows_exactly_the_homes_of_each_status():
    assert set(TRANSITIONS) == {(status, home) for status in HOMES for home in HOMES[status]}
    for after in TRANSITIONS.values():
        assert after <= set(TRANSITIONS)
    assert set(TRANSITIONS) >= BIRTH


def test_a_task_without_a_home_has_ended_and_changes_no_more():
    for (status, home), after in TRANSITIONS.items():
        assert status.terminal == (home is None) == (after == frozenset())
        assert status.terminal == (status in TERMINAL)


def test_every_state_can_be_reached_and_every_live_one_can_end():
    reached, frontier = set(BIRTH), list(BIRTH)
    while frontier:
        for after in TRANSITIONS[frontier.pop()] - reached:
            reached.add(after)
            frontier.append(after)
    assert reached == set(TRANSITIONS)
    for state, after in TRANSITIONS.items():
        if not state[0].terminal:
            assert (TaskStatus.CANCELLED, None) in after


def test_only_a_claim_from_a_queue_starts_a_run():
    running = (TaskStatus.RUNNING, Home.LEASE)
    assert [state for state, after in TRANSITIONS.items() if running in after] == [
        (TaskStatus.PENDING, Home.QUEUE)
    ]
    assert running not in BIRTH


@pytest.mark.parametrize("after", EVERY_STATE)
def test_the_check_allows_what_the_table_has_and_nothing_else(after):
    for before in [None, *EVERY_STATE]:
        allowed = after in (BIRTH if before is None else TRANSITIONS.get(before, ()))
        if allowed:
            check_transition("t", before, after)
        else:
            with pytest.raises(IllegalTransitionError, match="task t"):
                check_transition("t", before, after)
