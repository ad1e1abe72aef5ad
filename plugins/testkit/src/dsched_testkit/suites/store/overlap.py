"""Named tests: what a fire does while an earlier task of its config lives, and held tasks."""

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import FireAnswer
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Release
from dsched.model import Overlap
from dsched.planning import PlannedRun
from dsched_testkit.suites.store.arrange import (
    CANCELLED,
    CLIENT,
    HEARTBEAT_MS,
    HELD,
    MINUTE_MS,
    OPERATOR,
    READY,
    RUNNING,
    WAKEUP_S,
    Arranging,
    a_config,
    items_of,
    kinds_of,
    ms,
)


class OverlapTests(Arranging):
    """The four policies, decided in the step that fires."""

    async def test_skip_drops_a_run_while_an_older_one_lives_and_says_so(self) -> None:
        first = await self._fired_with(Overlap.SKIP)
        await self.news()
        answer = await self.fire_next()
        assert (answer.outcome, answer.runs) == (Outcome.OK, (RunOutcome.SKIPPED,))
        event = await self.the_news()
        now = self.clock.ms
        expected = {"config": "c", "first": now, "last": now, "count": 1, "reason": "overlap"}
        expected["behind"] = first
        assert (EventKind.SKIPPED, self.fence) == (event.kind, event.by)
        assert [expected] == [dict(item) for item in event.items]
        assert [first] == await self.ready_ids()
        assert now == (await self.stored()).last_fired_ms

    async def test_a_run_dropped_by_overlap_names_the_first_live_task_by_instant(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-2 * MINUTE_MS, overlap=Overlap.QUEUE_ONE)
        now = self.clock.ms
        await self.fire("c", now - 2 * MINUTE_MS)
        await self.news()
        await self.fire("c", now - MINUTE_MS, now)
        (item,) = await self.new_items(EventKind.SKIPPED)
        assert (item["first"], item["behind"]) == (now, f"c@{now - 2 * MINUTE_MS}")

    async def test_a_run_dropped_by_overlap_may_be_behind_one_of_the_very_same_call(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-MINUTE_MS, overlap=Overlap.SKIP)
        await self.news()
        now = self.clock.ms
        await self.fire("c", now - MINUTE_MS, now)
        (item,) = await self.new_items(EventKind.SKIPPED)
        assert item["behind"] == f"c@{now - MINUTE_MS}"

    async def test_skip_counts_the_runs_of_the_very_same_call(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-MINUTE_MS, overlap=Overlap.SKIP)
        answer = await self.fire("c", self.clock.ms - MINUTE_MS, self.clock.ms)
        assert answer.runs == (RunOutcome.FIRED, RunOutcome.SKIPPED)

    async def test_skip_runs_again_once_the_older_one_has_ended(self) -> None:
        first = await self._fired_with(Overlap.SKIP)
        await self.finish(first, await self.start(first))
        assert (await self.fire_next()).runs == (RunOutcome.FIRED,)

    async def test_a_delayed_a_queued_a_running_and_a_retrying_task_all_live(self) -> None:
        await self.lead()
        await self.worker()
        await self.config(overlap=Overlap.SKIP)
        due = self.clock.ms
        task_id = await self.fired("c", PlannedRun(scheduled_ms=due, not_before_ms=due + 90_000))
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)
        await self.clock.advance(MINUTE_MS)
        await self.beat()
        await self.store.promote(self.fence, 10)
        await self.queue(task_id)
        assert (await self.fire()).runs == (RunOutcome.SKIPPED,)
        token = (await self.claim()).token
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)
        await self.fail(task_id, token, retry_delay_ms=1000)
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)

    async def test_a_task_of_another_config_or_run_by_hand_does_not_count(self) -> None:
        await self.lead()
        await self.config("other")
        await self.fired("other")
        await self.config(overlap=Overlap.SKIP)
        await self.submit("c@manual-1")
        assert (await self.fire()).runs == (RunOutcome.FIRED,)

    async def test_a_config_whose_id_begins_alike_does_not_count(self) -> None:
        await self.lead()
        for name in ("c", "c.1", "c:1", "c-1", "cc"):
            await self.config(name, overlap=Overlap.SKIP)
        for name in ("c.1", "c:1", "c-1", "cc", "c"):
            assert (await self.fire(name)).runs == (RunOutcome.FIRED,)

    async def test_live_tasks_count_after_their_config_was_deleted_and_made_anew(self) -> None:
        await self._fired_with(Overlap.SKIP)
        await self.store.delete("c", self.rearm(await self.stored()), by=OPERATOR)
        await self.clock.advance(MINUTE_MS)
        await self.config(overlap=Overlap.SKIP)
        assert (await self.fire()).runs == (RunOutcome.SKIPPED,)

    async def test_allow_runs_beside_the_older_ones(self) -> None:
        first = await self._fired_with(Overlap.ALLOW)
        assert (await self.fire_next()).runs == (RunOutcome.FIRED,)
        assert [first, f"c@{self.clock.ms}"] == await self.ready_ids()

    async def test_queue_one_holds_one_and_skips_the_next(self) -> None:
        first = await self._fired_with(Overlap.QUEUE_ONE)
        await self.news()
        assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        held = f"c@{self.clock.ms}"
        assert await self.state(held) == HELD
        (item,) = await self.new_items(EventKind.FIRED)
        assert (held, True) == (item["task"], item["held"])
        assert (await self.fire_next()).runs == (RunOutcome.SKIPPED,)
        assert [first] == await self.ready_ids()

    async def test_queue_one_decides_each_run_of_a_call_after_the_ones_before(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-2 * MINUTE_MS, overlap=Overlap.QUEUE_ONE)
        now = self.clock.ms
        answer = await self.fire("c", now - 2 * MINUTE_MS, now - MINUTE_MS, now)
        assert answer.runs == (RunOutcome.FIRED, RunOutcome.HELD, RunOutcome.SKIPPED)

    async def test_cancel_previous_ends_what_waits_and_runs_the_new_one(self) -> None:
        first = await self._fired_with(Overlap.CANCEL_PREVIOUS)
        await self.news()
        assert (await self.fire_next()).runs == (RunOutcome.FIRED,)
        assert await self.state(first) == CANCELLED
        assert (await self.task(first)).reason == "superseded"
        assert [f"c@{self.clock.ms}"] == await self.ready_ids()
        events = await self.news()
        assert kinds_of(events) == [EventKind.FIRED, EventKind.CANCELLED]
        expected = {"task": first, "status": "cancelled", "reason": "superseded"}
        assert [expected] == items_of(events, EventKind.CANCELLED)
        assert {self.fence} == {event.by for event in events}

    async def test_cancel_previous_stops_what_runs_and_holds_the_new_one(self) -> None:
        first = await self._fired_with(Overlap.CANCEL_PREVIOUS)
        token = await self.start(first)
        await self.news()
        assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        second = f"c@{self.clock.ms}"
        assert (await self.state(first), await self.state(second)) == (RUNNING, HELD)
        assert (await self.task(first)).cancel_requested
        events = await self.news()
        assert kinds_of(events) == [EventKind.FIRED, EventKind.CANCEL_REQUESTED]
        await self.finish(first, token)
        assert (await self.state(first), await self.state(second)) == (CANCELLED, READY)

    async def test_cancel_previous_wakes_the_worker_of_what_runs(self) -> None:
        first = await self._fired_with(Overlap.CANCEL_PREVIOUS)
        await self.start(first)
        await self.hush("w1")
        await self.fire_next()
        assert await self.store.wakeup("w1", WAKEUP_S)

    async def test_cancel_previous_ends_the_held_one_too(self) -> None:
        first = await self._fired_with(Overlap.CANCEL_PREVIOUS)
        token = await self.start(first)
        await self.fire_next()
        second = f"c@{self.clock.ms}"
        assert (await self.fire_next()).runs == (RunOutcome.HELD,)
        third = f"c@{self.clock.ms}"
        assert (await self.state(second), await self.state(third)) == (CANCELLED, HELD)
        await self.finish(first, token)
        assert [third] == await self.ready_ids()

    async def test_cancel_previous_cancels_at_most_a_batch_and_holds_the_new_one(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-1000, overlap=Overlap.ALLOW)
        start = self.clock.ms - 1000
        await self.fired("c", *range(start, start + MAX_HEAVY_BATCH))
        await self.clock.advance(MINUTE_MS)
        await self.fired()
        await self.clock.advance(MINUTE_MS)
        await self.put(a_config(overlap=Overlap.CANCEL_PREVIOUS), next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.HELD,)
        assert len(await self.ready_ids()) == 1

    async def test_cancel_previous_ends_the_held_one_before_its_batch_is_full(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-1000, overlap=Overlap.ALLOW)
        start = self.clock.ms - 1000
        await self.fired("c", *range(start, start + MAX_HEAVY_BATCH))
        names = []
        for policy in (Overlap.QUEUE_ONE, Overlap.CANCEL_PREVIOUS):
            await self.clock.advance(MINUTE_MS)
            await self.put(a_config(overlap=policy), next_due_ms=self.clock.ms)
            assert (await self.fire()).runs == (RunOutcome.HELD,)
            names.append(f"c@{self.clock.ms}")
        assert [await self.state(name) for name in names] == [CANCELLED, HELD]
        assert len(await self.ready_ids()) == 1

    async def _fired_with(self, overlap: Overlap) -> str:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=60 * MINUTE_MS)
        await self.config(overlap=overlap)
        return await self.fired()


