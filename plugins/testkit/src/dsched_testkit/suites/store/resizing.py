"""Named tests: how many a worker runs at once is changed while it runs."""

import pytest

from dsched.contracts.store.bounds import MAX_CAPACITY
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.suites.store.arrange import OPERATOR, RUNNING, WAKEUP_S, Arranging


class ResizeTests(Arranging):
    """A worker's capacity is the store's, and its heartbeat tells it."""

    async def resize(self, capacity: int, worker_id: str = "w1") -> Outcome:
        """Resize as an operator."""
        return await self.store.resize(worker_id, capacity, by=OPERATOR)

    async def test_a_resized_worker_has_the_new_capacity_and_keeps_the_rest(self) -> None:
        before = await self.worker(labels={"zone": "eu"}, address="host:1")
        await self.news()
        assert await self.resize(3) == Outcome.OK
        worker = await self.worker_now()
        assert (worker.capacity, worker.backlog) == (3, before.backlog)
        assert (dict(worker.labels), worker.address) == ({"zone": "eu"}, "host:1")
        assert worker.incarnation == before.incarnation
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.WORKER, OPERATOR)
        assert [dict(item) for item in event.items] == [
            {"worker": "w1", "act": "resized", "capacity": 3}
        ]

    async def test_the_heartbeat_tells_the_worker_its_capacity(self) -> None:
        await self.worker()
        assert (await self.store.heartbeat("w1", "0100-a", [])).capacity == 10
        await self.resize(3)
        assert (await self.store.heartbeat("w1", "0100-a", [])).capacity == 3
        assert (await self.store.heartbeat("w1", "0099-z", [])).capacity is None

    async def test_a_worker_that_says_more_of_itself_keeps_the_size_it_was_given(self) -> None:
        before = await self.worker(capacity=10)
        await self.resize(3)
        await self.worker(capacity=10, labels={"zone": "eu"})
        worker = await self.worker_now()
        assert (worker.capacity, dict(worker.labels)) == (3, {"zone": "eu"})
        assert worker.incarnation == before.incarnation
        assert (await self.store.heartbeat("w1", "0100-a", [])).capacity == 3

    async def test_a_newer_process_has_the_size_that_it_says(self) -> None:
        await self.worker(capacity=10)
        await self.resize(3)
        await self.worker(capacity=7, incarnation="0101-a")
        assert (await self.worker_now()).capacity == 7

    async def test_the_same_size_again_is_already_and_changes_nothing(self) -> None:
        await self.worker()
        await self.resize(3)
        await self.news()
        assert await self.resize(3) == Outcome.ALREADY
        assert await self.news() == []

    async def test_nobody_is_resized_where_there_is_no_worker(self) -> None:
        assert await self.resize(3, "nobody") == Outcome.NO_WORKER
        assert await self.resize(3, "no id") == Outcome.NO_WORKER

    async def test_a_size_that_no_worker_can_have_is_refused(self) -> None:
        await self.worker()
        for capacity in (-1, 0, MAX_CAPACITY + 1, 10**9):
            with pytest.raises(ValueError, match=f"not {capacity}"):
                await self.resize(capacity)
        assert (await self.worker_now()).capacity == 10

    async def test_what_runs_beyond_a_smaller_size_stays_and_nothing_is_added(self) -> None:
        await self.lead()
        await self.worker(backlog=0)
        for name in "abc":
            await self.running(name)
        await self.submit("d")
        await self.resize(2)
        assert [await self.state(name) for name in "abc"] == [RUNNING] * 3
        assert await self.choose("d") == Outcome.FULL
        await self.resize(4)
        assert await self.choose("d") == Outcome.OK

    async def test_a_resize_wakes_the_worker_and_the_leader(self) -> None:
        await self.lead()
        await self.worker()
        await self.hush("w1", LEADER_WAKEUP)
        await self.resize(20)
        assert await self.store.wakeup("w1", WAKEUP_S)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
