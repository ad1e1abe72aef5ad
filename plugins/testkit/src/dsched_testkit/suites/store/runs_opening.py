"""Named tests: where a task would be made, a workflow makes a run."""

from typing import Any

from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched.model import (
    Overlap,
    TaskStatus,
    Workflow,
)
from dsched.planning import PlannedRun
from dsched.planning.runs import RunEnd
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    HELD,
    MINUTE_MS,
    READY,
    SECOND_MS,
    WAKEUP_S,
    a_spec,
    ms,
)
from dsched_testkit.suites.store.arrange_runs import FLOW, OPEN, OPENING, WELL, RunSteps


class OpeningTests(RunSteps):
    """A run where a task would be made."""

    async def test_a_run_is_open_and_never_ready_and_has_news_at_once(self) -> None:
        await self.with_leader()
        assert await self.submit_run() == "r"
        assert await self.state("r") == OPENING
        assert await self.ready_ids() == []
        poll = await self.store.poll(self.fence, 10)
        assert (poll.ready.tasks, poll.promoted.count, poll.runs_in_ms) == ((), 0, 0)
        run = await self.the_run()
        assert (run.version, run.lines, run.cancel_reason) == (0, (), None)
        assert run.task.spec is not None
        assert run.task.spec.workflow == FLOW
        assert await self.state("r") == OPEN
        assert (await self.task("r")).start_ms == self.clock.ms

    async def test_the_same_run_again_is_the_same_and_another_one_is_not(self) -> None:
        await self.with_leader()
        await self.submit_run()
        spec = (await self.task("r")).spec
        assert spec is not None
        again = await self.outcome_of_submit("r", spec)
        other = await self.outcome_of_submit("r", a_spec())
        assert (again, other) == (Outcome.DUP, Outcome.CONFLICT)

    async def outcome_of_submit(self, task_id: str, spec: Any) -> Outcome:
        """Submit, and the outcome."""
        (outcome,) = await self.store.submit([Submission(task_id=task_id, spec=spec)], by=CLIENT)
        return outcome

    async def test_a_delayed_run_has_news_at_its_instant(self) -> None:
        await self.with_leader()
        await self.submit_run(delay_ms=MINUTE_MS)
        assert await self.state("r") == OPENING
        page = await self.run_page()
        assert (page.runs, page.next_in_ms, page.more) == ((), MINUTE_MS, False)
        assert (await self.store.poll(self.fence, 10)).runs_in_ms == MINUTE_MS
        assert await self.state("r") == OPENING
        await self.clock.advance(MINUTE_MS)
        assert (await self.the_run()).task.status is TaskStatus.RUNNING
        assert (await self.task("r")).start_ms == self.clock.ms

    async def test_where_no_run_has_news_a_poll_says_so(self) -> None:
        await self.with_leader()
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None
        await self.open_run()
        await self.bear("a")
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None
        assert (await self.run_page()).next_in_ms is None

    async def test_a_fire_of_a_workflow_makes_a_run(self) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW)
        task_id = await self.fired()
        assert await self.state(task_id) == OPENING
        assert await self.ready_ids() == []
        assert (await self.the_run()).task.id == task_id
        living = await self.store.list_tasks(TaskQuery(live_of="c"), None, 10)
        assert [task.id for task in living.tasks] == [task_id]

    async def test_a_fire_with_jitter_opens_its_run_then(self) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW)
        at = self.clock.ms
        await self.fired("c", PlannedRun(scheduled_ms=at, not_before_ms=at + SECOND_MS))
        assert (await self.run_page()).next_in_ms == SECOND_MS

    async def test_shards_of_a_config_make_a_run_too(self) -> None:
        await self.with_leader()
        await self.config(workflow=Workflow(shards=3))
        task_id = await self.fired()
        assert await self.state(task_id) == OPENING

    async def test_a_config_that_becomes_plain_again_makes_tasks(self) -> None:
        await self.with_leader()
        await self.config(overlap=Overlap.ALLOW, workflow=Workflow(shards=3))
        await self.fired()
        await self.clock.advance(MINUTE_MS)
        await self.config(overlap=Overlap.ALLOW)
        assert await self.state(await self.fired()) == READY

    async def test_the_overlap_policy_counts_runs(self) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW)
        first = await self.fired()
        await self.run_page()
        await self.bear("a", run_id=first)
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)

    async def test_a_held_run_opens_when_the_run_before_it_has_ended(self) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW, overlap=Overlap.QUEUE_ONE)
        first = await self.fired()
        await self.run_page()
        await self.clock.advance(MINUTE_MS)
        second = await self.fired()
        assert await self.state(second) == HELD
        await self.hush(LEADER_WAKEUP)
        assert (await self.advance_run(first, 0, end=RunEnd(status=WELL))).outcome is Outcome.OK
        assert await self.state(second) == OPENING
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        assert [one.task.id for one in (await self.run_page()).runs] == [second]

    async def test_cancel_previous_asks_the_older_run_to_stop_and_holds_the_newer(self) -> None:
        await self.with_leader()
        await self.config(executor="workflow", workflow=FLOW, overlap=Overlap.CANCEL_PREVIOUS)
        first = await self.fired()
        await self.run_page()
        await self.bear("a", run_id=first)
        await self.clock.advance(MINUTE_MS)
        second = await self.fired()
        assert await self.state(second) == HELD
        run = await self.the_run({first: 1})
        assert (run.task.id, run.cancel_reason) == (first, "superseded")
        await self.clock.advance(MINUTE_MS)
        third = await self.fired()
        assert (await self.state(second), await self.state(third)) == (CANCELLED, HELD)

    async def test_a_fixed_delay_counts_from_the_end_of_the_run(self) -> None:
        await self.with_leader()
        await self.config(fixed_delay=ms(MINUTE_MS), executor="workflow", workflow=FLOW)
        run_id = await self.fired()
        await self.run_page()
        assert await self.due_of() is None
        await self.clock.advance(10 * SECOND_MS)
        await self.advance_run(run_id, 0, end=RunEnd(status=WELL))
        assert await self.due_of() == self.clock.ms + MINUTE_MS
