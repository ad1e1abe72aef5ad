"""Firing: due configs become tasks, and delayed tasks become ready."""

from collections.abc import Sequence
from functools import lru_cache

import attrs

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_fires, check_limit
from dsched.contracts.store.codec import read_config, write_spec
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.firing import DuePage, Fire, FireAnswer, Firing, OwnPause, Replan
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.model import (
    BY_ITSELF,
    NOTHING_COUNTED,
    Home,
    Overlap,
    TaskSpec,
    fire_task_id,
    pause_due,
)
from dsched.planning import PlannedRun
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.configs import (
    name_if_counted,
    note_config,
    note_left_out,
    note_overlap,
    note_skipped,
)
from dsched_store_sqlite.rows import CONFIG, TASK, ConfigRow
from dsched_store_sqlite.step import Item, Step

DUE = (
    f"SELECT {CONFIG} FROM config WHERE due_ms IS NOT NULL AND due_ms <= ? "  # noqa: S608
    "ORDER BY due_ms, id LIMIT ?"
)
NEXT_DUE = "SELECT min(due_ms) FROM config WHERE due_ms IS NOT NULL AND due_ms > ?"
LIVE = (
    f"SELECT {TASK} FROM task WHERE live_of IS NOT NULL AND live_of = ? "  # noqa: S608
    "ORDER BY scheduled_ms LIMIT ?"
)
FIRST_LIVING = (
    "SELECT id FROM task WHERE live_of IS NOT NULL AND live_of = ? "
    "ORDER BY scheduled_ms, id LIMIT 1"
)


class SqliteFiring(OnSqlite, Firing):
    """Firing."""

    async def due(self, fence: str, limit: int) -> DuePage:
        """Configs whose instant has come."""
        check_limit(limit)

        def run(step: Step) -> DuePage:
            step.check_fence(fence)
            return due_page(step, limit)

        return await self._step(run)

    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """Fire configs."""
        check_fires(fires)

        def run(step: Step) -> tuple[FireAnswer, ...]:
            step.check_fence(fence)
            step.load(
                [
                    fire_task_id(fire.config_id, run.scheduled_ms)
                    for fire in fires
                    for run in fire.runs
                ]
            )
            return tuple(_fire(step, fence, fire) for fire in fires)

        return await self._step(run)

    async def replan(self, fence: str, items: Sequence[Replan]) -> tuple[Outcome, ...]:
        """Move dues after the clock went back."""
        check_batch([item.config_id for item in items])

        def run(step: Step) -> tuple[Outcome, ...]:
            step.check_fence(fence)
            return tuple(_replan(step, item) for item in items)

        return await self._step(run)


def due_page(step: Step, limit: int) -> DuePage:
    """The configs whose instant has come, and the next instant after now."""
    found = step.db.execute(DUE, (step.wall_ms, limit)).fetchall()
    (next_due_ms,) = step.db.execute(NEXT_DUE, (step.wall_ms,)).fetchone()
    return DuePage(
        time=step.time,
        configs=tuple(ConfigRow(*columns).view() for columns in found),
        next_due_ms=next_due_ms,
    )


def _current(step: Step, config_id: str, revision: int) -> ConfigRow | None:
    row = step.config(config_id)
    return None if row is None or row.paused or row.revision != revision else row


def _fire(step: Step, fence: str, fire: Fire) -> FireAnswer:
    if fire.resumes:
        return FireAnswer(outcome=_resume(step, fence, fire))
    row = _current(step, fire.config_id, fire.revision)
    if row is None:
        return FireAnswer(outcome=Outcome.REVISED)
    if row.owed_ms != fire.due_ms:
        return FireAnswer(outcome=Outcome.MOVED)
    if fire.parked_until_ms is not None:
        step.park(row, fire.parked_until_ms)
        return FireAnswer(outcome=Outcome.OK)
    if fire.pause is not None:
        return FireAnswer(outcome=_pause(step, fence, row, fire=fire, pause=fire.pause))
    instants = [run.scheduled_ms for run in fire.runs]
    if fire.skipped is not None:
        instants.append(fire.skipped.last_ms)
    instants += [skip.at_ms for skip in fire.left_out]
    if any(instant > step.wall_ms for instant in instants):
        return FireAnswer(outcome=Outcome.EARLY)
    note_skipped(step, fence, row.id, fire.skipped)
    for skip in fire.left_out:
        note_left_out(step, fence, row.id, skip)
    runs = tuple(_run(step, fence, row, run) for run in fire.runs)
    if fire.runs:
        row.last_fired_ms = fire.runs[-1].scheduled_ms
    row.forget_skips(fire.next_due_ms)
    step.set_due(row, _next_due(step, row, fire))
    if row.counts is not None and row.config.max_runs is not None:
        made = sum(run in (RunOutcome.FIRED, RunOutcome.HELD) for run in runs)
        step.count(row, attrs.evolve(row.counted, runs=row.counted.runs + made))
        name_if_counted(step, row)
    return FireAnswer(outcome=Outcome.OK, runs=runs)


