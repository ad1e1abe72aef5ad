"""A run as people look at it."""

from dsched.model import MemberLine, MemberStep, Step, TaskStatus, When, Workflow
from dsched.planning.runs import StepState
from dsched.planning.runs.picture import LIVE, picture_of

BORN, ENDED, SKIPPED = MemberStep.BORN, MemberStep.ENDED, MemberStep.SKIPPED


def step(step_id: str, *needs: str, **more: object) -> Step:
    return Step(id=step_id, executor="x", needs=needs, **more)  # type: ignore[arg-type]


def line(what: MemberStep, name: str, at_ms: int, **more: object) -> MemberLine:
    return MemberLine(what=what, name=name, at_ms=at_ms, **more)  # type: ignore[arg-type]


FLOW = Workflow(
    steps=[
        step("tell", "parts", when="always"),
        step("parts", "load", shards=3, max_parallel=2),
        step("load"),
        step("undo", "load", when="failure"),
    ]
)
LINES = [
    line(BORN, "load", 10),
    line(ENDED, "load", 20, status=TaskStatus.SUCCESS, code="ok", attempts=2),
    line(SKIPPED, "undo", 21, status=TaskStatus.SUCCESS, reason="nothing failed"),
    line(BORN, "parts~0", 21),
    line(BORN, "parts~1", 22),
    line(ENDED, "parts~1", 30, status=TaskStatus.FAILED, code="boom", attempts=1),
]


def test_steps_come_by_level_with_what_became_of_each() -> None:
    load, parts, undo, tell = picture_of(FLOW, LINES, executor="workflow")
    assert [(one.id, one.level) for one in (load, parts, undo, tell)] == [
        ("load", 0),
        ("parts", 1),
        ("undo", 1),
        ("tell", 2),
    ]
    assert (load.state, load.started_ms, load.ended_ms) == (StepState.SUCCESS, 10, 20)
    assert (load.members[0].attempts, load.members[0].code) == (2, "ok")
    assert (parts.state, parts.total, parts.born, parts.ended, parts.failed) == (
        StepState.RUNNING,
        3,
        2,
        1,
        1,
    )
    assert [(one.index, one.state, one.ended_ms) for one in parts.members] == [
        (0, LIVE, None),
        (1, "failed", 30),
    ]
    assert (parts.ended_ms, parts.needs) == (None, ("load",))
    assert (undo.state, undo.reason, undo.members) == (StepState.SKIPPED, "nothing failed", ())
    assert (tell.state, tell.when, tell.started_ms) == (StepState.WAITING, When.ALWAYS, None)


def test_shards_without_steps_are_one_step_without_an_id() -> None:
    (only,) = picture_of(Workflow(shards=2), [line(BORN, "1", 5)], executor="http")
    assert (only.id, only.executor, only.total, only.state) == ("", "http", 2, StepState.RUNNING)
    assert [(one.name, one.index) for one in only.members] == [("1", 1)]


def test_a_line_that_is_written_twice_counts_once() -> None:
    again = [*LINES, line(ENDED, "load", 99, status=TaskStatus.FAILED, code="late")]
    assert picture_of(FLOW, again, executor="x") == picture_of(FLOW, LINES, executor="x")
