"""Steps with a list: counted when what they need has ended, then born item by item."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import MemberLine, MemberStep, Resumption, Step, TaskStatus, Workflow, member_name
from dsched.planning.runs import Moment, NextMove, RunProgress, StepState, decide, resumption
from dsched.planning.runs.picture import picture_of, unknown_lists

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
BORN, ENDED, SKIPPED = MemberStep.BORN, MemberStep.ENDED, MemberStep.SKIPPED


def step(step_id: str, *needs: str, **more: object) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)  # type: ignore[arg-type]


def flow(*steps: Step, **more: object) -> Workflow:
    return Workflow(steps=steps, **more)  # type: ignore[arg-type]


class Play:
    """A run whose lists have the lengths ``lists``, a text: why there is none. With ``forgets``
    each decision is of a new leader, that knows the log alone."""

    def __init__(
        self,
        of: Workflow,
        resumes: Resumption | None = None,
        *,
        forgets: bool = False,
        **lists: int | str,
    ) -> None:
        self.flow, self.resumes, self.lists, self.forgets = of, resumes, lists, forgets
        self.lines: list[MemberLine] = []
        self.progress = RunProgress(of, resumes)
        self.cancelled: str | None = None
        self.asked: list[str] = []
        self.move = self.advance()

    def advance(self) -> NextMove:
        while True:
            if self.forgets:
                self.progress = RunProgress(self.flow, self.resumes)
                self.progress.take(self.lines)
            self.move = self._decided()
            lines = [
                MemberLine(
                    what=SKIPPED, name=one.step, at_ms=5, status=one.status, reason=one.reason
                )
                for one in self.move.skips
            ]
            lines += [
                MemberLine(what=BORN, name=member_name(*one), at_ms=5) for one in self.move.births
            ]
            self._tell(lines)
            if self.move.end is not None or not lines:
                return self.move

    def _decided(self) -> NextMove:
        while True:
            move = decide(
                self.flow,
                self.progress,
                Moment(now_ms=2, started_ms=1, cancelled=self.cancelled),
            )
            if not move.counts:
                return move
            assert move == NextMove(counts=move.counts), "nothing else is decided before"
            self.asked += move.counts
            for name in move.counts:
                length = self.lists[name]
                if isinstance(length, str):
                    self.progress.refuse(name, length)
                else:
                    self.progress.count(name, length)

    def _tell(self, lines: Sequence[MemberLine]) -> None:
        self.lines += lines
        self.progress.take(lines)

    @property
    def living(self) -> list[str]:
        return sorted(self.progress.living)

    @property
    def born(self) -> list[str]:
        return [one.name for one in self.lines if one.what is BORN]

    def end(self, *names: str, status: TaskStatus = SUCCESS) -> NextMove:
        for name in names:
            self._tell([MemberLine(what=ENDED, name=name, at_ms=9, status=status)])
        return self.advance()

    def state(self, step_id: str) -> StepState:
        return self.progress.steps[step_id].state

    def skipped(self, step_id: str) -> str:
        line = self.progress.steps[step_id].skipped
        return "" if line is None else line.reason


@pytest.fixture(params=[False, True], ids=["one leader", "always a new one"])
def forgets(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


EACH = flow(
    step("a"), step("each", "a", for_each="${needs.a.data}", max_parallel=2), step("z", "each")
)


def test_a_list_is_counted_when_what_it_needs_has_ended_and_born_so_many_at_a_time(
    forgets: bool,
) -> None:
    play = Play(EACH, forgets=forgets, each=3)
    assert (play.asked, play.living) == ([], ["a"])
    play.end("a")
    assert play.living == ["each~0", "each~1"]
    play.end("each~1")
    assert play.living == ["each~0", "each~2"]
    play.end("each~0", "each~2")
    assert play.living == ["z"]
    assert play.end("z").end is not None
    assert play.move.end is not None
    assert play.move.end.status is SUCCESS


def test_one_leader_counts_a_list_once() -> None:
    play = Play(EACH, each=3)
    play.end("a")
    play.end("each~0")
    play.end("each~1", "each~2")
    assert play.asked == ["each"]


def test_an_empty_list_is_success_and_what_needs_it_runs(forgets: bool) -> None:
    play = Play(EACH, forgets=forgets, each=0)
    play.end("a")
    assert (play.state("each"), play.skipped("each")) == (StepState.SUCCESS, "no items")
    assert play.living == ["z"]
    end = play.end("z").end
    assert end is not None
    assert end.status is SUCCESS


def test_no_list_fails_the_step_with_its_reason_and_with_it_the_run(forgets: bool) -> None:
    play = Play(EACH, forgets=forgets, each="it is a dict" + 1000 * "!")
    end = play.end("a").end
    assert end is not None
    assert (end.status, end.reason) == (FAILED, "each failed")
    assert play.state("each") is StepState.FAILED
    assert play.skipped("each").startswith("template: it is a dict")
    assert len(play.skipped("each")) == 300
    assert (play.state("z"), play.skipped("z")) == (StepState.SKIPPED, "each failed")


def test_no_list_may_be_allowed_and_runs_a_rollback_where_it_is_not() -> None:
    of = flow(
        step("each", for_each="${params.x}"), step("undo", "each", when="failure"), params=LIST
    )
    play = Play(of, each="none")
    assert play.living == ["undo"]
    of = flow(
        step("each", for_each="${params.x}", allow_failure=True), step("z", "each"), params=LIST
    )
    play = Play(of, each="none")
    assert play.living == ["z"]
    end = play.end("z").end
    assert end is not None
    assert end.status is SUCCESS


LIST = {"x": {"type": "list", "default": []}}


def test_no_list_is_a_failure_that_fails_fast_at_once() -> None:
    of = flow(
        step("other"),
        step("after", "other"),
        step("each", for_each="${params.x}"),
        fail_fast=True,
        params=LIST,
    )
    play = Play(of, each="none")
    first = play.lines[0]
    assert (first.what, first.name) == (SKIPPED, "each")
    assert play.skipped("after") == "fail_fast"
    assert play.born == []


def test_after_a_cancel_a_list_that_was_begun_is_counted_and_others_are_not(forgets: bool) -> None:
    of = flow(
        step("each", for_each="${params.x}", max_parallel=1),
        step("done", for_each="${params.x}"),
        step("later", "each", for_each="${params.x}"),
        params=LIST,
    )
    play = Play(of, forgets=forgets, each=2, done=1)
    play.end("done~0")
    play.cancelled = "enough"
    assert play.end().cancels == ("each~0",)
    end = play.end("each~0", status=CANCELLED).end
    assert end is not None
    assert end.status is CANCELLED
    assert play.skipped("each") == play.skipped("later") == "cancelled"
    assert (play.state("done"), play.skipped("done")) == (StepState.SUCCESS, "")


def test_a_list_that_was_begun_and_is_gone_ends_with_what_was_born() -> None:
    play = Play(EACH, forgets=True, each=3)
    play.end("a")
    play.lists["each"] = "the result is gone"
    play.end("each~0")
    assert play.living == ["each~1"]
    end = play.end("each~1").end
    assert end is not None
    assert (end.status, play.skipped("each")) == (FAILED, "template: the result is gone")


def test_the_room_of_a_run_is_what_other_steps_leave() -> None:
    of = flow(step("a", shards=900), step("b", for_each="${params.x}"), step("c"), params=LIST)
    progress = RunProgress(of)
    assert progress.room("b") == 2000 - 901
    progress.count("b", 800)
    assert progress.room("c") == 2000 - 1700


def test_a_picture_has_the_length_of_a_list_where_a_member_says_it() -> None:
    play = Play(EACH, each=3)
    lines: list[MemberLine] = []
    assert unknown_lists(EACH, lines, "r", None) == {}
    play.end("a")
    assert unknown_lists(EACH, play.lines, "r", None) == {"each": "r~each~0"}
    _, each, z = picture_of(EACH, play.lines, executor="x", items={"each": 3})
    assert (each.state, each.total, each.born) == (StepState.RUNNING, 3, 2)
    assert (z.state, z.total) == (StepState.WAITING, 1)
    _, each, _ = picture_of(EACH, play.lines, executor="x")
    assert (each.state, each.total) == (StepState.RUNNING, 2)


def test_a_run_that_goes_on_bears_the_items_that_failed_and_those_that_were_not_born(
    forgets: bool,
) -> None:
    play = Play(EACH, each=5)
    play.end("a")
    play.end("each~0")
    play.end("each~1", status=FAILED)
    play.cancelled = "enough"
    play.end("each~2")
    assert play.end("each~3", status=CANCELLED).end is not None
    assert play.born == ["a", "each~0", "each~1", "each~2", "each~3"]
    resumes = resumption(EACH, play.lines, run_id="r", instant_ms=1, before=None)
    (a, each) = resumes.taken
    assert (a.indexes, each.indexes) == (None, (0, 2))
    again = Play(EACH, resumes, forgets=forgets, each=5)
    assert again.living == ["each~1", "each~3"]
    again.end("each~1", "each~3")
    assert again.living == ["each~4"]
    assert unknown_lists(EACH, again.lines, "q", resumes) == {"each": "r~each~0"}
    again.end("each~4")
    picture = picture_of(EACH, again.lines, executor="x", resumes=resumes, items={"each": 5})[1]
    assert (picture.total, picture.taken, picture.state) == (5, 2, StepState.SUCCESS)
    assert sorted(one.name for one in picture.members) == [f"each~{at}" for at in range(5)]
    assert again.end("z").end is not None
    # Of what went on, once more: each member is of the run in which it ran.
    third = resumption(EACH, again.lines[:-2], run_id="q", instant_ms=1, before=resumes)
    assert {(one.run_id, one.indexes) for one in third.taken if one.step == "each"} == {
        ("r", (0, 2)),
        ("q", (1, 3, 4)),
    }
    last = Play(EACH, third, forgets=forgets, each=5)
    assert (last.asked[:1], last.living) == (["each"], ["z"])


def test_what_comes_after_a_list_that_was_cut_short_is_not_taken_over() -> None:
    of = flow(
        step("each", for_each="${params.x}", max_parallel=1),
        step("tell", "each", when="always"),
        params=LIST,
    )
    play = Play(of, each=2)
    play.lists["each"] = "gone"
    play.progress.refuse("each", "gone")
    play.end("each~0")
    play.end("tell")
    resumes = resumption(of, play.lines, run_id="r", instant_ms=1, before=None)
    assert [(one.step, one.indexes) for one in resumes.taken] == [("each", (0,))]


def test_an_empty_list_is_decided_about_again_and_what_came_after_it_is_taken_over() -> None:
    of = flow(step("each", for_each="${params.x}"), step("z", "each"), step("y", "z"), params=LIST)
    play = Play(of, each=0)
    play.end("z")
    play.end("y", status=FAILED)
    resumes = resumption(of, play.lines, run_id="r", instant_ms=1, before=None)
    assert [one.step for one in resumes.taken] == ["z"]
    again = Play(of, resumes, each=0)
    assert (again.skipped("each"), again.living) == ("no items", ["y"])


# --- for any workflow with lists and any history ---


@st.composite
def workflows(draw: st.DrawFn) -> tuple[Workflow, dict[str, int | str]]:
    steps, lists = [], {}
    for at in range(draw(st.integers(1, 6))):
        needs = draw(st.sets(st.integers(0, at - 1), max_size=2)) if at else set()
        listed = draw(st.booleans())
        if listed:
            lists[f"s{at}"] = draw(st.integers(0, 4) | st.just("none"))
        steps.append(
            step(
                f"s{at}",
                *(f"s{one}" for one in sorted(needs)),
                for_each="${params.x}" if listed else None,
                max_parallel=draw(st.none() | st.integers(1, 2)) if listed else None,
                when=draw(st.sampled_from(["success", "failure", "always"]))
                if needs
                else "success",
                allow_failure=draw(st.booleans()),
            )
        )
    return flow(*steps, fail_fast=draw(st.booleans()), params=LIST), lists


def to_the_end(play: Play, order: random.Random) -> None:
    for _ in range(200):
        if play.move.end is not None:
            return
        assert play.living, "nobody lives, and the run does not end"
        play.end(order.choice(play.living), status=order.choice([SUCCESS, SUCCESS, FAILED]))
    raise AssertionError("the run does not end")


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(workflows(), st.integers(0, 10**9), st.booleans())
def test_every_run_with_lists_ends_with_each_item_accounted_for(
    of: tuple[Workflow, dict[str, int | str]], seed: int, forgets: bool
) -> None:
    made, lists = of
    play = Play(made, forgets=forgets, **lists)
    to_the_end(play, random.Random(seed))
    assert len(set(play.born)) == len(play.born)
    _all_accounted_for(play, set())
    resumes = resumption(made, play.lines, run_id="r", instant_ms=1, before=None)
    again = Play(made, resumes, forgets=forgets, **lists)
    to_the_end(again, random.Random(seed + 1))
    taken = {member_name(one.step, at) for one in resumes.taken for at in one.indexes or (None,)}
    assert not taken & set(again.born)
    _all_accounted_for(again, taken)


def _all_accounted_for(play: Play, taken: set[str]) -> None:
    for name, one in play.progress.steps.items():
        assert one.settled or not one.counted
        length = play.lists.get(name)
        if one.skipped is None and length is not None:
            there = {*play.born, *taken}
            assert isinstance(length, int)
            assert {f"{name}~{at}" for at in range(length)} <= there
