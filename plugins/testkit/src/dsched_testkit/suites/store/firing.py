"""Named tests: due configs become tasks, each instant once."""

from typing import Any

import attrs
import pytest

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import Fire, Replan
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.model import Overlap, SkipReason
from dsched.planning import PlannedRun
from dsched_testkit.suites.store.arrange import (
    DELAYED,
    MINUTE_MS,
    OPERATOR,
    READY,
    Arranging,
    a_config,
    a_range,
    items_of,
    kinds_of,
)


class FiringTests(Arranging):
    """Reading what is due, and firing it."""

    async def test_due_gives_what_has_come_by_due_and_id_and_the_next_instant(self) -> None:
        await self.lead()
        for name, due_in_ms in (("b", 0), ("a", 0), ("z", -5), ("later", 7), ("last", 9)):
            await self.config(name, due_in_ms=due_in_ms)
        await self.config("never", due_in_ms=None)
        page = await self.store.due(self.fence, 10)
        assert [stored.config.id for stored in page.configs] == ["z", "a", "b"]
        assert await self.stored("z") == page.configs[0]
        assert self.clock.ms + 7 == page.next_due_ms
        assert self.clock.ms == page.time.wall_ms

    async def test_due_gives_no_more_than_asked_for(self) -> None:
        await self.lead()
        for name in "abc":
            await self.config(name)
        page = await self.store.due(self.fence, 2)
        assert [stored.config.id for stored in page.configs] == ["a", "b"]

    async def test_nothing_is_due_in_an_empty_store(self) -> None:
        await self.lead()
        page = await self.store.due(self.fence, 10)
        assert (page.configs, page.next_due_ms) == ((), None)

    async def test_a_fire_creates_the_one_task_of_its_instant(self) -> None:
        await self.lead()
        stored = await self.config(payload={"n": 1}, priority=7)
        await self.clock.advance(250)
        due = stored.due_ms or 0
        answer = await self.fire()
        assert (answer.outcome, answer.runs) == (Outcome.OK, (RunOutcome.FIRED,))
        task = await self.task(f"c@{due}")
        assert (task.status, task.home) == READY
        assert (due, due, "c", 7) == (
            task.scheduled_ms,
            task.fire_ms,
            task.config_id,
            task.priority,
        )
        assert (
            task.attempt,
            task.retry_count,
            task.crash_count,
            task.start_ms,
        ) == (0, 0, 0, None)
        assert stored.config.spec == task.spec
        after = await self.stored()
        assert (due + MINUTE_MS, due) == (after.due_ms, after.last_fired_ms)

    async def test_a_fire_is_one_entry_with_task_instant_and_lateness(self) -> None:
        await self.lead()
        await self.config("a")
        await self.config("b")
        due = self.clock.ms
        await self.clock.advance(250)
        await self.news()
        fires = [await self.a_fire("a"), await self.a_fire("b")]
        await self.store.fire(self.fence, fires)
        event = await self.the_news()
        assert (EventKind.FIRED, self.fence) == (event.kind, event.by)
        expected = [
            {"config": name, "ms": due, "task": f"{name}@{due}", "late": 250} for name in "ab"
        ]
        assert expected == [dict(item) for item in event.items]

    async def test_a_repeated_fire_is_moved_and_changes_nothing(self) -> None:
        await self.lead()
        await self.config()
        fire = await self.a_fire()
        await self.store.fire(self.fence, [fire])
        before = await self.stored()
        await self.news()
        (answer,) = await self.store.fire(self.fence, [fire])
        assert (answer.outcome, answer.runs) == (Outcome.MOVED, ())
        assert (before, []) == (await self.stored(), await self.news())

    async def test_an_instant_is_fired_once_however_many_leaders_try(self) -> None:
        await self.lead()
        await self.config()
        fire = await self.a_fire()
        task_id = await self.fired()
        await self.store.resign(self.fence)
        await self.lead("pod2")
        due = fire.due_ms
        replan = Replan(
            config_id="c",
            revision=fire.revision,
            due_ms=fire.next_due_ms,
            next_due_ms=due,
            last_fired_ms=None,
        )
        assert await self.store.replan(self.fence, [replan]) == (Outcome.OK,)
        await self.news()
        (answer,) = await self.store.fire(self.fence, [fire])
        assert (answer.outcome, answer.runs) == (Outcome.OK, (RunOutcome.DUP,))
        assert await self.new_items(EventKind.FIRED) == []
        assert [task_id] == await self.ready_ids()
        assert (fire.next_due_ms, due) == (
            (await self.stored()).due_ms,
            (await self.stored()).last_fired_ms,
        )

    async def test_an_instant_whose_task_has_ended_is_not_fired_again(self) -> None:
        await self.lead()
        await self.worker()
        await self.config()
        fire = await self.a_fire()
        task_id, token = await self.fired_and_running()
        await self.finish(task_id, token)
        due = await self.due_of()
        replan = Replan(
            config_id="c",
            revision=fire.revision,
            due_ms=due,
            next_due_ms=fire.due_ms,
            last_fired_ms=None,
        )
        await self.store.replan(self.fence, [replan])
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.runs == (RunOutcome.DUP,)
        assert await self.ready_ids() == []

    async def test_a_fire_of_a_config_that_changed_is_revised(self) -> None:
        await self.lead()
        await self.config()
        fire = await self.a_fire()
        await self.put(a_config(name="new"), next_due_ms=fire.due_ms)
        assert await self._fired(fire) == Outcome.REVISED
        assert await self.ready_ids() == []

    async def test_a_fire_of_a_config_that_is_gone_or_paused_is_revised(self) -> None:
        await self.lead()
        await self.config("gone")
        await self.config("paused")
        fires = [await self.a_fire("gone"), await self.a_fire("paused")]
        await self.store.delete("gone", self.rearm(await self.stored("gone")), by=OPERATOR)
        rearm = self.rearm(await self.stored("paused"))
        await self.store.pause("paused", rearm, by=OPERATOR, why="")
        await self.news()
        answers = await self.store.fire(self.fence, fires)
        assert [answer.outcome for answer in answers] == [Outcome.REVISED, Outcome.REVISED]
        assert await self.news() == []

    async def test_a_fire_of_another_due_is_moved(self) -> None:
        await self.lead()
        await self.config()
        fire = await self.a_fire()
        for due_ms in (fire.due_ms - 1, fire.due_ms + 1):
            assert await self._fired(attrs.evolve(fire, due_ms=due_ms)) == Outcome.MOVED
        assert await self.ready_ids() == []

    async def test_a_fire_of_the_future_is_early(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-MINUTE_MS)
        late = self.clock.ms + 1
        fire = await self.a_fire("c", self.clock.ms - MINUTE_MS, late)
        assert await self._fired(fire) == Outcome.EARLY
        fire = await self.a_fire(skipped=a_range(late - 1, late, 2), next_due_ms=None)
        assert await self._fired(fire) == Outcome.EARLY
        assert await self.ready_ids() == []
        assert fire.due_ms == await self.due_of()

    async def test_one_refused_fire_refuses_no_other(self) -> None:
        await self.lead()
        await self.config("a")
        await self.config("b")
        moved = attrs.evolve(await self.a_fire("a"), due_ms=1)
        answers = await self.store.fire(self.fence, [moved, await self.a_fire("b")])
        assert [answer.outcome for answer in answers] == [Outcome.MOVED, Outcome.OK]
        assert [f"b@{self.clock.ms}"] == await self.ready_ids()

    async def test_several_missed_instants_fire_in_one_call_oldest_first(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-2 * MINUTE_MS, overlap=Overlap.ALLOW)
        instants = [self.clock.ms - 2 * MINUTE_MS, self.clock.ms - MINUTE_MS, self.clock.ms]
        answer = await self.fire("c", *instants)
        assert answer.runs == (RunOutcome.FIRED,) * 3
        assert [f"c@{instant}" for instant in instants] == await self.ready_ids()
        assert instants[-1] == (await self.stored()).last_fired_ms

    async def test_a_skipped_range_is_recorded_before_the_runs(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-5 * MINUTE_MS)
        first = self.clock.ms - 5 * MINUTE_MS
        last = self.clock.ms - MINUTE_MS
        await self.news()
        answer = await self.fire("c", self.clock.ms, skipped=a_range(first, last, 5))
        assert answer.outcome == Outcome.OK
        events = await self.news()
        assert kinds_of(events) == [EventKind.SKIPPED, EventKind.FIRED]
        expected = {"config": "c", "first": first, "last": last, "count": 5, "reason": "misfire"}
        assert [expected] == items_of(events, EventKind.SKIPPED)
        assert self.fence == events[0].by

    async def test_a_skipped_range_tells_its_trigger_and_who_asked_for_it(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-5 * MINUTE_MS)
        first, last = self.clock.ms - 5 * MINUTE_MS, self.clock.ms - MINUTE_MS
        await self.news()
        told: dict[str, Any] = {
            "trigger": '{"every":60000,"anchor":-7}',
            "who": "alice",
            "why": "a\ttab",
        }
        skipped = attrs.evolve(a_range(first, last, 5), **told)
        await self.fire("c", self.clock.ms, skipped=skipped)
        (item,) = await self.new_items(EventKind.SKIPPED)
        assert told.items() <= item.items()

    async def test_a_fire_may_only_skip(self) -> None:
        await self.lead()
        await self.config()
        stored = await self.stored()
        due = self.clock.ms
        fire = Fire(
            config_id="c",
            revision=stored.config.revision,
            due_ms=due,
            skipped=a_range(due, due, 1, SkipReason.MISFIRE),
            next_due_ms=None,
        )
        (answer,) = await self.store.fire(self.fence, [fire])
        assert (answer.outcome, answer.runs) == (Outcome.OK, ())
        after = await self.stored()
        assert (after.due_ms, after.last_fired_ms) == (None, None)

    async def test_a_jittered_run_waits_until_its_instant(self) -> None:
        await self.lead()
        await self.config()
        due = self.clock.ms
        await self.fired("c", PlannedRun(scheduled_ms=due, not_before_ms=due + 3000))
        assert await self.state(f"c@{due}") == DELAYED
        await self.clock.advance(2999)
        assert (await self.store.promote(self.fence, 10)).count == 0
        await self.clock.advance(1)
        assert (await self.store.promote(self.fence, 10)).count == 1
        task = await self.task(f"c@{due}")
        assert (due, *READY) == (task.scheduled_ms, task.status, task.home)

    async def test_a_run_whose_instant_to_start_has_come_is_ready(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-MINUTE_MS)
        due = self.clock.ms - MINUTE_MS
        await self.fired("c", PlannedRun(scheduled_ms=due, not_before_ms=self.clock.ms))
        assert await self.state(f"c@{due}") == READY

    async def test_runs_over_the_bound_or_out_of_order_are_refused_whole(self) -> None:
        await self.lead()
        await self.config("a", due_in_ms=-1000)
        await self.config("b", due_in_ms=-1000)
        start = self.clock.ms - 1000
        many = [
            await self.a_fire("a", *range(start, start + 30)),
            await self.a_fire("b", *range(start, start + MAX_HEAVY_BATCH - 29)),
        ]
        descending = [await self.a_fire("a", start + 1, start)]
        equal = [await self.a_fire("a", start, start)]
        twice = [await self.a_fire("a"), await self.a_fire("a")]
        for batch in (many, descending, equal, twice):
            with pytest.raises(ValueError, match=r"."):
                await self.store.fire(self.fence, batch)
        assert await self.ready_ids() == []

    async def test_a_full_batch_of_runs_is_fired(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-1000, overlap=Overlap.ALLOW)
        start = self.clock.ms - 1000
        answer = await self.fire("c", *range(start, start + MAX_HEAVY_BATCH))
        assert answer.runs == (RunOutcome.FIRED,) * MAX_HEAVY_BATCH
        assert len(await self.ready_ids()) == MAX_HEAVY_BATCH

    async def test_a_task_keeps_its_snapshot_when_its_config_changes(self) -> None:
        await self.lead()
        before = await self.config(payload={"n": 1})
        task_id = await self.fired()
        await self.put(a_config(payload={"n": 2}), next_due_ms=None)
        assert before.config.spec == (await self.task(task_id)).spec

    async def _fired(self, fire: Fire) -> Outcome:
        await self.news()
        (answer,) = await self.store.fire(self.fence, [fire])
        assert answer.outcome is Outcome.OK or await self.news() == []
        return answer.outcome


