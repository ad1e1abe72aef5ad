"""Named tests: which workers a step has a member for each of is written down once."""

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.runs import AdvanceAnswer
from dsched.model import MemberLine, MemberStep
from dsched.planning.runs import RunEnd, SkippedStep, StepWorkers
from dsched_testkit.suites.store.arrange import CANCELLED, SECOND_MS
from dsched_testkit.suites.store.arrange_runs import ILL, WELL, RunSteps, said

TWO = ("w1", "pod.eu:2")


class WorkersOfStepsTests(RunSteps):
    """A step tells its workers once, and they stay what they are."""

    async def tell(self, *workers: str, step: str = "a", version: int = 0) -> AdvanceAnswer:
        """Write down the workers of a step."""
        told = StepWorkers(step=step, workers=workers)
        return await self.advance_run(version=version, workers=(told,), again_in_ms=0)

    async def test_the_workers_of_a_step_are_a_line_of_its_run(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.news()
        await self.clock.advance(SECOND_MS)
        assert await self.tell(*TWO) == AdvanceAnswer(outcome=Outcome.OK, version=1)
        line = MemberLine(what=MemberStep.WORKERS, name="a", at_ms=self.clock.ms, workers=TWO)
        assert await self.member_log() == (line,)
        assert (await self.the_run()).lines == (line,), "and it has news, as was asked"
        assert await self.news() == [], "what is born is told in the log, with its worker"

    async def test_they_are_written_down_once_whoever_looks_again(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.tell(*TWO)
        for version in (0, 1):  # what a leader says that has not read it, and one that has
            answer = await self.tell("w3", version=version)
            assert answer == AdvanceAnswer(outcome=Outcome.OK, version=1)
        (line,) = await self.member_log()
        assert line.workers == TWO
        assert (await self.tell("w3", step="b", version=1)).version == 2

    async def test_they_are_told_before_members_are_born_and_after_skips(self) -> None:
        await self.with_leader()
        await self.open_run()
        skip = SkippedStep(step="b", status=WELL, reason="no")
        told = StepWorkers(step="a", workers=TWO)
        await self.bear("a~0", skips=(skip,), workers=(told,))
        assert said(await self.member_log()) == [("s", "b"), ("w", "a"), ("b", "a~0")]

    async def test_those_of_a_config_without_steps_have_no_name(self) -> None:
        await self.with_leader()
        await self.open_run()
        assert (await self.tell(*TWO, step="")).version == 1
        assert (await self.tell(*TWO, step="", version=1)).version == 1
        (line,) = await self.member_log()
        assert (line.name, line.workers) == ("", TWO)

    async def test_a_step_that_has_told_its_workers_may_still_be_skipped(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.tell(*TWO)
        skip = SkippedStep(step="a", status=ILL, reason="no")
        assert (await self.advance_run(version=1, skips=(skip,))).version == 2
        assert said(await self.member_log()) == [("w", "a"), ("s", "a")]

    async def test_a_member_is_let_off_by_its_name(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.tell(*TWO)
        await self.bear("a~0", "a~1", version=1)
        off = SkippedStep(step="a~1", status=WELL, reason="its worker has left")
        for version, known in ((3, 5), (5, 5)):
            answer = await self.advance_run(
                version=version, skips=(off,), cancels=("a~1",), cancel_reason="its worker has left"
            )
            assert answer == AdvanceAnswer(outcome=Outcome.OK, version=known)
        assert said(await self.member_log())[-2:] == [("s", "a~1"), ("e", "a~1")]
        assert await self.state("r~a~1") == CANCELLED
        assert (await self.task("r~a~1")).reason == "its worker has left"

    async def test_nothing_is_told_of_a_run_that_is_not_open_or_that_was_cancelled(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.store.cancel(["r"], by="client", reason="no")
        told = StepWorkers(step="a", workers=TWO)
        answer = await self.advance_run(workers=(told,))
        assert answer == AdvanceAnswer(outcome=Outcome.MOVED, version=0)
        end = RunEnd(status=CANCELLED[0])
        await self.advance_run(end=end, cancel_known=True)
        assert (await self.advance_run(workers=(told,))).outcome is Outcome.STALE
        assert await self.member_log() == ()

    async def test_a_thousand_workers_are_one_line(self) -> None:
        await self.with_leader()
        await self.open_run()
        many = tuple(f"w{number:04}{'x' * 100}" for number in range(1000))
        assert (await self.tell(*many)).version == 1
        assert (await self.the_run()).lines[0].workers == many

    async def test_a_step_tells_its_workers_once_in_a_call(self) -> None:
        await self.with_leader()
        await self.open_run()
        told = StepWorkers(step="a", workers=TWO)
        with pytest.raises(ValueError, match="twice"):
            await self.advance_run(workers=(told, told))
