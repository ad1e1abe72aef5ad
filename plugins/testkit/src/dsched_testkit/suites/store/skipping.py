"""Named tests: instants that an operator asked not to fire."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import PutConfig, StoredConfig
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.operating import MAX_SKIPS, Skip
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.model import SkipReason
from dsched_testkit.suites.store.arrange import (
    AUTHOR,
    MINUTE_MS,
    OPERATOR,
    SECOND_MS,
    Arranging,
    a_config,
    a_range,
)

WHY = 'the "target" is down\tüber Nacht'


class SkipTests(Arranging):
    """Skips are kept with the config, and are forgotten once they are decided about."""

    async def skip(
        self, *instants: int, config_id: str = "c", revision: int | None = None
    ) -> Outcome:
        """Skip instants of a config at the revision stored, or at this one."""
        if revision is None:
            revision = (await self.stored(config_id)).config.revision
        return await self.store.skip(config_id, revision, instants, by=OPERATOR, why=WHY)

    async def a_skipped_config(self, *in_ms: int) -> StoredConfig:
        """A config that is due now, and skips of instants in so many ms."""
        await self.config()
        assert await self.skip(*(self.clock.ms + span for span in in_ms)) == Outcome.OK
        return await self.stored()

    def a_skip(self, at_ms: int) -> Skip:
        """A skip as asked for here."""
        return Skip(at_ms=at_ms, who=OPERATOR, why=WHY)

    async def test_a_skip_is_kept_with_who_and_why_and_leaves_the_due_alone(self) -> None:
        before = await self.config()
        at_ms = self.clock.ms + MINUTE_MS
        assert await self.skip(at_ms) == Outcome.OK
        after = await self.stored()
        assert (self.a_skip(at_ms),) == after.skips
        assert before.version == after.version

    async def test_skips_are_kept_in_ascending_order_each_once(self) -> None:
        now = self.clock.ms
        await self.a_skipped_config(3 * MINUTE_MS)
        assert await self.skip(now + MINUTE_MS, now + 3 * MINUTE_MS) == Outcome.OK
        skips = (await self.stored()).skips
        assert [now + MINUTE_MS, now + 3 * MINUTE_MS] == [skip.at_ms for skip in skips]

    async def test_a_skip_is_one_entry_in_the_log_and_a_repeat_none(self) -> None:
        stored = await self.config()
        await self.news()
        at = [self.clock.ms + MINUTE_MS, self.clock.ms + 2 * MINUTE_MS]
        assert await self.skip(*at) == Outcome.OK
        event = await self.the_news()
        assert (event.kind, event.by) == (EventKind.CONFIG, OPERATOR)
        assert [dict(item) for item in event.items] == [
            {
                "config": "c",
                "act": "skip",
                "revision": stored.config.revision,
                "first": at[0],
                "last": at[1],
                "count": 2,
                "why": WHY,
            }
        ]
        assert await self.skip(*at) == Outcome.ALREADY
        assert await self.news() == []

    async def test_a_skip_of_an_unknown_or_another_revision_is_refused(self) -> None:
        stored = await self.config()
        at_ms = self.clock.ms + MINUTE_MS
        assert await self.skip(at_ms, config_id="x", revision=1) == Outcome.UNKNOWN
        assert await self.skip(at_ms, revision=stored.config.revision - 1) == Outcome.MOVED
        await self.unchanged(stored)

    async def test_an_instant_that_has_come_cannot_be_skipped_any_more(self) -> None:
        stored = await self.config()
        later = self.clock.ms + MINUTE_MS
        assert await self.skip(self.clock.ms, later) == Outcome.TOO_LATE
        await self.unchanged(stored)

    async def test_the_skips_of_a_config_are_bounded(self) -> None:
        stored = await self.config()
        base = self.clock.ms + MINUTE_MS
        assert await self.skip(*(base + index for index in range(MAX_SKIPS))) == Outcome.OK
        assert await self.skip(base - 1) == Outcome.FULL
        assert len((await self.stored()).skips) == MAX_SKIPS
        assert stored.version == (await self.stored()).version

    async def test_a_skip_takes_ascending_instants_no_more_than_a_batch(self) -> None:
        stored = await self.config()
        base = self.clock.ms + MINUTE_MS
        for wrong in ((), (base, base), (base + 1, base), tuple(range(base, base + MAX_BATCH + 1))):
            with pytest.raises(ValueError, match="instants"):
                await self.skip(*wrong)
        await self.unchanged(stored)

    async def test_lists_and_due_pages_carry_the_skips(self) -> None:
        await self.lead()
        stored = await self.a_skipped_config(MINUTE_MS)
        due = await self.store.due(self.fence, 10)
        listed = await self.store.list_configs(None, 10)
        assert stored.skips == due.configs[0].skips == listed.configs[0].skips != ()


class SkippedFireTests(SkipTests):
    """What the steps that move a due do about skips."""

    async def test_what_a_fire_leaves_out_is_recorded_with_who_and_why(self) -> None:
        await self.lead()
        await self.a_skipped_config(SECOND_MS, MINUTE_MS)
        await self.clock.advance(2 * SECOND_MS)
        left_ms = self.clock.ms - SECOND_MS
        await self.news()
        answer = await self.fire(
            left_out=(self.a_skip(left_ms),), next_due_ms=self.clock.ms + MINUTE_MS - SECOND_MS
        )
        assert answer.runs == (RunOutcome.FIRED,)
        assert await self.new_items(EventKind.SKIPPED) == [
            {
                "config": "c",
                "first": left_ms,
                "last": left_ms,
                "count": 1,
                "reason": "operator",
                "who": OPERATOR,
                "why": WHY,
            }
        ]
        # The minute's skip lies before the new due, and was not an instant: it is forgotten.
        assert (await self.stored()).skips == ()

    async def test_a_fire_keeps_the_skips_from_its_new_due_on(self) -> None:
        await self.lead()
        stored = await self.a_skipped_config(MINUTE_MS, 2 * MINUTE_MS)
        await self.fire(next_due_ms=self.clock.ms + MINUTE_MS)
        assert stored.skips == (await self.stored()).skips

    async def test_a_fire_without_a_new_due_forgets_the_skips(self) -> None:
        await self.lead()
        await self.a_skipped_config(MINUTE_MS)
        await self.fire(next_due_ms=None)
        assert (await self.stored()).skips == ()

    async def test_a_run_that_was_asked_to_be_skipped_meanwhile_makes_no_task(self) -> None:
        await self.lead()
        await self.config()
        at_ms = self.clock.ms + SECOND_MS
        assert await self.skip(at_ms) == Outcome.OK
        await self.clock.advance(2 * SECOND_MS)
        await self.news()
        answer = await self.fire("c", at_ms)
        assert answer.runs == (RunOutcome.SKIPPED,)
        (item,) = await self.new_items(EventKind.SKIPPED)
        assert (item["reason"], item["who"], item["why"]) == ("operator", OPERATOR, WHY)
        assert await self.store.get([f"c@{at_ms}"]) == (None,)
        assert (await self.stored()).skips == ()

    async def test_an_instant_left_out_must_have_come(self) -> None:
        await self.lead()
        stored = await self.a_skipped_config(MINUTE_MS)
        answer = await self.fire(left_out=stored.skips, next_due_ms=self.clock.ms + 2 * MINUTE_MS)
        assert answer.outcome == Outcome.EARLY
        await self.unchanged(stored)

    async def test_an_edit_keeps_the_skips_that_lie_ahead(self) -> None:
        stored = await self.a_skipped_config(SECOND_MS, MINUTE_MS)
        await self.clock.advance(2 * SECOND_MS)
        edited = a_config(name="another")
        after = await self.put(edited, next_due_ms=self.clock.ms + MINUTE_MS)
        assert stored.skips[1:] == after.skips

    async def test_a_pause_and_its_end_keep_the_skips_that_lie_ahead(self) -> None:
        stored = await self.a_skipped_config(MINUTE_MS, 3 * MINUTE_MS)
        rearm = self.rearm(stored)
        assert await self.store.pause("c", rearm, by=OPERATOR, why="") == Outcome.OK
        paused = await self.stored()
        assert stored.skips == paused.skips
        await self.clock.advance(2 * MINUTE_MS)
        assert await self.store.resume("c", self.rearm(paused), by=OPERATOR) == Outcome.OK
        assert stored.skips[1:] == (await self.stored()).skips

    async def test_a_skip_of_what_stays_owed_over_a_pause_is_kept(self) -> None:
        stored = await self.a_skipped_config(SECOND_MS)
        await self.clock.advance(2 * SECOND_MS)
        assert await self.store.pause("c", self.rearm(stored), by=OPERATOR, why="") == Outcome.OK
        rearm = self.rearm(await self.stored(), next_due_ms=self.clock.ms - SECOND_MS)
        assert await self.store.resume("c", rearm, by=OPERATOR) == Outcome.OK
        assert stored.skips == (await self.stored()).skips != ()
        edit = a_config(name="another")
        assert stored.skips == (await self.put(edit, next_due_ms=rearm.next_due_ms)).skips

    async def test_a_deleted_configs_skips_do_not_come_back_with_its_id(self) -> None:
        stored = await self.a_skipped_config(MINUTE_MS)
        assert await self.store.delete("c", self.rearm(stored), by=OPERATOR) == Outcome.OK
        assert (await self.config()).skips == ()

    async def test_what_a_change_skips_tells_its_trigger_and_who_had_asked_for_it(self) -> None:
        told: dict[str, Any] = {
            "trigger": '{"every":60000,"anchor":-7}',
            "who": "alice",
            "why": "a\ttab",
        }
        for change in ("put", "pause", "resume", "delete"):
            stored = await (self.stored() if change == "resume" else self.config(name=change))
            await self.news()
            due = self.clock.ms
            skipped = attrs.evolve(a_range(due - 5, due, 3, SkipReason.PAUSED), **told)
            rearm = self.rearm(stored, skipped=skipped)
            if change == "put":
                put = PutConfig(config=a_config(name="other"), rearm=rearm)
                await self.store.put([put], by=AUTHOR)
            elif change == "pause":
                await self.store.pause("c", rearm, by=OPERATOR, why="")
            else:
                step = self.store.resume if change == "resume" else self.store.delete
                assert await step("c", rearm, by=OPERATOR) is Outcome.OK
            (item,) = await self.new_items(EventKind.SKIPPED)
            assert told.items() <= item.items(), change
