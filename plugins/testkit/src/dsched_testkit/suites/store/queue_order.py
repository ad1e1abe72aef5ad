"""Named tests: a worker's queue is in the order of priority, and what is worth less gives way."""

from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import Home
from dsched_testkit.suites.store.arrange import (
    QUEUED,
    READY,
    SECOND_MS,
    WAKEUP_S,
    Arranging,
    items_of,
)


class QueueOrderTests(Arranging):
    """What waits in front of a worker, and what gives its place there to something else."""

    async def test_a_queue_is_claimed_by_priority_and_then_in_the_order_of_dispatch(self) -> None:
        await self.lead()
        await self.worker()
        for name, priority in (("a", 5), ("b", 0), ("c", 9), ("d", 5), ("e", 9), ("f", 7)):
            await self.queued(name, priority=priority)
        assert await self._line() == ["c", "e", "f", "a", "d", "b"]
        assert [task.id for task in (await self.claim(limit=2)).tasks] == ["c", "e"]
        await self.queued("g", priority=9)
        assert [task.id for task in (await self.claim()).tasks] == ["g", "f", "a", "d", "b"]

    async def test_choices_of_one_call_stand_in_the_order_of_priority_too(self) -> None:
        await self.lead()
        await self.worker()
        for name, priority in (("a", 3), ("b", 6)):
            await self.queued(name, priority=priority)
        for name, priority in (("c", 0), ("d", 6), ("e", 9), ("f", 4), ("g", 3)):
            await self.submit(name, priority=priority)
        await self.queue(*"cdefg")
        assert await self._line() == ["e", "b", "d", "f", "a", "g", "c"]

    async def test_a_full_queue_gives_its_last_place_to_a_task_of_higher_priority(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=2)
        await self.running("run", priority=0)
        for name, priority in (("a", 2), ("b", 0)):
            await self.queued(name, priority=priority)
        await self.submit("urgent", priority=9)
        await self.news()
        assert await self.choose("urgent", why="full") == Outcome.OK
        assert await self._line() == ["urgent", "a"]
        given = await self.task("b")
        assert (*READY, None, "displaced") == (
            given.status,
            given.home,
            given.worker_id,
            given.reason,
        )
        worker = await self.worker_now()
        assert (worker.running, worker.queued) == (1, 2)
        events = await self.news()
        assert items_of(events, EventKind.RECALLED) == [
            {"task": "b", "worker": "w1", "displaced": True}
        ]
        assert items_of(events, EventKind.DISPATCHED) == [
            {"task": "urgent", "worker": "w1", "why": "full"}
        ]
        kinds = [event.kind for event in events]
        assert kinds == [EventKind.RECALLED, EventKind.DISPATCHED]
        assert not worker.stalled

    async def test_nothing_gives_way_to_a_task_of_its_own_priority_or_a_lower_one(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=1)
        await self.queued("a", priority=7)
        await self.queued("b", priority=5)
        for name, priority in (("same", 5), ("less", 4)):
            await self.submit(name, priority=priority)
            await self.news()
            assert await self.choose(name) == Outcome.FULL
            assert await self.state(name) == READY
            assert await self.news() == []
        assert await self._line() == ["a", "b"]

    async def test_what_runs_gives_way_to_nothing(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=0)
        await self.running("run", priority=0)
        await self.submit("urgent", priority=9)
        assert await self.choose("urgent") == Outcome.FULL

    async def test_each_of_several_choices_takes_the_place_of_another(self) -> None:
        await self.lead()
        await self.worker(capacity=2, backlog=1)
        for name, priority in (("a", 4), ("b", 1), ("c", 0)):
            await self.queued(name, priority=priority)
        for name in ("x", "y", "z"):
            await self.submit(name, priority=3)
        choices = [Choice(task_id=name, worker_id="w1") for name in "xyz"]
        done = await self.store.dispatch(self.fence, choices, [], skip=0, limit=10)
        assert done.choices == (Outcome.OK, Outcome.OK, Outcome.FULL)
        assert await self._line() == ["a", "x", "y"]
        assert [task.id for task in done.page.tasks] == ["z", "b", "c"]
        assert [worker.lowest_queued for worker in done.page.workers] == [3]

    async def test_what_a_call_has_queued_gives_way_to_nothing_of_the_same_call(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=1)
        await self.queued("a", priority=5)
        for name, priority in (("low", 0), ("high", 9), ("higher", 9)):
            await self.submit(name, priority=priority)
        choices = [Choice(task_id=name, worker_id="w1") for name in ("low", "high", "higher")]
        done = await self.store.dispatch(self.fence, choices, [], skip=0, limit=10)
        assert done.choices == (Outcome.OK, Outcome.OK, Outcome.FULL)
        assert await self._line() == ["high", "low"]

    async def test_what_gave_way_is_not_moved_once_more_by_the_same_call(self) -> None:
        await self.lead()
        await self.worker("w1", capacity=1, backlog=1)
        await self.worker("w2")
        await self.queued("a", priority=2)
        await self.queued("b", priority=1)
        for name in ("x", "y"):
            await self.submit(name, priority=9)
        done = await self.store.dispatch(
            self.fence,
            [Choice(task_id=key, worker_id=to) for key, to in (("x", "w1"), ("b", "w2"))],
            [],
            skip=0,
            limit=10,
        )
        assert done.choices == (Outcome.OK, Outcome.STALE)
        done = await self.store.dispatch(
            self.fence,
            [Choice(task_id="y", worker_id="w1")],
            [Deferral(task_id="a", delay_ms=1000, reason="no worker")],
            skip=0,
            limit=10,
        )
        assert (done.choices, done.deferrals) == ((Outcome.OK,), (Outcome.STALE,))
        assert [await self.state(name) for name in "abxy"] == [READY, READY, QUEUED, QUEUED]

    async def test_an_old_entry_is_found_behind_younger_ones_of_higher_priority(self) -> None:
        await self.lead()
        await self.worker()
        for name, priority in (("old9", 9), ("old5", 5), ("old0", 0)):
            await self.queued(name, priority=priority)
        await self.clock.advance(15 * SECOND_MS)
        for name, priority in (("new9", 9), ("new7", 7), ("new5", 5), ("also5", 5), ("new0", 0)):
            await self.queued(name, priority=priority)
        found = await self.store.overdue(self.fence, 100, 15 * SECOND_MS)
        assert {entry.task_id for entry in found.queued} == {"old9", "old5", "old0"}
        assert {entry.age_ms for entry in found.queued} == {15 * SECOND_MS}
        few = await self.store.overdue(self.fence, 2, 15 * SECOND_MS)
        assert len(few.queued) == 2

    async def test_a_worker_says_the_priority_of_its_last_only_while_it_is_full(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=2)
        assert (await self.worker_now()).lowest_queued is None
        await self.running("run", priority=9)
        await self.queued("a", priority=0)
        assert (await self.worker_now()).lowest_queued is None
        await self.queued("b", priority=4)
        assert (await self.worker_now()).lowest_queued == 0
        await self.store.cancel(["a"], by="client", reason="asked")
        await self.queued("c")
        assert (await self.worker_now()).lowest_queued == 4
        page = await self.store.ready(self.fence, 0, 10)
        assert [worker.lowest_queued for worker in page.workers] == [4]

    async def test_a_task_that_gave_way_wakes_the_leader(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=0)
        await self.queued("a", priority=0)
        await self.submit("urgent", priority=9)
        await self.hush(LEADER_WAKEUP)
        assert await self.choose("urgent") == Outcome.OK
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_a_repeat_of_a_choice_that_displaced_displaces_nothing_more(self) -> None:
        await self.lead()
        await self.worker(capacity=1, backlog=1)
        for name in ("a", "b"):
            await self.queued(name, priority=0)
        await self.submit("urgent", priority=9)
        assert await self.choose("urgent") == Outcome.OK
        await self.news()
        assert await self.choose("urgent") == Outcome.STALE
        assert await self.news() == []
        assert await self._line() == ["urgent", "a"]

    async def _line(self) -> list[str]:
        query = TaskQuery(home=Home.QUEUE, worker_id="w1")
        return [task.id for task in (await self.store.list_tasks(query, None, 100)).tasks]
