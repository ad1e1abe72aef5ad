"""The suite is tested by stores that are broken on purpose: each must fail a named test."""

# ruff: noqa: N801 - classes as attributes: what a broken store uses in place of the reference's

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import attrs
import pytest

from dsched.contracts.store import Store
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.settings import StoreSettings
from dsched.model import Home, IllegalTransitionError, TaskStatus
from dsched_testkit.memory import MemoryStore, State
from dsched_testkit.memory.lines import LogRow
from dsched_testkit.memory.state import Step
from dsched_testkit.suites.machine import DivergedError, run_machine
from dsched_testkit.suites.store import StoreContract, WallClock


class BrokenState(State):
    """A state whose steps can be broken."""

    step_class = Step

    @contextmanager
    def step(self) -> Iterator[Step]:
        with self.lock:
            step = self.step_class(self, self._read_clock())
            try:
                yield step
            finally:
                step.write_events()


class Broken(MemoryStore):
    """A reference store with one obligation broken; ``caught_by`` is a named test that sees it."""

    state_class: type[State] = BrokenState
    caught_by: str
    # Only the named tests check it: the machine compares no wake-ups, for example.
    machine_catches = True


class NoTokenCheck(Broken):
    caught_by = "test_a_superseded_attempt_completes_nothing"

    def _complete(self, step, item, by):
        task = self._state.tasks.get(item.task_id)
        return super()._complete(step, attrs.evolve(item, token=task.token) if task else item, by)


class NoTokenCheckInRelease(Broken):
    caught_by = "test_a_release_with_another_token_is_stale"

    def _release(self, step, item, by):
        task = self._state.tasks.get(item.task_id)
        return super()._release(step, attrs.evolve(item, token=task.token) if task else item, by)


class NoTokenCheckInReap(Broken):
    caught_by = "test_a_reap_with_another_token_or_of_what_does_not_run_is_stale"

    def _reap(self, step, fence, item):
        task = self._state.tasks.get(item.task_id)
        return super()._reap(step, fence, attrs.evolve(item, token=task.token) if task else item)


class NoTokenCheckInLines(Broken):
    caught_by = "test_the_last_lines_of_a_failed_attempt_may_come_until_the_next_claim"

    def _append(self, step, item):
        task = self._state.tasks.get(item.task_id)
        return super()._append(step, attrs.evolve(item, token=task.token or "") if task else item)


class LinesOnlyWhileRunning(Broken):
    caught_by = "test_the_last_lines_may_come_after_the_completion"

    def _append(self, step, item):
        task = self._state.tasks.get(item.task_id)
        running = task is not None and task.home is Home.LEASE
        return super()._append(step, item) if running else Outcome.STALE


class LinesTwice(Broken):
    caught_by = "test_a_repeat_adds_nothing"

    def _append(self, step, item):
        if item.task_id in self._state.logs:
            self._state.logs[item.task_id].last = 0
        return super()._append(step, item)


class OnlyTheNewestLines(Broken):
    caught_by = "test_the_first_half_and_the_newest_lines_are_kept"

    def _append(self, step, item):
        self._state.logs.setdefault(item.task_id, LogRow(closed=True))
        return super()._append(step, item)


class NoFenceCheck(Broken):
    caught_by = "test_no_leader_step_is_taken_with_a_fence_of_an_earlier_term"

    class state_class(BrokenState):
        class step_class(Step):
            def check_fence(self, fence):
                pass


class FenceOfAnEarlierTerm(Broken):
    """Compares only the pod: what a lock by pod name would do."""

    caught_by = "test_no_leader_step_is_taken_with_a_fence_that_is_nearly_right"

    class state_class(BrokenState):
        class step_class(Step):
            def check_fence(self, fence):
                holder = self.holder()
                same = holder is not None and holder.split(":")[-1] == fence.split(":")[-1]
                super().check_fence(holder if same else fence)


class ExpiredLockHolds(Broken):
    caught_by = "test_no_leader_step_is_taken_with_an_expired_lock"

    class state_class(BrokenState):
        class step_class(Step):
            def holder(self):
                return self.state.fence


class NoDueCompare(Broken):
    caught_by = "test_a_fire_of_another_due_is_moved"

    def _fire(self, step, fence, fire):
        row = self._state.configs.get(fire.config_id)
        due = row.due_ms if row is not None and row.due_ms is not None else fire.due_ms
        return super()._fire(step, fence, attrs.evolve(fire, due_ms=due))


class NoRevisionCompare(Broken):
    caught_by = "test_a_fire_of_a_config_that_changed_is_revised"

    def _fire(self, step, fence, fire):
        row = self._state.configs.get(fire.config_id)
        revision = fire.revision if row is None else row.config.revision
        return super()._fire(step, fence, attrs.evolve(fire, revision=revision))


