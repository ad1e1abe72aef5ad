"""Named tests: a config that a leader cannot plan is parked, and owes what it owed."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.configs import Rearm
from dsched.contracts.store.firing import Fire, FireAnswer, Replan
from dsched.contracts.store.outcomes import Outcome
from dsched_testkit.suites.store.arrange import MINUTE_MS, OPERATOR, Arranging, a_config, a_range

FOR_MS = 60_001  # no instant of a config of these tests


class ParkingTests(Arranging):
    """Parking."""

    async def parked(self, config_id: str = "c", **fields: Any) -> int:
        """Park a config; until when."""
        until_ms = self.clock.ms + FOR_MS
        answer = await self.park(config_id, until_ms, **fields)
        assert answer == FireAnswer(outcome=Outcome.OK)
        return until_ms

    async def park(self, config_id: str, until_ms: int, **fields: Any) -> FireAnswer:
        stored = await self.stored(config_id)
        fire = Fire(
            config_id=config_id,
            revision=stored.config.revision,
            due_ms=stored.due_ms or 0,
            parked_until_ms=until_ms,
        )
        (answer,) = await self.store.fire(self.fence, [attrs.evolve(fire, **fields)])
        return answer

    async def due_ids(self) -> list[str]:
        """What is due."""
        return [one.config.id for one in (await self.store.due(self.fence, 10)).configs]

    async def test_a_parked_config_is_not_named_until_then_and_keeps_all_that_it_is(self) -> None:
        await self.lead()
        await self.config("c")
        await self.config("other")
        before = await self.stored()
        await self.news()
        until_ms = await self.parked()
        assert await self.news() == []
        assert await self.stored() == before
        page = await self.store.due(self.fence, 10)
        assert [one.config.id for one in page.configs] == ["other"]
        assert page.next_due_ms == until_ms
        await self.clock.advance(FOR_MS - 1)
        assert await self.due_ids() == ["other"]
        await self.clock.advance(1)
        page = await self.store.due(self.fence, 10)
        assert {one.config.id: one.due_ms for one in page.configs} == {
            "other": before.due_ms,
            "c": before.due_ms,
        }

    async def test_it_is_parked_again_and_fired_from_what_it_owed(self) -> None:
        await self.lead()
        owed_ms = (await self.config(overlap="allow")).due_ms or 0
        for _ in range(2):
            await self.parked()
            await self.clock.advance(FOR_MS)
        answer = await self.fire("c", owed_ms, owed_ms + MINUTE_MS)
        assert answer.outcome is Outcome.OK
        for instant_ms in (owed_ms, owed_ms + MINUTE_MS):
            assert (await self.task(f"c@{instant_ms}")).scheduled_ms == instant_ms
        assert (await self.stored()).due_ms == owed_ms + 2 * MINUTE_MS

    async def test_parking_compares_what_was_read(self) -> None:
        await self.lead()
        stored = await self.config()
        until_ms = self.clock.ms + FOR_MS
        revised = await self.park("c", until_ms, revision=1)
        assert revised.outcome is Outcome.REVISED
        moved = await self.park("c", until_ms, due_ms=(stored.due_ms or 0) + 1)
        assert moved.outcome is Outcome.MOVED
        assert await self.due_ids() == ["c"]

    async def test_what_sets_a_due_ends_the_parking_even_with_the_instant_itself(self) -> None:
        await self.lead()
        for name in ("replanned", "fired", "paused", "edited"):
            await self.config(name)
        until_ms = {
            name: await self.parked(name) for name in ("replanned", "fired", "paused", "edited")
        }
        stored = await self.stored("replanned")
        replan = Replan(
            config_id="replanned",
            revision=stored.config.revision,
            due_ms=stored.due_ms,
            next_due_ms=until_ms["replanned"],
            last_fired_ms=None,
        )
        assert await self.store.replan(self.fence, [replan]) == (Outcome.OK,)
        await self.fire("fired", next_due_ms=until_ms["fired"])
        read = (await self.stored("paused")).version
        rearm = Rearm(
            read=read, upto_ms=self.clock.ms, skipped=a_range(self.clock.ms, self.clock.ms, 1)
        )
        assert await self.store.pause("paused", rearm, by=OPERATOR, why="") is Outcome.OK
        again = Rearm(
            read=(await self.stored("paused")).version,
            upto_ms=self.clock.ms,
            next_due_ms=until_ms["paused"],
        )
        assert await self.store.resume("paused", again, by=OPERATOR) is Outcome.OK
        await self.put(a_config("edited", payload={"n": 2}), next_due_ms=until_ms["edited"])
        assert {name: (await self.stored(name)).due_ms for name in until_ms} == until_ms

    async def test_a_config_that_was_deleted_leaves_nothing_to_its_next_namesake(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.parked()
        rearm = Rearm(read=(await self.stored()).version, upto_ms=self.clock.ms)
        assert await self.store.delete("c", rearm, by=OPERATOR) is Outcome.OK
        await self.config(due_in_ms=until_ms - self.clock.ms)
        assert (await self.stored()).due_ms == until_ms

    async def test_that_nobody_fires_it_is_told_of_the_instant_that_it_owes(self) -> None:
        await self.lead()
        owed_ms = (await self.config()).due_ms
        await self.parked()
        await self.clock.advance(FOR_MS + MINUTE_MS)
        watched = await self.store.raise_missed(MINUTE_MS, 0, 10, by="pod2")
        assert [(one.config_id, one.due_ms) for one in watched.missed] == [("c", owed_ms)]

    async def test_a_fire_that_parks_decides_nothing_else(self) -> None:
        await self.lead()
        await self.config()
        fire = attrs.evolve(await self.a_fire(), parked_until_ms=self.clock.ms + FOR_MS)
        with pytest.raises(ValueError, match="decides nothing else"):
            await self.store.fire(self.fence, [fire])
