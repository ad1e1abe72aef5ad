"""Named tests: `queue_all` holds every run until those before it have ended, and in their order."""

from typing import Any

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.reading import TaskQuery
from dsched.model import Home, Overlap, SkipReason
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    HELD,
    MINUTE_MS,
    OPERATOR,
    READY,
    Arranging,
    a_config,
)


class QueueAllTests(Arranging):
    """One at a time, all of them, in order."""

    async def test_queue_all_holds_every_run_of_a_call_after_the_first(self) -> None:
        ids, answer = await self._queued_up(4)
        assert answer == (RunOutcome.FIRED, *[RunOutcome.HELD] * 3)
        assert await self.ready_ids() == ids[:1]
        page = await self.store.list_tasks(TaskQuery(home=Home.HELD), None, 10)
        assert [task.id for task in page.tasks] == ids[1:]
        counts = await self.store.counts()
        assert (counts.by_home[Home.HELD], counts.by_home[Home.READY]) == (3, 1)

    async def test_queue_all_runs_one_after_the_other_in_the_order_of_their_instants(self) -> None:
        ids, _ = await self._queued_up(4)
        ran = []
        for _ in ids:
            (task_id,) = await self.ready_ids()
            ran.append(task_id)
            await self.finish(task_id, await self.start(task_id))
        assert ran == ids
        assert (await self.store.counts()).by_home[Home.HELD] == 0

    async def test_what_is_fired_after_the_clock_went_back_goes_by_its_instant_too(self) -> None:
        ids, _ = await self._queued_up(3)
        await self.clock.advance(-1500)
        between = f"c@{self.clock.ms}"
        assert (await self.fire("c", self.clock.ms)).runs == (RunOutcome.HELD,)
        ran = []
        for _ in range(4):
            (task_id,) = await self.ready_ids()
            ran.append(task_id)
            await self.finish(task_id, await self.start(task_id))
        assert ran == [ids[0], between, *ids[1:]]

    async def test_queue_all_goes_on_holding_while_something_is_held(self) -> None:
        ids, _ = await self._queued_up(2)
        await self.finish(ids[0], await self.start(ids[0]))
        assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        last = f"c@{self.clock.ms}"
        assert await self.ready_ids() == [ids[1]]
        await self.finish(ids[1], await self.start(ids[1]))
        assert await self.ready_ids() == [last]

    async def test_queue_all_holds_as_many_as_misfire_cap_says_and_skips_the_rest(self) -> None:
        await self.news()
        ids, answer = await self._queued_up(5, misfire_cap=2)
        assert answer == (
            *(RunOutcome.FIRED, RunOutcome.HELD, RunOutcome.HELD),
            *[RunOutcome.SKIPPED] * 2,
        )
        skipped = await self.new_items(EventKind.SKIPPED)
        assert [item["first"] for item in skipped] == [int(one[2:]) for one in ids[3:]]
        assert {item["reason"] for item in skipped} == {SkipReason.OVERLAP}
        await self.finish(ids[0], await self.start(ids[0]))
        assert (await self.fire_next()).runs == (RunOutcome.HELD,), "there is room for one again"
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)

    async def test_a_bound_that_was_changed_holds_from_the_next_fire_on(self) -> None:
        await self._queued_up(3)
        await self.clock.advance(MINUTE_MS)
        less = a_config(overlap=Overlap.QUEUE_ALL, misfire_cap=1)
        await self.put(less, next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.SKIPPED,)
        await self.clock.advance(MINUTE_MS)
        await self.put(a_config(overlap=Overlap.QUEUE_ALL), next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.HELD,)

    async def test_a_held_task_that_is_cancelled_leaves_its_place_in_the_order(self) -> None:
        ids, _ = await self._queued_up(5)
        for gone in (ids[1], ids[3]):
            (answer,) = await self.store.cancel([gone], by=OPERATOR, reason="asked")
            assert answer.outcome == Outcome.OK
            assert await self.state(gone) == CANCELLED
            assert await self.ready_ids() == ids[:1]
        assert (await self.store.counts()).by_home[Home.HELD] == 2
        for task_id, following in ((ids[0], ids[2]), (ids[2], ids[4])):
            await self.finish(task_id, await self.start(task_id))
            assert await self.ready_ids() == [following]

    async def test_a_cancel_of_all_that_live_ends_the_running_and_every_held_one(self) -> None:
        ids, _ = await self._queued_up(4)
        for _ in ids:
            await self.store.cancel(ids, by=OPERATOR, reason="asked")
        assert {await self.state(task_id) for task_id in ids} == {CANCELLED}
        assert await self.ready_ids() == []
        assert (await self.fire_next()).runs == (RunOutcome.FIRED,)

    async def test_what_is_held_outlives_its_config_and_other_policies(self) -> None:
        ids, _ = await self._queued_up(3)
        await self.clock.advance(MINUTE_MS)
        for policy, outcome in (
            (Overlap.SKIP, RunOutcome.SKIPPED),
            (Overlap.QUEUE_ONE, RunOutcome.SKIPPED),
        ):
            await self.clock.advance(MINUTE_MS)
            await self.put(a_config(overlap=policy), next_due_ms=self.clock.ms)
            assert (await self.fire()).runs == (outcome,)
        await self.store.delete("c", self.rearm(await self.stored()), by=OPERATOR)
        for task_id, following in ((ids[0], ids[1]), (ids[1], ids[2])):
            await self.finish(task_id, await self.start(task_id))
            assert await self.ready_ids() == [following]

    async def test_a_held_one_waits_for_all_that_run_beside_each_other(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=600 * MINUTE_MS)
        await self.config(due_in_ms=-1000, overlap=Overlap.ALLOW)
        beside = [f"c@{self.clock.ms - 1000}", f"c@{self.clock.ms - 999}"]
        await self.fired("c", *[int(one[2:]) for one in beside])
        await self.put(a_config(overlap=Overlap.QUEUE_ALL), next_due_ms=self.clock.ms + MINUTE_MS)
        for _ in range(2):
            assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        held = [f"c@{self.clock.ms - MINUTE_MS}", f"c@{self.clock.ms}"]
        token = await self.start(*beside)
        await self.finish(beside[0], token)
        assert [await self.state(one) for one in held] == [HELD, HELD]
        await self.finish(beside[1], token)
        assert [await self.state(one) for one in held] == [READY, HELD]

    async def test_cancel_previous_ends_all_that_are_held(self) -> None:
        ids, _ = await self._queued_up(4)
        token = await self.start(ids[0])
        await self.clock.advance(MINUTE_MS)
        await self.put(a_config(overlap=Overlap.CANCEL_PREVIOUS), next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.HELD,)
        new = f"c@{self.clock.ms}"
        assert [await self.state(one) for one in ids[1:]] == [CANCELLED] * 3
        assert await self.state(new) == HELD
        await self.finish(ids[0], token)
        assert await self.ready_ids() == [new]

    async def test_cancel_previous_ends_a_batch_of_them_the_held_ones_first(self) -> None:
        ids, _ = await self._queued_up(MAX_HEAVY_BATCH)
        for _ in range(2):
            assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        await self.clock.advance(MINUTE_MS)
        await self.put(a_config(overlap=Overlap.CANCEL_PREVIOUS), next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.HELD,)
        assert (await self.store.counts()).by_home[Home.HELD] == 2
        assert await self.ready_ids() == ids[:1]

    async def _queued_up(
        self, count: int, **fields: Any
    ) -> tuple[list[str], tuple[RunOutcome, ...]]:
        """Instants a second apart of one config, fired in one call; their ids, and the answers."""
        await self.lead()
        await self.worker(heartbeat_timeout_ms=600 * MINUTE_MS)
        first_ms = self.clock.ms - 1000 * (count - 1)
        stored = await self.config(
            due_in_ms=first_ms - self.clock.ms, overlap=Overlap.QUEUE_ALL, **fields
        )
        assert stored.due_ms == first_ms
        instants = [first_ms + 1000 * n for n in range(count)]
        answer = await self.fire("c", *instants)
        return [f"c@{ms}" for ms in instants], answer.runs
