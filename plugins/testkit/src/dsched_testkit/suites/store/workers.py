"""Named tests: registration, takeover, heartbeats, and when a worker is gone."""

import asyncio

import pytest

from dsched.contracts.store.bounds import MAX_BATCH, MAX_WORKERS
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.workers import Held
from dsched_testkit.suites.store.arrange import (
    HEARTBEAT_MS,
    HOUR_MS,
    QUEUED,
    READY,
    RUNNING,
    SECOND_MS,
    Arranging,
    a_registration,
)

OLDER, FIRST, NEWER = "0099-z", "0100-a", "0101-a"


class WorkerTests(Arranging):
    """Registration and takeover."""

    async def test_a_registered_worker_is_seen_as_it_presented_itself(self) -> None:
        await self.worker(capacity=3, backlog=2, labels={"zone": "é"}, address="10.0.0.1:80")
        (worker,) = await self.store.workers()
        assert (
            worker.id,
            worker.incarnation,
            worker.capacity,
            worker.backlog,
        ) == ("w1", FIRST, 3, 2)
        assert (dict(worker.labels), worker.address) == ({"zone": "é"}, "10.0.0.1:80")
        assert (HEARTBEAT_MS, self.clock.ms) == (
            worker.heartbeat_timeout_ms,
            worker.last_heartbeat_ms,
        )
        assert (
            worker.running,
            worker.queued,
            worker.draining,
            worker.stalled,
            worker.gone,
        ) == (0, 0, False, False, False)

    async def test_a_registration_is_one_entry_in_the_log(self) -> None:
        await self.worker()
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.WORKER, "w1")
        assert [dict(item) for item in event.items] == [{"worker": "w1", "act": "registered"}]

    async def test_workers_come_by_ascending_id(self) -> None:
        for worker_id in ("b", "a.1", "a", "B", "a:2"):
            await self.worker(worker_id)
        found = [worker.id for worker in await self.store.workers()]
        assert sorted(found) == found
        assert len(found) == 5

    async def test_the_same_incarnation_again_updates_the_fields(self) -> None:
        await self.worker(capacity=3, labels={"zone": "a"})
        await self.worker(capacity=5, backlog=1, labels={"zone": "b"}, address="x")
        worker = await self.worker_now()
        assert (
            worker.capacity,
            worker.backlog,
            dict(worker.labels),
            worker.address,
        ) == (3, 1, {"zone": "b"}, "x")

    async def test_the_same_incarnation_again_keeps_queue_lanes_and_drain(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.queued("b")
        await self.worker()
        assert await self.state("b") == QUEUED
        repeat = await self.claim(number=1)
        assert (token, ["a"]) == (repeat.token, [task.id for task in repeat.tasks])
        await self.store.drain("w1", None)
        await self.worker()
        assert (await self.worker_now()).draining

    async def test_a_newer_incarnation_gives_its_predecessors_queue_back(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.queued("b")
        await self.news()
        await self.worker(incarnation=NEWER)
        assert await self.ready_ids() == ["a", "b"]
        worker = await self.worker_now()
        assert (worker.incarnation, worker.queued) == (NEWER, 0)
        events = await self.news()
        acts = [
            (item["act"], item["worker"])
            for event in events
            if event.kind is EventKind.WORKER
            for item in event.items
        ]
        assert acts == [("superseded", "w1"), ("registered", "w1")]
        recalled = [
            item["task"]
            for event in events
            if event.kind is EventKind.RECALLED
            for item in event.items
        ]
        assert recalled == ["a", "b"]

    async def test_a_newer_incarnation_ends_its_predecessors_leases_at_once(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()
        await self.worker(incarnation=NEWER)
        (lease,) = (await self.store.overdue(self.fence, 10, 0)).leases
        assert ("a", token) == (lease.task.id, lease.token)
        assert await self.state("a") == RUNNING

    async def test_a_newer_incarnation_starts_with_clear_flags_and_lanes(self) -> None:
        await self.lead()
        await self.worker()
        await self.claim(number=7)
        await self.store.drain("w1", None)
        await self.worker(incarnation=NEWER)
        assert not (await self.worker_now()).draining
        claimed = await self.claim(incarnation=NEWER, number=1)
        assert claimed.outcome == Outcome.EMPTY

    async def test_a_newer_incarnation_is_not_stalled(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.clock.advance(15 * SECOND_MS)
        assert await self.store.recall(self.fence, ["a"], 0) == (Outcome.OK,)
        assert (await self.worker_now()).stalled
        await self.worker(incarnation=NEWER)
        assert not (await self.worker_now()).stalled

    async def test_a_takeover_gives_back_at_most_a_batch_and_leaves_the_rest_queued(self) -> None:
        await self.lead()
        await self.worker(capacity=200)
        names = [f"t{index:03}" for index in range(MAX_BATCH + 5)]
        for name in names:
            await self.submit(name)
        await self.queue(*names[:MAX_BATCH])
        await self.queue(*names[MAX_BATCH:])
        await self.worker(capacity=200, incarnation=NEWER)
        assert (await self.worker_now()).queued == 5
        assert names[:MAX_BATCH] == await self.ready_ids()

    async def test_an_older_incarnation_is_superseded_and_changes_nothing(self) -> None:
        await self.worker(capacity=3)
        before = await self.store.workers()
        await self.news()
        older = a_registration(incarnation=OLDER, capacity=9)
        assert await self.store.register(older) == Outcome.SUPERSEDED
        assert before == await self.store.workers()
        assert await self.news() == []

    async def test_a_worker_is_silent_from_its_first_missing_beat_on(self) -> None:
        await self.worker()
        last_ms = HEARTBEAT_MS // 3 + min(2 * SECOND_MS, HEARTBEAT_MS // 6)
        await self.clock.advance(last_ms)
        assert not (await self.worker_now()).silent
        await self.clock.advance(1)
        worker = await self.worker_now()
        assert (worker.silent, worker.gone) == (True, False)
        assert await self.beat() == Outcome.OK
        assert not (await self.worker_now()).silent

    async def test_any_incarnation_takes_over_from_a_gone_worker(self) -> None:
        await self.worker()
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert await self.store.register(a_registration(incarnation=OLDER)) == Outcome.OK
        worker = await self.worker_now()
        assert (worker.incarnation, worker.gone) == (OLDER, False)

    async def test_a_superseded_process_learns_it_in_every_call(self) -> None:
        await self.worker(incarnation=NEWER)
        assert (await self.claim()).outcome == Outcome.SUPERSEDED
        assert await self.beat() == Outcome.SUPERSEDED
        assert await self.store.drain("w1", FIRST) == Outcome.SUPERSEDED
        assert await self.store.deregister("w1", FIRST) == Outcome.SUPERSEDED
        worker = await self.worker_now()
        assert (worker.incarnation, worker.draining) == (NEWER, False)

    async def test_an_unregistered_newer_process_is_told_to_register(self) -> None:
        await self.worker()
        assert (await self.claim(incarnation=NEWER)).outcome == Outcome.NO_WORKER
        assert await self.beat(incarnation=NEWER) == Outcome.NO_WORKER
        assert await self.store.drain("w1", NEWER) == Outcome.NO_WORKER
        assert await self.store.deregister("w1", NEWER) == Outcome.NO_WORKER
        assert (await self.worker_now()).incarnation == FIRST

    async def test_an_older_process_whose_successor_is_gone_is_told_to_register(self) -> None:
        await self.worker(incarnation=NEWER)
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert (await self.claim()).outcome == Outcome.NO_WORKER
        assert await self.beat() == Outcome.NO_WORKER
        assert await self.store.deregister("w1", FIRST) == Outcome.NO_WORKER
        worker = await self.worker_now()
        assert (worker.incarnation, worker.gone) == (NEWER, True)  # its beat was not for this one

    async def test_an_unknown_worker_is_told_to_register(self) -> None:
        assert (await self.claim("who")).outcome == Outcome.NO_WORKER
        assert await self.beat("who") == Outcome.NO_WORKER
        assert await self.store.drain("who", None) == Outcome.NO_WORKER
        assert await self.store.deregister("who", FIRST) == Outcome.NO_WORKER
        assert await self.store.workers() == ()

    async def test_more_workers_than_the_bound_are_refused(self) -> None:
        for start in range(0, MAX_WORKERS, MAX_BATCH):
            batch = range(start, start + MAX_BATCH)
            await asyncio.gather(*(self.worker(f"w{index:04}") for index in batch))
        with pytest.raises(StoreRefusedError):
            await self.store.register(a_registration("one-more"))
        assert len(await self.store.workers()) == MAX_WORKERS
        await self.worker("w0000", capacity=3)


class HeartbeatTests(Arranging):
    """What a beat renews, and what it answers."""

    async def test_a_worker_is_gone_when_its_last_beat_is_older_than_its_timeout(self) -> None:
        await self.worker()
        await self.worker("slow", heartbeat_timeout_ms=HOUR_MS)
        await self.clock.advance(HEARTBEAT_MS)
        assert not (await self.worker_now()).gone
        await self.clock.advance(1)
        assert (await self.worker_now()).gone
        assert not (await self.worker_now("slow")).gone

    async def test_a_beat_keeps_a_worker_and_brings_a_gone_one_back(self) -> None:
        await self.worker()
        await self.clock.advance(HEARTBEAT_MS)
        assert await self.beat() == Outcome.OK
        await self.clock.advance(HEARTBEAT_MS)
        assert not (await self.worker_now()).gone
        await self.clock.advance(1)
        assert (await self.worker_now()).gone
        assert await self.beat() == Outcome.OK
        worker = await self.worker_now()
        assert (False, self.clock.ms) == (worker.gone, worker.last_heartbeat_ms)

    async def test_the_leader_is_woken_for_a_worker_that_comes_back_and_for_no_other_beat(
        self,
    ) -> None:
        await self.worker()
        await self.hush(LEADER_WAKEUP)
        await self.clock.advance(HEARTBEAT_MS)
        assert await self.beat() == Outcome.OK
        assert not await self.store.wakeup(LEADER_WAKEUP, 0.05)
        await self.clock.advance(HEARTBEAT_MS + 1)
        assert await self.beat() == Outcome.OK
        assert await self.store.wakeup(LEADER_WAKEUP, 2)

    async def test_the_leader_is_woken_for_a_worker_that_is_stalled_no_more(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.clock.advance(15 * SECOND_MS)
        assert await self.store.recall(self.fence, ["a"], 0) == (Outcome.OK,)
        await self.hush(LEADER_WAKEUP)
        await self.claim(number=1)
        assert not (await self.worker_now()).stalled
        assert await self.store.wakeup(LEADER_WAKEUP, 2)
        await self.claim(number=2)
        assert not await self.store.wakeup(LEADER_WAKEUP, 0.05)

    async def test_a_claim_is_not_a_beat(self) -> None:
        await self.worker()
        await self.clock.advance(HEARTBEAT_MS)
        await self.claim()
        await self.clock.advance(1)
        assert (await self.worker_now()).gone

    async def test_a_beat_renews_what_it_lists_and_nothing_else(self) -> None:
        await self.lead()
        await self.worker()
        listed = await self.running("a")
        unlisted = await self.running("b")
        await self.clock.advance(20 * SECOND_MS)
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", listed)])
        assert (answer.outcome, answer.lost, answer.cancel) == (Outcome.OK, (), ())
        await self.clock.advance(HEARTBEAT_MS - 1)
        (lease,) = (await self.store.overdue(self.fence, 10, 0)).leases
        assert ("b", unlisted) == (lease.task.id, lease.token)
        await self.clock.advance(1)
        assert len((await self.store.overdue(self.fence, 10, 0)).leases) == 2

    async def test_a_beat_renews_a_lease_that_is_over_but_not_reaped(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(HOUR_MS)
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", token)])
        assert (answer.outcome, answer.lost) == (Outcome.OK, ())
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()

    async def test_a_beat_names_the_attempts_that_are_lost(self) -> None:
        await self.lead()
        await self.worker()
        done = await self.running("done")
        await self.finish("done", done)
        token = await self.running("mine")
        held = [Held("done", done), Held("mine", token), Held("never", token), Held("mine2", "")]
        await self.queued("mine2")
        answer = await self.store.heartbeat("w1", FIRST, held)
        assert (answer.outcome, answer.lost) == (Outcome.OK, ("done", "never", "mine2"))

    async def test_an_attempt_with_an_older_token_is_lost(self) -> None:
        await self.lead()
        await self.worker()
        old = await self.running("a")
        await self.fail("a", old, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        await self.start("a")
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", old)])
        assert answer.lost == ("a",)

    async def test_a_beat_names_the_attempts_to_cancel(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        other = await self.running("b")
        await self.store.cancel(["a"], by=CLIENT_NAME, reason="asked")
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", token), Held("b", other)])
        assert (answer.cancel, answer.lost) == (("a",), ())

    async def test_a_beat_says_whether_to_drain(self) -> None:
        await self.worker()
        assert not (await self.store.heartbeat("w1", FIRST, [])).draining
        await self.store.drain("w1", None)
        assert (await self.store.heartbeat("w1", FIRST, [])).draining

    async def test_a_beat_of_an_unknown_worker_still_renews_what_it_lists(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.running("b")
        await self.store.deregister("w1", FIRST)
        await self.clock.advance(20 * SECOND_MS)
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", token), Held("x", token)])
        assert (answer.outcome, answer.lost) == (Outcome.NO_WORKER, ("x",))
        await self.clock.advance(HEARTBEAT_MS - 1)
        leases = (await self.store.overdue(self.fence, 10, 0)).leases
        assert [lease.task.id for lease in leases] == ["b"]
        assert await self.store.workers() == ()

    async def test_a_beat_of_an_unknown_worker_still_learns_of_a_cancel(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.deregister("w1", FIRST)
        await self.store.cancel(["a"], by=CLIENT_NAME, reason="asked")
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", token)])
        assert (answer.outcome, answer.cancel) == (Outcome.NO_WORKER, ("a",))

    async def test_a_superseded_beat_renews_nothing_and_has_lost_all(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.worker(incarnation=NEWER)
        answer = await self.store.heartbeat("w1", FIRST, [Held("a", token)])
        assert (answer.outcome, answer.lost) == (Outcome.SUPERSEDED, ("a",))
        assert len((await self.store.overdue(self.fence, 10, 0)).leases) == 1

    async def test_a_beat_writes_nothing_into_the_log(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        await self.beat("w1", Held("a", token), Held("x", "y"))
        assert await self.news() == []

    async def test_the_counts_are_the_stores_own(self) -> None:
        await self.lead()
        await self.worker(capacity=5)
        await self.running("a")
        await self.queued("b")
        await self.queued("c")
        worker = await self.worker_now()
        assert (worker.running, worker.queued) == (1, 2)
        await self.store.cancel(["b"], by=CLIENT_NAME, reason="asked")
        worker = await self.worker_now()
        assert (worker.running, worker.queued) == (1, 1)
        assert await self.state("b") != READY


CLIENT_NAME = "client"