class HeldTests(Arranging):
    """A held task becomes ready when, and only when, the older ones have ended."""

    async def test_a_held_task_is_released_by_success(self) -> None:
        first, token, held = await self._held()
        await self.hush(LEADER_WAKEUP)
        await self.finish(first, token)
        await self._assert_released(held)
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_a_held_task_is_released_by_failure(self) -> None:
        first, token, held = await self._held()
        await self.fail(first, token)
        await self._assert_released(held)

    async def test_a_held_task_waits_while_the_older_one_is_tried_again(self) -> None:
        first, token, held = await self._held()
        await self.fail(first, token, retry_delay_ms=0)
        assert await self.state(held) == HELD
        await self.store.promote(self.fence, 10)
        await self.finish(first, await self.start(first))
        await self._assert_released(held)

    async def test_a_held_task_waits_while_the_older_one_is_released_or_reaped(self) -> None:
        first, token, held = await self._held()
        await self.store.release([Release(task_id=first, token=token, reason="drain")], by="w1")
        assert await self.state(held) == HELD
        token = await self.start(first)
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [Reap(task_id=first, token=token)])
        assert await self.state(held) == HELD

    async def test_a_held_task_is_released_by_a_release_that_fails_the_older_one(self) -> None:
        first, token, held = await self._held()
        release = Release(task_id=first, token=token, reason="drain", fail=True)
        await self.store.release([release], by="w1")
        await self._assert_released(held)

    async def test_a_held_task_is_released_by_a_reap_that_fails_the_older_one(self) -> None:
        first, token, held = await self._held()
        await self.clock.advance(HEARTBEAT_MS + 1)
        reap = Reap(task_id=first, token=token, fail_reason="poison")
        assert await self.store.reap(self.fence, [reap]) == (Outcome.OK,)
        await self._assert_released(held)

    async def test_a_held_task_is_released_by_a_cancel_of_the_older_one(self) -> None:
        first, token, held = await self._held()
        await self.store.release([Release(task_id=first, token=token, reason="drain")], by="w1")
        await self.store.cancel([first], by=CLIENT, reason="asked")
        await self._assert_released(held)

    async def test_a_held_task_is_released_when_a_running_cancelled_one_ends(self) -> None:
        first, token, held = await self._held()
        await self.store.cancel([first], by=CLIENT, reason="asked")
        assert await self.state(held) == HELD
        await self.fail(first, token, retry_delay_ms=5)
        await self._assert_released(held)

    async def test_a_held_task_is_released_when_the_older_one_expires(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=60 * MINUTE_MS)
        await self.config(overlap=Overlap.QUEUE_ONE, start_deadline=ms(MINUTE_MS))
        first = await self.fired()
        await self.fire_next()
        held = f"c@{self.clock.ms}"
        assert await self.state(held) == HELD
        await self.clock.advance(1)
        assert await self.choose(first) == Outcome.EXPIRED
        await self._assert_released(held)

    async def test_a_held_task_can_be_cancelled(self) -> None:
        first, token, held = await self._held()
        (answer,) = await self.store.cancel([held], by=CLIENT, reason="asked")
        assert answer.outcome == Outcome.OK
        assert (await self.state(held), await self.state(first)) == (CANCELLED, RUNNING)
        await self.finish(first, token)
        assert await self.ready_ids() == []
        assert (await self.fire_next()).runs == (RunOutcome.FIRED,)

    async def test_a_held_task_cannot_be_dispatched_or_claimed(self) -> None:
        _, _, held = await self._held()
        assert await self.choose(held) == Outcome.STALE
        assert await self.defer(held) == Outcome.STALE
        assert (await self.claim()).outcome == Outcome.EMPTY
        assert await self.state(held) == HELD

    async def test_a_held_task_is_released_only_when_the_last_of_several_has_ended(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=60 * MINUTE_MS)
        await self.config(overlap=Overlap.ALLOW)
        first = await self.fired()
        await self.fire_next()
        second = f"c@{self.clock.ms}"
        await self.clock.advance(MINUTE_MS)
        await self.put(a_config(overlap=Overlap.QUEUE_ONE), next_due_ms=self.clock.ms)
        assert (await self.fire()).runs == (RunOutcome.HELD,)
        held = f"c@{self.clock.ms}"
        token = await self.start(first, second)
        await self.finish(second, token)
        assert await self.state(held) == HELD
        await self.finish(first, token)
        assert [held] == await self.ready_ids()

    async def test_a_held_task_counts_as_live_when_the_policy_has_become_skip(self) -> None:
        _, _, held = await self._held()
        assert (await self._fire_edited(Overlap.SKIP)).runs == (RunOutcome.SKIPPED,)
        assert await self.state(held) == HELD

    async def test_a_held_task_stays_held_when_the_policy_has_become_allow(self) -> None:
        first, token, held = await self._held()
        assert (await self._fire_edited(Overlap.ALLOW)).runs == (RunOutcome.FIRED,)
        beside = f"c@{self.clock.ms}"
        await self.finish(first, token)
        assert (await self.state(held), await self.ready_ids()) == (HELD, [beside])

    async def test_a_held_task_is_superseded_when_the_policy_has_become_cancel_previous(
        self,
    ) -> None:
        first, token, held = await self._held()
        assert (await self._fire_edited(Overlap.CANCEL_PREVIOUS)).runs == (RunOutcome.HELD,)
        newest = f"c@{self.clock.ms}"
        assert (await self.state(held), await self.state(newest)) == (CANCELLED, HELD)
        await self.finish(first, token)
        await self._assert_released(newest)

    async def test_a_held_task_is_released_although_its_config_is_gone(self) -> None:
        first, token, held = await self._held()
        await self.store.delete("c", self.rearm(await self.stored()), by=OPERATOR)
        await self.finish(first, token)
        await self._assert_released(held)

    async def _held(self) -> tuple[str, str, str]:
        """A running task and a held one behind it: (first, its token, held)."""
        await self.lead()
        await self.worker()
        await self.config(due_in_ms=-MINUTE_MS, overlap=Overlap.QUEUE_ONE)
        first = await self.fired("c", self.clock.ms - MINUTE_MS)
        token = await self.start(first)
        held = await self.fired()
        assert await self.state(held) == HELD
        return first, token, held

    async def _fire_edited(self, overlap: Overlap) -> FireAnswer:
        """A second later, with another policy, the next instant fires."""
        await self.clock.advance(1000)
        await self.put(a_config(overlap=overlap), next_due_ms=self.clock.ms)
        return await self.fire()

    async def _assert_released(self, held: str) -> None:
        assert await self.state(held) == READY
        assert [held] == await self.ready_ids()