class SkipsForgottenByFire(Broken):
    caught_by = "test_a_run_that_was_asked_to_be_skipped_meanwhile_makes_no_task"

    def _run(self, step, fence, row, run):
        row.skips = ()
        return super()._run(step, fence, row, run)


class SkipsEndWithAnEdit(Broken):
    caught_by = "test_an_edit_keeps_the_skips_that_lie_ahead"

    def _put(self, step, item, by):
        answer = super()._put(step, item, by)
        self._state.configs[item.config.id].skips = ()
        stored = answer.stored and attrs.evolve(answer.stored, skips=())
        return attrs.evolve(answer, stored=stored)


class LeadsAgainAtOnce(Broken):
    caught_by = "test_the_pod_that_led_rests_until_another_has_led"

    async def step_down(self, fence, *, by, why, rest_ms):
        return await super().step_down(fence, by=by, why=why, rest_ms=0)


class CallsALeavingWorkerBack(Broken):
    caught_by = "test_a_worker_that_leaves_by_itself_is_not_called_back"

    async def undrain(self, worker_id, *, by):
        row = self._state.workers.get(worker_id)
        if row is not None:
            row.leaving = False
        return await super().undrain(worker_id, by=by)


class DupFiresAgain(Broken):
    caught_by = "test_an_instant_whose_task_has_ended_is_not_fired_again"

    def _run(self, step, fence, row, run):
        task_id = f"{row.config.id}@{run.scheduled_ms}"
        task = self._state.tasks.get(task_id)
        if task is not None and task.status.terminal:
            del self._state.tasks[task_id]
        return super()._run(step, fence, row, run)


class OverlapIgnored(Broken):
    caught_by = "test_skip_drops_a_run_while_an_older_one_lives_and_says_so"

    def _overlap(self, step, fence, row):
        return RunOutcome.FIRED


class HeldNeverReleased(Broken):
    caught_by = "test_a_held_task_is_released_by_success"

    class state_class(BrokenState):
        class step_class(Step):
            def finish(self, row, status):
                held, self.state.held = self.state.held, {}
                try:
                    super().finish(row, status)
                finally:
                    self.state.held = held


class FixedDelayNotRearmed(Broken):
    caught_by = "test_success_arms_the_next_run"

    class state_class(BrokenState):
        class step_class(Step):
            def _rearm_fixed_delay(self, config_id):
                pass


class FixedDelayRearmedWhilePaused(Broken):
    caught_by = "test_nothing_is_armed_for_a_paused_or_a_disabled_config"

    class state_class(BrokenState):
        class step_class(Step):
            def _rearm_fixed_delay(self, config_id):
                row = self.state.configs.get(config_id)
                if row is not None and row.config.fixed_delay is not None:
                    self.set_due(row, self.wall_ms + 60_000)


class LeaseNotRenewed(Broken):
    caught_by = "test_a_beat_renews_what_it_lists_and_nothing_else"

    async def heartbeat(self, worker_id, incarnation, held):
        with self._state.lock:
            before = {key: self._state.tasks[key].at_ms for key in self._state.leases}
            answer = await super().heartbeat(worker_id, incarnation, held)
            for key, at_ms in before.items():
                self._state.tasks[key].at_ms = at_ms
                self._state.leases.add(key, at_ms)
            return answer


class LiveLeaseReaped(Broken):
    caught_by = "test_a_lease_that_lives_is_not_reaped"

    def _reap(self, step, fence, item):
        task = self._state.tasks.get(item.task_id)
        if task is not None and task.home is Home.LEASE:
            task.at_ms = step.now_ms
        return super()._reap(step, fence, item)


class RetryNotCounted(Broken):
    caught_by = "test_a_failure_that_is_tried_again_waits_and_is_counted"

    def _complete(self, step, item, by):
        outcome = super()._complete(step, item, by)
        task = self._state.tasks.get(item.task_id)
        if outcome is Outcome.OK and task.status is TaskStatus.RETRYING:
            task.retry_count -= 1
        return outcome


class CrashCountedAtRelease(Broken):
    caught_by = "test_a_released_task_is_ready_again_without_a_crash"

    def _release(self, step, item, by):
        outcome = super()._release(step, item, by)
        if outcome is Outcome.OK:
            self._state.tasks[item.task_id].crash_count += 1
        return outcome


class CancelDoesNotWin(Broken):
    caught_by = "test_a_requested_cancel_wins_over_success_and_keeps_the_result"

    def _complete(self, step, item, by):
        task = self._state.tasks.get(item.task_id)
        if task is not None and task.token == item.token:
            task.cancel_requested = False
        return super()._complete(step, item, by)


