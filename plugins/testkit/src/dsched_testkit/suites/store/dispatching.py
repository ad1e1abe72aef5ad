"""Named tests: the order of the ready, dispatch with its refusals, deferral, recall."""

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    DELAYED,
    HEARTBEAT_MS,
    MINUTE_MS,
    QUEUED,
    READY,
    SECOND_MS,
    WAKEUP_S,
    Arranging,
    items_of,
    kinds_of,
    ms,
)


class ReadyTests(Arranging):
    """Reading the ready tasks."""

    async def test_ready_tasks_come_by_priority_then_instant_then_id(self) -> None:
        await self.lead()
        await self.submit("late", priority=5, delay_ms=0)
        await self.submit("low", priority=0)
        await self.submit("b", priority=9)
        await self.submit("a.2", priority=9)
        await self.submit("a", priority=9)
        await self.clock.advance(-500)
        await self.submit("early", priority=5)
        assert await self.ready_ids() == ["a", "a.2", "b", "early", "late", "low"]

    async def test_a_ready_task_says_what_dispatch_needs_to_know(self) -> None:
        await self.lead()
        await self.submit("a", priority=7, required_labels={"zone": "é"}, affinity_key="k")
        (task,) = (await self.store.ready(self.fence, 0, 10)).tasks
        assert ("a", 7, self.clock.ms, {"zone": "é"}, "k") == (
            task.id,
            task.priority,
            task.scheduled_ms,
            dict(task.required_labels),
            task.affinity_key,
        )

    async def test_a_page_starts_where_asked_and_says_whether_there_are_more(self) -> None:
        await self.lead()
        for name in "abcd":
            await self.submit(name)
        pages = [await self.store.ready(self.fence, skip, 2) for skip in (0, 1, 2, 4)]
        names = [[task.id for task in page.tasks] for page in pages]
        assert names == [["a", "b"], ["b", "c"], ["c", "d"], []]
        assert [page.more for page in pages] == [True, True, False, False]

    async def test_a_page_comes_with_all_workers_and_their_counts(self) -> None:
        await self.lead()
        await self.worker("w2")
        await self.worker("w1")
        await self.queued("a")
        page = await self.store.ready(self.fence, 0, 10)
        assert [(worker.id, worker.queued) for worker in page.workers] == [("w1", 1), ("w2", 0)]
        assert await self.store.workers() == page.workers
        assert self.clock.ms == page.time.now_ms

    async def test_a_task_that_comes_back_takes_its_old_place(self) -> None:
        await self.lead()
        await self.worker()
        for name in ("a", "b", "c"):
            await self.submit(name)
        await self.queue("b")
        await self.store.recall(self.fence, ["b"], 0)
        assert await self.ready_ids() == ["a", "b", "c"]


