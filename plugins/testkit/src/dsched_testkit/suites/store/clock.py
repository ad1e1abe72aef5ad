"""Named tests: store time never goes back, and each clock is used where it belongs."""

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import FencedError, Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.working import Submission
from dsched.planning import PlannedRun
from dsched_testkit.suites.store.arrange import (
    CLIENT,
    HEARTBEAT_MS,
    HOUR_MS,
    MINUTE_MS,
    READY,
    RUNNING,
    Arranging,
    a_spec,
    items_of,
    kinds_of,
    ms,
)


class ClockTests(Arranging):
    """The wall may step; store time goes on."""

    async def test_store_time_starts_as_the_wall_and_goes_with_it(self) -> None:
        for _ in range(3):
            time = await self.store.now()
            assert (self.clock.ms, self.clock.ms, 0) == (time.wall_ms, time.now_ms, time.clock_gen)
            await self.clock.advance(1234)

    async def test_a_step_back_of_more_than_a_second_is_counted_and_recorded(self) -> None:
        before = await self.store.now()
        await self.clock.advance(-1001)
        time = await self.store.now()
        assert (self.clock.ms, before.now_ms, 1) == (time.wall_ms, time.now_ms, time.clock_gen)
        event = await self.the_news()
        assert (EventKind.CLOCK_BACK, self.clock.ms) == (event.kind, event.at_ms)
        assert [dict(item) for item in event.items] == [{"back": 1001, "gen": 1}]

    async def test_after_a_step_back_store_time_goes_on_with_the_wall(self) -> None:
        before = await self.store.now()
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(250)
        time = await self.store.now()
        assert (before.now_ms + 250, 1) == (time.now_ms, time.clock_gen)

    async def test_a_step_back_of_a_second_or_less_only_stops_store_time(self) -> None:
        before = await self.store.now()
        await self.clock.advance(-1000)
        time = await self.store.now()
        assert (self.clock.ms, before.now_ms, 0) == (time.wall_ms, time.now_ms, time.clock_gen)
        await self.clock.advance(400)
        assert before.now_ms == (await self.store.now()).now_ms
        await self.clock.advance(700)
        time = await self.store.now()
        assert (before.now_ms + 100, 0) == (time.now_ms, time.clock_gen)
        assert await self.news() == []

    async def test_small_steps_back_that_add_up_are_seen(self) -> None:
        before = await self.store.now()
        for expected in (0, 0, 1):
            await self.clock.advance(-400)
            time = await self.store.now()
            assert (before.now_ms, expected) == (time.now_ms, time.clock_gen)

    async def test_several_steps_back_are_counted_each(self) -> None:
        start = (await self.store.now()).now_ms
        for expected in (1, 2, 3):
            await self.clock.advance(-HOUR_MS)
            time = await self.store.now()
            assert (start, expected) == (time.now_ms, time.clock_gen)

    async def test_a_step_forward_moves_store_time_along(self) -> None:
        await self.store.now()
        await self.clock.advance(HOUR_MS)
        time = await self.store.now()
        assert (self.clock.ms, 0) == (time.now_ms, time.clock_gen)

    async def test_a_step_back_and_forward_again_keeps_store_time_ahead(self) -> None:
        await self.store.now()
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(HOUR_MS)
        time = await self.store.now()
        assert self.clock.ms + HOUR_MS == time.now_ms

    async def test_the_step_that_sees_it_writes_clock_back_before_its_own_entry(self) -> None:
        await self.store.now()
        await self.clock.advance(-5000)
        await self.submit("a")
        events = await self.news()
        assert kinds_of(events) == [EventKind.CLOCK_BACK, EventKind.SUBMITTED]
        assert items_of(events, EventKind.CLOCK_BACK) == [{"back": 5000, "gen": 1}]

    async def test_a_fenced_step_loses_no_clock_back_entry(self) -> None:
        await self.store.now()
        await self.clock.advance(-5000)
        with pytest.raises(FencedError):
            await self.store.promote("1:x:y", 10)
        time = await self.store.now()
        assert time.clock_gen == 1
        assert await self.new_items(EventKind.CLOCK_BACK) == [{"back": 5000, "gen": 1}]

    async def test_all_handles_share_one_store_time(self) -> None:
        other = await self.another_handle()
        before = await self.store.now()
        await self.clock.advance(-5000)
        assert before.now_ms == (await other.now()).now_ms
        time = await self.store.now()
        assert (before.now_ms, 1) == (time.now_ms, time.clock_gen)
        assert len(await self.new_items(EventKind.CLOCK_BACK)) == 1

    async def test_a_lease_lasts_its_time_although_the_wall_goes_back(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(HEARTBEAT_MS - 1)
        reap = Reap(task_id="a", token=token)
        assert await self.store.reap(self.fence, [reap]) == (Outcome.STALE,)
        assert await self.state("a") == RUNNING
        await self.clock.advance(2)
        assert await self.store.reap(self.fence, [reap]) == (Outcome.OK,)

    async def test_a_worker_is_gone_by_store_time(self) -> None:
        await self.worker()
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(HEARTBEAT_MS)
        assert not (await self.worker_now()).gone
        await self.clock.advance(1)
        assert (await self.worker_now()).gone

    async def test_a_lock_ends_by_store_time(self) -> None:
        await self.lead(ttl_ms=10_000)
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(9999)
        assert self.fence == await self.store.leader()
        await self.clock.advance(2)
        assert await self.store.leader() is None

    async def test_a_delay_lasts_its_time_although_the_wall_goes_back(self) -> None:
        await self.lead()
        await self.submit("a", delay_ms=MINUTE_MS)
        await self.clock.advance(-HOUR_MS)
        await self.store.now()
        await self.clock.advance(MINUTE_MS - 1)
        assert (
            (await self.store.promote(self.fence, 10)).count,
            (await self.store.promote(self.fence, 10)).next_in_ms,
        ) == (0, 1)
        await self.clock.advance(1)
        assert (await self.store.promote(self.fence, 10)).count == 1

    async def test_what_is_due_and_early_goes_by_the_wall(self) -> None:
        await self.lead()
        await self.config()
        fire = await self.a_fire()
        await self.clock.advance(-5000)
        assert (await self.store.due(self.fence, 10)).configs == ()
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.outcome == Outcome.EARLY
        await self.clock.advance(5000)
        assert len((await self.store.due(self.fence, 10)).configs) == 1
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.outcome == Outcome.OK

    async def test_published_instants_are_the_walls(self) -> None:
        await self.lead()
        await self.worker()
        await self.clock.advance(-HOUR_MS)
        await self.submit("a")
        token = await self.start("a")
        await self.finish("a", token)
        task = await self.task("a")
        assert {self.clock.ms} == {task.scheduled_ms, task.start_ms, task.end_ms}
        assert {self.clock.ms} == {event.at_ms for event in (await self.news())[2:]}

    async def test_a_start_deadline_goes_by_the_wall(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=HOUR_MS)
        item = Submission(task_id="a", spec=a_spec(start_deadline=ms(MINUTE_MS)))
        await self.store.submit([item], by=CLIENT)
        await self.clock.advance(-10 * MINUTE_MS)
        await self.store.now()
        await self.clock.advance(5 * MINUTE_MS)
        assert await self.choose("a") == Outcome.OK

    async def test_revisions_and_epochs_go_by_store_time(self) -> None:
        first = await self.config("a")
        await self.lead()
        await self.clock.advance(-HOUR_MS)
        second = await self.config("b")
        assert first.config.revision < second.config.revision
        assert self.clock.ms == second.config.updated_ms

    async def test_a_jittered_run_waits_its_time_although_store_time_is_ahead(self) -> None:
        await self.clock.advance(HOUR_MS)
        await self.lead()
        await self.clock.advance(-HOUR_MS)
        await self.config()
        due = self.clock.ms
        fire = await self.a_fire("c", PlannedRun(scheduled_ms=due, not_before_ms=due + 3000))
        await self.store.fire(self.fence, [fire])
        await self.clock.advance(2999)
        assert (await self.store.promote(self.fence, 10)).count == 0
        await self.clock.advance(1)
        assert (await self.store.promote(self.fence, 10)).count == 1
        assert await self.state(f"c@{due}") == READY
