"""Dispatch and recall of the reference store: ready tasks to workers' queues, and back."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.checks import check_batch, check_classes, check_limit
from dsched.contracts.store.classes import CLASSES_FROM, Classing, ClassPage, Let, Shut
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
from dsched.model import Home, TaskStatus, need_of
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.classes import (
    check_has_classes,
    expire_waiting,
    let_out,
    page_of_classes,
    shut_classes,
)
from dsched_testkit.memory.firing import due_page
from dsched_testkit.memory.limits import let_go, wait_under_limit
from dsched_testkit.memory.runs import news_in_ms
from dsched_testkit.memory.state import Item, State, Step, TaskRow


@attrs.define
class _Moved:
    """What one step has put into queues, and what gave way."""

    fence: str
    added: set[str] = attrs.field(factory=set)
    displaced: set[str] = attrs.field(factory=set)


class MemoryDispatching(OnState, Dispatching, Classing):
    """Dispatching."""

    async def promote(self, fence: str, limit: int) -> Promoted:
        """Delayed tasks whose instant has come become ready."""
        check_limit(limit)
        with self._state.step() as step:
            step.check_fence(fence)
            return promote_due(self._state, step, limit)

    async def ready(self, fence: str, skip: int, limit: int) -> ReadyPage:
        """A page of ready tasks, and all workers."""
        check_limit(limit)
        with self._state.step() as step:
            step.check_fence(fence)
            return self._page(step, skip, limit)

    async def poll(self, fence: str, limit: int) -> Poll:
        """Promote, and read what is due and what is ready."""
        check_limit(limit)
        with self._state.step() as step:
            step.check_fence(fence)
            expire_waiting(self._state, step, fence)
            promoted = promote_due(self._state, step, limit)
            let_go(self._state)
            due = due_page(self._state, step, limit)
            return Poll(
                promoted=promoted,
                due=due,
                ready=self._page(step, 0, limit),
                runs_in_ms=news_in_ms(self._state, step),
                limits_in_ms=self._state.places.opens_in_ms(),
            )

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
        check_batch([c.task_id for c in choices] + [d.task_id for d in deferrals])
        check_limit(limit)
        check_classes(shuts, lets)
        with self._state.step() as step:
            step.check_fence(fence)
            if shuts or lets:
                check_has_classes(self._state)
            moved = _Moved(fence)
            chosen = tuple(self._choose(step, choice, moved) for choice in choices)
            deferred = tuple(
                Outcome.STALE if item.task_id in moved.displaced else self._defer(step, fence, item)
                for item in deferrals
            )
            shut_classes(self._state, step, shuts, limited=Outcome.LIMITED in chosen)
            opened = let_out(self._state, lets)
            let_go(self._state)
            page = self._page(step, skip, limit)
            return Dispatched(
                choices=chosen,
                deferrals=deferred,
                page=page,
                opened=opened,
                limits_in_ms=self._state.places.opens_in_ms(),
            )

    async def shut_classes(self, cursor: str | None, limit: int) -> ClassPage:
        """The classes that are shut."""
        check_limit(limit)
        with self._state.step():
            return page_of_classes(self._state, cursor, limit)

    def _choose(self, step: Step, choice: Choice, moved: "_Moved") -> Outcome:
        task = self._state.tasks.get(choice.task_id)
        if task is None or task.home is not Home.READY or task.id in moved.displaced:
            return Outcome.STALE
        if step.expire(task, moved.fence):
            return Outcome.EXPIRED
        refusal = self._refusal(step, choice)
        full = self._state.places.first_full(task)
        if full is not None and refusal in (None, Outcome.FULL):
            if task.under is None:
                wait_under_limit(self._state, task, full)
            return Outcome.LIMITED
        if refusal is Outcome.FULL and self._displace(
            step, moved, by=task, worker_id=choice.worker_id
        ):
            refusal = None
        if refusal is not None:
            return refusal
        moved.added.add(task.id)
        task.worker_id, task.reason = choice.worker_id, ""
        step.place(task, TaskStatus.PENDING, Home.QUEUE, step.now_ms)
        item: Item = {"task": task.id, "worker": choice.worker_id}
        if choice.why:
            item["why"] = choice.why
        step.note(EventKind.DISPATCHED, moved.fence, item)
        return Outcome.OK

    def _refusal(self, step: Step, choice: Choice) -> Outcome | None:
        row = self._state.workers.get(choice.worker_id)
        if row is None:
            return Outcome.NO_WORKER
        if choice.ability is not None and choice.ability != row.ability:
            return Outcome.MOVED
        worker = step.worker_view(row)
        if worker.gone:
            return Outcome.GONE
        if worker.draining:
            return Outcome.DRAINING
        if worker.stalled:
            return Outcome.STALLED
        return Outcome.FULL if worker.load >= worker.limit else None

    def _displace(self, step: Step, moved: "_Moved", *, by: TaskRow, worker_id: str) -> bool:
        """Whether the last that waited there before this step gives way to a task."""
        waited = [key for key in self._state.queues[worker_id] if key not in moved.added]
        last = self._state.tasks[waited[-1]] if waited else None
        if last is None or last.spec.priority >= by.spec.priority:
            return False
        moved.displaced.add(last.id)
        event: Item = {"task": last.id, "worker": worker_id, "displaced": True}
        step.note(EventKind.RECALLED, moved.fence, event)
        last.reason = "displaced"
        step.place(last, TaskStatus.PENDING, Home.READY)
        return True

    def _defer(self, step: Step, fence: str, item: Deferral) -> Outcome:
        task = self._state.tasks.get(item.task_id)
        if task is None or task.home is not Home.READY:
            return Outcome.STALE
        if step.expire(task, fence):
            return Outcome.EXPIRED
        task.reason = item.reason
        step.place(task, TaskStatus.PENDING, Home.DELAYED, step.now_ms + item.delay_ms)
        event: Item = {"task": task.id, "delay": item.delay_ms, "reason": item.reason}
        step.note(EventKind.DEFERRED, fence, event)
        return Outcome.OK

    async def recall(
        self, fence: str, task_ids: Sequence[str], min_age_ms: int
    ) -> tuple[Outcome, ...]:
        """Put old queue entries back to ready."""
        check_batch(task_ids)
        with self._state.step() as step:
            step.check_fence(fence)
            return tuple(self._recall(step, fence, task_id, min_age_ms) for task_id in task_ids)

    def _recall(self, step: Step, fence: str, task_id: str, min_age_ms: int) -> Outcome:
        task = self._state.tasks.get(task_id)
        if task is None or task.home is not Home.QUEUE or step.now_ms - task.at_ms < min_age_ms:
            return Outcome.STALE
        item: Item = {"task": task_id, "worker": task.worker_id}
        if self._stalls(step, task):
            item["stalled"] = True
        step.note(EventKind.RECALLED, fence, item)
        task.reason = "recalled"
        step.place(task, TaskStatus.PENDING, Home.READY)
        return Outcome.OK

    def _stalls(self, step: Step, task: TaskRow) -> bool:
        row = self._state.workers.get(task.worker_id or "")
        if row is None or row.gone(step.now_ms):
            return False
        if len(self._state.running[row.id]) >= row.capacity:
            return False
        row.stalled = True
        return True

    def _page(self, step: Step, skip: int, limit: int) -> ReadyPage:
        state = self._state
        there = state.open_count()
        ids = state.ready.page(skip, max(0, min(limit, there - skip)))
        return ReadyPage(
            time=step.time,
            tasks=tuple(_ready_task(self._state.tasks[key]) for key in ids),
            workers=step.worker_views(),
            more=there > skip + len(ids),
            shut=len(state.shut) if state.format >= CLASSES_FROM else None,
        )


def _ready_task(task: TaskRow) -> ReadyTask:
    return ReadyTask(
        id=task.id,
        priority=task.spec.priority,
        scheduled_ms=task.scheduled_ms,
        required_labels=dict(task.spec.required_labels),
        affinity_key=task.spec.affinity_key,
        need=need_of(task.spec.executor, task.spec.payload),
    )


def promote_due(state: State, step: Step, limit: int) -> Promoted:
    """Make the delayed tasks ready whose instant has come."""
    ids = state.delayed.upto(step.now_ms, limit)
    for task_id in ids:
        step.place(state.tasks[task_id], TaskStatus.PENDING, Home.READY)
    remaining = state.delayed.page(0, 1)
    if not remaining:
        return Promoted(count=len(ids), next_in_ms=None)
    next_ms = state.delayed.key_of(remaining[0])
    return Promoted(count=len(ids), next_in_ms=max(0, next_ms - step.now_ms))