class ReplanTests(Arranging):
    """Moving a due after the clock went back."""

    async def test_a_replan_sets_due_and_last_fired_and_writes_no_event(self) -> None:
        await self.lead()
        stored = await self.config(due_in_ms=MINUTE_MS)
        await self.news()
        replan = self._replan(stored.config.revision, stored.due_ms)
        assert await self.store.replan(self.fence, [replan]) == (Outcome.OK,)
        after = await self.stored()
        assert (self.clock.ms + 5, 77) == (after.due_ms, after.last_fired_ms)
        assert stored.config.revision == after.config.revision
        assert await self.news() == []

    async def test_a_replan_compares_revision_and_due(self) -> None:
        await self.lead()
        stored = await self.config(due_in_ms=MINUTE_MS)
        revised = self._replan(stored.config.revision - 1, stored.due_ms)
        moved = self._replan(stored.config.revision, None)
        unknown = attrs.evolve(moved, config_id="x")
        assert await self.store.replan(self.fence, [revised, unknown]) == (
            Outcome.REVISED,
            Outcome.REVISED,
        )
        assert await self.store.replan(self.fence, [moved]) == (Outcome.MOVED,)
        await self.unchanged(stored)

    async def test_a_repeated_replan_is_moved(self) -> None:
        await self.lead()
        stored = await self.config(due_in_ms=MINUTE_MS)
        replan = self._replan(stored.config.revision, stored.due_ms)
        await self.store.replan(self.fence, [replan])
        assert await self.store.replan(self.fence, [replan]) == (Outcome.MOVED,)

    async def test_a_paused_config_is_not_replanned(self) -> None:
        await self.lead()
        stored = await self.config(due_in_ms=MINUTE_MS)
        await self.store.pause("c", self.rearm(stored), by=OPERATOR, why="")
        replan = self._replan(stored.config.revision, None)
        assert await self.store.replan(self.fence, [replan]) == (Outcome.REVISED,)
        assert await self.due_of() is None

    def _replan(self, revision: int, due_ms: int | None) -> Replan:
        return Replan(
            config_id="c",
            revision=revision,
            due_ms=due_ms,
            next_due_ms=self.clock.ms + 5,
            last_fired_ms=77,
        )
