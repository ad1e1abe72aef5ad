"""Named tests: a leader's poll, by itself and after a wake-up."""

import asyncio

import pytest

from dsched.contracts.store.outcomes import FencedError
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.suites.store.arrange import READY, WAKEUP_S, Arranging, a_config


class PollTests(Arranging):
    """One step that tells a leader all that a tick needs."""

    async def test_a_look_promotes_and_reads_what_is_due_and_what_is_ready(self) -> None:
        await self.lead()
        await self.worker()
        await self.put(a_config("tick"), next_due_ms=self.clock.ms + 1000)
        await self.submit("now")
        await self.submit("soon", delay_ms=1000)
        await self.submit("later", delay_ms=9000)
        look = await self.store.poll(self.fence, 10)
        assert (look.promoted.count, look.promoted.next_in_ms) == (0, 1000)
        assert look.due.configs == ()
        assert [task.id for task in look.ready.tasks] == ["now"]
        await self.clock.advance(1000)
        look = await self.store.poll(self.fence, 10)
        assert (look.promoted.count, look.promoted.next_in_ms) == (1, 8000)
        assert [stored.config.id for stored in look.due.configs] == ["tick"]
        assert [task.id for task in look.ready.tasks] == ["now", "soon"]
        assert [worker.id for worker in look.ready.workers] == ["w1"]
        assert await self.state("soon") == READY

    async def test_a_look_answers_as_the_three_steps_would(self) -> None:
        await self.lead()
        await self.worker()
        for number in range(5):
            await self.put(a_config(f"c{number}"), next_due_ms=self.clock.ms + number)
            await self.submit(f"t{number}", delay_ms=number)
        await self.clock.advance(3)
        look = await self.store.poll(self.fence, 2)
        assert await self.store.due(self.fence, 2) == look.due
        assert await self.store.ready(self.fence, 0, 2) == look.ready
        assert (await self.store.promote(self.fence, 10)).count == 1
        assert look.promoted.count == 2

    async def test_a_wakeup_brings_what_a_look_then_sees(self) -> None:
        await self.lead()
        await self.hush(LEADER_WAKEUP)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(self.store.poll_when_woken(self.fence, 10, WAKEUP_S))
            await asyncio.sleep(0)
            await self.submit("a")
        assert [task.id for task in waiting.result().ready.tasks] == ["a"]

    async def test_a_wait_without_a_wakeup_brings_what_is_to_be_seen_at_its_end(self) -> None:
        await self.lead()
        await self.submit("a")
        await self.hush(LEADER_WAKEUP)
        look = await self.store.poll_when_woken(self.fence, 10, 0.05)
        assert [task.id for task in look.ready.tasks] == ["a"]

    async def test_who_leads_no_more_is_told_at_the_wakeup(self) -> None:
        await self.lead()
        await self.hush(LEADER_WAKEUP)
        waiting = asyncio.create_task(self.store.poll_when_woken(self.fence, 10, WAKEUP_S))
        await asyncio.sleep(0)
        await self.store.resign(self.fence)
        await self.submit("a")
        with pytest.raises(FencedError):
            await waiting

    async def test_a_look_writes_no_event(self) -> None:
        await self.lead()
        await self.submit("soon", delay_ms=10)
        await self.clock.advance(10)
        await self.news()
        assert (await self.store.poll(self.fence, 10)).promoted.count == 1
        assert await self.news() == []
