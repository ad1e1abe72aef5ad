"""Named tests: pages of runs and of their lines; their cancel; they go with their members."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.settings import Kept
from dsched.contracts.store.tasklogs import LineBatch, NewLine
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import (
    Home,
    TaskResult,
    TaskStatus,
)
from dsched.planning.runs import RunEnd
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    MINUTE_MS,
    SUCCESS,
    WAKEUP_S,
)
from dsched_testkit.suites.store.arrange_runs import FLOW, ILL, WELL, RunSteps, a_member, said


class RunReadingTests(RunSteps):
    """Pages of runs and of lines, lists and counts."""

    async def test_runs_with_news_come_by_its_instant_a_page_at_a_time(self) -> None:
        await self.with_leader()
        for run_id in ("r2", "r1", "r3"):
            await self.submit_run(run_id)
            await self.clock.advance(1)
        page = await self.run_page(limit=2)
        assert [one.task.id for one in page.runs] == ["r2", "r1"]
        assert (page.more, page.next_in_ms) == (True, 0)
        await self.bear("a", run_id="r2")
        page = await self.run_page({"r1": 0, "r3": 0}, limit=2)
        assert [one.task.id for one in page.runs] == ["r1", "r3"]
        assert (page.more, page.next_in_ms) == (False, None)

    async def test_a_page_has_no_more_lines_than_allowed(self) -> None:
        await self.with_leader()
        await self.open_run()
        for first in range(0, 2050, 50):
            births = tuple(a_member(f"s~{at}") for at in range(first, first + 50))
            await self.advance_run("r", first, births=births)
        await self.submit_run("z")
        await self.advance_run("r", 0, cancels=("s~0",), cancel_reason="x")
        page = await self.run_page()
        assert [len(one.lines) for one in page.runs] == [2000]
        assert (page.runs[0].version, page.more) == (2051, True)
        page = await self.run_page({"r": 2000})
        assert [len(one.lines) for one in page.runs] == [51, 0]
        assert not page.more

    async def test_the_lines_of_a_run_are_read_by_anybody_in_pages(self) -> None:
        await self.with_leader()
        await self.open_run()
        assert await self.member_log() == ()
        await self.bear("a", "b", "c")
        found = await self.store.run_lines("r", 1, 1)
        assert found is not None
        assert said(found) == [("b", "b")]
        assert await self.store.run_lines("r", 3, 10) == ()
        await self.submit("t")
        for other in ("t", "r~a", "nobody"):
            assert await self.store.run_lines(other, 0, 10) is None

    async def test_open_runs_are_listed_and_counted_apart(self) -> None:
        await self.with_leader()
        await self.open_run("r1")
        await self.submit_run("r2", delay_ms=MINUTE_MS)
        await self.bear("a", run_id="r1")
        page = await self.store.list_tasks(TaskQuery(home=Home.OPEN), None, 10)
        assert sorted(task.id for task in page.tasks) == ["r1", "r2"]
        counts = await self.store.counts()
        assert counts.by_home[Home.OPEN] == 2
        assert counts.by_home[Home.READY] == 1
        assert counts.by_status[TaskStatus.RUNNING] == 0
        assert counts.by_status[TaskStatus.PENDING] == 1

    async def test_an_ended_member_is_in_the_list_of_its_status_and_not_of_its_config(
        self,
    ) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW)
        run_id = await self.fired()
        await self.run_page()
        await self.bear("a", run_id=run_id)
        await self.fail(f"{run_id}~a", await self.start(f"{run_id}~a"))
        await self.advance_run(run_id, 2, end=RunEnd(status=ILL))
        await self.collected()
        failed = await self.store.list_tasks(TaskQuery(status=ILL), None, 10)
        assert sorted(task.id for task in failed.tasks) == [run_id, f"{run_id}~a"]
        of_config = await self.store.list_tasks(TaskQuery(config_id="c"), None, 10)
        assert [task.id for task in of_config.tasks] == [run_id]

    async def test_what_a_member_wrote_stays_when_its_last_lines_come_after_its_end(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        token = await self.start("r~a")
        await self._write("r~a", token, 1)
        await self.finish("r~a", token)
        await self._write("r~a", token, 2)
        await self.clock.advance(MINUTE_MS)
        page = await self.store.task_lines("r~a", None, 10)
        assert page is not None
        assert [line.text for line in page.lines] == ["line 1", "line 2"]

    async def _write(self, task_id: str, token: str, number: int) -> None:
        line = NewLine(number=number, age_ms=0, text=f"line {number}")
        batch = LineBatch(task_id=task_id, token=token, lines=(line,))
        assert await self.store.append_lines([batch]) == (Outcome.OK,)

    async def test_a_member_says_when_it_ended(self) -> None:
        await self.with_leader()
        await self.ended_well()
        member = await self.task("r~a")
        assert (member.status, member.home) == SUCCESS
        assert (member.end_ms, member.result) == (self.clock.ms, TaskResult())


class CancellingRunsTests(RunSteps):
    """A cancel of a run, and of a member."""

    async def outcome_of_cancel(self, task_id: str) -> Outcome:
        """Cancel, and the outcome."""
        (answer,) = await self.store.cancel([task_id], by=CLIENT, reason="why")
        return answer.outcome

    async def test_a_run_that_was_not_opened_yet_ends_at_once(self) -> None:
        await self.with_leader()
        await self.submit_run()
        assert await self.outcome_of_cancel("r") is Outcome.OK
        assert await self.state("r") == CANCELLED
        assert (await self.run_page()).runs == ()
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None

    async def test_a_cancel_of_an_open_run_is_news_for_the_leader(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.news()
        await self.hush(LEADER_WAKEUP)
        assert await self.outcome_of_cancel("r") is Outcome.REQUESTED
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        event = await self.the_news()
        assert (event.kind, dict(event.items[0])) == (
            EventKind.CANCEL_REQUESTED,
            {"task": "r", "reason": "why"},
        )
        run = await self.the_run({"r": 1})
        assert (run.cancel_reason, run.task.cancel_requested) == ("why", True)
        assert await self.outcome_of_cancel("r") is Outcome.REQUESTED
        assert await self.news() == []

    async def test_a_cancelled_run_ends_when_its_members_have(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        token = await self.start("r~a")
        await self.outcome_of_cancel("r")
        await self.advance_run("r", 1, cancels=("a",), cancel_reason="why", cancel_known=True)
        await self.finish("r~a", token)
        assert await self.state("r~a") == CANCELLED
        run = await self.the_run({"r": 1})
        end = RunEnd(status=TaskStatus.CANCELLED, reason="why")
        answer = await self.advance_run("r", run.version, end=end, cancel_known=True)
        assert answer.outcome is Outcome.OK
        assert await self.state("r") == CANCELLED
        assert (await self.task("r")).reason == "why"

    async def test_a_long_reason_of_a_cancel_is_kept_whole(self) -> None:
        await self.with_leader()
        await self.open_run()
        reason = 'because of "this" and that, ' * 10
        await self.store.cancel(["r"], by=CLIENT, reason=reason)
        assert (await self.the_run()).cancel_reason == reason
        end = RunEnd(status=TaskStatus.CANCELLED, reason=reason)
        await self.advance_run("r", 0, end=end, cancel_known=True)
        assert (await self.task("r")).reason == reason


class PruningRunsTests(RunSteps):
    """A run and its members go together."""

    async def test_members_are_kept_as_long_as_their_run_whatever_their_own_age(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.finish("r~a", await self.start("r~a"))
        await self.clock.advance(10 * MINUTE_MS)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert (await self.task("r~a")).status is WELL
        await self.advance_run("r", 2, end=RunEnd(status=WELL))
        await self.clock.advance(MINUTE_MS - 1)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert (await self.task("r~a")).status is WELL

    async def test_a_run_goes_with_its_members_and_its_log(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.with_leader()
        await self.ended_well()
        await self.collected()
        await self.clock.advance(MINUTE_MS)
        pruned = await self.store.prune(self.fence, 40)
        assert (pruned.count, pruned.more) == (1, False)
        assert await self.store.get(["r", "r~a"]) == (None, None)
        assert await self.store.run_lines("r", 0, 10) is None
        well = await self.store.list_tasks(TaskQuery(status=WELL), None, 10)
        assert well.tasks == ()
        counts = await self.store.counts()
        assert counts.by_status[WELL] == 0
        # The same run may be made again, and knows nothing of what was.
        await self.open_run()
        assert await self.member_log() == ()
        await self.bear("a")

    async def test_members_do_not_count_where_a_number_is_kept(self) -> None:
        await self.fresh(retention={WELL: Kept(count=2)})
        await self.with_leader()
        await self.ended_well("r1")
        await self.clock.advance(1)
        await self.ended_well("r2")
        assert (await self.store.prune(self.fence, 40)).count == 0
        await self.clock.advance(1)
        await self.ended_well("r3")
        assert (await self.store.prune(self.fence, 40)).count == 1
        found = await self.store.get(["r1", "r1~a", "r2", "r2~a"])
        assert [one is None for one in found] == [True, True, False, False]

    async def test_large_runs_are_removed_a_few_at_a_time(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.with_leader()
        for run_id in ("r1", "r2"):
            await self.open_run(run_id)
            for first in range(0, 400, 100):
                births = tuple(a_member(f"s~{at}") for at in range(first, first + 100))
                await self.advance_run(run_id, first, births=births)
            names = [f"s~{at}" for at in range(400)]
            for first in range(0, 400, 100):
                cancels = tuple(names[first : first + 100])
                await self.advance_run(run_id, 0, cancels=cancels, cancel_reason="x")
            answer = await self.advance_run(run_id, 800, end=RunEnd(status=WELL))
            assert answer.outcome is Outcome.OK
            await self.clock.advance(1)
        await self.clock.advance(MINUTE_MS)
        pruned = [await self.store.prune(self.fence, 40) for _ in range(2)]
        assert [(one.count, one.more) for one in pruned] == [(1, True), (1, False)]
        assert await self.store.get(["r1~s~399", "r2~s~399"]) == (None, None)
