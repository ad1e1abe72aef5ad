"""Further back in a line than what is told apart, all places are one."""

from types import ModuleType
from unittest import mock

from dsched_testkit.suites.store.arrange_limits import ArrangingLimits


class LastPlaces(ArrangingLimits):
    """Apart from the contract: it makes the last place of a store, in its module ``limits``, an
    early one."""

    limits: ModuleType

    async def test_what_waits_far_behind_is_told_the_last_place_that_is_told(self) -> None:
        await self.begin(0)
        for task_id in "abcd":
            await self.limited(task_id)
        await self.limited("high", priority=9)
        await self.choose_all(*"abcd", "high")
        with mock.patch.object(self.limits, "MAX_PLACE", 2):
            line = ("high", *"abcd")
            assert [await self.store.place_in_line("crm", one) for one in line] == [1, 2, 2, 2, 2]
