"""Named tests: drain and deregistration, and what becomes of the queue."""

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.suites.store.arrange import (
    HEARTBEAT_MS,
    QUEUED,
    READY,
    RUNNING,
    WAKEUP_S,
    Arranging,
    items_of,
    kinds_of,
)


class DrainTests(Arranging):
    """A worker that leaves hands back what it has not started."""

    async def test_draining_sets_the_flag_and_gives_the_queue_back(self) -> None:
        await self.lead()
        await self.worker()
        await self.running("run")
        await self.queued("a")
        await self.queued("b")
        await self.news()
        assert await self.store.drain("w1", "0100-a") == Outcome.OK
        worker = await self.worker_now()
        assert (worker.draining, worker.running, worker.queued) == (True, 1, 0)
        assert await self.ready_ids() == ["a", "b"]
        assert await self.state("run") == RUNNING
        events = await self.news()
        assert {EventKind.WORKER, EventKind.RECALLED} == set(kinds_of(events))
        assert {"w1"} == {event.by for event in events}
        assert items_of(events, EventKind.WORKER) == [{"worker": "w1", "act": "draining"}]
        recalled = items_of(events, EventKind.RECALLED)
        assert recalled == [{"task": "a", "worker": "w1"}, {"task": "b", "worker": "w1"}]

    async def test_draining_again_is_already_and_changes_nothing(self) -> None:
        await self.worker()
        await self.store.drain("w1", None)
        await self.news()
        assert await self.store.drain("w1", None) == Outcome.ALREADY
        assert await self.store.drain("w1", "0100-a") == Outcome.ALREADY
        assert await self.news() == []

    async def test_draining_a_long_queue_takes_several_calls_oldest_first(self) -> None:
        await self.lead()
        await self.worker(capacity=200)
        names = [f"t{index:03}" for index in range(MAX_BATCH + 3)]
        for name in names:
            await self.submit(name)
        await self.queue(*names[:MAX_BATCH])
        await self.queue(*names[MAX_BATCH:])
        assert await self.store.drain("w1", None) == Outcome.OK
        assert [await self.state(names[-1]), await self.state(names[0])] == [QUEUED, READY]
        await self.news()
        assert await self.store.drain("w1", None) == Outcome.OK
        events = await self.news()
        assert kinds_of(events) == [EventKind.RECALLED]
        assert names[MAX_BATCH:] == [item["task"] for item in events[0].items]
        assert await self.store.drain("w1", None) == Outcome.ALREADY

    async def test_a_draining_worker_is_told_by_its_wakeup(self) -> None:
        await self.worker()
        await self.hush("w1")
        await self.store.drain("w1", None)
        assert await self.store.wakeup("w1", WAKEUP_S)

    async def test_what_a_drain_gives_back_wakes_the_leader(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.hush(LEADER_WAKEUP)
        await self.store.drain("w1", None)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_a_draining_worker_gets_no_new_tasks(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.store.drain("w1", None)
        assert await self.choose("a") == Outcome.DRAINING
        assert await self.state("a") == READY

    async def test_deregistering_forgets_the_worker(self) -> None:
        await self.worker()
        await self.news()
        assert await self.store.deregister("w1", "0100-a") == Outcome.OK
        assert await self.store.workers() == ()
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.WORKER, "w1")
        assert [dict(item) for item in event.items] == [{"worker": "w1", "act": "deregistered"}]
        assert await self.store.deregister("w1", "0100-a") == Outcome.NO_WORKER
        assert await self.news() == []

    async def test_deregistering_gives_the_queue_back(self) -> None:
        await self.lead()
        await self.worker()
        await self.queued("a")
        await self.news()
        await self.store.deregister("w1", "0100-a")
        assert await self.ready_ids() == ["a"]
        recalled = await self.new_items(EventKind.RECALLED)
        assert recalled == [{"task": "a", "worker": "w1"}]

    async def test_the_leases_of_a_deregistered_worker_run_out_by_themselves(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.deregister("w1", "0100-a")
        assert (await self.store.overdue(self.fence, 10, 0)).leases == ()
        await self.clock.advance(HEARTBEAT_MS + 1)
        (lease,) = (await self.store.overdue(self.fence, 10, 0)).leases
        assert ("a", token) == (lease.task.id, lease.token)

    async def test_what_is_left_in_the_queue_of_a_deregistered_worker_can_be_recalled(self) -> None:
        await self.lead()
        await self.worker(capacity=200)
        names = [f"t{index:03}" for index in range(MAX_BATCH + 1)]
        for name in names:
            await self.submit(name)
        await self.queue(*names[:MAX_BATCH])
        await self.queue(names[-1])
        await self.store.deregister("w1", "0100-a")
        assert await self.state(names[-1]) == QUEUED
        (entry,) = (await self.store.overdue(self.fence, 10, 0)).queued
        assert (names[-1], "w1") == (entry.task_id, entry.worker_id)
        assert await self.store.recall(self.fence, [names[-1]], 0) == (Outcome.OK,)
        assert await self.state(names[-1]) == READY

    async def test_a_deregistered_workers_task_can_still_be_completed(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.store.deregister("w1", "0100-a")
        assert await self.finish("a", token) == Outcome.OK
