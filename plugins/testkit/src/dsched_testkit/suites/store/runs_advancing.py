"""Named tests: what the leader decided about a run is done, or refused whole."""

from typing import Any

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import FencedError, Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.runs import Advance, AdvanceAnswer
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release
from dsched.model import (
    MemberLine,
    MemberStep,
    TaskResult,
    TaskStatus,
)
from dsched.planning.runs import RunEnd, SkippedStep
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    FAILED,
    HEARTBEAT_MS,
    MINUTE_MS,
    READY,
    SECOND_MS,
    WAKEUP_S,
)
from dsched_testkit.suites.store.arrange_runs import (
    ILL,
    OPEN,
    OPENING,
    WELL,
    RunSteps,
    a_member,
    said,
)


class AdvancingTests(RunSteps):
    """What the leader decided is done, or refused whole."""

    async def test_a_member_is_an_ordinary_task_that_is_ready(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.news()
        await self.hush(LEADER_WAKEUP)
        await self.clock.advance(SECOND_MS)
        birth = a_member("a", priority=8, required_labels={"gpu": "1"})
        assert await self.advance_run(births=(birth,)) == AdvanceAnswer(
            outcome=Outcome.OK, version=1
        )
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
        await self.with_leader()
        await self.open_run()
        await self.bear("a", "b")
        assert (await self.run_page()).runs == ()
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
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        token = await self.start("r~a")
        await self.fail("r~a", token, retry_delay_ms=SECOND_MS)
        assert (await self.run_page()).runs == ()
        assert said(await self.member_log()) == [("b", "a")]

    async def test_whatever_ends_a_member_tells_its_run(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a", "b", "c", "d", "e")
        token = await self.start("r~a", "r~b", "r~c")
        await self.fail("r~a", token)
        await self.store.release([self.given_back("r~b", token)], by="w1")
        await self.store.cancel(["r~d"], by=CLIENT, reason="why")
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [self.reaped_for_good("r~c", token)])
        ends = {line.name: line.status for line in (await self.member_log())[5:]}
        assert ends == {
            "a": ILL,
            "b": ILL,
            "c": ILL,
            "d": TaskStatus.CANCELLED,
        }
        assert [line.attempts for line in (await self.member_log())[5:]] == [1, 1, 0, 1]

    def given_back(self, task_id: str, token: str) -> Any:
        """An attempt that is given back for good."""
        return Release(task_id=task_id, token=token, reason="released", fail=True)

    def reaped_for_good(self, task_id: str, token: str) -> Any:
        """A crash that ends a task."""
        return Reap(task_id=task_id, token=token, fail_reason="poison")

    async def test_births_and_skips_that_were_made_before_are_not_made_again(self) -> None:
        await self.with_leader()
        await self.open_run()
        skip = SkippedStep(step="b", status=ILL, reason="a failed")
        wanted = {"births": (a_member("a"),), "skips": (skip,)}
        assert (await self.advance_run("r", 0, **wanted)).version == 2
        before = await self.member_log()
        await self.news()
        assert await self.advance_run("r", 0, **wanted) == AdvanceAnswer(
            outcome=Outcome.OK, version=2
        )
        assert await self.member_log() == before
        assert await self.news() == []

    async def test_a_skip_is_a_line_before_the_births_and_an_event(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.news()
        skip = SkippedStep(step="b", status=ILL, reason='a failed: "x"')
        await self.advance_run(births=(a_member("c"),), skips=(skip,))
        assert said(await self.member_log()) == [("s", "b"), ("b", "c")]
        line = (await self.member_log())[0]
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
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.finish("r~a", await self.start("r~a"))
        assert (await self.advance_run("r", 1, births=(a_member("b"),))).outcome is Outcome.OK
        assert (await self.the_run({"r": 1})).version == 3
        assert await self.state("r~b") == READY

    async def test_news_is_gone_or_postponed_by_who_knew_all_of_it(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a", again_in_ms=MINUTE_MS)
        page = await self.run_page()
        assert (page.runs, page.next_in_ms) == ((), MINUTE_MS)
        await self.clock.advance(MINUTE_MS)
        assert (await self.the_run()).task.id == "r"

    async def test_news_that_comes_before_a_postponed_one_is_due_at_once(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a", again_in_ms=MINUTE_MS)
        await self.store.cancel(["r~a"], by=CLIENT, reason="why")
        assert (await self.the_run({"r": 1})).version == 2

    async def test_a_run_ends_once_and_with_all_that_an_end_has(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.finish("r~a", await self.start("r~a"))
        await self.news()
        await self.clock.advance(SECOND_MS)
        end = RunEnd(status=ILL, reason="b failed")
        assert (await self.advance_run("r", 2, end=end)).outcome is Outcome.OK
        assert await self.state("r") == FAILED
        run = await self.task("r")
        assert (run.end_ms, run.reason, run.worker_id) == (self.clock.ms, "b failed", None)
        event = await self.the_news()
        assert (event.kind, dict(event.items[0])) == (
            EventKind.RUN_ENDED,
            {"task": "r", "status": "failed", "run": SECOND_MS, "reason": "b failed"},
        )
        assert (await self.advance_run("r", 2, end=end)).outcome is Outcome.STALE
        assert (await self.run_page()).runs == ()

    async def test_a_run_does_not_end_before_the_leader_knows_all_of_it(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        token = await self.start("r~a")
        end = RunEnd(status=WELL)
        assert (await self.advance_run("r", 1, end=end)).outcome is Outcome.CONFLICT
        await self.fail("r~a", token)
        assert await self.advance_run("r", 1, end=end) == AdvanceAnswer(
            outcome=Outcome.MOVED, version=2
        )
        assert await self.state("r") == OPEN
        skip = SkippedStep(step="b", status=ILL, reason="a failed")
        answer = await self.advance_run("r", 2, skips=(skip,), end=RunEnd(status=ILL))
        assert answer == AdvanceAnswer(outcome=Outcome.OK, version=3)
        assert await self.state("r") == FAILED

    async def test_an_end_comes_with_no_births(self) -> None:
        await self.with_leader()
        await self.open_run()
        answer = await self.advance_run(births=(a_member("a"),), end=RunEnd(status=WELL))
        assert answer.outcome is Outcome.CONFLICT
        assert await self.member_log() == ()

    async def test_what_is_not_open_is_not_advanced(self) -> None:
        await self.with_leader()
        await self.submit("t")
        await self.submit_run("late", delay_ms=MINUTE_MS)
        for run_id in ("t", "late", "nobody"):
            answer = await self.advance_run(run_id, births=(a_member("a"),))
            assert answer.outcome is Outcome.STALE
        assert await self.store.get(["t~a", "late~a", "nobody~a"]) == (None, None, None)

    async def test_after_a_cancel_nothing_is_born(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.store.cancel(["r"], by=CLIENT, reason="why")
        answer = await self.advance_run(births=(a_member("a"),))
        assert answer.outcome is Outcome.MOVED
        assert await self.store.get(["r~a"]) == (None,)

    async def test_after_a_cancel_what_was_born_before_is_refused_as_well(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.store.cancel(["r"], by=CLIENT, reason="why")
        born = {"births": (a_member("a"),), "cancel_known": True}
        answer = await self.advance_run("r", 0, **born)
        assert answer == AdvanceAnswer(outcome=Outcome.MOVED, version=1)

    async def test_what_was_decided_before_a_cancel_does_not_take_its_news_away(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.store.cancel(["r"], by=CLIENT, reason="why")
        answer = await self.advance_run("r", 1, again_in_ms=MINUTE_MS)
        assert answer == AdvanceAnswer(outcome=Outcome.MOVED, version=1)
        assert (await self.the_run({"r": 1})).cancel_reason == "why"

    async def test_a_run_whose_cancel_was_asked_for_ends_in_no_other_way(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a")
        await self.finish("r~a", await self.start("r~a"))
        await self.store.cancel(["r"], by=CLIENT, reason="why")
        for status in (WELL, ILL):
            end = RunEnd(status=status)
            answer = await self.advance_run("r", 2, end=end, cancel_known=True)
            assert answer == AdvanceAnswer(outcome=Outcome.MOVED, version=2)
        assert await self.state("r") == OPEN
        end = RunEnd(status=TaskStatus.CANCELLED, reason="why")
        answer = await self.advance_run("r", 2, end=end, cancel_known=True)
        assert answer.outcome is Outcome.OK
        assert await self.state("r") == CANCELLED

    async def test_members_are_cancelled_as_any_task_is(self) -> None:
        await self.with_leader()
        await self.open_run()
        await self.bear("a", "b")
        await self.start("r~a")
        await self.news()
        answer = await self.advance_run("r", 2, cancels=("a", "b", "c"), cancel_reason="fail_fast")
        assert answer.outcome is Outcome.OK
        assert await self.state("r~b") == CANCELLED
        assert (await self.task("r~a")).cancel_requested
        kinds = [event.kind for event in await self.news()]
        assert kinds == [EventKind.CANCELLED, EventKind.CANCEL_REQUESTED]
        run = await self.the_run({"r": 2})
        assert said(run.lines) == [("e", "b")]

    async def test_only_the_leader_reads_and_advances(self) -> None:
        await self.with_leader()
        await self.submit_run()
        with pytest.raises(FencedError):
            await self.store.open_runs("1:x:pod", {}, 10)
        with pytest.raises(FencedError):
            await self.store.advance("1:x:pod", [Advance(run_id="r", version=0)])
        assert await self.state("r") == OPENING

    async def test_too_much_for_one_call_and_names_twice_are_the_callers_mistake(self) -> None:
        await self.with_leader()
        await self.open_run()
        many = tuple(a_member(f"s{at}") for at in range(101))
        for fields in ({"births": many}, {"births": (many[0], many[0])}):
            with pytest.raises(ValueError, match=r"more than 100|twice"):
                await self.advance_run(**fields)
        with pytest.raises(ValueError, match="born and cancelled"):
            await self.advance_run(births=(many[0],), cancels=(many[0].name,))
        with pytest.raises(ValueError, match="limit"):
            await self.run_page(limit=0)
