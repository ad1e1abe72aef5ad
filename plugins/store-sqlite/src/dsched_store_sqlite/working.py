"""What clients and workers do to tasks."""

from collections.abc import Sequence

from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.codec import write_result, write_spec
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import (
    CancelAnswer,
    Claimed,
    Completion,
    Progress,
    Release,
    Submission,
    Working,
    claim_token,
)
from dsched.model import Home, TaskStatus
from dsched.model.json import dumps, loads
from dsched_store_sqlite.attempts import remember_attempt
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.rows import TASK, TASK_WIDTH, TaskRow, WorkerRow
from dsched_store_sqlite.sources import are_there, put_sources, sources_of
from dsched_store_sqlite.step import Item, Step
from dsched_store_sqlite.workers import check_incarnation

CLAIMABLE = (
    f"SELECT {TASK}, body.spec FROM task JOIN body ON body.seq = task.seq "  # noqa: S608
    "WHERE home = 'queue' AND worker_id = ? ORDER BY place LIMIT ?"
)
SPEC = "SELECT spec FROM body WHERE seq = ?"

_Started = list[tuple[TaskRow, str]]


class SqliteWorking(OnSqlite, Working):
    """Working."""

    async def submit(
        self, items: Sequence[Submission], *, by: str, fence: str | None = None
    ) -> tuple[Outcome, ...]:
        """Create tasks."""
        check_batch([item.task_id for item in items])
        texts = [write_spec(item.spec) for item in items]

        def run(step: Step) -> tuple[Outcome, ...]:
            if fence is not None:
                step.check_fence(fence)
            step.load([item.task_id for item in items])
            return tuple(
                _submit(step, item, text, by) for item, text in zip(items, texts, strict=True)
            )

        return await self._step(run)

    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """Start attempts."""
        check_limit(limit)

        def run(step: Step) -> Claimed:
            outcome = check_incarnation(step, worker_id, incarnation)
            row = step.worker(worker_id)
            if outcome is not Outcome.OK or row is None:
                return Claimed(outcome=outcome)
            token = claim_token(worker_id, incarnation, lane, number)
            started = _claim(step, row, lane=lane, number=number, token=token, limit=limit)
            if started is None:
                return Claimed(outcome=Outcome.STALE)
            return Claimed(
                outcome=Outcome.OK if started else Outcome.EMPTY,
                tasks=tuple(task.view(spec=spec) for task, spec in started),
                token=token,
                epoch=step.meta.epoch,
            )

        return await self._step(run)

    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Record how attempts ended."""
        check_batch([item.task_id for item in items])
        texts = [write_result(item.result) for item in items]

        def run(step: Step) -> tuple[Outcome, ...]:
            tasks = step.load([item.task_id for item in items])
            return tuple(
                _complete(step, task, item=item, result=text, by=by)
                for task, item, text in zip(tasks, items, texts, strict=True)
            )

        return await self._step(run)

    async def release(self, items: Sequence[Release], *, by: str) -> tuple[Outcome, ...]:
        """Give attempts back."""
        check_batch([item.task_id for item in items], MAX_HEAVY_BATCH)

        def run(step: Step) -> tuple[Outcome, ...]:
            tasks = step.load([item.task_id for item in items])
            return tuple(
                _release(step, task, item, by) for task, item in zip(tasks, items, strict=True)
            )

        return await self._step(run)

    async def cancel(
        self, task_ids: Sequence[str], *, by: str, reason: str, fence: str | None = None
    ) -> tuple[CancelAnswer, ...]:
        """Cancel tasks."""
        check_batch(task_ids)

        def run(step: Step) -> tuple[CancelAnswer, ...]:
            if fence is not None:
                step.check_fence(fence)
            return tuple(_cancel(step, task, by, reason) for task in step.load(task_ids))

        return await self._step(run)

    async def progress(self, items: Sequence[Progress]) -> tuple[Outcome, ...]:
        """Set the progress of running attempts."""
        check_batch([item.task_id for item in items])
        texts = [None if item.value is None else dumps(item.value) for item in items]

        def run(step: Step) -> tuple[Outcome, ...]:
            tasks = step.load([item.task_id for item in items])
            return tuple(
                _progress(step, task, item.token, text)
                for task, item, text in zip(tasks, items, texts, strict=True)
            )

        return await self._step(run)


def _submit(step: Step, item: Submission, text: str, by: str) -> Outcome:
    known = step.task(item.task_id)
    if known is not None:
        (stored,) = step.db.execute(SPEC, (known.seq,)).fetchone()
        return Outcome.DUP if stored == text else Outcome.CONFLICT
    sources = sources_of(item.spec)
    if sources and not are_there(step, sources):
        return Outcome.UNKNOWN
    home, at_ms, delay_ms = Home.READY, 0, item.waits_ms(step.wall_ms)
    if delay_ms:
        home, at_ms = Home.DELAYED, step.now_ms + delay_ms
    step.create(
        item.task_id,
        item.spec,
        home,
        scheduled_ms=step.wall_ms + delay_ms,
        at_ms=at_ms,
        spec_text=text,
    )
    put_sources(step, item.task_id, sources)
    event: Item = {"task": item.task_id}
    if item.why:
        event["why"] = item.why
    step.note(EventKind.SUBMITTED, by, event)
    return Outcome.OK


def _claim(
    step: Step, row: WorkerRow, *, lane: int, number: int, token: str, limit: int
) -> _Started | None:
    """The attempts of this claim with their specs; None for a number that is over."""
    found = step.db.execute(
        "SELECT number, ids FROM lane WHERE worker_id = ? AND lane = ?", (row.id, lane)
    ).fetchone()
    last, ids = (-1, "[]") if found is None else found
    if number < last:
        return None
    if number == last:
        return _renew(step, row, loads(ids), token)
    if row.stalled:
        row.stalled = 0
        step.put_worker(row)
        step.to_wake.add(LEADER_WAKEUP)
    started = [] if row.draining else _start(step, row, token, limit)
    step.db.execute(
        "INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?)",
        (row.id, lane, number, dumps([task.id for task, _ in started])),
    )
    return started


def _renew(step: Step, row: WorkerRow, ids: Sequence[str], token: str) -> _Started:
    current: _Started = []
    for task in step.load(ids):
        if task is None or task.home is not Home.LEASE or task.token != token:
            continue
        until_ms = step.now_ms + row.heartbeat_timeout_ms
        step.place(task, TaskStatus.RUNNING, Home.LEASE, until_ms)
        (spec,) = step.db.execute(SPEC, (task.seq,)).fetchone()
        current.append((task, spec))
    return current


def _start(step: Step, row: WorkerRow, token: str, limit: int) -> _Started:
    started: _Started = []
    # Nothing is written before the step's end, so the entries may be read one by one meanwhile.
    entries = step.db.execute(CLAIMABLE, (row.id, MAX_BATCH))
    for columns in entries:
        task = step.adopt(columns[:TASK_WIDTH])
        if step.expire(task, row.id):
            continue
        task.token, task.completed, task.progress, task.reason = token, 0, None, ""
        task.attempt += 1
        task.start_ms = step.wall_ms
        until_ms = step.now_ms + row.heartbeat_timeout_ms
        step.place(task, TaskStatus.RUNNING, Home.LEASE, until_ms)
        step.note(EventKind.CLAIMED, token, {"task": task.id, "attempt": task.attempt})
        started.append((task, columns[TASK_WIDTH]))
        if len(started) == limit:
            break
    entries.close()
    return started


def _complete(
    step: Step, task: TaskRow | None, *, item: Completion, result: str, by: str
) -> Outcome:
    if task is None or task.token != item.token:
        return Outcome.STALE
    if task.completed:
        return Outcome.ALREADY
    task.completed = 1
    task.reason = task.cancel_reason if task.cancel_requested else item.reason
    task.error = "" if item.success else item.error
    event: Item = {
        "task": task.id,
        "attempt": task.attempt,
        "code": item.result.code,
        "run": step.wall_ms - (task.start_ms or step.wall_ms),
    }
    if task.reason:
        event["reason"] = task.reason
    if item.retry_delay_ms is not None and not item.success and not task.cancel_requested:
        task.retry_count += 1
        event["delay"] = item.retry_delay_ms
        until_ms = step.now_ms + item.retry_delay_ms
        remember_attempt(step, task, how="failed", code=item.result.code, error=item.error)
        step.place(task, TaskStatus.RETRYING, Home.DELAYED, until_ms)
    else:
        step.keep_result(task, result)
        status = TaskStatus.SUCCESS if item.success else TaskStatus.FAILED
        ended = TaskStatus.CANCELLED if task.cancel_requested else status
        step.finish(task, ended, item.result.code)
    event["status"] = task.status.value
    step.note(EventKind.COMPLETED, by, event)
    return Outcome.OK


def _release(step: Step, task: TaskRow | None, item: Release, by: str) -> Outcome:
    if task is None or task.home is not Home.LEASE or task.token != item.token:
        return Outcome.STALE
    task.token = None
    if task.cancel_requested:
        task.reason = task.cancel_reason
        step.finish(task, TaskStatus.CANCELLED)
    elif item.fail:
        task.reason = "released"
        step.finish(task, TaskStatus.FAILED)
    else:
        task.reason = item.reason
        remember_attempt(step, task, how="released")
        step.place(task, TaskStatus.PENDING, Home.READY)
    event: Item = {"task": task.id, "status": task.status.value, "reason": task.reason}
    step.note(EventKind.RELEASED, by, event)
    return Outcome.OK


def _cancel(step: Step, task: TaskRow | None, by: str, reason: str) -> CancelAnswer:
    if task is None:
        return CancelAnswer(outcome=Outcome.UNKNOWN, status=None)
    if task.status.terminal:
        cancelled = task.status is TaskStatus.CANCELLED
        outcome = Outcome.ALREADY if cancelled else Outcome.TOO_LATE
        return CancelAnswer(outcome=outcome, status=task.status)
    ended = step.cancel(task, by, reason)
    return CancelAnswer(outcome=Outcome.OK if ended else Outcome.REQUESTED, status=task.status)


def _progress(step: Step, task: TaskRow | None, token: str, text: str | None) -> Outcome:
    if task is None or task.home is not Home.LEASE or task.token != token:
        return Outcome.STALE
    task.progress = text
    step.changed(task)
    return Outcome.OK
