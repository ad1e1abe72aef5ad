"""What a run takes over from a failed one, by example and for random workflows and histories."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsched.model import (
    MemberLine,
    MemberStep,
    Resumption,
    Step,
    Taken,
    TaskSpec,
    TaskStatus,
    When,
    Workflow,
    member_name,
)
from dsched.planning.runs import Moment, RunProgress, StepState, decide, member_spec, resumption
from dsched.planning.runs.picture import picture_of

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED


def step(step_id: str, *needs: str, **more: object) -> Step:
    return Step(id=step_id, executor="local", needs=needs, **more)  # type: ignore[arg-type]


def flow(*steps: Step, **more: object) -> Workflow:
    return Workflow(steps=steps, **more)  # type: ignore[arg-type]


def line(what: MemberStep, name: str, status: TaskStatus | None = None) -> MemberLine:
    return MemberLine(what=what, name=name, at_ms=1, status=status)


class Run:
    """A run that is played to its end: members end as their fates say, else with success."""

    def __init__(
        self,
        of: Workflow,
        fates: Mapping[str, TaskStatus],
        resumes: Resumption | None = None,
        *,
        order: random.Random | None = None,
        cancel_after: int | None = None,
    ) -> None:
        self.lines: list[MemberLine] = []
        self.progress = RunProgress(of, resumes)
        order, left = order or random.Random(0), cancel_after
        while True:
            cancelled = "enough" if left is not None and left <= 0 else None
            moment = Moment(now_ms=2, started_ms=1, cancelled=cancelled)
            move = decide(of, self.progress, moment)
            self._tell(*(line(MemberStep.SKIPPED, one.step, one.status) for one in move.skips))
            self._tell(*(line(MemberStep.BORN, member_name(*one)) for one in move.births))
            if move.end is not None:
                self.end = move.end
                return
            if move.births or move.skips:
                continue
            name = order.choice(sorted(self.progress.living))
            end = CANCELLED if cancelled else fates.get(name, SUCCESS)
            self._tell(line(MemberStep.ENDED, name, end))
            left = None if left is None else left - 1

    def _tell(self, *lines: MemberLine) -> None:
        told = []
        for one in lines:
            if one.what is MemberStep.SKIPPED:
                reason = "nothing failed" if one.status is SUCCESS else "x failed"
                one = MemberLine(
                    what=one.what, name=one.name, at_ms=1, status=one.status, reason=reason
                )
            told.append(one)
        self.lines += told
        self.progress.take(told)

    @property
    def born(self) -> list[str]:
        return [one.name for one in self.lines if one.what is MemberStep.BORN]

    def states(self) -> dict[str, StepState]:
        return {step_id: one.state for step_id, one in self.progress.steps.items()}


def resumed(of: Workflow, run: Run, run_id: str, before: Resumption | None = None) -> Resumption:
    return resumption(of, run.lines, run_id=run_id, instant_ms=5, before=before)


def test_what_succeeded_is_taken_over_and_the_rest_is_born() -> None:
    of = flow(step("extract"), step("load", "extract"), step("report", "load"))
    first = Run(of, {"load": FAILED})
    taken = resumed(of, first, "r1")
    assert taken == Resumption(
        run_id="r1", instant_ms=5, taken=(Taken(run_id="r1", step="extract"),)
    )
    second = Run(of, {}, taken)
    assert second.born == ["load", "report"]
    assert second.end.status is SUCCESS


def test_only_the_shards_that_failed_are_run_again() -> None:
    of = flow(step("a", shards=4, max_parallel=2), step("b", "a"))
    first = Run(of, {"a~0": FAILED, "a~2": CANCELLED})
    taken = resumed(of, first, "r1")
    assert taken.taken == (Taken(run_id="r1", step="a", indexes=(1, 3)),)
    assert Run(of, {}, taken).born == ["a~0", "a~2", "b"]


def test_shards_without_steps_are_taken_over_too() -> None:
    of = Workflow(shards=3)
    taken = resumed(of, Run(of, {"1": FAILED}), "r1")
    assert Run(of, {}, taken).born == ["1"]


def test_what_ran_whatever_had_failed_runs_again_after_what_is_run_again() -> None:
    of = flow(
        step("load"),
        step("report", "load", when="always"),
        step("undo", "load", when="failure"),
    )
    first = Run(of, {"load": FAILED})
    assert sorted(first.born) == ["load", "report", "undo"]
    second = Run(of, {}, resumed(of, first, "r1"))
    assert second.born == ["load", "report"]
    assert second.states()["undo"] is StepState.SKIPPED


def test_a_failure_that_was_allowed_is_left_as_it_is() -> None:
    of = flow(step("lint", allow_failure=True), step("load", "lint"), step("last", "load"))
    first = Run(of, {"lint": FAILED, "last": FAILED})
    taken = resumed(of, first, "r1")
    assert taken.taken == (
        Taken(run_id="r1", step="lint", status=FAILED),
        Taken(run_id="r1", step="load"),
    )
    second = Run(of, {}, taken)
    assert (second.born, second.end.status) == (["last"], SUCCESS)
    assert second.states()["lint"] is StepState.FAILED


def test_what_was_cancelled_of_a_step_that_may_fail_is_run_again() -> None:
    of = flow(step("lint", allow_failure=True), step("last", "lint"))
    first = Run(of, {"lint": CANCELLED, "last": FAILED})
    assert resumed(of, first, "r1").taken == ()


def test_what_was_taken_over_is_taken_over_again_from_where_it_ran() -> None:
    of = flow(step("a"), step("b", "a", shards=2), step("c", "b"))
    first = resumed(of, Run(of, {"b~0": FAILED}), "r1")
    second = resumed(of, Run(of, {"c": FAILED}, first), "r2", first)
    assert second.taken == (
        Taken(run_id="r1", step="a"),
        Taken(run_id="r1", step="b", indexes=(1,)),
        Taken(run_id="r2", step="b", indexes=(0,)),
    )
    assert second.sources == ("r1", "r2")
    assert Run(of, {}, second).born == ["c"]


def test_a_member_knows_in_which_run_that_ran_what_it_refers_to() -> None:
    of = flow(step("a"), step("b", "a", shards=2), step("c", "b", payload={"x": "${needs.b.data}"}))
    taken = resumed(of, Run(of, {"b~0": FAILED}), "r1")
    spec = TaskSpec(executor="workflow", workflow=of, resumes=taken)
    made = member_spec(spec, "c", None, instant_ms=5)
    assert made.resumes is None
    assert made.member is not None
    runs = [made.member.run_of_need("b", index) for index in (0, 1)]
    assert (runs, made.member.run_of_need("a", None)) == ([None, "r1"], None)


def test_the_picture_of_a_run_has_what_was_taken_over() -> None:
    of = flow(step("a", shards=2), step("b", "a"))
    taken = resumed(of, Run(of, {"a~1": FAILED}), "r1")
    second = Run(of, {}, taken)
    found, _ = picture_of(of, second.lines, executor="workflow", resumes=taken)
    assert (found.total, found.born, found.ended, found.failed, found.taken) == (2, 2, 2, 0, 1)
    assert [(one.name, one.state, one.taken_from) for one in found.members] == [
        ("a~0", "success", "r1"),
        ("a~1", "success", None),
    ]


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
    return Workflow(steps=steps, fail_fast=draw(st.booleans()))


def names_of(of: Workflow) -> list[str]:
    return [
        member_name(one.id, at)
        for one in of.steps
        for at in ([None] if one.shards is None else range(one.shards))
    ]


def members_of(of: Workflow, taken: Resumption) -> dict[str, tuple[str, TaskStatus]]:
    """Each member that is taken over, with its run and how it ended there."""
    found: dict[str, tuple[str, TaskStatus]] = {}
    for one in taken.taken:
        shards = next(each.shards for each in of.steps if each.id == one.step)
        for at in [None] if shards is None else range(shards):
            if one.has(at):
                name = member_name(one.step, at)
                assert name not in found, f"{name} is taken over twice"
                found[name] = (one.run_id, one.status)
    return found


@pytest.mark.timeout(120)
@settings(max_examples=200, deadline=None)
@given(workflows(), st.integers(0, 10**9))
def test_a_run_that_goes_on_does_what_a_whole_run_would_have_done(of: Workflow, seed: int) -> None:
    """For as many runs as it takes, each of which may fail or be cancelled: what was taken over
    ended where it is said to have run, and together with what is born it is what one run with the
    same ends has."""
    rng = random.Random(seed)
    ends: dict[tuple[str, str], TaskStatus] = {}
    taken: Resumption | None = None
    for at in range(3):
        fates = {name: rng.choice([SUCCESS, SUCCESS, FAILED, CANCELLED]) for name in names_of(of)}
        cancel_after = rng.choice([None, rng.randrange(6)])
        run = Run(of, fates, taken, order=rng, cancel_after=cancel_after)
        for one in run.lines:
            if one.what is MemberStep.ENDED and one.status is not None:
                ends[f"r{at}", one.name] = one.status
        taken = resumed(of, run, f"r{at}", taken)
        members = members_of(of, taken)
        assert all(ends[run_id, name] is end for name, (run_id, end) in members.items())
    last = Run(of, {}, taken, order=rng)
    whole = Run(of, {name: end for name, (_, end) in members.items()}, order=rng)
    assert last.end == whole.end
    assert last.end.status is SUCCESS
    assert sorted([*last.born, *members]) == sorted(whole.born)
    assert last.states() == whole.states()
