"""Named tests: a config that pauses itself, after so many failures in a row or so many fires."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.collecting import Projection, Streak
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import Fire, FireAnswer, OwnPause
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import BY_ITSELF, NOTHING_COUNTED, Counted, SkipReason
from dsched_testkit.suites.store.arrange import (
    MINUTE_MS,
    OPERATOR,
    WAKEUP_S,
    Arranging,
    a_config,
    a_range,
    kinds_of,
    ms,
)

WHY = "2 failures in a row: last c@1: \t\n é"


class PausingItselfTests(Arranging):
    """What is counted of configs, and what comes of it."""

    async def streak(self, failures: int, *, anew: bool = False, config_id: str = "c") -> None:
        """The collector found so many failures of a config, at the end of the log."""
        last = f'{config_id}@{failures}: "\t\n é' if failures else ""
        one = Streak(config_id=config_id, anew=anew, failures=failures, last=last)
        assert await self.projected(one) is Outcome.OK

    async def projected(self, *streaks: Streak) -> Outcome:
        """Project these to the end of the log."""
        await self.submit(f"entry{self._terms}{len(await self.log_cursors())}")
        page = await self.store.collect(self.fence, 1000)
        projection = Projection(after=page.after, upto=page.cursor, streaks=streaks)
        outcome = await self.store.project(self.fence, projection)
        again = await self.store.project(self.fence, projection)
        assert again is Outcome.MOVED
        return outcome

    async def log_cursors(self) -> list[str]:
        """The cursors of the log."""
        return [event.cursor for event in (await self.store.events(None, 1000)).events]

    async def named_ids(self) -> list[str]:
        """What is named as due."""
        page = await self.store.due(self.fence, 10)
        polled = await self.store.poll(self.fence, 10)
        assert polled.due.configs == page.configs
        return [one.config.id for one in page.configs]

    async def a_pause(self, **fields: Any) -> Fire:
        """How a leader pauses what has counted enough."""
        stored = await self.stored()
        defaults: dict[str, Any] = {
            "config_id": "c",
            "revision": stored.config.revision,
            "due_ms": stored.due_ms,
            "pause": OwnPause(why=WHY, upto_ms=self.clock.ms),
        }
        return Fire(**(defaults | fields))

    async def answered(self, fire: Fire) -> FireAnswer:
        """What the store answers to a fire."""
        (answer,) = await self.store.fire(self.fence, [fire])
        return answer

    async def resume_it(self) -> None:
        """A person resumes it; it is due in a minute."""
        rearm = self.rearm(await self.stored(), next_due_ms=self.clock.ms + MINUTE_MS)
        assert await self.store.resume("c", rearm, by=OPERATOR) is Outcome.OK

    # --- failures in a row ----------------------------------------------------------------------

    async def test_failures_in_a_row_add_up_and_a_success_begins_anew(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=9, due_in_ms=MINUTE_MS)
        await self.streak(2)
        assert (await self.stored()).counted == Counted(failures=2, last='c@2: "\t\n é')
        await self.streak(1)
        assert (await self.stored()).counted == Counted(failures=3, last='c@1: "\t\n é')
        await self.streak(4, anew=True)
        assert (await self.stored()).counted == Counted(failures=4, last='c@4: "\t\n é')
        await self.streak(0, anew=True)
        assert (await self.stored()).counted == NOTHING_COUNTED
        assert await self.named_ids() == []

    async def test_nothing_is_counted_of_a_config_that_does_not_ask_for_it(self) -> None:
        await self.lead()
        await self.config("c", due_in_ms=MINUTE_MS)
        await self.config("d", due_in_ms=MINUTE_MS, pause_after_failures=2)
        await self.config("e", due_in_ms=MINUTE_MS, max_runs=2)
        several = (
            Streak(config_id="c", anew=False, failures=3, last="x"),
            Streak(config_id="e", anew=False, failures=3, last="x"),
            Streak(config_id="nobody", anew=False, failures=3, last="x"),
            Streak(config_id="d", anew=False, failures=1, last="x"),
        )
        assert await self.projected(*several) is Outcome.OK
        assert (await self.stored("c")).counted == NOTHING_COUNTED
        assert (await self.stored("e")).counted == NOTHING_COUNTED
        assert (await self.stored("d")).counted == Counted(failures=1, last="x")
        assert await self.named_ids() == []

    async def test_what_has_failed_often_enough_is_named_at_once_with_what_it_owes(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2, due_in_ms=MINUTE_MS)
        due_ms = self.clock.ms + MINUTE_MS
        await self.streak(1)
        assert await self.named_ids() == []
        await self.hush(LEADER_WAKEUP)
        await self.streak(1)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)
        assert await self.named_ids() == ["c"]
        assert (await self.stored()).due_ms == due_ms

    async def test_a_paused_config_counts_and_is_not_named(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2, due_in_ms=MINUTE_MS)
        rearm = self.rearm(await self.stored())
        until_ms = self.clock.ms + 2 * MINUTE_MS
        await self.store.pause("c", rearm, by=OPERATOR, why="upkeep", until_ms=until_ms)
        await self.streak(2)
        assert (await self.stored()).counted.failures == 2
        assert await self.named_ids() == []
        assert (await self.store.due(self.fence, 10)).next_due_ms == until_ms

    async def test_a_config_without_a_due_is_named_when_it_has_one(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS), pause_after_failures=1)
        task_id, token = await self.fired_and_running()
        await self.streak(1)
        assert await self.named_ids() == []
        await self.finish(task_id, token)
        await self.clock.advance(MINUTE_MS)
        assert await self.named_ids() == ["c"]
        assert (await self.stored()).counted.failures == 1

    # --- the pause ------------------------------------------------------------------------------

    async def test_the_leader_pauses_it_with_what_it_owed(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2)
        await self.streak(2)
        await self.clock.advance(MINUTE_MS)
        await self.news()
        owed = a_range(self.clock.ms - MINUTE_MS, self.clock.ms, 2, SkipReason.PAUSED)
        answer = await self.answered(await self.a_pause(skipped=owed))
        assert answer == FireAnswer(outcome=Outcome.OK)
        after = await self.stored()
        assert after.paused is not None
        assert (after.due_ms, await self.named_ids()) == (None, [])
        assert attrs.astuple(after.paused) == (
            *(BY_ITSELF, WHY, self.clock.ms, self.clock.ms, None),
        )
        skipped, config = await self.news()
        assert (skipped.kind, config.kind) == (EventKind.SKIPPED, EventKind.CONFIG)
        assert (skipped.items[0]["reason"], skipped.items[0]["count"]) == ("paused", 2)
        assert {skipped.by, config.by} == {self.fence}
        assert dict(config.items[0]) == {
            "config": "c",
            "act": "paused",
            "revision": after.config.revision,
            "who": BY_ITSELF,
            "why": WHY,
        }

    async def test_it_pauses_itself_once(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2, due_in_ms=MINUTE_MS)
        await self.streak(2)
        fire = await self.a_pause()
        assert (await self.answered(fire)).outcome is Outcome.OK
        after = await self.stored()
        await self.news()
        assert (await self.answered(fire)).outcome is Outcome.REVISED
        assert (await self.news(), await self.stored()) == ([], after)
        await self.resume_it()  # it is due when it was due before
        assert (await self.answered(fire)).outcome is Outcome.MOVED
        assert (await self.stored()).paused is None

    async def test_a_pause_compares_what_the_leader_read(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2)
        await self.streak(2)
        fire = await self.a_pause()
        before = await self.stored()
        early = OwnPause(why=WHY, upto_ms=self.clock.ms + 1)
        ahead = a_range(self.clock.ms, self.clock.ms + 1, 1, SkipReason.PAUSED)
        for changed, outcome in (
            ({"revision": 1}, Outcome.REVISED),
            ({"config_id": "nobody"}, Outcome.REVISED),
            ({"due_ms": self.clock.ms - 1}, Outcome.MOVED),
            ({"pause": early}, Outcome.EARLY),
            ({"skipped": ahead}, Outcome.EARLY),
        ):
            assert (await self.answered(attrs.evolve(fire, **changed))).outcome is outcome
        await self.unchanged(before)

    async def test_skips_that_lie_ahead_stay_through_it(self) -> None:
        await self.lead()
        stored = await self.config(pause_after_failures=2, due_in_ms=MINUTE_MS)
        ahead_ms = self.clock.ms + 2 * MINUTE_MS
        await self.store.skip("c", stored.config.revision, [ahead_ms], by=OPERATOR, why="no power")
        await self.streak(2)
        await self.answered(await self.a_pause())
        assert [one.at_ms for one in (await self.stored()).skips] == [ahead_ms]

    async def test_a_fire_that_pauses_decides_nothing_else(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2)
        more: dict[str, Any]
        for more in ({"next_due_ms": self.clock.ms + 1}, {"parked_until_ms": self.clock.ms}):
            with pytest.raises(ValueError, match=r"decides nothing else|has a range only"):
                await self.answered(await self.a_pause(**more))

    async def test_being_named_before_its_due_is_no_miss(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=1, due_in_ms=60 * MINUTE_MS)
        await self.streak(1)
        await self.clock.advance(2 * MINUTE_MS)
        watched = await self.store.raise_missed(MINUTE_MS, 0, 10, by="pod2")
        assert watched.missed == ()
        await self.clock.advance(60 * MINUTE_MS)
        watched = await self.store.raise_missed(MINUTE_MS, 0, 10, by="pod2")
        assert [one.config_id for one in watched.missed] == ["c"]

    # --- when counting begins anew --------------------------------------------------------------

    async def test_a_resume_begins_anew(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2, max_runs=3)
        await self.fired()
        await self.streak(2)
        await self.answered(await self.a_pause())
        assert (await self.stored()).counted == Counted(failures=2, last='c@2: "\t\n é', runs=1)
        await self.resume_it()
        assert (await self.stored()).counted == NOTHING_COUNTED
        assert await self.named_ids() == []

    async def test_the_end_of_a_pause_begins_anew(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=2, max_runs=3)
        await self.fired()
        rearm = self.rearm(await self.stored())
        until_ms = self.clock.ms + MINUTE_MS
        await self.store.pause("c", rearm, by=OPERATOR, why="", until_ms=until_ms)
        await self.streak(2)
        await self.clock.advance(MINUTE_MS)
        stored = await self.stored()
        fire = Fire(
            config_id="c",
            revision=stored.config.revision,
            due_ms=until_ms,
            next_due_ms=until_ms + MINUTE_MS,
            resumes=True,
        )
        assert (await self.answered(fire)).outcome is Outcome.OK
        assert (await self.stored()).counted == NOTHING_COUNTED

    async def test_an_edit_keeps_what_is_counted_unless_it_counts_up_to_another_number(
        self,
    ) -> None:
        await self.lead()
        await self.config(pause_after_failures=3, max_runs=4, overlap="allow")
        await self.fired()
        await self.streak(2)
        before = (await self.stored()).counted
        assert before == Counted(failures=2, last='c@2: "\t\n é', runs=1)
        due_ms = self.clock.ms + MINUTE_MS

        async def edited(**fields: Any) -> Counted:
            await self.put(a_config(overlap="allow", **fields), next_due_ms=due_ms)
            return (await self.stored()).counted

        assert await edited(name="new", pause_after_failures=3, max_runs=4) == before
        runs = await edited(pause_after_failures=2, max_runs=4)
        assert runs == Counted(runs=1)
        await self.streak(1)
        assert await edited(pause_after_failures=2, max_runs=1) == Counted(
            failures=1, last='c@1: "\t\n é'
        )
        assert await edited() == NOTHING_COUNTED
        await self.streak(2)
        assert (await self.stored()).counted == NOTHING_COUNTED
        assert await edited(pause_after_failures=2, max_runs=1) == NOTHING_COUNTED

    async def test_the_next_config_of_its_name_has_counted_nothing(self) -> None:
        await self.lead()
        await self.config(pause_after_failures=3, max_runs=2)
        await self.fired()
        await self.streak(2)
        rearm = self.rearm(await self.stored())
        assert await self.store.delete("c", rearm, by=OPERATOR) is Outcome.OK
        await self.streak(1)
        await self.config(due_in_ms=MINUTE_MS)
        await self.streak(3)
        assert (await self.stored()).counted == NOTHING_COUNTED
        assert await self.named_ids() == []

    # --- fires ----------------------------------------------------------------------------------

    async def test_fires_are_counted_and_the_last_one_names_it(self) -> None:
        await self.lead()
        await self.config(max_runs=2, overlap="allow")
        await self.fired()
        assert (await self.stored()).counted == Counted(runs=1)
        assert await self.named_ids() == []
        await self.clock.advance(MINUTE_MS)
        await self.fired()
        assert (await self.stored()).counted == Counted(runs=2)
        assert await self.named_ids() == ["c"]
        assert (await self.stored()).due_ms == self.clock.ms + MINUTE_MS
        assert (await self.answered(await self.a_pause())).outcome is Outcome.OK
        assert await self.named_ids() == []

    async def test_each_fire_of_one_call_counts_and_held_ones_do(self) -> None:
        await self.lead()
        await self.config(max_runs=3, overlap="queue_one")
        due_ms = self.clock.ms
        await self.clock.advance(5 * MINUTE_MS)
        runs = [due_ms + minute * MINUTE_MS for minute in range(4)]
        answer = await self.fire("c", *runs)
        assert [*answer.runs] == [
            *(RunOutcome.FIRED, RunOutcome.HELD, RunOutcome.SKIPPED, RunOutcome.SKIPPED)
        ]
        assert (await self.stored()).counted == Counted(runs=2)

    async def test_what_made_no_task_and_what_was_triggered_counts_not(self) -> None:
        await self.lead()
        await self.config(max_runs=2, overlap="skip")
        await self.submit("c@manual-1")
        await self.fired()
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)
        assert (await self.stored()).counted == Counted(runs=1)

    async def test_a_last_fire_without_a_due_after_it_names_nothing(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(fixed_delay=ms(MINUTE_MS), max_runs=1)
        task_id, token = await self.fired_and_running()
        assert await self.named_ids() == []
        await self.finish(task_id, token)
        assert (await self.stored()).due_ms == self.clock.ms + MINUTE_MS
        await self.clock.advance(MINUTE_MS)
        assert await self.named_ids() == ["c"]

    async def test_nothing_is_written_into_the_log_by_counting(self) -> None:
        await self.lead()
        await self.config(max_runs=1, pause_after_failures=1)
        await self.news()
        await self.fired()
        assert kinds_of(await self.news()) == [EventKind.FIRED]
        await self.streak(1)
        assert kinds_of(await self.news()) == [EventKind.SUBMITTED]
