"""What a leader remembers of a run, and when it knows that the store has lost some of that."""

import attrs
import pytest

from dsched.engine.leader.runs import KnownRun
from dsched.model import MemberLine, MemberStep, TaskSpec, TaskStatus, Workflow
from dsched.planning.runs import RunProgress

FLOW = Workflow(shards=3)
BORN = [MemberLine(what=MemberStep.BORN, name=f"{n}", at_ms=10 + n) for n in range(3)]


def ended(shard: int, at_ms: int) -> MemberLine:
    return MemberLine(
        what=MemberStep.ENDED, name=f"{shard}", at_ms=at_ms, status=TaskStatus.SUCCESS
    )


LOG = [*BORN, ended(0, 20), ended(1, 30)]


@pytest.fixture
def known() -> KnownRun:
    return KnownRun(TaskSpec(executor="fn", workflow=FLOW), FLOW, RunProgress(FLOW))


def told(log: list[MemberLine], known: KnownRun) -> list[MemberLine]:
    """What a store with this log answers."""
    return log[known.asked_after :]


def test_lines_are_added_up_once_although_the_last_is_told_again(known):
    for length in (1, 3, 3, 4, 5):
        assert known.follows(told(LOG[:length], known))
        assert known.progress.version == length
    assert list(known.progress.living) == ["2"]


def test_what_the_leader_wrote_itself_is_not_taken_twice(known):
    assert known.follows(told(BORN[:1], known))
    known.progress.take(BORN[1:])
    known.own = [attrs.evolve(line, at_ms=0) for line in BORN[1:]]
    assert known.follows(told(LOG[:2], known)), "a page may end before them"
    assert known.follows(told(LOG, known))
    assert (known.progress.version, known.own) == (5, [])


@pytest.mark.parametrize(
    "log",
    [
        pytest.param([*BORN, ended(1, 30), ended(0, 40)], id="as many, of another member"),
        pytest.param([*BORN, ended(0, 40)], id="the same, at another time"),
        pytest.param([*BORN, ended(1, 30), ended(2, 40), ended(0, 50)], id="more than were known"),
        pytest.param(BORN, id="fewer"),
    ],
)
def test_lines_in_the_places_of_lost_ones_do_not_follow(known, log):
    assert known.follows(told(LOG[:4], known))
    assert not known.follows(told(log, known))


def test_lines_in_the_places_of_what_the_leader_wrote_do_not_follow(known):
    assert known.follows(told(BORN[:2], known))
    known.progress.take(BORN[2:])
    known.own = BORN[2:]
    assert not known.follows(told([*BORN[:2], ended(0, 20)], known))
