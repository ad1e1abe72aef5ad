"""Named tests: what dead workers left behind, and what is past its time."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.workers import Held
from dsched.model import TaskStatus
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    DAY_MS,
    FAILED,
    HEARTBEAT_MS,
    HOUR_MS,
    READY,
    RETRYING,
    RUNNING,
    SECOND_MS,
    WAKEUP_S,
    Arranging,
    items_of,
    kinds_of,
)


class OverdueTests(Arranging):
    """Reading what is over or has waited too long."""

    async def test_leases_that_are_over_come_earliest_first_with_their_snapshot(self) -> None:
        await self.lead()
        await self.worker()
        second = await self.running("second", payload={"n": 2})
        await self.clock.advance(1000)
        await self.running("third")
        await self.store.heartbeat("w1", "0100-a", [Held("second", second)])
        await self.clock.advance(-1)
        await self.worker("w2", heartbeat_timeout_ms=5000)
        await self.submit("first")
        await self.start("first", worker_id="w2")
        await self.clock.advance(HEARTBEAT_MS + 1)
        page = await self.store.overdue(self.fence, 10, 0)
        assert [lease.task.id for lease in page.leases] == ["first", "second", "third"]
        assert second == page.leases[1].token
        assert await self.task("second") == page.leases[1].task
        assert [worker.id for worker in page.workers] == ["w1", "w2"]
        page = await self.store.overdue(self.fence, 1, 0)
        assert [lease.task.id for lease in page.leases] == ["first"]

    async def test_old_queue_entries_come_with_their_age_and_labels(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("old", required_labels={"zone": "a"})
        await self.clock.advance(10 * SECOND_MS)
        await self.queued("young")
        await self.clock.advance(5 * SECOND_MS)
        (entry,) = (await self.store.overdue(self.fence, 10, 15 * SECOND_MS)).queued
        assert (
            entry.task_id,
            entry.worker_id,
            entry.age_ms,
            dict(entry.required_labels),
        ) == ("old", "w1", 15 * SECOND_MS, {"zone": "a"})
        entries = (await self.store.overdue(self.fence, 10, 0)).queued
        assert {"old", "young"} == {entry.task_id for entry in entries}
        assert len((await self.store.overdue(self.fence, 1, 0)).queued) == 1

    async def test_what_runs_or_has_ended_is_in_no_queue(self) -> None:
        await self.lead()
        await self.worker()
        await self.running("runs")
        await self.ended("over")
        assert (await self.store.overdue(self.fence, 10, 0)).queued == ()
        stale = (Outcome.STALE, Outcome.STALE)
        assert await self.store.recall(self.fence, ["runs", "over"], 0) == stale

    async def test_nothing_is_overdue_in_an_empty_store(self) -> None:
        await self.lead()
        page = await self.store.overdue(self.fence, 10, 0)
        assert (page.leases, page.queued, page.workers) == ((), (), ())


class ReapTests(Arranging):
    """Ending attempts whose leases are over."""

    async def test_a_reaped_task_is_ready_again_and_the_crash_counted(self) -> None:
        token = await self._over()
        await self.news()
        assert await self._reap(Reap(task_id="a", token=token)) == Outcome.OK
        task = await self.task("a")
        assert (*READY, None, 1, 0, 1, "crashed") == (
            task.status,
            task.home,
            task.worker_id,
            task.crash_count,
            task.retry_count,
            task.attempt,
            task.reason,
        )
        event = await self.the_news()
        assert (EventKind.REAPED, self.fence) == (event.kind, event.by)
        expected = {"task": "a", "status": "pending", "crashes": 1, "worker": "w1"}
        assert [expected] == [dict(item) for item in event.items]
        assert (await self.worker_now()).running == 0

    async def test_a_reaped_task_may_wait(self) -> None:
        token = await self._over()
        await self.news()
        await self._reap(Reap(task_id="a", token=token, delay_ms=3000, error="lease ran out"))
        task = await self.task("a")
        assert (*RETRYING, 0, "lease ran out") == (
            task.status,
            task.home,
            task.retry_count,
            task.error,
        )
        (item,) = (await self.the_news()).items
        assert (item["status"], item["delay"]) == ("retrying", 3000)
        await self.clock.advance(3000)
        await self.store.promote(self.fence, 10)
        assert await self.state("a") == READY

    async def test_a_reaped_task_may_end(self) -> None:
        token = await self._over()
        await self.news()
        await self._reap(Reap(task_id="a", token=token, fail_reason="poison", error="boom"))
        task = await self.task("a")
        assert (*FAILED, "poison", "boom", 1, self.clock.ms) == (
            task.status,
            task.home,
            task.reason,
            task.error,
            task.crash_count,
            task.end_ms,
        )
        (item,) = (await self.the_news()).items
        assert (item["status"], item["reason"]) == ("failed", "poison")

    async def test_a_requested_cancel_wins_over_every_reap(self) -> None:
        for reap in (
            {"delay_ms": 0},
            {"delay_ms": 3000},
            {"fail_reason": "poison"},
        ):
            await self.fresh()
            token = await self._over()
            await self.store.cancel(["a"], by=CLIENT, reason="asked")
            await self.news()
            assert await self._reap(Reap(task_id="a", token=token, **reap)) == Outcome.OK
            task = await self.task("a")
            assert (*CANCELLED, "asked", 1) == (
                task.status,
                task.home,
                task.reason,
                task.crash_count,
            )
            (item,) = (await self.the_news()).items
            assert (item["status"], item["reason"]) == ("cancelled", "asked")

    async def test_a_lease_that_lives_is_not_reaped(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HEARTBEAT_MS - 1)
        await self.news()
        assert await self._reap(Reap(task_id="a", token=token)) == Outcome.STALE
        assert (await self.state("a"), await self.news()) == (RUNNING, [])
        assert (await self.task("a")).crash_count == 0

    async def test_a_renewed_lease_is_not_reaped(self) -> None:
        token = await self._over()
        await self.store.heartbeat("w1", "0100-a", [Held("a", token)])
        assert await self._reap(Reap(task_id="a", token=token)) == Outcome.STALE
        assert await self.state("a") == RUNNING

    async def test_a_repeated_reap_is_stale_and_counts_once(self) -> None:
        token = await self._over()
        await self._reap(Reap(task_id="a", token=token))
        await self.news()
        assert await self._reap(Reap(task_id="a", token=token)) == Outcome.STALE
        assert (await self.task("a")).crash_count == 1
        assert await self.news() == []

    async def test_the_crashes_of_a_task_add_up(self) -> None:
        token = await self._over()
        for crashes in (1, 2, 3):
            if crashes > 1:
                await self.beat()
                token = await self.start("a")
                await self.clock.advance(HEARTBEAT_MS)
            assert await self._reap(Reap(task_id="a", token=token)) == Outcome.OK
            assert (await self.task("a")).crash_count == crashes

    async def test_a_reap_with_another_token_or_of_what_does_not_run_is_stale(self) -> None:
        token = await self._over()
        await self.submit("ready")
        for task_id, other in (("a", token + "0"), ("ready", token), ("unknown", token)):
            assert await self._reap(Reap(task_id=task_id, token=other)) == Outcome.STALE
        assert await self.state("a") == RUNNING

    async def test_one_stale_reap_refuses_no_other(self) -> None:
        token = await self._over()
        items = [Reap(task_id="x", token=token), Reap(task_id="a", token=token)]
        assert await self.store.reap(self.fence, items) == (Outcome.STALE, Outcome.OK)

    async def test_a_reaped_task_wakes_the_leader(self) -> None:
        token = await self._over()
        await self.hush(LEADER_WAKEUP)
        await self._reap(Reap(task_id="a", token=token))
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_a_reap_leaves_running_tasks_of_living_workers_alone(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        other = await self.running("b")
        await self.clock.advance(20 * SECOND_MS)
        await self.beat("w1", Held("b", other))
        await self.clock.advance(10 * SECOND_MS)
        before = await self.task("b")
        await self._reap(Reap(task_id="a", token=token))
        assert before == await self.task("b")

    async def _over(self) -> str:
        """A task ``a`` whose lease is over; its token."""
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HEARTBEAT_MS)
        return token

    async def _reap(self, item: Reap) -> Outcome:
        (outcome,) = await self.store.reap(self.fence, [item])
        return outcome


class PruneTests(Arranging):
    """Removing what is past its time, and nothing before it."""

    async def test_an_ended_task_is_kept_until_its_ttl_and_then_removed(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        await self.ended("a")
        await self.submit("waiting")
        await self.clock.advance(HOUR_MS - 1)
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert (await self.task("a")).status == TaskStatus.SUCCESS
        await self.clock.advance(2)
        await self.store.prune(self.fence, 40)
        assert await self.store.get(["a"], full=True) == (None,)
        assert await self.state("waiting") == READY

    async def test_a_task_past_its_ttl_is_not_read_even_before_it_is_removed(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        await self.ended("a")
        await self.clock.advance(HOUR_MS + 1)
        assert await self.store.get(["a"], full=True) == (None,)

    async def test_the_id_of_a_removed_task_is_free(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        await self.ended("a")
        await self.clock.advance(HOUR_MS + 1)
        await self.store.prune(self.fence, 40)
        await self.submit("a", payload="another")
        assert await self.state("a") == READY

    async def test_a_long_running_task_is_never_removed(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(2 * DAY_MS)
        await self.store.prune(self.fence, 40)
        assert await self.state("a") == RUNNING
        assert await self.finish("a", token) == Outcome.OK
        await self.clock.advance(HOUR_MS - 1)
        await self.store.prune(self.fence, 40)
        assert (await self.task("a")).status == TaskStatus.SUCCESS

    async def test_pruning_removes_no_more_than_asked_for_and_says_whether_more(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        for name in "abc":
            await self.ended(name)
        await self.clock.advance(HOUR_MS + 1)
        for _ in range(20):
            pruned = await self.store.prune(self.fence, 2)
            if not pruned.more:
                break
        assert not pruned.more
        assert await self.store.get(["a", "b", "c"]) == (None, None, None)

    async def test_a_worker_gone_for_an_hour_is_forgotten(self) -> None:
        await self.lead()
        await self.worker()
        await self.clock.advance(HEARTBEAT_MS + HOUR_MS - 1)
        await self.store.prune(self.fence, 40)
        assert len(await self.store.workers()) == 1
        await self.news()
        await self.clock.advance(1)
        assert (await self.store.prune(self.fence, 40)).count == 1
        assert await self.store.workers() == ()
        event = await self.the_news()
        assert (EventKind.WORKER, self.fence) == (event.kind, event.by)
        assert [dict(item) for item in event.items] == [{"worker": "w1", "act": "forgotten"}]
        assert await self.beat() == Outcome.NO_WORKER

    async def test_a_gone_worker_with_queue_or_leases_is_not_forgotten(self) -> None:
        await self.lead()
        await self.worker("w1")
        await self.worker("w2")
        await self.running("a")
        await self.submit("b")
        await self.queue("b", worker_id="w2")
        await self.clock.advance(2 * HOUR_MS)
        await self.store.prune(self.fence, 40)
        assert [worker.id for worker in await self.store.workers()] == ["w1", "w2"]

    async def test_entries_beyond_the_bound_are_removed_once_the_collector_has_read_them(
        self,
    ) -> None:
        await self.fresh(max_events=5)
        await self.lead()
        for index in range(10):
            await self.submit(f"t{index}")
        await self.collected()
        before = await self.news()
        pruned = await self.store.prune(self.fence, 40)
        assert (pruned.count, pruned.more) == (6, False)
        kept = (await self.store.events(None, 100)).events
        assert tuple(before[-5:]) == kept

    async def test_entries_removed_before_the_collector_read_them_leave_a_gap_entry(self) -> None:
        await self.fresh(max_events=5)
        await self.lead()
        for index in range(10):
            await self.submit(f"t{index}")
        await self.store.prune(self.fence, 40)
        events = list((await self.store.events(None, 100)).events)
        assert EventKind.GAP in kinds_of(events)
        (gap,) = items_of(events, EventKind.GAP)
        assert gap["dropped"] == 6
        assert [item["task"] for item in items_of(events, EventKind.SUBMITTED)] == [
            "t5",
            "t6",
            "t7",
            "t8",
            "t9",
        ]

    async def test_a_log_within_its_bound_is_kept_whole(self) -> None:
        await self.fresh(max_events=5)
        await self.lead()
        for index in range(4):
            await self.submit(f"t{index}")
        assert (await self.store.prune(self.fence, 40)).count == 0
        assert len((await self.store.events(None, 100)).events) == 5
