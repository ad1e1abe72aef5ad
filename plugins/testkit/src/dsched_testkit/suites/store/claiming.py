"""Named tests: a claim starts attempts; lanes make it repeatable; it may wait for a wake-up."""

import asyncio

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Claimed, Release, Submission, claim_token
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    HEARTBEAT_MS,
    MINUTE_MS,
    QUEUED,
    READY,
    RUNNING,
    SECOND_MS,
    WAKEUP_S,
    Arranging,
    a_spec,
    items_of,
    kinds_of,
    ms,
)


class ClaimTests(Arranging):
    """From the queue to the lease."""

    async def test_a_claim_starts_an_attempt_with_its_snapshot_token_and_epoch(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a", payload={"n": 1})
        await self.clock.advance(250)
        claimed = await self.claim(lane=2, number=5)
        token = claim_token("w1", "0100-a", 2, 5)
        assert (Outcome.OK, token, fence_epoch(self.fence)) == (
            claimed.outcome,
            claimed.token,
            claimed.epoch,
        )
        (task,) = claimed.tasks
        assert (*RUNNING, "a", "w1", 1, self.clock.ms) == (
            task.status,
            task.home,
            task.id,
            task.worker_id,
            task.attempt,
            task.start_ms,
        )
        assert task.spec is not None
        assert task.spec.payload == {"n": 1}
        assert task == await self.task("a")

    async def test_what_an_attempt_does_to_its_payload_is_no_other_attempts(self) -> None:
        await self.lead()
        await self.worker()
        spec = a_spec(payload={"list": []})
        items = [Submission(task_id=task_id, spec=spec) for task_id in ("a", "b")]
        await self.store.submit(items, by=CLIENT)
        for task_id in ("a", "b"):
            await self.queue(task_id)
        for _ in range(2):
            claimed = await self.claim()
            for task in claimed.tasks:
                assert task.spec is not None
                assert task.spec.payload == {"list": []}
                task.spec.payload["list"].append(task.id)
            given_back = [
                Release(task_id=task.id, token=claimed.token, reason="released")
                for task in claimed.tasks
            ]
            await self.store.release(given_back, by="w1")
            for task_id in ("a", "b"):
                await self.queue(task_id)
        assert spec == (await self.task("a")).spec

    async def test_a_claim_is_one_entry_under_its_token(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.queued("b")
        await self.news()
        claimed = await self.claim()
        event = await self.the_news()
        assert (EventKind.CLAIMED, claimed.token) == (event.kind, event.by)
        expected = [{"task": "a", "attempt": 1}, {"task": "b", "attempt": 1}]
        assert expected == [dict(item) for item in event.items]

    async def test_a_claim_takes_the_oldest_entries_and_no_more_than_asked_for(self) -> None:
        await self.lead()
        await self.worker()
        for name in ("c", "a", "b"):
            await self.queued(name)
        claimed = await self.claim(limit=2)
        assert [task.id for task in claimed.tasks] == ["c", "a"]
        assert await self.state("b") == QUEUED
        assert [task.id for task in (await self.claim(limit=2)).tasks] == ["b"]

    async def test_an_empty_queue_gives_nothing_and_no_entry(self) -> None:
        await self.worker()
        await self.news()
        claimed = await self.claim()
        assert (claimed.outcome, claimed.tasks) == (Outcome.EMPTY, ())
        assert await self.news() == []

    async def test_a_repeated_claim_gets_the_same_attempts_and_never_more(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        first = await self.claim(number=1)
        await self.queued("b")
        await self.news()
        again = await self.claim(number=1)
        assert first == again
        assert await self.state("b") == QUEUED
        assert await self.news() == []

    async def test_a_repeated_claim_renews_the_leases(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.claim(number=1)
        await self.clock.advance(20 * SECOND_MS)
        await self.claim(number=1)
        await self.clock.advance(HEARTBEAT_MS - 1)
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()
        await self.clock.advance(2)
        assert len((await self.store.overdue(self.fence, 10, 0)).leases) == 1

    async def test_a_repeated_empty_claim_stays_empty(self) -> None:
        await self.lead()
        await self.worker()
        assert (await self.claim(number=1)).outcome == Outcome.EMPTY
        await self.queued("a")
        assert (await self.claim(number=1)).outcome == Outcome.EMPTY
        assert await self.state("a") == QUEUED
        assert (await self.claim(number=2)).outcome == Outcome.OK

    async def test_a_repeated_claim_leaves_out_what_has_ended_meanwhile(self) -> None:
        await self.lead()
        await self.worker()
        for name in "abc":
            await self.queued(name)
        token = (await self.claim(number=1)).token
        await self.finish("a", token)
        await self.fail("b", token, retry_delay_ms=0)
        again = await self.claim(number=1)
        assert (again.outcome, [task.id for task in again.tasks]) == (Outcome.OK, ["c"])

    async def test_a_repeated_claim_leaves_out_what_runs_under_another_token(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.fail("a", token, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        await self.worker("w2")
        await self.start("a", worker_id="w2")
        again = await self.claim(number=1)
        assert (again.outcome, again.tasks) == (Outcome.EMPTY, ())

    async def test_a_lower_number_of_a_lane_is_stale(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.claim(number=5)
        await self.queued("b")
        await self.news()
        claimed = await self.claim(number=4)
        assert (claimed.outcome, claimed.tasks) == (Outcome.STALE, ())
        assert await self.state("b") == QUEUED
        assert await self.news() == []

    async def test_numbers_may_leave_gaps(self) -> None:
        await self.lead()
        await self.worker()
        await self.claim(number=3)
        await self.queued("a")
        assert (await self.claim(number=90)).outcome == Outcome.OK

    async def test_lanes_count_each_for_itself(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.claim(lane=0, number=9)
        await self.queued("b")
        claimed = await self.claim(lane=1, number=1)
        assert [task.id for task in claimed.tasks] == ["b"]
        again = await self.claim(lane=0, number=9)
        assert [task.id for task in again.tasks] == ["a"]

    async def test_a_draining_worker_gets_nothing(self) -> None:
        await self.lead()
        await self.worker()
        await self.store.drain("w1", None)
        assert (await self.claim()).outcome == Outcome.EMPTY

    async def test_a_draining_worker_gets_nothing_of_what_is_left_in_its_queue(self) -> None:
        await self.lead()
        await self.worker(capacity=200)
        names = [f"t{index:03}" for index in range(MAX_BATCH + 1)]
        for name in names:
            await self.submit(name)
        await self.queue(*names[:MAX_BATCH])
        await self.queue(names[-1])
        await self.store.drain("w1", None)  # one call, one batch: the newest entry is left
        assert (await self.claim()).outcome == Outcome.EMPTY
        assert await self.state(names[-1]) == QUEUED

    async def test_a_repeat_of_a_claim_made_before_the_drain_is_still_answered(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        first = await self.claim(number=1)
        await self.store.drain("w1", None)
        again = await self.claim(number=1)
        assert (Outcome.OK, first.tasks) == (again.outcome, again.tasks)

    async def test_a_gone_worker_may_claim(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert (await self.claim()).outcome == Outcome.OK

    async def test_a_claim_clears_the_stalled_mark(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.store.recall(self.fence, ["a"], 0)
        assert (await self.worker_now()).stalled
        await self.claim()
        assert not (await self.worker_now()).stalled

    async def test_an_expired_entry_ends_and_another_takes_its_place(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=10 * MINUTE_MS)
        await self.queued("a", start_deadline=ms(MINUTE_MS))
        await self.queued("b")
        await self.queued("c")
        await self.clock.advance(MINUTE_MS + 1)
        await self.news()
        claimed = await self.claim(limit=1)
        assert [task.id for task in claimed.tasks] == ["b"]
        task = await self.task("a")
        assert (*CANCELLED, "expired", 0) == (task.status, task.home, task.reason, task.attempt)
        events = await self.news()
        assert kinds_of(events) == [EventKind.CANCELLED, EventKind.CLAIMED]
        expected = {"task": "a", "status": "cancelled", "reason": "expired"}
        assert [expected] == items_of(events, EventKind.CANCELLED)
        assert events[0].by == "w1"

    async def test_a_claim_that_finds_only_expired_entries_is_empty(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=10 * MINUTE_MS)
        await self.queued("a", start_deadline=ms(MINUTE_MS))
        await self.clock.advance(MINUTE_MS + 1)
        assert (await self.claim()).outcome == Outcome.EMPTY
        assert await self.state("a") == CANCELLED
        assert (await self.worker_now()).queued == 0

    async def test_attempts_are_counted_over_retries_and_workers(self) -> None:
        await self.lead()
        await self.worker("w1")
        await self.worker("w2")
        token = await self.running("a")
        await self.fail("a", token, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        await self.start("a", worker_id="w2")
        task = await self.task("a")
        assert (task.attempt, task.retry_count, task.worker_id) == (2, 1, "w2")

    async def test_the_epoch_is_zero_or_the_newest_terms(self) -> None:
        await self.worker()
        assert (await self.claim()).epoch == 0
        await self.lead("pod1")
        await self.store.resign(self.fence)
        newest = await self.lead("pod2")
        await self.store.resign(newest)
        assert fence_epoch(newest) == (await self.claim()).epoch

    async def test_only_the_workers_own_queue_is_claimed(self) -> None:
        await self.lead()
        await self.worker("w1")
        await self.worker("w1.2")
        await self.submit("a")
        await self.queue("a", worker_id="w1.2")
        assert (await self.claim("w1")).outcome == Outcome.EMPTY
        assert (await self.claim("w1.2")).outcome == Outcome.OK

    async def test_a_limit_outside_the_bound_is_refused(self) -> None:
        await self.worker()
        for limit in (0, 101):
            with pytest.raises(ValueError, match=r"."):
                await self.claim(limit=limit)

    async def test_a_lease_is_over_from_its_last_instant_on(self) -> None:
        await self.lead()
        await self.worker()
        await self.running("a")
        await self.clock.advance(HEARTBEAT_MS - 1)
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()
        await self.clock.advance(1)
        assert len((await self.store.overdue(self.fence, 10, 0)).leases) == 1

    async def test_a_lease_lasts_as_long_as_its_own_workers_timeout(self) -> None:
        await self.lead()
        await self.worker("w1")
        await self.worker("w2", heartbeat_timeout_ms=5000)
        await self.running("a")
        await self.submit("b")
        token = await self.start("b", worker_id="w2")
        await self.clock.advance(5000)
        (lease,) = (await self.store.overdue(self.fence, 10, 0)).leases
        assert ("b", token) == (lease.task.id, lease.token)
        await self.store.heartbeat("w2", "0100-a", [Held("b", token)])
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()

    async def test_a_cancelled_entry_is_not_claimed(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.queued("b")
        await self.store.cancel(["a"], by=CLIENT, reason="asked")
        assert [task.id for task in (await self.claim()).tasks] == ["b"]
        assert await self.state("a") != READY


class ClaimWhenRungTests(Arranging):
    """A claim that waits for the worker's wake-up."""

    async def test_a_wakeup_brings_what_a_claim_then_takes(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.hush("w1")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(self._claim_when_woken(1, WAKEUP_S))
            await asyncio.sleep(0)
            await self.queue("a")
        woken, claimed = waiting.result()
        assert (woken, claimed.outcome, claimed.token) == (True, Outcome.OK, self._token(1))
        assert [task.id for task in claimed.tasks] == ["a"]
        assert await self.state("a") == RUNNING

    async def test_without_a_wakeup_a_claim_takes_what_there_is_all_the_same(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.hush("w1")
        woken, claimed = await self._claim_when_woken(1, 0.05)
        assert (woken, [task.id for task in claimed.tasks]) == (False, ["a"])
        woken, claimed = await self._claim_when_woken(2, 0.05)
        assert (woken, claimed.outcome) == (False, Outcome.EMPTY)

    async def test_a_claim_that_waited_is_repeated_like_any_other(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        _, claimed = await self._claim_when_woken(1, 0.05)
        await self.queued("b")
        assert claimed == await self.claim(number=1)
        assert (claimed.token, claimed.tasks) == (self._token(1), (await self.task("a"),))

    async def test_a_claim_that_was_left_waiting_takes_nothing_after_its_repeat(self) -> None:
        await self.lead()
        await self.worker()
        await self.hush("w1")
        waiting = asyncio.create_task(self._claim_when_woken(1, WAKEUP_S))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await self.claim(number=1)).outcome == Outcome.EMPTY
        await self.queued("a")
        assert (await self.claim(number=1)).outcome == Outcome.EMPTY
        assert [task.id for task in (await self.claim(number=2)).tasks] == ["a"]

    async def test_a_worker_that_the_store_has_forgotten_is_told_at_the_wakeup(self) -> None:
        woken, claimed = await self._claim_when_woken(1, 0.05)
        assert (woken, claimed.outcome) == (False, Outcome.NO_WORKER)

    async def _claim_when_woken(self, number: int, timeout_s: float) -> tuple[bool, Claimed]:
        return await self.store.claim_when_woken("w1", "0100-a", 0, number, 100, timeout_s)

    @staticmethod
    def _token(number: int) -> str:
        return claim_token("w1", "0100-a", 0, number)
