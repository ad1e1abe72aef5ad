"""What clients and workers do to tasks in the reference store."""

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
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.sources import are_there, sources_of
from dsched_testkit.memory.state import Item, Step, TaskRow, WorkerRow
from dsched_testkit.memory.workers import check_incarnation


class MemoryWorking(OnState, Working):
    """Working."""

    async def submit(
        self, items: Sequence[Submission], *, by: str, fence: str | None = None
    ) -> tuple[Outcome, ...]:
        """Create tasks."""
        check_batch([item.task_id for item in items])
        with self._state.step() as step:
            if fence is not None:
                step.check_fence(fence)
            return tuple(self._submit(step, item, by) for item in items)

    def _submit(self, step: Step, item: Submission, by: str) -> Outcome:
        known = self._state.tasks.get(item.task_id)
        if known is not None:
            same = write_spec(known.spec) == write_spec(item.spec)
            return Outcome.DUP if same else Outcome.CONFLICT
        sources = sources_of(item.spec)
        if not are_there(self._state.tasks, sources):
            return Outcome.UNKNOWN
        if sources:
            self._state.sources.of_run[item.task_id] = sources
        delay_ms = item.waits_ms(step.wall_ms)
        task = TaskRow(id=item.task_id, spec=item.spec, scheduled_ms=step.wall_ms + delay_ms)
        if delay_ms:
            step.create(task, Home.DELAYED, step.now_ms + delay_ms)
        else:
            step.create(task, Home.READY)
        event: Item = {"task": task.id}
        if item.why:
            event["why"] = item.why
        step.note(EventKind.SUBMITTED, by, event)
        return Outcome.OK

    async def claim(
        self, worker_id: str, incarnation: str, lane: int, number: int, limit: int
    ) -> Claimed:
        """Start attempts."""
        check_limit(limit)
        with self._state.step() as step:
            outcome = check_incarnation(self._state, step, worker_id, incarnation)
            if outcome is not Outcome.OK:
                return Claimed(outcome=outcome)
            row = self._state.workers[worker_id]
            last, ids = row.lanes.get(lane, (-1, ()))
            if number < last:
                return Claimed(outcome=Outcome.STALE)
            token = claim_token(worker_id, incarnation, lane, number)
            if number == last:
                tasks = self._renew(step, row, ids, token)
            else:
                if row.stalled:
                    row.stalled = False
                    self._state.wakeups.wake(LEADER_WAKEUP)
                tasks = [] if row.draining else self._start(step, row, token, limit)
                row.lanes[lane] = (number, tuple(task.id for task in tasks))
            return Claimed(
                outcome=Outcome.OK if tasks else Outcome.EMPTY,
                tasks=tuple(task.view(with_spec=True) for task in tasks),
                token=token,
                epoch=self._state.epoch,
            )

    def _renew(self, step: Step, row: WorkerRow, ids: Sequence[str], token: str) -> list[TaskRow]:
        tasks = [self._state.tasks[key] for key in ids if key in self._state.tasks]
        current = [task for task in tasks if task.home is Home.LEASE and task.token == token]
        for task in current:
            until_ms = step.now_ms + row.heartbeat_timeout_ms
            step.place(task, TaskStatus.RUNNING, Home.LEASE, until_ms)
        return current

    def _start(self, step: Step, row: WorkerRow, token: str, limit: int) -> list[TaskRow]:
        started: list[TaskRow] = []
        for task_id in self._state.queues[row.id][:MAX_BATCH]:
            if len(started) == limit:
                break
            task = self._state.tasks[task_id]
            if step.expire(task, row.id):
                continue
            task.token, task.completed, task.progress, task.reason = token, False, None, ""
            task.attempt += 1
            task.start_ms = step.wall_ms
            until_ms = step.now_ms + row.heartbeat_timeout_ms
            step.place(task, TaskStatus.RUNNING, Home.LEASE, until_ms)
            step.note(EventKind.CLAIMED, token, {"task": task_id, "attempt": task.attempt})
            started.append(task)
        return started

    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Record how attempts ended."""
        check_batch([item.task_id for item in items])
        with self._state.step() as step:
            return tuple(self._complete(step, item, by) for item in items)

    def _complete(self, step: Step, item: Completion, by: str) -> Outcome:
        task = self._state.tasks.get(item.task_id)
        if task is None or task.token != item.token:
            return Outcome.STALE
        if task.completed:
            return Outcome.ALREADY
        task.completed = True
        task.reason = task.cancel_reason if task.cancel_requested else item.reason
        task.error = "" if item.success else item.error
        run_ms = step.wall_ms - (task.start_ms or step.wall_ms)
        event: Item = {
            "task": task.id,
            "attempt": task.attempt,
            "code": item.result.code,
            "run": run_ms,
        }
        if task.reason:
            event["reason"] = task.reason
        if item.retry_delay_ms is not None and not item.success and not task.cancel_requested:
            task.retry_count += 1
            event["delay"] = item.retry_delay_ms
            until_ms = step.now_ms + item.retry_delay_ms
            code = item.result.code
            task.remember_attempt(step.wall_ms, how="failed", code=code, error=item.error)
            step.place(task, TaskStatus.RETRYING, Home.DELAYED, until_ms)
        else:
            task.result = write_result(item.result)
            status = TaskStatus.SUCCESS if item.success else TaskStatus.FAILED
            step.finish(task, TaskStatus.CANCELLED if task.cancel_requested else status)
        event["status"] = task.status.value
        step.note(EventKind.COMPLETED, by, event)
        return Outcome.OK

    async def release(self, items: Sequence[Release], *, by: str) -> tuple[Outcome, ...]:
        """Give attempts back."""
        check_batch([item.task_id for item in items], MAX_HEAVY_BATCH)
        with self._state.step() as step:
            return tuple(self._release(step, item, by) for item in items)

    def _release(self, step: Step, item: Release, by: str) -> Outcome:
        task = self._state.tasks.get(item.task_id)
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
            task.remember_attempt(step.wall_ms, how="released")
            step.place(task, TaskStatus.PENDING, Home.READY)
        event: Item = {"task": task.id, "status": task.status.value, "reason": task.reason}
        step.note(EventKind.RELEASED, by, event)
        return Outcome.OK

    async def cancel(
        self, task_ids: Sequence[str], *, by: str, reason: str, fence: str | None = None
    ) -> tuple[CancelAnswer, ...]:
        """Cancel tasks."""
        check_batch(task_ids)
        with self._state.step() as step:
            if fence is not None:
                step.check_fence(fence)
            return tuple(self._cancel(step, task_id, by, reason) for task_id in task_ids)

    def _cancel(self, step: Step, task_id: str, by: str, reason: str) -> CancelAnswer:
        task = self._state.tasks.get(task_id)
        if task is None:
            return CancelAnswer(outcome=Outcome.UNKNOWN, status=None)
        if task.status.terminal:
            cancelled = task.status is TaskStatus.CANCELLED
            outcome = Outcome.ALREADY if cancelled else Outcome.TOO_LATE
            return CancelAnswer(outcome=outcome, status=task.status)
        ended = step.cancel(task, by, reason)
        return CancelAnswer(outcome=Outcome.OK if ended else Outcome.REQUESTED, status=task.status)

    async def progress(self, items: Sequence[Progress]) -> tuple[Outcome, ...]:
        """Set the progress of running attempts."""
        check_batch([item.task_id for item in items])
        with self._state.step():
            return tuple(self._progress(item) for item in items)

    def _progress(self, item: Progress) -> Outcome:
        task = self._state.tasks.get(item.task_id)
        if task is None or task.home is not Home.LEASE or task.token != item.token:
            return Outcome.STALE
        task.progress = item.value
        return Outcome.OK
