"""Firing of the reference store: due configs become tasks."""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_fires, check_limit
from dsched.contracts.store.configs import Pause
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import DuePage, Fire, FireAnswer, Firing, OwnPause, Replan
from dsched.contracts.store.operating import Skip
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.model import (
    BY_ITSELF,
    NOTHING_COUNTED,
    Home,
    Overlap,
    SkipReason,
    fire_task_id,
    pause_due,
)
from dsched.planning import PlannedRun
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.configs import name_if_counted, note_config, skipped_item
from dsched_testkit.memory.state import ConfigRow, Item, State, Step, TaskRow


class MemoryFiring(OnState, Firing):
    """Firing."""

    async def due(self, fence: str, limit: int) -> DuePage:
        """Configs whose instant has come."""
        check_limit(limit)
        with self._state.step() as step:
            step.check_fence(fence)
            return due_page(self._state, step, limit)

    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """Fire configs."""
        check_fires(fires)
        with self._state.step() as step:
            step.check_fence(fence)
            return tuple(self._fire(step, fence, fire) for fire in fires)

    def _fire(self, step: Step, fence: str, fire: Fire) -> FireAnswer:
        row = self._state.configs.get(fire.config_id)
        if row is not None and fire.resumes and row.config.revision == fire.revision:
            return FireAnswer(outcome=self._resume(step, fence, row, fire))
        if row is None or row.paused is not None or row.config.revision != fire.revision:
            return FireAnswer(outcome=Outcome.REVISED)
        if row.due_ms != fire.due_ms:
            return FireAnswer(outcome=Outcome.MOVED)
        if fire.parked_until_ms is not None:
            step.park(row, fire.parked_until_ms)
            return FireAnswer(outcome=Outcome.OK)
        if fire.pause is not None:
            return FireAnswer(outcome=self._pause(step, fence, row, fire=fire, pause=fire.pause))
        instants = [run.scheduled_ms for run in fire.runs]
        if fire.skipped is not None:
            instants.append(fire.skipped.last_ms)
        instants += [skip.at_ms for skip in fire.left_out]
        if any(instant > step.wall_ms for instant in instants):
            return FireAnswer(outcome=Outcome.EARLY)
        if fire.skipped is not None:
            step.note(EventKind.SKIPPED, fence, skipped_item(fire.config_id, fire.skipped))
        for skip in fire.left_out:
            _note_left_out(step, fence, fire.config_id, skip)
        runs = tuple(self._run(step, fence, row, run) for run in fire.runs)
        if fire.runs:
            row.last_fired_ms = fire.runs[-1].scheduled_ms
        row.forget_skips(fire.next_due_ms)
        step.set_due(row, self._next_due(step, row, fire))
        if row.config.max_runs is not None:
            made = sum(run in (RunOutcome.FIRED, RunOutcome.HELD) for run in runs)
            row.counted = attrs.evolve(row.counted, runs=row.counted.runs + made)
            name_if_counted(step, row)
        return FireAnswer(outcome=Outcome.OK, runs=runs)

    def _pause(
        self, step: Step, fence: str, row: ConfigRow, *, fire: Fire, pause: OwnPause
    ) -> Outcome:
        """Pause a config that has counted enough."""
        if pause_due(row.config, row.counted) is None:
            return Outcome.MOVED
        latest_ms = max([pause.upto_ms] + ([fire.skipped.last_ms] if fire.skipped else []))
        if latest_ms > step.wall_ms:
            return Outcome.EARLY
        if fire.skipped is not None:
            step.note(EventKind.SKIPPED, fence, skipped_item(fire.config_id, fire.skipped))
        row.paused = Pause(
            who=BY_ITSELF, why=pause.why, since_ms=step.wall_ms, gap_from_ms=pause.upto_ms
        )
        step.set_due(row, None)
        note_config(step, row, act="paused", by=fence, who=BY_ITSELF, why=pause.why)
        return Outcome.OK

    def _resume(self, step: Step, fence: str, row: ConfigRow, fire: Fire) -> Outcome:
        """End a pause whose instant has come."""
        if row.paused is None or row.paused.until_ms != fire.due_ms:
            return Outcome.MOVED
        skipped = fire.skipped
        latest_ms = fire.due_ms if skipped is None else max(fire.due_ms, skipped.last_ms)
        if latest_ms > step.wall_ms:
            return Outcome.EARLY
        if skipped is not None:
            step.note(EventKind.SKIPPED, fence, skipped_item(fire.config_id, skipped))
        row.paused, row.counted = None, NOTHING_COUNTED
        row.forget_skips(fire.next_due_ms)
        waits = row.config.fixed_delay is not None and self._state.live.get(fire.config_id)
        step.set_due(row, None if waits else fire.next_due_ms)
        note_config(step, row, act="resumed", by=fence, until_ms=fire.due_ms)
        return Outcome.OK

    def _next_due(self, step: Step, row: ConfigRow, fire: Fire) -> int | None:
        delay = row.config.fixed_delay
        if delay is None or not fire.runs:
            return fire.next_due_ms
        if self._state.live.get(fire.config_id):
            return None
        return step.wall_ms + delay // timedelta(milliseconds=1)

    def _run(self, step: Step, fence: str, row: ConfigRow, run: PlannedRun) -> RunOutcome:
        config = row.config
        task_id = fire_task_id(config.id, run.scheduled_ms)
        if task_id in self._state.tasks:
            return RunOutcome.DUP
        for skip in row.skips:
            if skip.at_ms == run.scheduled_ms:
                _note_left_out(step, fence, config.id, skip)
                return RunOutcome.SKIPPED
        outcome = self._overlap(step, fence, row)
        if outcome is RunOutcome.SKIPPED:
            _note_overlap(
                step,
                fence,
                config_id=config.id,
                run=run,
                behind=self._first_living(config.id),
            )
            return outcome
        task = TaskRow(id=task_id, spec=config.spec, scheduled_ms=run.scheduled_ms)
        item: Item = {
            "config": config.id,
            "ms": run.scheduled_ms,
            "task": task_id,
            "late": step.wall_ms - run.scheduled_ms,
        }
        if outcome is RunOutcome.HELD:
            item["held"] = True
            step.create(task, Home.HELD)
        elif run.not_before_ms > step.wall_ms:
            step.create(task, Home.DELAYED, step.now_ms + run.not_before_ms - step.wall_ms)
        else:
            step.create(task, Home.READY)
        step.note(EventKind.FIRED, fence, item)
        return outcome

    def _overlap(self, step: Step, fence: str, row: ConfigRow) -> RunOutcome:
        state, config_id = self._state, row.config.id
        live = state.live.get(config_id)
        if not live or row.config.overlap is Overlap.ALLOW:
            return RunOutcome.FIRED
        held = state.held.get(config_id, [])
        match row.config.overlap:
            case Overlap.SKIP:
                return RunOutcome.SKIPPED
            case Overlap.QUEUE_ONE:
                return RunOutcome.SKIPPED if held else RunOutcome.HELD
            case Overlap.QUEUE_ALL:
                room = len(held) < row.config.misfire_cap
                return RunOutcome.HELD if room else RunOutcome.SKIPPED
        # The held ones first: ending a live task would otherwise release one.
        older = sorted(live, key=lambda key: (key not in held, state.tasks[key].scheduled_ms))
        for task_id in older[:MAX_HEAVY_BATCH]:
            step.cancel(state.tasks[task_id], fence, "superseded")
        return RunOutcome.HELD if state.live.get(config_id) else RunOutcome.FIRED

    def _first_living(self, config_id: str) -> str:
        tasks = self._state.tasks
        return min(self._state.live[config_id], key=lambda key: (tasks[key].scheduled_ms, key))

    async def replan(self, fence: str, items: Sequence[Replan]) -> tuple[Outcome, ...]:
        """Move dues after the clock went back."""
        check_batch([item.config_id for item in items])
        with self._state.step() as step:
            step.check_fence(fence)
            return tuple(self._replan(step, item) for item in items)

    def _replan(self, step: Step, item: Replan) -> Outcome:
        row = self._state.configs.get(item.config_id)
        if row is None or row.paused is not None or row.config.revision != item.revision:
            return Outcome.REVISED
        if row.due_ms != item.due_ms:
            return Outcome.MOVED
        row.last_fired_ms = item.last_fired_ms
        step.set_due(row, item.next_due_ms)
        return Outcome.OK


def due_page(state: State, step: Step, limit: int) -> DuePage:
    """The configs whose instant has come, and the next instant after now."""
    return DuePage(
        time=step.time,
        configs=tuple(state.configs[key].view() for key in state.due.upto(step.wall_ms, limit)),
        next_due_ms=state.due.first_after(step.wall_ms),
    )


def _note_overlap(step: Step, by: str, *, config_id: str, run: PlannedRun, behind: str) -> None:
    """Record that the overlap policy dropped a run, and the task it may not run beside."""
    at_ms = run.scheduled_ms
    item: Item = {
        "config": config_id,
        "first": at_ms,
        "last": at_ms,
        "count": 1,
        "reason": SkipReason.OVERLAP.value,
        "behind": behind,
    }
    step.note(EventKind.SKIPPED, by, item)


def _note_left_out(step: Step, by: str, config_id: str, skip: Skip) -> None:
    """Record that an operator asked not to fire an instant."""
    item: Item = {
        "config": config_id,
        "first": skip.at_ms,
        "last": skip.at_ms,
        "count": 1,
        "reason": SkipReason.OPERATOR.value,
        "who": skip.who,
        "why": skip.why,
    }
    step.note(EventKind.SKIPPED, by, item)
