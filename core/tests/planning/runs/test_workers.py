"""Steps with a member for each worker: looked for when their turn has come, written down, born."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import (
    Member,
    MemberLine,
    MemberStep,
    Resumption,
    Step,
    TaskSpec,
    TaskStatus,
    Workflow,
    member_name,
    step_of_name,
)
from dsched.model.workflow import MAX_MEMBERS
from dsched.planning.runs import (
    Moment,
    NextMove,
    RunProgress,
    StepState,
    decide,
    member_spec,
    resumption,
)
from dsched.planning.runs.deciding import LOOK_EVERY_MS
from dsched.planning.runs.picture import picture_of
from dsched.planning.runs.progress import NO_WORKER, WORKER_LEFT, WORKER_LOST

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
BORN, ENDED, SKIPPED = MemberStep.BORN, MemberStep.ENDED, MemberStep.SKIPPED
WORKERS = MemberStep.WORKERS
NOW_MS = 5


def step(step_id: str, *needs: str, **more: object) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)  # type: ignore[arg-type]


def everywhere(step_id: str = "all", *needs: str, **more: object) -> Step:
    return step(step_id, *needs, shards="each_worker", **more)


def flow(*steps: Step, **more: object) -> Workflow:
    return Workflow(steps=steps, **more)  # type: ignore[arg-type]


class Play:
    """A run, and the workers that are ``there``. With ``forgets`` each decision is of a new leader,
    that knows the log alone."""

    def __init__(
        self,
        of: Workflow,
        there: Iterable[str] = (),
        resumes: Resumption | None = None,
        *,
        forgets: bool = False,
        begin: bool = True,
    ) -> None:
        self.flow, self.resumes, self.forgets = of, resumes, forgets
        self.there = list(there)
        self.lines: list[MemberLine] = []
        self.progress = RunProgress(of, resumes)
        self.begun: set[str] = set()
        self.looked: list[str] = []
        self.cancelled: dict[str, str] = {}
        self.cancel_of_run: str | None = None
        self.move = self.advance() if begin else NextMove()

    def advance(self) -> NextMove:
        """Do what is decided until nothing more is; the last decision."""
        while True:
            if self.forgets:
                self.progress = RunProgress(self.flow, self.resumes)
                self.progress.take(self.lines)
            self.move = self._decided()
            lines = [
                MemberLine(
                    what=SKIPPED, name=one.step, at_ms=NOW_MS, status=one.status, reason=one.reason
                )
                for one in self.move.skips
            ]
            lines += [
                MemberLine(what=WORKERS, name=one.step, at_ms=NOW_MS, workers=one.workers)
                for one in self.move.workers
            ]
            lines += [
                MemberLine(what=BORN, name=member_name(*one), at_ms=NOW_MS)
                for one in self.move.births
            ]
            new = [one for one in self.move.cancels if one not in self.cancelled]
            self.cancelled |= dict.fromkeys(new, self.move.cancel_reason)
            self._tell(lines)
            for name in new:
                if name not in self.begun:  # what has not begun ends at once
                    self._tell([self._end(name, CANCELLED)])
            if self.move.end is not None or not (lines or new):
                return self.move

    def _decided(self) -> NextMove:
        self.progress.look_anew()
        while True:
            pins = self.progress.pins()
            gone = [one for one, worker in pins.items() if worker not in self.there]
            moment = Moment(
                now_ms=NOW_MS,
                started_ms=NOW_MS,
                cancelled=self.cancel_of_run,
                left=tuple(one for one in gone if one not in self.begun),
                lost=tuple(one for one in gone if one in self.begun),
            )
            move = decide(self.flow, self.progress, moment)
            for step_id in move.counts:
                self.looked.append(step_id)
                if len(self.there) > self.progress.room(step_id):
                    self.progress.refuse(step_id, "too many")
                elif self.there:
                    self.progress.offer(step_id, tuple(self.there))
                else:
                    self.progress.nobody(step_id, "no worker")
            if not move.counts:
                return move

    def _end(self, name: str, status: TaskStatus) -> MemberLine:
        return MemberLine(what=ENDED, name=name, at_ms=NOW_MS, status=status)

    def _tell(self, lines: list[MemberLine]) -> None:
        self.lines += lines
        self.progress.take(lines)

    def end(self, name: str, status: TaskStatus = SUCCESS) -> NextMove:
        """A member ends, and what is decided then."""
        self._tell([self._end(name, status)])
        return self.advance()

    def leaves(self, worker: str) -> NextMove:
        """A worker is not there any more, and what is decided when that is seen."""
        self.there.remove(worker)
        return self.advance()

    @property
    def living(self) -> list[str]:
        return list(self.progress.living)

    def said(self, what: MemberStep) -> list[str]:
        return [one.name for one in self.lines if one.what is what]

    def state(self, step_id: str) -> StepState:
        return self.progress.steps[step_id].state


@pytest.mark.parametrize("forgets", [False, True])
def test_the_workers_are_written_down_before_a_member_is_born(forgets: bool) -> None:
    play = Play(flow(everywhere(), step("z", "all")), "ab", forgets=forgets)
    assert [(one.what, one.name) for one in play.lines] == [
        (WORKERS, "all"), (BORN, "all~0"), (BORN, "all~1"),
    ]  # fmt: skip
    play.there.append("c")
    play.end("all~0")
    assert play.living == ["all~1"], "who joins later has none"
    play.end("all~1")
    assert play.living == ["z"]
    assert play.end("z").end.status is SUCCESS  # type: ignore[union-attr]
    assert play.looked[0] == "all"


def test_who_is_there_is_looked_for_when_what_is_needed_has_ended() -> None:
    play = Play(flow(step("a"), everywhere("all", "a")), "xy")
    assert play.looked == []
    play.there = ["z"]
    play.end("a")
    (told,) = (one for one in play.lines if one.what is WORKERS)
    assert told.workers == ("z",)


def test_so_many_at_a_time() -> None:
    play = Play(flow(everywhere(max_parallel=2)), "abc")
    assert play.living == ["all~0", "all~1"]
    play.end("all~0")
    assert play.living == ["all~1", "all~2"]


def test_a_run_with_members_for_workers_looks_again_whether_these_are_there() -> None:
    play = Play(flow(everywhere(), step("z", "all")), "a")
    assert play.move.again_ms == NOW_MS + LOOK_EVERY_MS
    assert play.end("all~0").again_ms is None, "and not when none of them lives"
    soon = Play(flow(everywhere(), timeout="1s"), "a")
    assert soon.move.again_ms == NOW_MS + 1000


def test_where_nobody_is_there_the_step_succeeds_and_the_run_says_why() -> None:
    play = Play(flow(everywhere(), step("z", "all")))
    assert (play.living, play.state("all")) == (["z"], StepState.SUCCESS)
    end = play.end("z").end
    assert end is not None
    assert (end.status, end.reason) == (SUCCESS, f"{NO_WORKER}no worker")


def test_nobody_who_is_there_now_may_be_there_when_the_step_begins() -> None:
    play = Play(flow(step("a"), everywhere("all", "a")))
    play.there = ["x"]
    play.end("a")
    assert play.living == ["all~0"]


def test_a_member_that_never_began_is_let_off_when_its_worker_leaves() -> None:
    play = Play(flow(everywhere(), step("z", "all")), "ab")
    play.leaves("b")
    assert play.said(SKIPPED) == ["all~1"]
    assert play.cancelled == {"all~1": WORKER_LEFT}
    play.end("all~0")
    assert play.living == ["z"]
    assert play.end("z").end.status is SUCCESS  # type: ignore[union-attr]
    first, second = picture_of(play.flow, play.lines, executor="local")[0].members
    assert (first.worker, first.state, second.worker, second.state) == (
        "a", "success", "b", "skipped",
    )  # fmt: skip


def test_a_member_that_had_begun_is_given_up_when_its_worker_leaves_and_fails_the_step() -> None:
    play = Play(flow(everywhere(), step("z", "all")), "ab")
    play.begun.add("all~1")
    play.leaves("b")
    assert (play.said(SKIPPED), play.cancelled) == ([], {"all~1": WORKER_LOST})
    play.end("all~1", CANCELLED)
    end = play.end("all~0").end
    assert end is not None
    assert (end.status, end.reason) == (FAILED, "all failed")


def test_what_never_began_is_let_off_before_what_had_begun_is_given_up() -> None:
    play = Play(flow(everywhere()), "ab")
    play.begun.add("all~1")
    play.there.clear()
    play.advance()
    assert play.cancelled == {"all~0": WORKER_LEFT, "all~1": WORKER_LOST}
    assert play.said(SKIPPED) == ["all~0"]


def test_who_was_there_for_a_decision_that_was_not_done_is_looked_for_anew() -> None:
    play = Play(flow(everywhere()), begin=False)
    for stale in ("offer", "nobody"):
        play.there = ["b"]
        getattr(play.progress, stale)("all", ("a",) if stale == "offer" else "no worker")
    assert [one.workers for one in play._decided().workers] == [("b",)]


def test_what_was_let_off_and_ran_after_all_counts_by_how_it_ended() -> None:
    play = Play(flow(everywhere()), "ab")
    play.begun.add("all~1")  # its worker came back between the look and the decision
    line = MemberLine(what=SKIPPED, name="all~1", at_ms=NOW_MS, status=SUCCESS, reason=WORKER_LEFT)
    play._tell([line])
    play.end("all~0")
    assert play.end("all~1", FAILED).end.status is FAILED  # type: ignore[union-attr]


def test_fail_fast_cancels_the_others_and_lets_none_off() -> None:
    play = Play(flow(everywhere(), fail_fast=True), "abc")
    play.begun |= {"all~0", "all~1"}
    play.there.remove("c")
    play.end("all~0", FAILED)
    assert set(play.cancelled.values()) == {"fail_fast"}
    assert play.said(SKIPPED) == []


def test_a_run_that_is_cancelled_bears_nothing_more() -> None:
    play = Play(flow(step("a"), everywhere("all", "a")), "ab")
    play.cancel_of_run = "no more"
    play.advance()
    assert play.looked == []
    assert play.move.end is not None
    assert play.move.end.status is CANCELLED


def test_two_steps_share_the_room_of_a_run() -> None:
    many = [f"w{number}" for number in range(MAX_MEMBERS // 2 + 1)]
    play = Play(flow(everywhere("a"), everywhere("b")), many)
    assert len(play.living) == len(many)
    skipped = play.progress.steps["b"].skipped
    assert skipped is not None
    assert skipped.reason == "too many workers: too many"
    for name in play.living:
        play.end(name)
    assert play.move.end is not None
    assert play.move.end.status is FAILED


def test_more_workers_than_there_is_room_for_fail_the_step() -> None:
    play = Play(flow(step("a"), everywhere("all", "a")), "x" * MAX_MEMBERS)
    end = play.end("a").end
    assert end is not None
    assert (end.status, end.reason) == (FAILED, "all failed")


def test_a_member_demands_its_worker_beside_what_it_demanded() -> None:
    spec = TaskSpec(
        executor="local", payload="x", required_labels={"zone": "eu"},
        workflow=Workflow(shards="each_worker"),
    )  # fmt: skip
    own = member_spec(spec, "", 1, instant_ms=7, workers=("a", "b"))
    assert dict(own.required_labels) == {"zone": "eu", "dsched.worker": "b"}
    assert own.member == Member(step="", index=1, total=2, instant_ms=7, timezone="UTC")


def taken(play: Play) -> list[tuple[str, tuple[int, ...] | None]]:
    found = resumption(play.flow, play.lines, run_id="r", instant_ms=1, before=play.resumes)
    return [(one.step, one.indexes) for one in found.taken]


def test_a_step_of_which_one_failed_is_run_again_by_all() -> None:
    play = Play(flow(everywhere("a"), everywhere("b"), step("z", "a", "b")), "xy")
    for name in ("a~0", "a~1", "b~0"):
        play.end(name)
    play.end("b~1", FAILED)
    assert taken(play) == [("a", (0, 1))]
    found = resumption(play.flow, play.lines, run_id="r", instant_ms=1, before=None)
    again = Play(play.flow, "xyz", found)
    assert again.living == ["b~0", "b~1", "b~2"]


def test_what_was_let_off_is_no_reason_to_run_a_step_again() -> None:
    play = Play(flow(everywhere(), step("z", "all")), "ab")
    play.leaves("b")
    play.end("all~0")
    play.end("z", FAILED)
    assert taken(play) == [("all", (0, 1))]


def test_where_nobody_was_there_what_comes_after_it_is_run_again_with_it() -> None:
    play = Play(flow(everywhere(), step("y", "all"), step("z", "y")))
    play.end("y")
    play.end("z", FAILED)
    assert taken(play) == [], "now somebody may be there"
    found = resumption(play.flow, play.lines, run_id="r", instant_ms=1, before=None)
    assert Play(play.flow, "a", found).living == ["all~0"]


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    if draw(st.booleans()):
        return Workflow(shards="each_worker", max_parallel=draw(st.sampled_from([None, 1, 2])))
    steps = []
    for number in range(draw(st.integers(1, 5))):
        earlier = [one.id for one in steps]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        shards = draw(st.sampled_from([None, 2, "each_worker", "each_worker"]))
        steps.append(
            step(
                f"s{number}",
                *needs,
                when=draw(st.sampled_from(["success", "failure", "always"]))
                if needs
                else "success",
                allow_failure=draw(st.booleans()),
                shards=shards,
                max_parallel=draw(st.sampled_from([None, 1, 2])) if shards else None,
            )
        )
    return flow(*steps, fail_fast=draw(st.booleans()))


@given(workflows(), st.integers(0, 10**9), st.booleans())
@settings(max_examples=300, deadline=None)
def test_from_any_history_a_run_ends_and_its_workers_never_change(
    of: Workflow, seed: int, forgets: bool
) -> None:
    chance = random.Random(seed)
    play = Play(of, "abc"[: chance.randint(0, 3)], forgets=forgets, begin=False)
    while play.advance().end is None:
        dice = chance.random()
        living = [one for one in play.living if one not in play.begun]
        if play.there and dice < 0.2:
            play.there.remove(chance.choice(play.there))
        elif dice < 0.3:
            play.there.append(f"w{len(play.lines)}")
        elif living and dice < 0.6:
            play.begun.add(chance.choice(living))
        elif play.living:
            name = chance.choice(play.living)
            play.begun.add(name)
            given_up = name in play.cancelled
            play._tell([play._end(name, CANCELLED if given_up else chance.choice(list(ENDS)))])
    born = Counter(play.said(BORN))
    assert set(born.values()) <= {1}
    told = {one.name: one.workers for one in play.lines if one.what is WORKERS}
    assert len(told) == len(play.said(WORKERS))
    for name in born:
        step_id, index = step_of_name(name)
        if play.progress.steps[step_id].each_worker:
            assert index is not None
            assert index < len(told[step_id])
    assert not play.living
    for step_id, one in play.progress.steps.items():
        assert one.settled, step_id


ENDS = (SUCCESS, SUCCESS, FAILED)
