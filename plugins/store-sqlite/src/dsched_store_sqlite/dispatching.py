"""Dispatch and recall: ready tasks to workers' queues, and back."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.checks import check_batch, check_classes, check_limit
from dsched.contracts.store.classes import Classing, ClassPage, Let, Shut
from dsched.contracts.store.dispatching import (
    Choice,
    Deferral,
    Dispatched,
    Dispatching,
    Poll,
    Promoted,
    ReadyPage,
    ReadyTask,
)
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.model import Home, TaskStatus
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.classes import (
    check_has_classes,
    expire_waiting,
    let_out,
    page_of_classes,
    shut_classes,
    shut_count,
)
from dsched_store_sqlite.firing import due_page
from dsched_store_sqlite.limits import let_go, opens_in_ms
from dsched_store_sqlite.needs import limits_of, read_needs
from dsched_store_sqlite.rows import TASK, TaskRow
from dsched_store_sqlite.runs import news_in_ms
from dsched_store_sqlite.step import Item, Step
from dsched_store_sqlite.workers import worker_views

READY = (
    "SELECT id, rank, scheduled_ms, needs FROM task WHERE home = 'ready' AND (place < 0) = 0 "
    "ORDER BY rank, scheduled_ms, id LIMIT ? OFFSET ?"
)
DELAYED_DUE = (
    f"SELECT {TASK} FROM task WHERE home = 'delayed' AND at_ms <= ? "  # noqa: S608
    "ORDER BY at_ms, id LIMIT ?"
)
LAST_QUEUED = (
    f"SELECT {TASK} FROM task WHERE home = 'queue' AND worker_id = ? "  # noqa: S608
    "ORDER BY place DESC LIMIT ?"
)
NEXT_DELAYED = "SELECT min(at_ms) FROM task WHERE home = 'delayed'"


class SqliteDispatching(OnSqlite, Dispatching, Classing):
    """Dispatching."""

    async def promote(self, fence: str, limit: int) -> Promoted:
        """Delayed tasks whose instant has come become ready."""
        check_limit(limit)

        def run(step: Step) -> Promoted:
            step.check_fence(fence)
            return promote_due(step, limit)

        return await self._step(run)

    async def ready(self, fence: str, skip: int, limit: int) -> ReadyPage:
        """A page of ready tasks, and all workers."""
        check_limit(limit)

        def run(step: Step) -> ReadyPage:
            step.check_fence(fence)
            return _page(step, skip, limit)

        return await self._step(run)

    async def poll(self, fence: str, limit: int) -> Poll:
        """Promote, and read what is due and what is ready."""
        check_limit(limit)

        def run(step: Step) -> Poll:
            step.check_fence(fence)
            expire_waiting(step, fence)
            promoted = promote_due(step, limit)
            let_go(step)
            due = due_page(step, limit)
            return Poll(
                promoted=promoted,
                due=due,
                ready=_page(step, 0, limit),
                runs_in_ms=news_in_ms(step),
                limits_in_ms=opens_in_ms(step),
            )

        return await self._step(run)

    async def dispatch(
        self,
        fence: str,
        choices: Sequence[Choice],
        deferrals: Sequence[Deferral],
        *,
        skip: int,
        limit: int,
        shuts: Sequence[Shut] = (),
        lets: Sequence[Let] = (),
    ) -> Dispatched:
        """Queue and defer tasks, shut classes, let tasks out."""
        task_ids = [c.task_id for c in choices] + [d.task_id for d in deferrals]
        check_batch(task_ids)
        check_limit(limit)
        check_classes(shuts, lets)

        def run(step: Step) -> Dispatched:
            step.check_fence(fence)
            if shuts or lets:
                check_has_classes(step)
            step.load(task_ids)
            displaced = _Displaced(step)
            chosen = tuple(_choose(step, fence, choice, displaced) for choice in choices)
            deferred = tuple(
                Outcome.STALE if item.task_id in displaced else _defer(step, fence, item)
                for item in deferrals
            )
            step.flush()
            shut_classes(step, shuts, limited=Outcome.LIMITED in chosen)
            opened = let_out(step, lets)
            let_go(step)
            page = _page(step, skip, limit)
            told = Dispatched(choices=chosen, deferrals=deferred, page=page, opened=opened)
            return attrs.evolve(told, limits_in_ms=opens_in_ms(step))

        return await self._step(run)

    async def shut_classes(self, cursor: str | None, limit: int) -> ClassPage:
        """The classes that are shut."""
        check_limit(limit)
        return await self._step(lambda step: page_of_classes(step, cursor, limit))

    async def recall(
        self, fence: str, task_ids: Sequence[str], min_age_ms: int
    ) -> tuple[Outcome, ...]:
        """Put old queue entries back to ready."""
        check_batch(task_ids)

        def run(step: Step) -> tuple[Outcome, ...]:
            step.check_fence(fence)
            tasks = step.load(task_ids)
            return tuple(_recall(step, fence, task, min_age_ms) for task in tasks)

        return await self._step(run)


class _Displaced:
    """What gave its place in a queue to another in this step."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._of: dict[str, list[str]] = {}

    def __contains__(self, task_id: str) -> bool:
        return any(task_id in ids for ids in self._of.values())

    def by(self, task: TaskRow, worker_id: str, fence: str) -> bool:
        """Whether the last that waited there before this step gives way to a task."""
        step, gone = self._step, self._of.setdefault(worker_id, [])
        # Nothing is written before the step's end: what is read waited there before it.
        waited = step.db.execute(LAST_QUEUED, (worker_id, len(gone) + 1)).fetchall()
        if len(waited) <= len(gone):
            return False
        last = step.adopt(waited[-1])
        if last.rank <= task.rank:
            return False
        gone.append(last.id)
        event: Item = {"task": last.id, "worker": worker_id, "displaced": True}
        step.note(EventKind.RECALLED, fence, event)
        last.reason = "displaced"
        step.place(last, TaskStatus.PENDING, Home.READY)
        return True


