"""Named tests: runs of many tasks, their member logs, and how the leader advances them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import FencedError, Outcome, RunOutcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.runs import Advance, AdvanceAnswer, Birth, OpenRun, RunPage
from dsched.contracts.store.settings import Kept
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import (
    Home,
    Member,
    MemberLine,
    MemberStep,
    Overlap,
    Step,
    TaskResult,
    TaskStatus,
    Workflow,
)
from dsched.planning import PlannedRun
from dsched.planning.runs import RunEnd, SkippedStep
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    FAILED,
    HEARTBEAT_MS,
    HELD,
    MINUTE_MS,
    READY,
    SECOND_MS,
    SUCCESS,
    WAKEUP_S,
    Arranging,
    a_spec,
    ms,
)

OPENING = (TaskStatus.PENDING, Home.OPEN)
OPEN = (TaskStatus.RUNNING, Home.OPEN)
FLOW = Workflow(
    steps=[
        Step(id="a", executor="local", payload={"call": "work"}),
        Step(id="b", executor="local", payload={"call": "work"}, needs=["a"]),
    ]
)
WELL, ILL = TaskStatus.SUCCESS, TaskStatus.FAILED


def a_member(step: str, **fields: Any) -> Birth:
    """A member to make."""
    spec = a_spec(member=Member(step=step), **fields)
    return Birth(name=step, spec=spec)


def said(lines: Sequence[MemberLine]) -> list[tuple[str, str]]:
    """What lines tell, in short."""
    return [(line.what.value, line.name) for line in lines]


class RunSteps(Arranging):
    """The acts that tests of runs have in common."""

    async def setting(self) -> None:
        """A leader and a worker."""
        await self.lead()
        await self.worker()

    async def run(self, run_id: str = "r", *, delay_ms: int = 0, **fields: Any) -> str:
        """Submit a run."""
        fields = {"executor": "workflow", "payload": None, "workflow": FLOW} | fields
        return await self.submit(run_id, delay_ms=delay_ms, **fields)

    async def opened(self, run_id: str = "r", **fields: Any) -> str:
        """A run that the leader has seen."""
        await self.run(run_id, **fields)
        page = await self.page()
        assert run_id in [one.task.id for one in page.runs]
        return run_id

    async def page(self, known: Mapping[str, int] | None = None, limit: int = 10) -> RunPage:
        """The runs with news."""
        return await self.store.open_runs(self.fence, known or {}, limit)

    async def the_run(self, known: Mapping[str, int] | None = None) -> OpenRun:
        """The one run with news."""
        (run,) = (await self.page(known)).runs
        return run

    async def advance(self, run_id: str = "r", version: int = 0, **fields: Any) -> AdvanceAnswer:
        """Advance one run."""
        item = Advance(run_id=run_id, version=version, **fields)
        (answer,) = await self.store.advance(self.fence, [item])
        return answer

    async def born(self, *steps: str, run_id: str = "r", version: int = 0, **fields: Any) -> int:
        """Make members; the version of the run then."""
        births = tuple(a_member(step) for step in steps)
        answer = await self.advance(run_id, version, births=births, **fields)
        assert answer.outcome is Outcome.OK
        return answer.version

    async def lines(self, run_id: str = "r") -> tuple[MemberLine, ...]:
        """The whole member log."""
        found = await self.store.run_lines(run_id, 0, 1000)
        assert found is not None
        return found

    async def ended_well(self, run_id: str = "r") -> str:
        """A run of one member that has ended, both with success."""
        await self.opened(run_id)
        await self.born("a", run_id=run_id)
        await self.finish(f"{run_id}~a", await self.start(f"{run_id}~a"))
        end = RunEnd(status=WELL)
        assert (await self.advance(run_id, 2, end=end)).outcome is Outcome.OK
        return run_id


class OpeningTests(RunSteps):
    """A run where a task would be made."""

    async def test_a_run_is_open_and_never_ready_and_has_news_at_once(self) -> None:
        await self.setting()
        assert await self.run() == "r"
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
        await self.setting()
        await self.run()
        spec = (await self.task("r")).spec
        assert spec is not None
        again = await self.submitted("r", spec)
        other = await self.submitted("r", a_spec())
        assert (again, other) == (Outcome.DUP, Outcome.CONFLICT)

    async def submitted(self, task_id: str, spec: Any) -> Outcome:
        """Submit, and the outcome."""
        from dsched.contracts.store.working import Submission  # noqa: PLC0415 - for this one

        (outcome,) = await self.store.submit([Submission(task_id=task_id, spec=spec)], by=CLIENT)
        return outcome

    async def test_a_delayed_run_has_news_at_its_instant(self) -> None:
        await self.setting()
        await self.run(delay_ms=MINUTE_MS)
        assert await self.state("r") == OPENING
        page = await self.page()
        assert (page.runs, page.next_in_ms, page.more) == ((), MINUTE_MS, False)
        assert (await self.store.poll(self.fence, 10)).runs_in_ms == MINUTE_MS
        assert await self.state("r") == OPENING
        await self.clock.advance(MINUTE_MS)
        assert (await self.the_run()).task.status is TaskStatus.RUNNING
        assert (await self.task("r")).start_ms == self.clock.ms

    async def test_where_no_run_has_news_a_poll_says_so(self) -> None:
        await self.setting()
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None
        await self.opened()
        await self.born("a")
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None
        assert (await self.page()).next_in_ms is None

    async def test_a_fire_of_a_workflow_makes_a_run(self) -> None:
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW)
        task_id = await self.fired()
        assert await self.state(task_id) == OPENING
        assert await self.ready_ids() == []
        assert (await self.the_run()).task.id == task_id
        living = await self.store.list_tasks(TaskQuery(live_of="c"), None, 10)
        assert [task.id for task in living.tasks] == [task_id]

    async def test_a_fire_with_jitter_opens_its_run_then(self) -> None:
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW)
        at = self.clock.ms
        await self.fired("c", PlannedRun(scheduled_ms=at, not_before_ms=at + SECOND_MS))
        assert (await self.page()).next_in_ms == SECOND_MS

    async def test_shards_of_a_config_make_a_run_too(self) -> None:
        await self.setting()
        await self.config(workflow=Workflow(shards=3))
        task_id = await self.fired()
        assert await self.state(task_id) == OPENING

    async def test_a_config_that_becomes_plain_again_makes_tasks(self) -> None:
        await self.setting()
        await self.config(overlap=Overlap.ALLOW, workflow=Workflow(shards=3))
        await self.fired()
        await self.clock.advance(MINUTE_MS)
        await self.config(overlap=Overlap.ALLOW)
        assert await self.state(await self.fired()) == READY

    async def test_the_overlap_policy_counts_runs(self) -> None:
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW)
        first = await self.fired()
        await self.page()
        await self.born("a", run_id=first)
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)

    async def test_a_held_run_opens_when_the_run_before_it_has_ended(self) -> None:
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW, overlap=Overlap.QUEUE_ONE)
        first = await self.fired()
        await self.page()
        await self.clock.advance(MINUTE_MS)
        second = await self.fired()
        assert await self.state(second) == HELD
        await self.hush(LEADER_WAKEUP)
        assert (await self.advance(first, 0, end=RunEnd(status=WELL))).outcome is Outcome.OK
        assert await self.state(second) == OPENING
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        assert [one.task.id for one in (await self.page()).runs] == [second]

    async def test_cancel_previous_asks_the_older_run_to_stop_and_holds_the_newer(self) -> None:
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW, overlap=Overlap.CANCEL_PREVIOUS)
        first = await self.fired()
        await self.page()
        await self.born("a", run_id=first)
        await self.clock.advance(MINUTE_MS)
        second = await self.fired()
        assert await self.state(second) == HELD
        run = await self.the_run({first: 1})
        assert (run.task.id, run.cancel_reason) == (first, "superseded")
        await self.clock.advance(MINUTE_MS)
        third = await self.fired()
        assert (await self.state(second), await self.state(third)) == (CANCELLED, HELD)

    async def test_a_fixed_delay_counts_from_the_end_of_the_run(self) -> None:
        await self.setting()
        await self.config(fixed_delay=ms(MINUTE_MS), executor="workflow", workflow=FLOW)
        run_id = await self.fired()
        await self.page()
        assert await self.due_of() is None
        await self.clock.advance(10 * SECOND_MS)
        await self.advance(run_id, 0, end=RunEnd(status=WELL))
        assert await self.due_of() == self.clock.ms + MINUTE_MS


class AdvancingTests(RunSteps):
    """What the leader decided is done, or refused whole."""

    async def test_a_member_is_an_ordinary_task_that_is_ready(self) -> None:
        await self.setting()
        await self.opened()
        await self.news()
        await self.hush(LEADER_WAKEUP)
        await self.clock.advance(SECOND_MS)
        birth = a_member("a", priority=8, required_labels={"gpu": "1"})
        assert await self.advance(births=(birth,)) == AdvanceAnswer(outcome=Outcome.OK, version=1)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.BORN, self.fence)
        assert [dict(one) for one in event.items] == [{"task": "r~a", "run": "r"}]
        member = await self.task("r~a")
        assert (member.status, member.home) == READY
        assert (member.scheduled_ms, member.priority, member.spec) == (
            self.clock.ms,
            8,
            birth.spec,
        )
        (ready,) = (await self.store.ready(self.fence, 0, 10)).tasks
        assert (ready.id, dict(ready.required_labels)) == ("r~a", {"gpu": "1"})

    async def test_the_end_of_a_member_is_a_line_and_news_and_wakes_the_leader(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a", "b")
        assert (await self.page()).runs == ()
        token = await self.start("r~a", "r~b")
        await self.hush(LEADER_WAKEUP)
        await self.clock.advance(SECOND_MS)
        await self.finish("r~a", token, result=TaskResult(code="done", data=[1]))
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        run = await self.the_run({"r": 2})
        assert (run.version, run.task.spec) == (3, None)
        assert run.lines == (
            MemberLine(
                what=MemberStep.ENDED,
                name="a",
                at_ms=self.clock.ms,
                status=WELL,
                code="done",
                attempts=1,
            ),
        )

    async def test_a_retry_is_no_end(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        token = await self.start("r~a")
        await self.fail("r~a", token, retry_delay_ms=SECOND_MS)
        assert (await self.page()).runs == ()
        assert said(await self.lines()) == [("b", "a")]

    async def test_whatever_ends_a_member_tells_its_run(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a", "b", "c", "d", "e")
        token = await self.start("r~a", "r~b", "r~c")
        await self.fail("r~a", token)
        await self.store.release([self.a_release("r~b", token)], by="w1")
        await self.store.cancel(["r~d"], by=CLIENT, reason="why")
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [self.a_reap("r~c", token)])
        ends = {line.name: line.status for line in (await self.lines())[5:]}
        assert ends == {
            "a": ILL,
            "b": ILL,
            "c": ILL,
            "d": TaskStatus.CANCELLED,
        }
        assert [line.attempts for line in (await self.lines())[5:]] == [1, 1, 0, 1]

    def a_release(self, task_id: str, token: str) -> Any:
        """An attempt that is given back for good."""
        from dsched.contracts.store.working import Release  # noqa: PLC0415 - for this one

        return Release(task_id=task_id, token=token, reason="released", fail=True)

    def a_reap(self, task_id: str, token: str) -> Any:
        """A crash that ends a task."""
        from dsched.contracts.store.recovering import Reap  # noqa: PLC0415 - for this one

        return Reap(task_id=task_id, token=token, fail_reason="poison")

    async def test_births_and_skips_that_were_made_before_are_not_made_again(self) -> None:
        await self.setting()
        await self.opened()
        skip = SkippedStep(step="b", status=ILL, reason="a failed")
        wanted = {"births": (a_member("a"),), "skips": (skip,)}
        assert (await self.advance("r", 0, **wanted)).version == 2
        before = await self.lines()
        await self.news()
        assert await self.advance("r", 0, **wanted) == AdvanceAnswer(
            outcome=Outcome.OK, version=2
        )
        assert await self.lines() == before
        assert await self.news() == []

    async def test_a_skip_is_a_line_before_the_births_and_an_event(self) -> None:
        await self.setting()
        await self.opened()
        await self.news()
        skip = SkippedStep(step="b", status=ILL, reason='a failed: "x"')
        await self.advance(births=(a_member("c"),), skips=(skip,))
        assert said(await self.lines()) == [("s", "b"), ("b", "c")]
        line = (await self.lines())[0]
        assert (line.status, line.reason) == (ILL, 'a failed: "x"')
        events = await self.news()
        assert [event.kind for event in events] == [EventKind.STEP_SKIPPED, EventKind.BORN]
        assert dict(events[0].items[0]) == {
            "run": "r",
            "step": "b",
            "status": "failed",
            "reason": 'a failed: "x"',
        }

    async def test_births_do_not_ask_for_the_version_and_leave_news_that_came_meanwhile(
        self,
    ) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        await self.finish("r~a", await self.start("r~a"))
        assert (await self.advance("r", 1, births=(a_member("b"),))).outcome is Outcome.OK
        assert (await self.the_run({"r": 1})).version == 3
        assert await self.state("r~b") == READY

    async def test_news_is_gone_or_postponed_by_who_knew_all_of_it(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a", again_in_ms=MINUTE_MS)
        page = await self.page()
        assert (page.runs, page.next_in_ms) == ((), MINUTE_MS)
        await self.clock.advance(MINUTE_MS)
        assert (await self.the_run()).task.id == "r"

    async def test_news_that_comes_before_a_postponed_one_is_due_at_once(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a", again_in_ms=MINUTE_MS)
        await self.store.cancel(["r~a"], by=CLIENT, reason="why")
        assert (await self.the_run({"r": 1})).version == 2

    async def test_a_run_ends_once_and_with_all_that_an_end_has(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        await self.finish("r~a", await self.start("r~a"))
        await self.news()
        await self.clock.advance(SECOND_MS)
        end = RunEnd(status=ILL, reason="b failed")
        assert (await self.advance("r", 2, end=end)).outcome is Outcome.OK
        assert await self.state("r") == FAILED
        run = await self.task("r")
        assert (run.end_ms, run.reason, run.worker_id) == (self.clock.ms, "b failed", None)
        event = await self.the_news()
        assert (event.kind, dict(event.items[0])) == (
            EventKind.RUN_ENDED,
            {"task": "r", "status": "failed", "run": SECOND_MS, "reason": "b failed"},
        )
        assert (await self.advance("r", 2, end=end)).outcome is Outcome.STALE
        assert (await self.page()).runs == ()

    async def test_a_run_does_not_end_before_the_leader_knows_all_of_it(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        token = await self.start("r~a")
        end = RunEnd(status=WELL)
        assert (await self.advance("r", 1, end=end)).outcome is Outcome.CONFLICT
        await self.fail("r~a", token)
        assert await self.advance("r", 1, end=end) == AdvanceAnswer(
            outcome=Outcome.MOVED, version=2
        )
        assert await self.state("r") == OPEN
        skip = SkippedStep(step="b", status=ILL, reason="a failed")
        answer = await self.advance("r", 2, skips=(skip,), end=RunEnd(status=ILL))
        assert answer == AdvanceAnswer(outcome=Outcome.OK, version=3)
        assert await self.state("r") == FAILED

    async def test_an_end_comes_with_no_births(self) -> None:
        await self.setting()
        await self.opened()
        answer = await self.advance(births=(a_member("a"),), end=RunEnd(status=WELL))
        assert answer.outcome is Outcome.CONFLICT
        assert await self.lines() == ()

    async def test_what_is_not_open_is_not_advanced(self) -> None:
        await self.setting()
        await self.submit("t")
        await self.run("late", delay_ms=MINUTE_MS)
        for run_id in ("t", "late", "nobody"):
            answer = await self.advance(run_id, births=(a_member("a"),))
            assert answer.outcome is Outcome.STALE
        assert await self.store.get(["t~a", "late~a", "nobody~a"]) == (None, None, None)

    async def test_after_a_cancel_nothing_is_born(self) -> None:
        await self.setting()
        await self.opened()
        await self.store.cancel(["r"], by=CLIENT, reason="why")
        answer = await self.advance(births=(a_member("a"),))
        assert answer.outcome is Outcome.MOVED
        assert await self.store.get(["r~a"]) == (None,)

    async def test_members_are_cancelled_as_any_task_is(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a", "b")
        await self.start("r~a")
        await self.news()
        answer = await self.advance("r", 2, cancels=("a", "b", "c"), cancel_reason="fail_fast")
        assert answer.outcome is Outcome.OK
        assert await self.state("r~b") == CANCELLED
        assert (await self.task("r~a")).cancel_requested
        kinds = [event.kind for event in await self.news()]
        assert kinds == [EventKind.CANCELLED, EventKind.CANCEL_REQUESTED]
        run = await self.the_run({"r": 2})
        assert said(run.lines) == [("e", "b")]

    async def test_only_the_leader_reads_and_advances(self) -> None:
        await self.setting()
        await self.run()
        with pytest.raises(FencedError):
            await self.store.open_runs("1:x:pod", {}, 10)
        with pytest.raises(FencedError):
            await self.store.advance("1:x:pod", [Advance(run_id="r", version=0)])
        assert await self.state("r") == OPENING

    async def test_too_much_for_one_call_and_names_twice_are_the_callers_mistake(self) -> None:
        await self.setting()
        await self.opened()
        many = tuple(a_member(f"s{at}") for at in range(101))
        for fields in ({"births": many}, {"births": (many[0], many[0])}):
            with pytest.raises(ValueError, match="more than 100|twice"):
                await self.advance(**fields)
        with pytest.raises(ValueError, match="limit"):
            await self.page(limit=0)


class RunReadingTests(RunSteps):
    """Pages of runs and of lines, lists and counts."""

    async def test_runs_with_news_come_by_its_instant_a_page_at_a_time(self) -> None:
        await self.setting()
        for run_id in ("r2", "r1", "r3"):
            await self.run(run_id)
            await self.clock.advance(1)
        page = await self.page(limit=2)
        assert [one.task.id for one in page.runs] == ["r2", "r1"]
        assert (page.more, page.next_in_ms) == (True, 0)
        await self.born("a", run_id="r2")
        page = await self.page({"r1": 0, "r3": 0}, limit=2)
        assert [one.task.id for one in page.runs] == ["r1", "r3"]
        assert (page.more, page.next_in_ms) == (False, None)

    async def test_a_page_has_no_more_lines_than_allowed(self) -> None:
        await self.setting()
        await self.opened()
        for first in range(0, 2050, 50):
            births = tuple(a_member(f"s~{at}") for at in range(first, first + 50))
            await self.advance("r", first, births=births)
        await self.run("other")
        await self.advance("r", 0, cancels=("s~0",), cancel_reason="x")
        page = await self.page()
        assert [len(one.lines) for one in page.runs] == [2000]
        assert (page.runs[0].version, page.more) == (2051, True)
        page = await self.page({"r": 2000})
        assert [len(one.lines) for one in page.runs] == [51, 0]
        assert not page.more

    async def test_the_lines_of_a_run_are_read_by_anybody_in_pages(self) -> None:
        await self.setting()
        await self.opened()
        assert await self.lines() == ()
        await self.born("a", "b", "c")
        found = await self.store.run_lines("r", 1, 1)
        assert found is not None
        assert said(found) == [("b", "b")]
        assert await self.store.run_lines("r", 3, 10) == ()
        await self.submit("t")
        for other in ("t", "r~a", "nobody"):
            assert await self.store.run_lines(other, 0, 10) is None

    async def test_open_runs_are_listed_and_counted_apart(self) -> None:
        await self.setting()
        await self.opened("r1")
        await self.run("r2", delay_ms=MINUTE_MS)
        await self.born("a", run_id="r1")
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
        await self.setting()
        await self.config(executor="workflow", workflow=FLOW)
        run_id = await self.fired()
        await self.page()
        await self.born("a", run_id=run_id)
        await self.fail(f"{run_id}~a", await self.start(f"{run_id}~a"))
        await self.advance(run_id, 2, end=RunEnd(status=ILL))
        await self.collected()
        failed = await self.store.list_tasks(TaskQuery(status=ILL), None, 10)
        assert sorted(task.id for task in failed.tasks) == [run_id, f"{run_id}~a"]
        of_config = await self.store.list_tasks(TaskQuery(config_id="c"), None, 10)
        assert [task.id for task in of_config.tasks] == [run_id]

    async def test_a_member_says_when_it_ended(self) -> None:
        await self.setting()
        await self.ended_well()
        member = await self.task("r~a")
        assert (member.status, member.home) == SUCCESS
        assert (member.end_ms, member.result) == (self.clock.ms, TaskResult())


class CancellingRunsTests(RunSteps):
    """A cancel of a run, and of a member."""

    async def cancel(self, task_id: str) -> Outcome:
        """Cancel, and the outcome."""
        (answer,) = await self.store.cancel([task_id], by=CLIENT, reason="why")
        return answer.outcome

    async def test_a_run_that_was_not_opened_yet_ends_at_once(self) -> None:
        await self.setting()
        await self.run()
        assert await self.cancel("r") is Outcome.OK
        assert await self.state("r") == CANCELLED
        assert (await self.page()).runs == ()
        assert (await self.store.poll(self.fence, 10)).runs_in_ms is None

    async def test_a_cancel_of_an_open_run_is_news_for_the_leader(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        await self.news()
        await self.hush(LEADER_WAKEUP)
        assert await self.cancel("r") is Outcome.REQUESTED
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        event = await self.the_news()
        assert (event.kind, dict(event.items[0])) == (
            EventKind.CANCEL_REQUESTED,
            {"task": "r", "reason": "why"},
        )
        run = await self.the_run({"r": 1})
        assert (run.cancel_reason, run.task.cancel_requested) == ("why", True)
        assert await self.cancel("r") is Outcome.REQUESTED
        assert await self.news() == []

    async def test_a_cancelled_run_ends_when_its_members_have(self) -> None:
        await self.setting()
        await self.opened()
        await self.born("a")
        token = await self.start("r~a")
        await self.cancel("r")
        await self.advance("r", 1, cancels=("a",), cancel_reason="why")
        await self.finish("r~a", token)
        assert await self.state("r~a") == CANCELLED
        run = await self.the_run({"r": 1})
        end = RunEnd(status=TaskStatus.CANCELLED, reason="why")
        assert (await self.advance("r", run.version, end=end)).outcome is Outcome.OK
        assert await self.state("r") == CANCELLED
        assert (await self.task("r")).reason == "why"

    async def test_a_long_reason_of_a_cancel_is_kept_whole(self) -> None:
        await self.setting()
        await self.opened()
        reason = 'because of "this" and that, ' * 10
        await self.store.cancel(["r"], by=CLIENT, reason=reason)
        assert (await self.the_run()).cancel_reason == reason
        end = RunEnd(status=TaskStatus.CANCELLED, reason=reason)
        await self.advance("r", 0, end=end)
        assert (await self.task("r")).reason == reason


class PruningRunsTests(RunSteps):
    """A run and its members go together."""

    async def test_members_are_kept_as_long_as_their_run_whatever_their_own_age(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.setting()
        await self.opened()
        await self.born("a")
        await self.finish("r~a", await self.start("r~a"))
        await self.clock.advance(10 * MINUTE_MS)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert (await self.task("r~a")).status is WELL
        await self.advance("r", 2, end=RunEnd(status=WELL))
        await self.clock.advance(MINUTE_MS - 1)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert (await self.task("r~a")).status is WELL

    async def test_a_run_goes_with_its_members_and_its_log(self) -> None:
        await self.fresh(result_ttl_ms=MINUTE_MS)
        await self.setting()
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
        await self.opened()
        assert await self.lines() == ()
        await self.born("a")

    async def test_members_do_not_count_where_a_number_is_kept(self) -> None:
        await self.fresh(retention={WELL: Kept(count=2)})
        await self.setting()
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
        await self.setting()
        for run_id in ("r1", "r2"):
            await self.opened(run_id)
            for first in range(0, 400, 100):
                births = tuple(a_member(f"s~{at}") for at in range(first, first + 100))
                await self.advance(run_id, first, births=births)
            names = [f"s~{at}" for at in range(400)]
            for first in range(0, 400, 100):
                cancels = tuple(names[first : first + 100])
                await self.advance(run_id, 0, cancels=cancels, cancel_reason="x")
            answer = await self.advance(run_id, 800, end=RunEnd(status=WELL))
            assert answer.outcome is Outcome.OK
            await self.clock.advance(1)
        await self.clock.advance(MINUTE_MS)
        first = await self.store.prune(self.fence, 40)
        assert (first.count, first.more) == (1, True)
        second = await self.store.prune(self.fence, 40)
        assert (second.count, second.more) == (1, False)
        assert await self.store.get(["r1~s~399", "r2~s~399"]) == (None, None)


class RunTests(
    OpeningTests, AdvancingTests, RunReadingTests, CancellingRunsTests, PruningRunsTests
):
    """Runs of many tasks."""