class DispatchTests(Arranging):
    """A choice is checked again in the step."""

    async def test_a_dispatched_task_waits_in_its_workers_queue(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.news()
        assert await self.choose("a", "w1", why="fewest") == Outcome.OK
        task = await self.task("a")
        assert (*QUEUED, "w1") == (task.status, task.home, task.worker_id)
        event = await self.the_news()
        assert (EventKind.DISPATCHED, self.fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [
            {"task": "a", "worker": "w1", "why": "fewest"}
        ]

    async def test_a_repeated_dispatch_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.news()
        assert await self.choose("a") == Outcome.STALE
        assert await self.defer("a") == Outcome.STALE
        assert await self.state("a") == QUEUED
        assert await self.news() == []

    async def test_only_a_ready_task_is_dispatched_or_deferred(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("delayed", delay_ms=5000)
        await self.running("running")
        await self.ended("ended")
        for name in ("delayed", "running", "ended", "unknown"):
            assert await self.choose(name) == Outcome.STALE
            assert await self.defer(name) == Outcome.STALE
        assert await self.state("delayed") == DELAYED

    async def test_a_dispatch_to_an_unknown_worker_is_refused(self) -> None:
        await self._refused(Outcome.NO_WORKER, "who")

    async def test_a_dispatch_to_a_gone_worker_is_refused(self) -> None:
        await self.worker()
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self._refused(Outcome.GONE)

    async def test_a_dispatch_to_a_draining_worker_is_refused(self) -> None:
        await self.worker()
        await self.store.drain("w1", None)
        await self._refused(Outcome.DRAINING)

    async def test_a_dispatch_to_a_stalled_worker_is_refused_until_it_claims(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.store.recall(self.fence, ["a"], 0)
        await self._refused(Outcome.STALLED)
        assert (await self.claim()).outcome == Outcome.EMPTY
        assert await self.choose("x") == Outcome.OK

    async def test_a_dispatch_to_a_full_worker_is_refused(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=1)
        await self.running("a")
        await self.queued("b")
        await self._refused(Outcome.FULL)
        await self.store.cancel(["b"], by="client", reason="asked")
        assert await self.choose("x") == Outcome.OK

    async def test_the_choices_of_one_call_fill_a_worker(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=1)
        for name in "abc":
            await self.submit(name)
        choices = [Choice(task_id=name, worker_id="w1") for name in "abc"]
        done = await self.store.dispatch(self.fence, choices, [], skip=0, limit=10)
        assert done.choices == (Outcome.OK, Outcome.OK, Outcome.FULL)
        assert [task.id for task in done.page.tasks] == ["c"]

    async def test_a_worker_without_backlog_takes_its_capacity(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=0)
        await self.queued("a")
        await self._refused(Outcome.FULL)

    async def test_choices_and_deferrals_are_one_step_and_answer_with_the_next_page(self) -> None:
        await self.lead()
        await self.worker()
        for name in "abcd":
            await self.submit(name)
        await self.news()
        done = await self.store.dispatch(
            self.fence,
            [Choice(task_id="a", worker_id="w1"), Choice(task_id="b", worker_id="who")],
            [Deferral(task_id="c", delay_ms=2000, reason="no worker")],
            skip=1,
            limit=10,
        )
        assert done.choices == (Outcome.OK, Outcome.NO_WORKER)
        assert done.deferrals == (Outcome.OK,)
        assert [task.id for task in done.page.tasks] == ["d"]
        assert [worker.queued for worker in done.page.workers] == [1]
        events = await self.news()
        assert {EventKind.DISPATCHED, EventKind.DEFERRED} == set(kinds_of(events))
        assert items_of(events, EventKind.DISPATCHED) == [{"task": "a", "worker": "w1"}]
        expected = {"task": "c", "delay": 2000, "reason": "no worker"}
        assert [expected] == items_of(events, EventKind.DEFERRED)

    async def test_a_deferred_task_is_pending_says_why_and_comes_back(self) -> None:
        await self.lead()
        await self.submit("a")
        assert await self.defer("a", 2000) == Outcome.OK
        task = await self.task("a")
        assert (*DELAYED, "no worker") == (task.status, task.home, task.reason)
        await self.clock.advance(1999)
        assert (await self.store.promote(self.fence, 10)).count == 0
        await self.clock.advance(1)
        assert (await self.store.promote(self.fence, 10)).count == 1
        assert await self.state("a") == READY

    async def test_a_task_that_was_deferred_has_no_reason_once_it_is_dispatched(self) -> None:
        await self.lead()
        await self.worker()
        for name, reason in (("a", "no worker"), ("b", "n" * 100)):
            await self.submit(name)
            assert await self.defer(name, 0, reason=reason) == Outcome.OK
        await self.store.promote(self.fence, 10)
        for name in "ab":
            assert await self.choose(name) == Outcome.OK
            task = await self.task(name)
            assert (*QUEUED, "") == (task.status, task.home, task.reason)

    async def test_a_task_past_its_start_deadline_expires_instead_of_being_dispatched(self) -> None:
        await self.lead()
        await self.worker()
        for name in ("a", "b"):
            await self.submit(name, start_deadline=ms(MINUTE_MS))
        await self.clock.advance(MINUTE_MS)
        await self.beat()
        await self.submit("c")
        await self.clock.advance(1)
        await self.news()
        assert await self.choose("a", "nobody") == Outcome.EXPIRED
        assert await self.defer("b") == Outcome.EXPIRED
        for name in ("a", "b"):
            task = await self.task(name)
            assert (*CANCELLED, "expired") == (task.status, task.home, task.reason)
            assert self.clock.ms == task.end_ms
        cancelled = await self.new_items(EventKind.CANCELLED)
        expected = [{"task": n, "status": "cancelled", "reason": "expired"} for n in ("a", "b")]
        assert expected == cancelled

    async def test_a_task_may_start_at_its_very_deadline(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=2 * MINUTE_MS)
        await self.submit("a", start_deadline=ms(MINUTE_MS))
        await self.clock.advance(MINUTE_MS)
        assert await self.choose("a") == Outcome.OK

    async def test_a_task_that_was_claimed_once_expires_no_more(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=10 * MINUTE_MS)
        token = await self.running("a", start_deadline=ms(MINUTE_MS))
        await self.fail("a", token, retry_delay_ms=2 * MINUTE_MS)
        await self.clock.advance(2 * MINUTE_MS)
        await self.store.promote(self.fence, 10)
        assert await self.choose("a") == Outcome.OK

    async def test_a_dispatch_wakes_the_worker(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.hush("w1")
        await self.choose("a")
        assert await self.store.wakeup("w1", WAKEUP_S)

    async def test_choices_and_deferrals_over_the_bound_or_with_an_id_twice_are_refused_whole(
        self,
    ) -> None:
        await self.lead()
        await self.worker()
        await self.submit("t0")
        choices = [Choice(task_id=f"t{index}", worker_id="w1") for index in range(MAX_BATCH)]
        deferrals = [Deferral(task_id="x", delay_ms=1, reason="")]
        twice = [Deferral(task_id="t0", delay_ms=1, reason="")]
        for batch in ((choices, deferrals), (choices[:1], twice)):
            with pytest.raises(ValueError, match=r"."):
                await self.store.dispatch(self.fence, *batch, skip=0, limit=1)
        assert await self.ready_ids() == ["t0"]

    async def _refused(self, expected: Outcome, worker_id: str = "w1") -> None:
        if not self.fence:
            await self.lead()
        await self.submit("x")
        await self.news()
        assert expected == await self.choose("x", worker_id)
        assert await self.state("x") == READY
        assert await self.news() == []


class RecallTests(Arranging):
    """Queue entries that nobody takes come back."""

    async def test_an_old_entry_is_recalled_and_its_idle_worker_marked_stalled(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.clock.advance(15 * SECOND_MS)
        await self.news()
        assert await self.store.recall(self.fence, ["a"], 15 * SECOND_MS) == (Outcome.OK,)
        task = await self.task("a")
        assert (*READY, None, "recalled") == (
            task.status,
            task.home,
            task.worker_id,
            task.reason,
        )
        worker = await self.worker_now()
        assert (worker.stalled, worker.queued) == (True, 0)
        event = await self.the_news()
        assert (EventKind.RECALLED, self.fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [
            {"task": "a", "worker": "w1", "stalled": True}
        ]

    async def test_a_young_entry_or_one_that_is_not_queued_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("young")
        await self.submit("ready")
        await self.clock.advance(15 * SECOND_MS - 1)
        await self.news()
        outcomes = await self.store.recall(
            self.fence, ["young", "ready", "unknown"], 15 * SECOND_MS
        )
        assert outcomes == (Outcome.STALE,) * 3
        assert not (await self.worker_now()).stalled
        assert await self.news() == []

    async def test_a_busy_worker_is_not_stalled_by_a_recall(self) -> None:
        await self.lead()
        await self.worker(capacity=1)
        await self.running("a")
        await self.queued("b")
        await self.news()
        assert await self.store.recall(self.fence, ["b"], 0) == (Outcome.OK,)
        assert not (await self.worker_now()).stalled
        assert await self.new_items(EventKind.RECALLED) == [{"task": "b", "worker": "w1"}]

    async def test_a_gone_worker_is_not_stalled_by_a_recall(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert await self.store.recall(self.fence, ["a"], 0) == (Outcome.OK,)
        assert not (await self.worker_now()).stalled

    async def test_a_repeated_recall_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.store.recall(self.fence, ["a"], 0)
        assert await self.store.recall(self.fence, ["a"], 0) == (Outcome.STALE,)

    async def test_a_recalled_task_wakes_the_leader(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.hush(LEADER_WAKEUP)
        await self.store.recall(self.fence, ["a"], 0)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_the_age_of_an_entry_starts_anew_with_each_dispatch(self) -> None:
        await self.lead()
        await self.worker("w1", heartbeat_timeout_ms=MINUTE_MS)
        await self.worker("w2", heartbeat_timeout_ms=MINUTE_MS)
        await self.queued("a")
        await self.clock.advance(15 * SECOND_MS)
        await self.store.recall(self.fence, ["a"], 0)
        await self.queue("a", worker_id="w2")
        assert await self.store.recall(self.fence, ["a"], 15 * SECOND_MS) == (Outcome.STALE,)