def _ready(step: Step, task_id: str) -> TaskRow | None:
    task = step.task(task_id)
    return None if task is None or task.home is not Home.READY else task


def _choose(step: Step, fence: str, choice: Choice, displaced: "_Displaced") -> Outcome:
    task = _ready(step, choice.task_id)
    if task is None or task.id in displaced:
        return Outcome.STALE
    if step.expire(task, fence):
        return Outcome.EXPIRED
    refusal = _refusal(step, choice.worker_id, choice.ability)
    if refusal in (None, Outcome.FULL) and _limited(step, task):
        return Outcome.LIMITED
    if refusal is Outcome.FULL and displaced.by(task, choice.worker_id, fence):
        refusal = None
    if refusal is not None:
        return refusal
    task.worker_id, task.reason = choice.worker_id, ""
    step.place(task, TaskStatus.PENDING, Home.QUEUE, step.now_ms)
    item: Item = {"task": task.id, "worker": choice.worker_id}
    if choice.why:
        item["why"] = choice.why
    step.note(EventKind.DISPATCHED, fence, item)
    return Outcome.OK


def _limited(step: Step, task: TaskRow) -> bool:
    """Whether a limit of a task has no room: then the task waits under it."""
    names = limits_of(task.needs)
    full = step.places.first_full(names) if names else None
    if full is None:
        return False
    if not task.place:
        task.place = -step.places.wait_under(full)
        step.places.touched.add(full)
        step.changed(task)
        step.wake_if_open(name for name in names if name != full)
    return True


def _refusal(step: Step, worker_id: str, ability: str | None) -> Outcome | None:
    row = step.worker(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if ability is not None and ability != step.ability_of(row):
        return Outcome.MOVED
    if row.gone(step.now_ms):
        return Outcome.GONE
    if row.draining:
        return Outcome.DRAINING
    if row.stalled:
        return Outcome.STALLED
    load = step.load_of(worker_id)
    full = load.running + load.queued >= row.capacity + row.backlog
    return Outcome.FULL if full else None


def _defer(step: Step, fence: str, item: Deferral) -> Outcome:
    task = _ready(step, item.task_id)
    if task is None:
        return Outcome.STALE
    if step.expire(task, fence):
        return Outcome.EXPIRED
    task.reason = item.reason
    step.place(task, TaskStatus.PENDING, Home.DELAYED, step.now_ms + item.delay_ms)
    event: Item = {"task": task.id, "delay": item.delay_ms, "reason": item.reason}
    step.note(EventKind.DEFERRED, fence, event)
    return Outcome.OK


def _recall(step: Step, fence: str, task: TaskRow | None, min_age_ms: int) -> Outcome:
    if task is None or task.home is not Home.QUEUE or step.now_ms - task.at_ms < min_age_ms:
        return Outcome.STALE
    item: Item = {"task": task.id, "worker": task.worker_id}
    if _stalls(step, task.worker_id or ""):
        item["stalled"] = True
    step.note(EventKind.RECALLED, fence, item)
    task.reason = "recalled"
    step.place(task, TaskStatus.PENDING, Home.READY)
    return Outcome.OK


def _stalls(step: Step, worker_id: str) -> bool:
    row = step.worker(worker_id)
    if row is None or row.gone(step.now_ms):
        return False
    if step.load_of(worker_id).running >= row.capacity:
        return False
    row.stalled = 1
    step.put_worker(row)
    return True


def _page(step: Step, skip: int, limit: int) -> ReadyPage:
    found = step.db.execute(READY, (limit + 1, skip)).fetchall()
    return ReadyPage(
        time=step.time,
        tasks=tuple(_ready_task(*columns) for columns in found[:limit]),
        workers=worker_views(step),
        more=len(found) > limit,
        shut=shut_count(step),
    )


def _ready_task(task_id: str, rank: int, scheduled_ms: int, needs: str | None) -> ReadyTask:
    labels, key, need = read_needs(needs)
    return ReadyTask(
        id=task_id,
        priority=9 - rank,
        scheduled_ms=scheduled_ms,
        required_labels=labels,
        affinity_key=key,
        need=need,
    )


def promote_due(step: Step, limit: int) -> Promoted:
    """Make the delayed tasks ready whose instant has come."""
    found = step.db.execute(DELAYED_DUE, (step.now_ms, limit)).fetchall()
    for columns in found:
        step.place(step.adopt(columns), TaskStatus.PENDING, Home.READY)
    step.flush()
    (next_ms,) = step.db.execute(NEXT_DELAYED).fetchone()
    next_in_ms = None if next_ms is None else max(0, next_ms - step.now_ms)
    return Promoted(count=len(found), next_in_ms=next_in_ms)
