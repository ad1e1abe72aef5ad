"""What a run does next, by example and for random workflows with random histories."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import MemberLine, MemberStep, Step, TaskStatus, When, Workflow, member_name
from dsched.planning.runs import Moment, NextMove, RunProgress, StepState, decide

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
START_MS = 1_000_000


class Play:
    """A run that is played: what `decide` says is done at once, members end as they are told."""

    def __init__(self, flow: Workflow) -> None:
        self.flow = flow
        self.lines: list[MemberLine] = []
        self.progress = RunProgress(flow)
        self.cancelled: str | None = None
        self.expires_ms: int | None = None
        self.now_ms = START_MS
        self.living: list[str] = []
        self.ever_born: Counter[str] = Counter()
        self.ended_at: dict[str, int] = {}
        self.status: dict[str, TaskStatus] = {}
        self.move = NextMove()

    def moment(self) -> Moment:
        return Moment(
            now_ms=self.now_ms,
            started_ms=START_MS,
            cancelled=self.cancelled,
            expires_ms=self.expires_ms,
        )

    def tell(self, *lines: MemberLine) -> None:
        self.lines += lines
        self.progress.take(lines)

    def advance(self) -> NextMove:
        """Do what is decided until nothing more is; the last decision."""
        while True:
            self.now_ms += 1
            self.move = decide(self.flow, self.progress, self.moment())
            born = [member_name(step, at) for step, at in self.move.births]
            for name in born:
                self.ever_born[name] += 1
            self.living += born
            self.tell(
                *(
                    MemberLine(
                        what=MemberStep.SKIPPED,
                        name=skip.step,
                        at_ms=self.now_ms,
                        status=skip.status,
                        reason=skip.reason,
                    )
                    for skip in self.move.skips
                ),
                *(MemberLine(what=MemberStep.BORN, name=name, at_ms=self.now_ms) for name in born),
            )
            if self.move.end is not None or not (born or self.move.skips):
                return self.move

    def end(self, name: str, status: TaskStatus = SUCCESS) -> NextMove:
        """A member ends, and what is decided then."""
        self.now_ms += 1
        self.living.remove(name)
        self.status[name] = status
        self.ended_at[name] = len(self.lines)
        self.tell(MemberLine(what=MemberStep.ENDED, name=name, at_ms=self.now_ms, status=status))
        return self.advance()

    def state(self, step: str) -> StepState:
        return self.progress.steps[step].state


def step(step_id: str, *needs: str, **more: object) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)  # type: ignore[arg-type]


def flow(*steps: Step, **more: object) -> Workflow:
    return Workflow(steps=steps, **more)  # type: ignore[arg-type]


def nightly() -> Workflow:
    return flow(
        step("extract"),
        step("load", "extract"),
        step("report", "load", when="always"),
        step("rollback", "load", when="failure"),
    )


def played(of: Workflow) -> Play:
    play = Play(of)
    play.advance()
    return play


def test_a_step_is_born_when_what_it_needs_has_succeeded() -> None:
    play = played(nightly())
    assert play.living == ["extract"]
    play.end("extract")
    assert play.living == ["load"]
    play.end("load")
    assert play.living == ["report"]
    assert play.state("rollback") is StepState.SKIPPED
    assert play.end("report").end is not None
    assert play.move.end.status is SUCCESS


def test_a_rollback_runs_when_a_step_before_what_it_needs_failed() -> None:
    play = played(nightly())
    play.end("extract", FAILED)
    assert sorted(play.living) == ["report", "rollback"]
    assert play.progress.steps["load"].skipped.reason == "extract failed"
    play.end("report")
    end = play.end("rollback").end
    assert end is not None
    assert (end.status, end.reason) == (FAILED, "extract failed")


def test_a_step_that_was_not_needed_counts_as_success_for_those_after_it() -> None:
    play = played(flow(step("a"), step("mend", "a", when="failure"), step("z", "mend")))
    play.end("a")
    assert play.living == ["z"]


def test_a_failure_that_is_allowed_fails_neither_what_needs_it_nor_the_run() -> None:
    play = played(flow(step("a", allow_failure=True), step("b", "a")))
    play.end("a", FAILED)
    assert play.living == ["b"]
    assert play.end("b").end.status is SUCCESS


def test_a_member_that_was_cancelled_alone_counts_as_failed() -> None:
    play = played(flow(step("a"), step("b", "a")))
    assert play.end("a", CANCELLED).end.status is FAILED
    assert play.state("b") is StepState.SKIPPED


def test_shards_are_born_so_many_at_a_time_and_all_of_them_have_to_succeed() -> None:
    play = played(Workflow(shards=5, max_parallel=2))
    assert play.living == ["0", "1"]
    play.end("1")
    assert play.living == ["0", "2"]
    for name in ("0", "2", "3"):
        play.end(name)
    assert play.living == ["4"]
    assert play.end("4", FAILED).end.status is FAILED


def test_what_needs_a_step_of_shards_waits_for_all_of_them() -> None:
    play = played(flow(step("a", shards=3), step("b", "a")))
    assert play.living == ["a~0", "a~1", "a~2"]
    play.end("a~0")
    play.end("a~2")
    assert play.living == ["a~1"]
    play.end("a~1")
    assert play.living == ["b"]


def test_fail_fast_cancels_what_runs_and_skips_what_waits_but_lets_a_rollback_run() -> None:
    play = played(
        flow(
            step("a"),
            step("b"),
            step("c", "b"),
            step("undo", "a", "b", when="failure"),
            fail_fast=True,
        )
    )
    move = play.end("a", FAILED)
    assert move.cancels == ("b",)
    assert play.state("c") is StepState.SKIPPED
    play.end("b", CANCELLED)
    assert play.living == ["undo"]
    assert play.move.cancels == ()
    assert play.end("undo").end.status is FAILED


def test_after_a_cancel_nothing_is_born_and_the_run_ends_after_its_last_member() -> None:
    play = played(nightly())
    play.cancelled = "by ann"
    move = play.advance()
    assert (move.births, move.cancels, move.end) == ((), ("extract",), None)
    end = play.end("extract", CANCELLED).end
    assert (end.status, end.reason) == (CANCELLED, "by ann")
    assert play.progress.steps["report"].skipped.reason == "cancelled"


def test_after_its_timeout_a_run_is_stopped_always_included() -> None:
    play = played(flow(step("a"), step("b", "a", when="always"), timeout="10s"))
    assert play.move.again_ms == START_MS + 10_000
    play.now_ms = START_MS + 10_000
    move = play.advance()
    assert move.cancels == ("a",)
    assert move.end is None
    end = play.end("a", CANCELLED).end
    assert (end.status, end.reason) == (FAILED, "timeout")
    assert play.progress.steps["b"].skipped.reason == "timeout"


def test_a_run_whose_members_all_ended_in_time_is_not_late_because_nobody_led() -> None:
    play = Play(flow(step("a"), timeout="10s"))
    play.advance()
    play.tell(MemberLine(what=MemberStep.ENDED, name="a", at_ms=START_MS + 9_000, status=SUCCESS))
    play.now_ms = START_MS + 60_000
    assert play.advance().end.status is SUCCESS


def test_a_run_that_comes_after_its_start_deadline_does_not_start() -> None:
    late = Moment(now_ms=START_MS + 2, started_ms=START_MS, expires_ms=START_MS + 1)
    move = decide(nightly(), RunProgress(nightly()), late)
    assert move.births == ()
    assert (move.end.status, move.end.reason) == (CANCELLED, "expired")
    assert {skip.step for skip in move.skips} == {"extract", "load", "report", "rollback"}


def test_a_run_that_has_begun_in_time_goes_on_after_its_start_deadline() -> None:
    play = played(nightly())
    play.expires_ms = START_MS + 100
    play.now_ms = START_MS + 1000
    play.end("extract")
    assert play.living == ["load"]
    play.end("load")
    assert play.end("report").end.status is SUCCESS


def test_a_line_that_is_there_twice_counts_once() -> None:
    progress = RunProgress(flow(step("a", shards=2)))
    line = MemberLine(what=MemberStep.ENDED, name="a~0", at_ms=1, status=FAILED)
    progress.take([line, line])
    assert (progress.version, progress.steps["a"].ended, progress.steps["a"].failed) == (2, 1, 1)


# --- for any workflow and any history ---


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    steps = []
    for at in range(draw(st.integers(1, 7))):
        needs = draw(st.sets(st.integers(0, at - 1), max_size=3)) if at else set()
        whens = list(When) if needs else [When.SUCCESS, When.ALWAYS]
        shards = draw(st.none() | st.integers(1, 4))
        steps.append(
            Step(
                id=f"s{at}",
                executor="local",
                needs=[f"s{one}" for one in sorted(needs)],
                when=draw(st.sampled_from(whens)),
                allow_failure=draw(st.booleans()),
                shards=shards,
                max_parallel=None if shards is None else draw(st.none() | st.integers(1, 3)),
            )
        )
    draw(st.randoms(use_true_random=False)).shuffle(steps)
    return Workflow(steps=steps, fail_fast=draw(st.booleans()))


def fates(of: Workflow, seed: int) -> dict[str, TaskStatus]:
    """How each member ends, whenever it does."""
    rng = random.Random(seed)
    names = [
        member_name(one.id, at)
        for one in of.steps
        for at in ([None] if one.shards is None else range(one.shards))
    ]
    return {name: rng.choice([SUCCESS, SUCCESS, SUCCESS, FAILED, CANCELLED]) for name in names}


def to_the_end(of: Workflow, fate: dict[str, TaskStatus], order: random.Random) -> Play:
    play = played(of)
    for _ in range(1000):
        if play.move.end is not None:
            return play
        assert play.living, "nobody lives, and the run does not end"
        for name in play.move.cancels:
            if name in play.living and order.random() < 0.5:
                fate = {**fate, name: CANCELLED}
        play.end(order.choice(play.living), fate[order.choice(play.living)])
    raise AssertionError("the run does not end")


def _check_needs(play: Play) -> None:
    by_id = {one.id: one for one in play.flow.steps}
    for at, line in enumerate(play.lines):
        if line.what is not MemberStep.BORN:
            continue
        before = RunProgress(play.flow)
        before.take(play.lines[:at])
        one = by_id[line.name.partition("~")[0]]
        needs = [before.steps[name] for name in one.needs]
        assert all(need.settled for need in needs), f"{line.name} was born before what it needs"
        failed = any(need.counts_as_failed for need in needs)
        assert one.when is not When.SUCCESS or not failed
        assert one.when is not When.FAILURE or failed


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(workflows(), st.integers(0, 10**9))
def test_every_run_ends_with_each_step_accounted_for_and_none_born_twice_or_too_soon(
    of: Workflow, seed: int
) -> None:
    play = to_the_end(of, fates(of, seed), random.Random(seed))
    assert not play.living
    assert max(play.ever_born.values(), default=0) <= 1
    for one in play.progress.steps.values():
        assert one.settled
        assert one.skipped is not None or one.ended == one.members
    _check_needs(play)


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(workflows(), st.integers(0, 10**9))
def test_without_fail_fast_the_order_of_ends_does_not_change_the_outcome(
    of: Workflow, seed: int
) -> None:
    of = Workflow(steps=of.steps)
    fate = fates(of, seed)

    def outcome(order: int) -> object:
        rng = random.Random(order)
        play = played(of)
        while play.move.end is None:
            name = rng.choice(play.living)
            play.end(name, fate[name])
        states = {step_id: one.state for step_id, one in play.progress.steps.items()}
        return play.move.end.status, states, set(play.ever_born)

    assert outcome(seed + 1) == outcome(seed + 2)


@pytest.mark.timeout(120)
@settings(max_examples=100, deadline=None)
@given(workflows(), st.integers(0, 10**9))
def test_after_a_cancel_at_any_moment_nothing_is_born_and_the_run_ends_cancelled(
    of: Workflow, seed: int
) -> None:
    rng, play, fate = random.Random(seed), played(of), fates(of, seed)
    for _ in range(rng.randrange(6)):
        if play.move.end is None:
            name = rng.choice(play.living)
            play.end(name, fate[name])
    if play.move.end is not None:
        return
    play.cancelled = "enough"
    born = sum(play.ever_born.values())
    play.advance()
    while play.living:
        play.end(rng.choice(play.living), CANCELLED)
    assert sum(play.ever_born.values()) == born
    assert play.move.end.status is CANCELLED
    assert all(one.settled for one in play.progress.steps.values())
