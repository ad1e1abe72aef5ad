"""Named tests: what a calendar left out is recorded with the change of its config."""

import attrs

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.model import SkipReason
from dsched_testkit.suites.store.arrange import AUTHOR, Arranging, a_config, a_range, items_of

CALENDAR = {"skip": [{"name": "it", "dates": {"2026-12-25": "Christmas Day"}}]}


class OffDaysTests(Arranging):
    """Days that calendars leave out."""

    async def test_a_calendar_is_stored_as_it_was_put(self) -> None:
        config = a_config(calendar=CALENDAR)
        put = PutConfig(config=config, rearm=Rearm(read=ConfigVersion(), upto_ms=self.clock.ms))
        (answer,) = await self.store.put([put], by=AUTHOR)
        assert answer.outcome == Outcome.OK
        assert (await self.stored()).config == config
        (again,) = await self.store.put([put], by=AUTHOR)
        assert again.outcome == Outcome.DUP

    async def test_days_left_out_are_recorded_beside_what_a_change_skips(self) -> None:
        due = self.clock.ms
        skipped = a_range(due, due, 1, SkipReason.EDITED)
        off_days = a_range(due - 5, due - 1, 0, SkipReason.CALENDAR)
        for act in ("put", "pause", "resume", "delete"):
            stored = await self.config() if act == "put" else await self.stored()
            await self.news()
            rearm = attrs.evolve(self.rearm(stored, skipped=skipped), off_days=off_days)
            assert await self._changed(act, rearm) == Outcome.OK
            found = [
                (item["first"], item["last"], item["count"], item["reason"])
                for item in items_of(await self.news(), EventKind.SKIPPED)
            ]
            assert found == [(due, due, 1, "edited"), (due - 5, due - 1, 0, "calendar")], act

    async def test_days_left_out_are_recorded_alone_too(self) -> None:
        stored = await self.config()
        await self.news()
        off_days = a_range(self.clock.ms - 5, self.clock.ms, 0, SkipReason.CALENDAR)
        rearm = attrs.evolve(self.rearm(stored), off_days=off_days)
        assert await self._changed("delete", rearm) == Outcome.OK
        (item,) = items_of(await self.news(), EventKind.SKIPPED)
        assert (item["count"], item["reason"]) == (0, "calendar")

    async def test_days_left_out_that_have_not_come_are_early(self) -> None:
        stored = await self.config()
        late = self.clock.ms + 1
        off_days = a_range(late, late, 0, SkipReason.CALENDAR)
        rearm = attrs.evolve(self.rearm(stored), off_days=off_days)
        for act in ("put", "pause", "delete"):
            assert await self._changed(act, rearm) == Outcome.EARLY
        await self.unchanged(stored)

    async def _changed(self, act: str, rearm: Rearm) -> Outcome:
        match act:
            case "put":
                put = PutConfig(config=a_config(name="new"), rearm=rearm)
                (answer,) = await self.store.put([put], by=AUTHOR)
                return answer.outcome
            case "pause":
                return await self.store.pause("c", rearm, by=AUTHOR, why="")
            case "resume":
                return await self.store.resume("c", rearm, by=AUTHOR)
        return await self.store.delete("c", rearm, by=AUTHOR)
