"""Named tests: runs that take over members of earlier runs, which stay for as long as they do."""

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.settings import Kept
from dsched.contracts.store.working import Submission
from dsched.model import Resumption, Taken, TaskSpec
from dsched.planning.runs import RunEnd
from dsched_testkit.suites.store.arrange import CLIENT, MINUTE_MS, a_spec
from dsched_testkit.suites.store.arrange_runs import FLOW, ILL, WELL, RunSteps


def resuming(*sources: str) -> TaskSpec:
    """The snapshot of a run that takes over the step a of each of these."""
    taken = tuple(Taken(run_id=source, step="a") for source in sources)
    resumes = Resumption(run_id=sources[-1], instant_ms=7, taken=taken)
    return a_spec(executor="workflow", payload=None, workflow=FLOW, resumes=resumes)


class ResumingTests(RunSteps):
    """A run that takes over from others keeps them."""

    async def resume(self, run_id: str, *sources: str) -> Outcome:
        """Submit a run that takes over from others."""
        item = Submission(task_id=run_id, spec=resuming(*sources))
        (outcome,) = await self.store.submit([item], by=CLIENT)
        return outcome

    async def resumed(self, run_id: str, *sources: str) -> None:
        """A run that takes over from others and has ended."""
        assert await self.resume(run_id, *sources) is Outcome.OK
        assert run_id in [one.task.id for one in (await self.run_page()).runs]
        answer = await self.advance_run(run_id, 0, end=RunEnd(status=WELL))
        assert answer.outcome is Outcome.OK

    async def ended_ill(self, run_id: str) -> None:
        """A run that has failed after its first member succeeded."""
        await self.open_run(run_id)
        await self.bear("a", run_id=run_id)
        await self.finish(f"{run_id}~a", await self.start(f"{run_id}~a"))
        end = RunEnd(status=ILL)
        assert (await self.advance_run(run_id, 2, end=end)).outcome is Outcome.OK

    async def are_kept(self, *run_ids: str) -> list[bool]:
        """Which of these runs are there, with their member and their log."""
        found = []
        for run_id in run_ids:
            rows = await self.store.get([run_id, f"{run_id}~a"], full=True)
            log = await self.store.run_lines(run_id, 0, 10)
            assert len({row is None for row in (*rows, log)}) == 1
            found.append(log is not None)
        return found

    async def test_a_run_takes_over_from_ended_runs_only(self) -> None:
        await self.with_leader()
        await self.submit("plain")
        await self.open_run("living")
        await self.ended_ill("r1")
        before = await self.news()
        assert before
        for wrong in ("plain", "living", "nobody"):
            assert await self.resume("r2", "r1", wrong) is Outcome.UNKNOWN
        assert await self.store.get(["r2"]) == (None,)
        assert await self.news() == []
        assert await self.resume("r2", "r1") is Outcome.OK
        assert await self.resume("r2", "r1") is Outcome.DUP
        (run,) = await self.store.get(["r2"], full=True)
        assert run is not None
        assert run.spec == resuming("r1")
        assert run.nominal_ms == 7

    async def test_a_source_stays_for_as_long_as_what_takes_over_from_it(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.with_leader()
        await self.ended_ill("r1")
        await self.clock.advance(MINUTE_MS // 2)
        await self.resumed("r2", "r1")
        await self.clock.advance(MINUTE_MS // 2)
        assert await self.are_kept("r1") == [True]  # past its own time
        await self.pruned(1, more=False)
        assert await self.are_kept("r1") == [True]
        await self.pruned(0, more=False)
        await self.clock.advance(MINUTE_MS // 2)
        await self.pruned(1, more=True)
        assert await self.store.get(["r2"]) == (None,)
        await self.pruned(1, more=False)
        assert await self.are_kept("r1") == [False]
        assert await self.resume("r3", "r1") is Outcome.UNKNOWN

    async def test_a_source_stays_until_the_last_that_takes_over_from_it_is_removed(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.with_leader()
        await self.ended_ill("r1")
        await self.ended_ill("r2")
        await self.resumed("r3", "r1", "r2")
        await self.clock.advance(MINUTE_MS // 2)
        await self.resumed("r4", "r1")
        await self.clock.advance(MINUTE_MS // 2)
        await self.pruned(3, more=True)  # r1 and r2 leave their list, r3 goes
        assert await self.are_kept("r1") == [True]
        await self.pruned(1, more=False)
        assert await self.are_kept("r1", "r2") == [True, False]
        await self.clock.advance(MINUTE_MS // 2)
        await self.pruned(1, more=True)
        await self.pruned(1, more=False)
        assert await self.are_kept("r1") == [False]

    async def test_a_source_that_is_not_past_its_time_goes_when_that_comes(self) -> None:
        await self.fresh(retention={ILL: Kept(age_ms=2 * MINUTE_MS), WELL: Kept(age_ms=MINUTE_MS)})
        await self.with_leader()
        await self.ended_ill("r1")
        await self.resumed("r2", "r1")
        await self.clock.advance(MINUTE_MS)
        await self.pruned(1, more=False)
        assert await self.are_kept("r1") == [True]
        await self.clock.advance(MINUTE_MS - 1)
        await self.pruned(0, more=False)
        await self.clock.advance(1)
        await self.pruned(1, more=False)
        assert await self.are_kept("r1") == [False]

    async def test_a_source_does_not_count_where_a_number_is_kept(self) -> None:
        await self.fresh(retention={ILL: Kept(count=1)})
        await self.with_leader()
        await self.ended_ill("r1")
        await self.resumed("r2", "r1")
        for run_id in ("x1", "x2"):
            await self.clock.advance(1)
            await self.ended_ill(run_id)
        await self.pruned(2, more=False)  # r1 leaves the list, and x1 goes
        assert await self.are_kept("r1", "x1", "x2") == [True, False, True]

    async def pruned(self, count: int, *, more: bool) -> None:
        """Prune once."""
        done = await self.store.prune(self.fence, 40)
        assert (done.count, done.more) == (count, more)
