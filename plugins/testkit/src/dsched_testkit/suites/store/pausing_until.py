"""Named tests: a pause that ends by itself at an instant."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.configs import ConfigVersion, Rearm
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import Fire, FireAnswer
from dsched.contracts.store.outcomes import Outcome
from dsched.model import SkipReason
from dsched.planning import PlannedRun
from dsched_testkit.suites.store.arrange import (
    MINUTE_MS,
    OPERATOR,
    Arranging,
    a_config,
    a_range,
    kinds_of,
    ms,
)

FOR_MS = 60_001  # no instant of a config of these tests


class PausingUntilTests(Arranging):
    """Pauses with an end."""

    async def paused_for(self, span_ms: int | None = FOR_MS, config_id: str = "c") -> int:
        """Pause a config for so long; until when."""
        until_ms = None if span_ms is None else self.clock.ms + span_ms
        rearm = self.rearm(await self.stored(config_id))
        outcome = await self.store.pause(
            config_id, rearm, by=OPERATOR, why="upkeep", until_ms=until_ms
        )
        assert outcome is Outcome.OK
        return until_ms or 0

    async def due_ids(self) -> list[str]:
        """What is named as due."""
        return [one.config.id for one in (await self.store.due(self.fence, 10)).configs]

    async def a_resume(self, until_ms: int, config_id: str = "c", **fields: Any) -> Fire:
        """How a leader ends a pause; with what is due two minutes later."""
        defaults: dict[str, Any] = {
            "config_id": config_id,
            "revision": (await self.stored(config_id)).config.revision,
            "due_ms": until_ms,
            "next_due_ms": until_ms + 2 * MINUTE_MS,
            "resumes": True,
        }
        return Fire(**(defaults | fields))

    async def pause_ended(self, fire: Fire) -> FireAnswer:
        """What the store answers to it."""
        (answer,) = await self.store.fire(self.fence, [fire])
        return answer

    async def test_it_is_named_at_its_end_and_not_before_and_owes_nothing(self) -> None:
        await self.lead()
        await self.config()
        await self.news()
        until_ms = await self.paused_for()
        after = await self.stored()
        assert after.paused is not None
        assert (after.due_ms, after.paused.until_ms) == (None, until_ms)
        (item,) = await self.new_items(EventKind.CONFIG)
        assert (item["act"], item["until"]) == ("paused", until_ms)
        page = await self.store.due(self.fence, 10)
        assert (page.configs, page.next_due_ms) == ((), until_ms)
        await self.clock.advance(FOR_MS - 1)
        assert await self.due_ids() == []
        await self.clock.advance(1)
        page = await self.store.due(self.fence, 10)
        assert page.configs == (after,)
        polled = await self.store.poll(self.fence, 10)
        assert polled.due.configs == (after,)

    async def test_the_leader_ends_it_with_what_it_has_left_out(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        await self.clock.advance(FOR_MS)
        await self.news()
        gap = a_range(until_ms - MINUTE_MS, until_ms - 1, 1, SkipReason.PAUSED)
        answer = await self.pause_ended(await self.a_resume(until_ms, skipped=gap))
        assert answer == FireAnswer(outcome=Outcome.OK)
        after = await self.stored()
        assert (after.paused, after.due_ms) == (None, until_ms + 2 * MINUTE_MS)
        skipped, config = await self.news()
        assert (skipped.kind, config.kind) == (EventKind.SKIPPED, EventKind.CONFIG)
        assert (skipped.items[0]["reason"], skipped.items[0]["count"]) == ("paused", 1)
        assert {skipped.by, config.by} == {self.fence}
        assert (config.items[0]["act"], config.items[0]["until"]) == ("resumed", until_ms)

    async def test_what_has_come_since_its_end_may_be_due_at_once(self) -> None:
        await self.lead()
        await self.config(overlap="allow")
        until_ms = await self.paused_for()
        await self.clock.advance(FOR_MS + 5 * MINUTE_MS)
        await self.pause_ended(await self.a_resume(until_ms, next_due_ms=until_ms))
        assert (await self.stored()).due_ms == until_ms
        assert await self.due_ids() == ["c"]
        assert (await self.fire("c", until_ms)).outcome is Outcome.OK

    async def test_it_ends_once(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        await self.clock.advance(FOR_MS)
        # What is due next is the end of the pause itself: that must not be taken for another one.
        fire = await self.a_resume(until_ms, next_due_ms=until_ms)
        await self.pause_ended(fire)
        after = await self.stored()
        await self.news()
        assert (await self.pause_ended(fire)).outcome is Outcome.MOVED
        assert (await self.news(), await self.stored()) == ([], after)

    async def test_it_does_not_end_before_its_time(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        before = await self.stored()
        await self.clock.advance(FOR_MS - 1)
        early = await self.pause_ended(await self.a_resume(until_ms))
        await self.clock.advance(1)
        ahead = a_range(until_ms, until_ms + 1, 1, SkipReason.PAUSED)
        far = await self.pause_ended(
            await self.a_resume(until_ms, skipped=ahead, next_due_ms=until_ms + 2)
        )
        assert (early.outcome, far.outcome) == (Outcome.EARLY, Outcome.EARLY)
        assert await self.stored() == before

    async def test_only_the_pause_that_was_read_ends(self) -> None:
        await self.lead()
        await self.config()
        first_ms = await self.paused_for(MINUTE_MS)
        read = await self.a_resume(first_ms)
        await self.paused_for(10 * MINUTE_MS)  # somebody extends it
        before = await self.stored()
        await self.clock.advance(MINUTE_MS)
        assert (await self.pause_ended(read)).outcome is Outcome.MOVED
        await self.paused_for(None)  # and for good
        assert (await self.pause_ended(read)).outcome is Outcome.MOVED
        assert (await self.due_ids(), before.paused is None) == ([], False)
        unread = await self.a_resume(first_ms, revision=1)
        nobody = attrs.evolve(read, config_id="nobody")
        assert (await self.pause_ended(unread)).outcome is Outcome.REVISED
        assert (await self.pause_ended(nobody)).outcome is Outcome.REVISED

    async def test_a_fire_of_what_is_paused_is_refused_at_its_end_too(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        await self.clock.advance(FOR_MS)
        fire = await self.a_resume(until_ms, resumes=False)
        assert (await self.pause_ended(fire)).outcome is Outcome.REVISED
        assert (await self.stored()).paused is not None

    async def test_another_end_takes_the_place_of_the_first_and_the_gap_stays(self) -> None:
        await self.lead()
        await self.config()
        await self.paused_for()
        first = (await self.stored()).paused
        assert first is not None
        await self.clock.advance(1000)
        until_ms = self.clock.ms + FOR_MS
        for end_ms in (until_ms, None, until_ms + 1):
            rearm = self.rearm(await self.stored())
            changed = await self.store.pause("c", rearm, by="eve", why="more", until_ms=end_ms)
            again = await self.store.pause(
                "c", Rearm(read=ConfigVersion(), upto_ms=0), by="x", why="", until_ms=end_ms
            )
            assert (changed, again) == (Outcome.OK, Outcome.ALREADY)
            expected = attrs.evolve(first, who="eve", why="more", until_ms=end_ms)
            assert (await self.stored()).paused == expected
            assert (await self.store.due(self.fence, 10)).next_due_ms == end_ms

    async def test_another_end_compares_what_was_read(self) -> None:
        await self.lead()
        stored = await self.config()
        until_ms = await self.paused_for()
        before = await self.stored()
        moved = self.rearm(stored)
        early = attrs.evolve(self.rearm(before), upto_ms=self.clock.ms + 1)
        for rearm, outcome in ((moved, Outcome.MOVED), (early, Outcome.EARLY)):
            said = await self.store.pause("c", rearm, by="e", why="", until_ms=until_ms + 1)
            assert said is outcome
        assert await self.stored() == before

    async def test_it_is_resumed_before_and_then_it_does_not_end_any_more(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        read = await self.a_resume(until_ms)
        next_ms = self.clock.ms + 10 * MINUTE_MS
        rearm = self.rearm(await self.stored(), next_due_ms=next_ms)
        assert await self.store.resume("c", rearm, by=OPERATOR) is Outcome.OK
        assert (await self.stored()).due_ms == next_ms
        await self.clock.advance(FOR_MS)
        assert await self.due_ids() == []
        assert (await self.pause_ended(read)).outcome is Outcome.MOVED

    async def test_an_edit_keeps_its_end(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        after = await self.put(a_config(name="new"), next_due_ms=self.clock.ms)
        assert after.paused is not None
        assert (after.due_ms, after.paused.until_ms) == (None, until_ms)
        assert (await self.store.due(self.fence, 10)).next_due_ms == until_ms

    async def test_the_next_config_of_its_name_knows_nothing_of_it(self) -> None:
        await self.lead()
        await self.config()
        await self.paused_for()
        rearm = self.rearm(await self.stored())
        assert await self.store.delete("c", rearm, by=OPERATOR) is Outcome.OK
        await self.config(due_in_ms=None)
        assert (await self.stored()).paused is None
        assert (await self.store.due(self.fence, 10)).next_due_ms is None

    async def test_a_fixed_delay_whose_task_lives_is_due_when_that_has_ended(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS))
        task_id, token = await self.fired_and_running()
        until_ms = await self.paused_for(1000)
        await self.clock.advance(1000)
        assert (await self.pause_ended(await self.a_resume(until_ms))).outcome is Outcome.OK
        assert (await self.stored()).due_ms is None
        await self.finish(task_id, token)
        assert (await self.stored()).due_ms == self.clock.ms + MINUTE_MS

    async def test_a_task_that_ends_in_it_does_not_move_its_end(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS))
        task_id, token = await self.fired_and_running()
        until_ms = await self.paused_for()
        await self.finish(task_id, token)
        assert (await self.store.due(self.fence, 10)).next_due_ms == until_ms

    async def test_an_end_that_has_come_is_no_miss(self) -> None:
        await self.lead()
        await self.config()
        await self.paused_for()
        await self.clock.advance(FOR_MS + MINUTE_MS)
        watched = await self.store.raise_missed(MINUTE_MS, 0, 10, by="pod2")
        assert watched.missed == ()

    async def test_skips_that_lie_ahead_of_its_end_stay(self) -> None:
        await self.lead()
        stored = await self.config()
        until_ms = await self.paused_for()
        instants = [self.clock.ms + 1000, until_ms + 1]
        revision = stored.config.revision
        await self.store.skip("c", revision, instants, by=OPERATOR, why="no power")
        await self.clock.advance(FOR_MS)
        await self.news()
        await self.pause_ended(await self.a_resume(until_ms, next_due_ms=until_ms))
        assert kinds_of(await self.news()) == [EventKind.CONFIG]
        assert [one.at_ms for one in (await self.stored()).skips] == instants[1:]

    async def test_a_fire_that_resumes_decides_nothing_else(self) -> None:
        await self.lead()
        await self.config()
        until_ms = await self.paused_for()
        run = PlannedRun(scheduled_ms=until_ms, not_before_ms=until_ms)
        fire = await self.a_resume(until_ms, runs=(run,))
        with pytest.raises(ValueError, match="a range and a due only"):
            await self.store.fire(self.fence, [fire])
