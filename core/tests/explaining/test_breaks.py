"""What a break of the store's history means for an instant or a task."""

import attrs
import pytest

from dsched.contracts.store.history import Break, Loss
from dsched.explaining.breaks import told_of_instant, told_of_task, told_of_unknown
from dsched.model import Task, TaskStatus

BREAK = Break(generation=1, at_ms=2000, from_ms=1000, loss=Loss.RESTORED, lost="i", by="pod-a")
ALL_GONE = attrs.evolve(BREAK, from_ms=None, loss=Loss.REPLACED)


@pytest.mark.parametrize(
    ("at_ms", "decided_ms", "told"),
    [
        (500, None, False),
        (1000, None, False),  # what is written at that instant is kept
        (1001, None, True),
        (2000, None, True),
        (2001, None, False),
        (500, 900, False),
        (900, 1500, True),  # due before, and decided on after: perhaps for the second time
        (900, 2500, True),
        (2500, 2600, False),
    ],
)
def test_an_instant_is_told_of_a_break_that_may_have_fired_it_twice(at_ms, decided_ms, told):
    assert bool(told_of_instant([BREAK], at_ms, decided_ms)) is told


def task(scheduled_ms, end_ms):
    status = TaskStatus.PENDING if end_ms is None else TaskStatus.SUCCESS
    return Task(id="t", status=status, home=None, scheduled_ms=scheduled_ms, end_ms=end_ms)


@pytest.mark.parametrize(
    ("scheduled_ms", "end_ms", "told"),
    [
        (500, 1000, False),
        (500, 1001, True),
        (1500, None, True),
        (2001, None, False),
        (500, None, True),
    ],
)
def test_a_task_is_told_of_a_break_that_it_lived_in(scheduled_ms, end_ms, told):
    assert bool(told_of_task([BREAK], task(scheduled_ms, end_ms), 3000)) is told


def test_where_nothing_is_left_all_of_before_is_told_of():
    (said,) = told_of_instant([ALL_GONE], 5, None)
    assert "what happened before" in said
    assert "emptied" in said
    assert "noticed by pod-a" in said


def test_of_what_is_unknown_the_newest_break_is_told_and_nothing_without_one():
    assert told_of_unknown([]) == ""
    newest = attrs.evolve(BREAK, generation=2, by="pod-b", why="a test")
    assert "pod-b: a test" in told_of_unknown([newest, BREAK])
