"""Named tests: whom what waits under a class wakes, and when."""

from dsched.contracts.store.classes import Blocked, Shut, class_text
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import need_of
from dsched_testkit.suites.store.arrange import Arranging

LABELS = {"gpu": "1"}
CLASS = class_text(LABELS, need_of("local", {"call": "work"})) or ""


class ClassWakingTests(Arranging):
    """The leader is woken for what it can do something about."""

    async def shut_as(self, blocked: Blocked) -> None:
        """Shut the class, and hear no wake-up of before."""
        await self.store.dispatch(self.fence, [], [], skip=0, limit=1, shuts=[Shut(CLASS, blocked)])
        await self.hush(LEADER_WAKEUP)

    async def test_what_is_submitted_to_a_class_that_nobody_can_run_wakes_no_leader(self) -> None:
        await self.lead()
        await self.submit("first", required_labels=LABELS)
        await self.shut_as(Blocked.NOBODY)
        await self.submit("second", required_labels=LABELS)
        assert not await self.store.wakeup(LEADER_WAKEUP, 0.05)
        await self.submit("later", required_labels=LABELS, delay_ms=60_000)
        assert await self.store.wakeup(LEADER_WAKEUP, 2)
        await self.submit("plain")
        assert await self.store.wakeup(LEADER_WAKEUP, 2)
