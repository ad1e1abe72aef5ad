"""Named tests: delayed tasks become ready when their instant has come."""

from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched_testkit.suites.store.arrange import (
    READY,
    WAKEUP_S,
    Arranging,
)


class PromoteTests(Arranging):
    """Delayed tasks whose instant has come."""

    async def test_promotion_takes_the_earliest_first_and_says_when_the_next_is(self) -> None:
        await self.lead()
        for name, delay_ms in (("c", 3000), ("a", 1000), ("b", 2000)):
            await self.submit(name, delay_ms=delay_ms)
        promoted = await self.store.promote(self.fence, 10)
        assert (promoted.count, promoted.next_in_ms) == (0, 1000)
        await self.clock.advance(2000)
        promoted = await self.store.promote(self.fence, 1)
        assert (promoted.count, promoted.next_in_ms) == (1, 0)
        assert await self.ready_ids() == ["a"]
        promoted = await self.store.promote(self.fence, 10)
        assert (promoted.count, promoted.next_in_ms) == (1, 1000)
        await self.clock.advance(1000)
        promoted = await self.store.promote(self.fence, 10)
        assert (promoted.count, promoted.next_in_ms) == (1, None)

    async def test_promotion_makes_a_retrying_task_pending_and_writes_no_event(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running()
        await self.fail("t", token, retry_delay_ms=1000)
        await self.clock.advance(1000)
        await self.news()
        assert (await self.store.promote(self.fence, 10)).count == 1
        assert await self.state() == READY
        assert await self.news() == []

    async def test_a_delayed_task_wakes_the_leader(self) -> None:
        await self.lead()
        await self.hush(LEADER_WAKEUP)
        await self.submit(delay_ms=1000)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
