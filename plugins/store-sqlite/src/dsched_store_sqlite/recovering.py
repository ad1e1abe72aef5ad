"""Reaping and pruning: what dead workers left behind, and what is past its time."""

from collections.abc import Sequence

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import (
    Overdue,
    OverdueLease,
    Pruned,
    QueuedTask,
    Reap,
    Recovering,
)
from dsched.contracts.store.runs import PRUNED_LINES
from dsched.model import Home, MemberStep, TaskStatus, member_id
from dsched.model.status import TERMINAL
from dsched_store_sqlite.attempts import remember_attempt
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.facts import prune_stats, remove_decisions
from dsched_store_sqlite.needs import read_needs
from dsched_store_sqlite.rows import RUN, TASK, TASK_WIDTH, WORKER, TaskRow, WorkerRow, read_task
from dsched_store_sqlite.sources import (
    bring_back,
    is_source,
    put_aside,
)
from dsched_store_sqlite.step import Item, Step
from dsched_store_sqlite.tasklogs import forget_lines
from dsched_store_sqlite.watching import prune_marks
from dsched_store_sqlite.workers import worker_views

FORGET_MS = 3_600_000

OVERDUE_LEASES = (
    f"SELECT {TASK}, body.spec FROM task JOIN body ON body.seq = task.seq "  # noqa: S608
    "WHERE home = 'lease' AND at_ms <= ? ORDER BY at_ms, id LIMIT ?"
)
OLD_QUEUED = (
    "SELECT id, worker_id, at_ms, needs FROM task "
    "WHERE home = 'queue' AND at_ms <= ? ORDER BY at_ms, id LIMIT ?"
)
ENDED = (
    "SELECT seq, id, end_ms, needs FROM task WHERE status = ? AND end_ms IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM run_aside WHERE run_aside.run = task.id) "
    "ORDER BY end_ms, id LIMIT ?"
)
SEQ_OF = "SELECT seq FROM task WHERE id = ?"
# The oldest index entries of a status; those whose tasks are there go with them, later.
LATE_ENTRIES = (
    "SELECT task_id FROM "
    "(SELECT task_id FROM finished WHERE status = ? AND end_ms <= ? ORDER BY end_ms LIMIT ?) "
    "WHERE NOT EXISTS (SELECT 1 FROM task WHERE task.id = task_id)"
)
OLD_DECISIONS = (
    "SELECT config_id, first_ms, verdict, reason FROM decision WHERE at_ms <= ? "
    "ORDER BY at_ms, config_id, first_ms, verdict, reason LIMIT ?"
)
SURPLUS = "SELECT cursor FROM event WHERE cursor > 0 ORDER BY cursor LIMIT ?"
FORGOTTEN = (
    f"SELECT {WORKER} FROM worker LEFT JOIN load ON load.worker_id = worker.id "  # noqa: S608
    "WHERE load.worker_id IS NULL AND ? - last_beat_ms >= heartbeat_timeout_ms + ? "
    "ORDER BY worker.id LIMIT ?"
)


class SqliteRecovering(OnSqlite, Recovering):
    """Recovering."""

    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """Leases that are over, and queue entries that have waited too long."""
        check_limit(limit)

        def run(step: Step) -> Overdue:
            step.check_fence(fence)
            leases = step.db.execute(OVERDUE_LEASES, (step.now_ms, limit)).fetchall()
            oldest_ms = step.now_ms - min_queue_age_ms
            queued = step.db.execute(OLD_QUEUED, (oldest_ms, limit)).fetchall()
            return Overdue(
                time=step.time,
                leases=tuple(_overdue_lease(columns) for columns in leases),
                queued=tuple(_queued(step, *columns) for columns in queued),
                workers=worker_views(step),
            )

        return await self._step(run)

    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """End attempts whose leases are over."""
        check_batch([item.task_id for item in items])

        def run(step: Step) -> tuple[Outcome, ...]:
            step.check_fence(fence)
            tasks = step.load([item.task_id for item in items])
            return tuple(
                _reap(step, fence, task, item) for task, item in zip(tasks, items, strict=True)
            )

        return await self._step(run)

    async def prune(self, fence: str, limit: int) -> Pruned:
        """Remove what is past its time."""
        check_limit(limit, MAX_HEAVY_BATCH)

        def run(step: Step) -> Pruned:
            step.check_fence(fence)
            removed: list[str] = []
            tasks = [_prune_tasks(step, status, limit, removed) for status in TERMINAL]
            counts = [
                *(count for count, _ in tasks),
                _prune_decisions(step, limit),
                _prune_log(step, fence, limit),
                _prune_workers(step, fence, limit),
            ]
            prune_stats(step, limit)
            prune_marks(step, limit)
            freed = bring_back(step, removed)
            more = limit in counts or any(cut for _, cut in tasks) or freed > 0
            return Pruned(count=sum(counts), more=more)

        return await self._step(run)


def count_ended(step: Step, status: TaskStatus, by: int) -> None:
    """Keep the count of index entries of a terminal status."""
    meta = step.meta
    match status:
        case TaskStatus.SUCCESS:
            meta.ended_success += by
        case TaskStatus.FAILED:
            meta.ended_failed += by
        case TaskStatus.CANCELLED:
            meta.ended_cancelled += by


def _overdue_lease(columns: Sequence[object]) -> OverdueLease:
    row = read_task(columns[:TASK_WIDTH])
    return OverdueLease(task=row.view(spec=str(columns[TASK_WIDTH])), token=row.token or "")