class ReapRevivesTheCancelled(Broken):
    caught_by = "test_a_requested_cancel_outlives_a_reap"

    def _reap(self, step, fence, item):
        task = self._state.tasks.get(item.task_id)
        if task is not None and task.token == item.token:
            task.cancel_requested = False
        return super()._reap(step, fence, item)


class LaneRepeatHandsOutMore(Broken):
    caught_by = "test_a_repeated_claim_gets_the_same_attempts_and_never_more"

    async def claim(self, worker_id, incarnation, lane, number, limit):
        with self._state.lock:
            row = self._state.workers.get(worker_id)
            if row is not None and row.lanes.get(lane, (-1, ()))[0] == number:
                del row.lanes[lane]
            return await super().claim(worker_id, incarnation, lane, number, limit)


class OldClaimNumberAccepted(Broken):
    caught_by = "test_a_lower_number_of_a_lane_is_stale"

    async def claim(self, worker_id, incarnation, lane, number, limit):
        with self._state.lock:
            row = self._state.workers.get(worker_id)
            if row is not None and row.lanes.get(lane, (-1, ()))[0] > number:
                del row.lanes[lane]
            return await super().claim(worker_id, incarnation, lane, number, limit)


class RecallIgnoresAge(Broken):
    caught_by = "test_a_young_entry_or_one_that_is_not_queued_is_stale"

    async def recall(self, fence, task_ids, min_age_ms):
        return await super().recall(fence, task_ids, 0)


class NobodyStalls(Broken):
    caught_by = "test_an_old_entry_is_recalled_and_its_idle_worker_marked_stalled"

    def _stalls(self, step, task):
        return False


class FullWorkersGetMore(Broken):
    caught_by = "test_a_dispatch_to_a_full_worker_is_refused"

    def _refusal(self, step, worker_id):
        refusal = super()._refusal(step, worker_id)
        return None if refusal is Outcome.FULL else refusal


class GoneWorkersGetMore(Broken):
    caught_by = "test_a_dispatch_to_a_gone_worker_is_refused"

    def _refusal(self, step, worker_id):
        refusal = super()._refusal(step, worker_id)
        return None if refusal is Outcome.GONE else refusal


class NothingExpires(Broken):
    caught_by = "test_a_task_past_its_start_deadline_expires_instead_of_being_dispatched"

    class state_class(BrokenState):
        class step_class(Step):
            def expire(self, row, by):
                return False


class OlderIncarnationTakesOver(Broken):
    caught_by = "test_an_older_incarnation_is_superseded_and_changes_nothing"

    async def register(self, worker):
        with self._state.lock:
            row = self._state.workers.get(worker.worker_id)
            if row is not None and row.incarnation != worker.incarnation:
                row.incarnation = ""
            return await super().register(worker)


class EqualPutChangesTheRevision(Broken):
    caught_by = "test_equal_content_changes_nothing_whatever_was_read"

    def _put(self, step, item, by):
        answer = super()._put(step, item, by)
        if answer.outcome is Outcome.DUP:
            row = self._state.configs[item.config.id]
            self._state.last_revision += 1
            row.config = attrs.evolve(row.config, revision=self._state.last_revision)
            answer = attrs.evolve(answer, stored=row.view())
        return answer


class PutEndsThePause(Broken):
    caught_by = "test_a_put_leaves_the_pause_and_moves_its_gap"

    def _put(self, step, item, by):
        answer = super()._put(step, item, by)
        if answer.outcome is Outcome.OK:
            row = self._state.configs[item.config.id]
            row.paused = None
            answer = attrs.evolve(answer, stored=row.view())
        return answer


class ConflictTakenForDup(Broken):
    caught_by = "test_a_repeated_submission_is_dup_and_another_with_its_id_a_conflict"

    def _submit(self, step, item, by):
        outcome = super()._submit(step, item, by)
        return Outcome.DUP if outcome is Outcome.CONFLICT else outcome