def _pause(step: Step, fence: str, row: ConfigRow, *, fire: Fire, pause: OwnPause) -> Outcome:
    """Pause a config that has counted enough."""
    if pause_due(row.config, row.counted) is None:
        return Outcome.MOVED
    latest_ms = max([pause.upto_ms] + ([fire.skipped.last_ms] if fire.skipped else []))
    if latest_ms > step.wall_ms:
        return Outcome.EARLY
    note_skipped(step, fence, row.id, fire.skipped)
    row.paused_who, row.paused_why = BY_ITSELF, pause.why
    row.paused_since_ms, row.paused_gap_ms = step.wall_ms, pause.upto_ms
    step.set_due(row, None)
    note_config(step, row, act="paused", by=fence, who=BY_ITSELF, why=pause.why)
    return Outcome.OK


def _resume(step: Step, fence: str, fire: Fire) -> Outcome:
    """End a pause whose instant has come."""
    row = step.config(fire.config_id)
    if row is None or row.revision != fire.revision:
        return Outcome.REVISED
    if not row.paused or row.due_ms != fire.due_ms:
        return Outcome.MOVED
    latest_ms = fire.due_ms if fire.skipped is None else max(fire.due_ms, fire.skipped.last_ms)
    if latest_ms > step.wall_ms:
        return Outcome.EARLY
    note_skipped(step, fence, row.id, fire.skipped)
    row.end_pause()
    step.count(row, NOTHING_COUNTED)
    row.forget_skips(fire.next_due_ms)
    waits = row.delay_ms is not None and step.living(row.id).live > 0
    step.set_due(row, None if waits else fire.next_due_ms)
    note_config(step, row, act="resumed", by=fence, until_ms=fire.due_ms)
    return Outcome.OK


def _next_due(step: Step, row: ConfigRow, fire: Fire) -> int | None:
    if row.delay_ms is None or not fire.runs:
        return fire.next_due_ms
    return None if step.living(row.id).live else step.wall_ms + row.delay_ms


def _run(step: Step, fence: str, row: ConfigRow, run: PlannedRun) -> RunOutcome:
    at_ms = run.scheduled_ms
    task_id = fire_task_id(row.id, at_ms)
    if step.task(task_id) is not None:
        return RunOutcome.DUP
    for skip in row.skipped:
        if skip.at_ms == at_ms:
            note_left_out(step, fence, row.id, skip)
            return RunOutcome.SKIPPED
    outcome = _overlap(step, fence, row)
    if outcome is RunOutcome.SKIPPED:
        step.flush()
        (behind,) = step.db.execute(FIRST_LIVING, (row.id,)).fetchone()
        note_overlap(step, fence, config_id=row.id, at_ms=at_ms, behind=behind)
        return outcome
    item: Item = {"config": row.id, "ms": at_ms, "task": task_id, "late": step.wall_ms - at_ms}
    home, until_ms = Home.READY, 0
    if outcome is RunOutcome.HELD:
        item["held"] = True
        home = Home.HELD
    elif run.not_before_ms > step.wall_ms:
        home, until_ms = Home.DELAYED, step.now_ms + run.not_before_ms - step.wall_ms
    spec, spec_text = _snapshot(row.content, row.revision, row.created_ms, row.updated_ms)
    step.create(task_id, spec, home, scheduled_ms=at_ms, at_ms=until_ms, spec_text=spec_text)
    step.note(EventKind.FIRED, fence, item)
    return outcome


@lru_cache(maxsize=4096)
def _snapshot(
    content: str, revision: int, created_ms: int, updated_ms: int
) -> tuple[TaskSpec, str]:
    """What a config's tasks carry, and its text. Cached: the same at every fire of a revision."""
    config = read_config(content, revision=revision, created_ms=created_ms, updated_ms=updated_ms)
    spec = config.spec
    return spec, write_spec(spec)


def _overlap(step: Step, fence: str, row: ConfigRow) -> RunOutcome:
    living, policy = step.living(row.id), row.config.overlap
    # An earlier build may have left a task held; it is released before anything new is held.
    if policy is Overlap.QUEUE_ALL:
        living = step.all_living(row.id)
        step.release(row.id, living)
    if not living.live or policy is Overlap.ALLOW:
        return RunOutcome.FIRED
    if policy is Overlap.SKIP:
        return RunOutcome.SKIPPED
    if policy is Overlap.QUEUE_ONE:
        return RunOutcome.SKIPPED if living.held else RunOutcome.HELD
    if policy is Overlap.QUEUE_ALL:
        room = len(living.held) < row.config.misfire_cap
        return RunOutcome.HELD if room else RunOutcome.SKIPPED
    step.flush()
    found = step.db.execute(LIVE, (row.id, MAX_HEAVY_BATCH)).fetchall()
    older = [step.adopt(columns) for columns in found]
    # The held ones first: ending a live task would otherwise release one.
    held = [task for task in step.load(living.held) if task is not None]
    known = {task.id for task in held}
    older = [*held, *(task for task in older if task.id not in known)]
    for task in older[:MAX_HEAVY_BATCH]:
        step.cancel(task, fence, "superseded")
    return RunOutcome.HELD if living.live else RunOutcome.FIRED


def _replan(step: Step, item: Replan) -> Outcome:
    row = _current(step, item.config_id, item.revision)
    if row is None:
        return Outcome.REVISED
    if row.owed_ms != item.due_ms:
        return Outcome.MOVED
    row.last_fired_ms = item.last_fired_ms
    step.set_due(row, item.next_due_ms)
    return Outcome.OK