def _queued(
    step: Step, task_id: str, worker_id: str | None, at_ms: int, needs: str | None
) -> QueuedTask:
    labels, _, need = read_needs(needs)
    return QueuedTask(
        task_id=task_id,
        worker_id=worker_id or "",
        age_ms=step.now_ms - at_ms,
        required_labels=labels,
        need=need,
    )


def _reap(step: Step, fence: str, task: TaskRow | None, item: Reap) -> Outcome:
    if task is None or task.home is not Home.LEASE or task.token != item.token:
        return Outcome.STALE
    if task.at_ms > step.now_ms:
        return Outcome.STALE
    worker_id = task.worker_id
    task.crash_count += 1
    task.token = None
    task.error = item.error or task.error
    event: Item = {"task": task.id, "crashes": task.crash_count, "worker": worker_id}
    if task.cancel_requested:
        event["reason"] = task.reason = task.cancel_reason
        step.finish(task, TaskStatus.CANCELLED)
    elif item.fail_reason is not None:
        event["reason"] = task.reason = item.fail_reason
        step.finish(task, TaskStatus.FAILED)
    elif item.delay_ms:
        task.reason = "crashed"
        event["delay"] = item.delay_ms
        remember_attempt(step, task, how="crashed", error=item.error)
        step.place(task, TaskStatus.RETRYING, Home.DELAYED, step.now_ms + item.delay_ms)
    else:
        task.reason = "crashed"
        remember_attempt(step, task, how="crashed", error=item.error)
        step.place(task, TaskStatus.PENDING, Home.READY)
    event["status"] = task.status.value
    step.note(EventKind.REAPED, fence, event)
    return Outcome.OK


def _prune_tasks(
    step: Step, status: TaskStatus, limit: int, removed: list[str]
) -> tuple[int, bool]:
    """How many left the list, and whether the walk was cut short; ``removed`` takes the ids of
    the runs that are not there any more."""
    db, settings = step.db, step.settings
    oldest_ms, most = step.wall_ms - settings.kept_ms(status), settings.kept_count(status)
    surplus = 0 if most is None else step.meta.count_kept(status, 0) - most
    ended = db.execute(ENDED, (status.value, limit)).fetchall()
    old = [row for at, row in enumerate(ended) if at < surplus or row[2] <= oldest_ms]
    lines, left = 0, 0
    for seq, task_id, _, needs in old:
        if lines >= PRUNED_LINES:
            break
        left += 1
        if needs == RUN and is_source(step, task_id):
            put_aside(step, task_id)
            continue
        lines += _forget_members(step, seq, task_id)
        _forget(step, seq, task_id)
        if needs == RUN:
            removed.append(task_id)
    step.meta.count_kept(status, -left)
    _prune_late_entries(step, status, oldest_ms, limit)
    return left, left < len(old)


def _forget(step: Step, seq: int, task_id: str) -> None:
    db = step.db
    known = db.execute("SELECT status FROM finished WHERE task_id = ?", (task_id,)).fetchone()
    if known is not None:
        count_ended(step, TaskStatus(known[0]), -1)
        db.execute("DELETE FROM finished WHERE task_id = ?", (task_id,))
    db.execute("DELETE FROM body WHERE seq = ?", (seq,))
    forget_lines(step, seq)
    db.execute("DELETE FROM task WHERE seq = ?", (seq,))


def _forget_members(step: Step, seq: int, run_id: str) -> int:
    """Remove the members of a run with its log; how many lines that had."""
    lines = step.db.execute("SELECT what, member FROM member_line WHERE run = ?", (seq,)).fetchall()
    for what, name in lines:
        if what != MemberStep.BORN.value:
            continue
        found = step.db.execute(SEQ_OF, (member_id(run_id, name),)).fetchone()
        if found is not None:
            _forget(step, found[0], member_id(run_id, name))
    if lines:
        step.db.execute("DELETE FROM member_line WHERE run = ?", (seq,))
    return len(lines)


def _prune_late_entries(step: Step, status: TaskStatus, oldest_ms: int, limit: int) -> None:
    """Index entries that a late collector made when their tasks had been removed already."""
    late = step.db.execute(LATE_ENTRIES, (status.value, oldest_ms, limit)).fetchall()
    step.db.executemany("DELETE FROM finished WHERE task_id = ?", late)
    count_ended(step, status, -len(late))


def _prune_decisions(step: Step, limit: int) -> int:
    oldest_ms = step.wall_ms - step.settings.result_ttl_ms
    old = step.db.execute(OLD_DECISIONS, (oldest_ms, limit)).fetchall()
    remove_decisions(step, old)
    return len(old)


def _prune_log(step: Step, fence: str, limit: int) -> int:
    meta = step.meta
    surplus = max(0, min(meta.log_size - step.settings.max_events, limit))
    if not surplus:
        return 0
    old = step.db.execute(SURPLUS, (surplus,)).fetchall()
    step.db.executemany("DELETE FROM event WHERE cursor = ?", old)
    meta.log_size -= len(old)
    unread = sum(cursor > int(meta.collected) for (cursor,) in old)
    if unread:
        step.note(EventKind.GAP, fence, {"dropped": unread})
    return surplus


def _prune_workers(step: Step, fence: str, limit: int) -> int:
    old = step.db.execute(FORGOTTEN, (step.now_ms, FORGET_MS, limit)).fetchall()
    for columns in old:
        worker_id = WorkerRow(*columns).id
        step.drop_worker(worker_id)
        step.note(EventKind.WORKER, fence, {"worker": worker_id, "act": "forgotten"})
    return len(old)