class PrunedTooEarly(Broken):
    caught_by = "test_an_ended_task_is_kept_until_its_ttl_and_then_removed"
    machine_catches = False  # it prunes long before or long after the TTL, not just before

    def _prune_tasks(self, step, status, limit):
        settings = self._state.settings
        half = attrs.evolve(settings, result_ttl_ms=settings.result_ttl_ms // 2)
        self._state.settings = half
        try:
            return super()._prune_tasks(step, status, limit)
        finally:
            self._state.settings = settings


class OneAgeForAll(Broken):
    caught_by = "test_each_outcome_has_its_own_age_and_the_others_the_default"
    machine_catches = False  # it sets no ages by outcome

    def _prune_tasks(self, step, status, limit):
        return super()._prune_tasks(step, TaskStatus.SUCCESS, limit)


class MissForgotten(Broken):
    caught_by = "test_a_miss_is_a_decision_until_there_is_a_better_one"
    machine_catches = False  # it seldom reports a miss, fires it and collects both

    def _decide(self, decision):
        super()._decide(attrs.evolve(decision, last_ms=decision.first_ms - 1))


class FateOfAnyDecision(Broken):
    caught_by = "test_fates_reach_the_fire_of_their_instant_only"
    machine_catches = False

    def _follow(self, update):
        for key in self._state.decisions[update.config_id]:
            super()._follow(attrs.evolve(update, first_ms=key[0]))


class DecisionsWithoutEnd(Broken):
    caught_by = "test_no_more_decisions_than_the_latest_are_kept_of_a_config"
    machine_catches = False

    def _trim(self, config_ids):
        pass


class CountsReplaced(Broken):
    caught_by = "test_rollups_add_up_by_config_and_hour"

    def _add(self, rollup):
        self._state.stats.pop((rollup.config_id, rollup.hour_ms), None)
        super()._add(rollup)


class ReportedAgainAndAgain(Broken):
    caught_by = "test_a_repeat_reports_nothing_and_still_sees_it"
    machine_catches = False  # it seldom reports the same due twice

    async def raise_missed(self, late_ms, skip, limit, *, by):
        self._state.missed.clear()
        return await super().raise_missed(late_ms, skip, limit, by=by)


class LeaderlessAtOnce(Broken):
    caught_by = "test_a_resigned_lock_counts_from_the_resignation"
    machine_catches = False

    async def raise_leaderless(self, idle_ms, *, by):
        return await super().raise_leaderless(0, by=by)


class GapKeptSilent(Broken):
    caught_by = "test_entries_removed_before_the_collector_read_them_leave_a_gap_entry"

    class state_class(BrokenState):
        class step_class(Step):
            def note(self, kind, by, item):
                if kind is not EventKind.GAP:
                    super().note(kind, by, item)


class ProjectedTwice(Broken):
    caught_by = "test_a_repeated_projection_is_moved_and_adds_nothing"

    async def project(self, fence, projection):
        collected = attrs.evolve(projection, after=self._state.collected)
        return await super().project(fence, collected)


class TimeGoesBack(Broken):
    caught_by = "test_a_step_back_of_more_than_a_second_is_counted_and_recorded"

    class state_class(BrokenState):
        def _read_clock(self):
            self.mark_ms = self.wall()
            return super()._read_clock()


class PausedConfigStaysDue(Broken):
    caught_by = "test_a_paused_config_is_not_due_and_says_who_and_why"

    def _rearm(self, step, row, rearm, by):
        due_ms = row.due_ms
        super()._rearm(step, row, rearm, by)
        if row.paused is not None:
            step.set_due(row, due_ms)


class SilentWorkerBell(Broken):
    caught_by = "test_a_dispatch_wakes_the_worker"
    machine_catches = False

    class state_class(BrokenState):
        def __init__(self, wall, settings=None):
            super().__init__(wall, settings)
            wake = self.wakeups.wake
            self.wakeups.wake = lambda who: None if who.startswith("w") else wake(who)


# How a named test fails: by an assert, or by unpacking more or fewer items than there should be.
FAILURES = (AssertionError, ValueError, pytest.fail.Exception)

SABOTEURS = [value for value in list(globals().values()) if getattr(value, "caught_by", None)]


def contract_of(saboteur):
    """The contract suite on a broken store."""

    class Suite(StoreContract):
        @asynccontextmanager
        async def open_store(
            self, clock: WallClock, settings: StoreSettings
        ) -> AsyncIterator[Store]:
            if "state" not in clock.shared:
                clock.shared["state"] = saboteur.state_class(clock, settings)
            yield saboteur(clock.shared["state"])

    return Suite()


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda saboteur: saboteur.__name__)
def test_each_saboteur_fails_the_named_test_that_looks_for_it(saboteur):
    named_test = getattr(contract_of(saboteur), saboteur.caught_by)
    with pytest.raises(FAILURES):
        asyncio.run(named_test())


# What the machine finds only after many walks.
FOUND_LATE = (
    CallsALeavingWorkerBack,
    CountsReplaced,
    DupFiresAgain,
    GapKeptSilent,
    HeldNeverReleased,
    LeadsAgainAtOnce,
    LinesTwice,
    NoRevisionCompare,
    NobodyStalls,
    NothingExpires,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "saboteur",
    [
        pytest.param(one, marks=[pytest.mark.long] if one in FOUND_LATE else [])
        for one in SABOTEURS
        if one.machine_catches
    ],
    ids=lambda saboteur: saboteur.__name__,
)
def test_the_machine_catches_what_it_can(saboteur):
    with pytest.raises((DivergedError, IllegalTransitionError, KeyError, ExceptionGroup)):
        # It stops at the first difference, so the bound costs something only where nothing is
        # found.
        run_machine(contract_of(saboteur), 400, 50, shrink=False)
