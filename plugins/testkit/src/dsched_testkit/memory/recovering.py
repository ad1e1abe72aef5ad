"""Reaping and pruning of the reference store."""

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
from dsched.model import Home, MemberStep, TaskStatus, member_id, need_of, run_of
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import Item, Step, TaskRow

FORGET_MS = 3_600_000
ENDS = (TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED)


class MemoryRecovering(OnState, Recovering):
    """Recovering."""

    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """Leases that are over, and queue entries that have waited too long."""
        check_limit(limit)
        with self._state.step() as step:
            step.check_fence(fence)
            state = self._state
            leases = [state.tasks[key] for key in state.leases.upto(step.now_ms, limit)]
            queued = [
                state.tasks[key]
                for queue in state.queues.values()
                for key in queue
                if step.now_ms - state.tasks[key].at_ms >= min_queue_age_ms
            ]
            queued.sort(key=lambda task: (task.at_ms, task.id))
            return Overdue(
                time=step.time,
                leases=tuple(
                    OverdueLease(task=task.view(with_spec=True), token=task.token or "")
                    for task in leases
                ),
                queued=tuple(_queued(step, task) for task in queued[:limit]),
                workers=step.worker_views(),
            )

    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """End attempts whose leases are over."""
        check_batch([item.task_id for item in items])
        with self._state.step() as step:
            step.check_fence(fence)
            return tuple(self._reap(step, fence, item) for item in items)

    def _reap(self, step: Step, fence: str, item: Reap) -> Outcome:
        task = self._state.tasks.get(item.task_id)
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
            task.remember_attempt(step.wall_ms, how="crashed", error=item.error)
            step.place(task, TaskStatus.RETRYING, Home.DELAYED, step.now_ms + item.delay_ms)
        else:
            task.reason = "crashed"
            task.remember_attempt(step.wall_ms, how="crashed", error=item.error)
            step.place(task, TaskStatus.PENDING, Home.READY)
        event["status"] = task.status.value
        step.note(EventKind.REAPED, fence, event)
        return Outcome.OK

    async def prune(self, fence: str, limit: int) -> Pruned:
        """Remove what is past its time."""
        check_limit(limit, MAX_HEAVY_BATCH)
        with self._state.step() as step:
            step.check_fence(fence)
            tasks = [self._prune_tasks(step, status, limit) for status in ENDS]
            counts = [
                *(count for count, _ in tasks),
                self._prune_decisions(step, limit),
                self._prune_log(step, fence, limit),
                self._prune_workers(step, fence, limit),
            ]
            self._prune_stats(step, limit)
            self._prune_missed(step, limit)
            freed = self._state.sources.bring_back(self._state.tasks)
            more = limit in counts or any(cut for _, cut in tasks) or freed > 0
            return Pruned(count=sum(counts), more=more)

    def _prune_tasks(self, step: Step, status: TaskStatus, limit: int) -> tuple[int, bool]:
        """How many left the list, and whether the walk was cut short."""
        state, settings = self._state, self._state.settings
        oldest_ms = step.wall_ms - settings.kept_ms(status)
        ended = sorted(
            (task.end_ms, task.id)
            for task in state.tasks.values()
            if task.end_ms is not None and task.status is status and run_of(task.id) is None
            if task.id not in state.sources.aside
        )
        past = sum(end_ms <= oldest_ms for end_ms, _ in ended)
        most = settings.kept_count(status)
        surplus = 0 if most is None else len(ended) - most
        old = [task_id for _, task_id in ended[: max(0, min(limit, max(past, surplus)))]]
        lines, left = 0, 0
        for task_id in old:
            if lines >= PRUNED_LINES:
                break
            left += 1
            if state.sources.has(task_id):
                state.sources.aside.add(task_id)
                continue
            lines += self._forget_members(task_id)
            self._forget(task_id)
        # The collector may have been late: its entry came when the task was gone already.
        late = [
            key
            for key, (end_ms, found) in state.finished.items()
            if found is status and end_ms <= oldest_ms
        ]
        for task_id in [key for key in late if key not in state.tasks][:limit]:
            del state.finished[task_id]
        return left, left < len(old)

    def _forget(self, task_id: str) -> None:
        self._state.tasks.pop(task_id, None)
        self._state.finished.pop(task_id, None)
        self._state.logs.pop(task_id, None)

    def _forget_members(self, run_id: str) -> int:
        """Remove the members of a run with its log; how many lines that had."""
        lines = self._state.member_logs.pop(run_id, [])
        for line in lines:
            if line.what is MemberStep.BORN:
                self._forget(member_id(run_id, line.name))
        return len(lines)

    def _prune_decisions(self, step: Step, limit: int) -> int:
        oldest_ms = step.wall_ms - self._state.settings.result_ttl_ms
        old = [
            (decision.at_ms, config_id, key)
            for config_id, kept in self._state.decisions.items()
            for key, decision in kept.items()
            if decision.at_ms <= oldest_ms
        ]
        for _, config_id, key in sorted(old)[:limit]:
            del self._state.decisions[config_id][key]
        return min(len(old), limit)

    def _prune_log(self, step: Step, fence: str, limit: int) -> int:
        state = self._state
        surplus = max(0, min(len(state.log) - state.settings.max_events, limit))
        removed, state.log = state.log[:surplus], state.log[surplus:]
        unread = sum(event.cursor > state.collected for event in removed)
        if unread:
            step.note(EventKind.GAP, fence, {"dropped": unread})
        return surplus

    def _prune_stats(self, step: Step, limit: int) -> None:
        stats, oldest_ms = self._state.stats, step.wall_ms - self._state.settings.stats_ttl_ms
        for key in sorted(key for key in stats if key[1] <= oldest_ms)[:limit]:
            del stats[key]

    def _prune_missed(self, step: Step, limit: int) -> None:
        missed = self._state.missed
        oldest_ms = step.wall_ms - self._state.settings.result_ttl_ms
        old = sorted((due_ms, key) for key, due_ms in missed.items() if due_ms <= oldest_ms)
        for _, config_id in old[:limit]:
            del missed[config_id]

    def _prune_workers(self, step: Step, fence: str, limit: int) -> int:
        state = self._state
        old = [
            row.id
            for row in state.workers.values()
            if step.now_ms - row.last_beat_ms >= row.heartbeat_timeout_ms + FORGET_MS
            and not state.queues[row.id]
            and not state.running[row.id]
        ]
        for worker_id in sorted(old)[:limit]:
            del state.workers[worker_id]
            step.note(EventKind.WORKER, fence, {"worker": worker_id, "act": "forgotten"})
        return min(len(old), limit)


def _queued(step: Step, task: TaskRow) -> QueuedTask:
    return QueuedTask(
        task_id=task.id,
        worker_id=task.worker_id or "",
        age_ms=step.now_ms - task.at_ms,
        required_labels=dict(task.spec.required_labels),
        need=need_of(task.spec.executor, task.spec.payload),
    )
