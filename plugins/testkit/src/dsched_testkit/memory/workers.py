"""Registration, heartbeats and drain of the reference store."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.bounds import MAX_BATCH, MAX_WORKERS
from dsched.contracts.store.checks import check_batch
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration, Workers
from dsched.model import Ability, Home, Worker
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import State, Step, WorkerRow

DEFAULT_LEASE_MS = 30_000


class MemoryWorkers(OnState, Workers):
    """Workers."""

    async def register(self, worker: Registration) -> Outcome:
        """Make a worker known."""
        with self._state.step() as step:
            workers = self._state.workers
            row = workers.get(worker.worker_id)
            if row is None and len(workers) >= MAX_WORKERS:
                raise StoreRefusedError(
                    f"{MAX_WORKERS} workers are registered; stop some, or drain what is gone"
                )
            if row is None or row.incarnation != worker.incarnation:
                if row is not None and not _may_replace(row, worker.incarnation, step.now_ms):
                    return Outcome.SUPERSEDED
                if row is not None:
                    _take_over(self._state, step, row)
                row = WorkerRow(
                    id=worker.worker_id,
                    incarnation=worker.incarnation,
                    capacity=worker.capacity,
                    backlog=worker.backlog,
                    heartbeat_timeout_ms=worker.heartbeat_timeout_ms,
                    labels=worker.labels,
                    address=worker.address,
                    last_beat_ms=step.now_ms,
                )
                workers[row.id] = row
            row.backlog = worker.backlog
            row.heartbeat_timeout_ms = worker.heartbeat_timeout_ms
            row.labels, row.address = worker.labels, worker.address
            row.last_beat_ms = step.now_ms
            _keep_ability(self._state, row, worker.ability)
            step.note(EventKind.WORKER, row.id, {"worker": row.id, "act": "registered"})
            return Outcome.OK

    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Beat, and renew what is listed."""
        check_batch([item.task_id for item in held])
        with self._state.step() as step:
            outcome = check_incarnation(self._state, step, worker_id, incarnation)
            if outcome is Outcome.SUPERSEDED:
                return HeartbeatAnswer(outcome=outcome, lost=tuple(item.task_id for item in held))
            row = self._state.workers.get(worker_id)
            lease_ms = DEFAULT_LEASE_MS if row is None else row.heartbeat_timeout_ms
            lost, cancel = [], []
            for item in held:
                task = self._state.tasks.get(item.task_id)
                if task is None or task.home is not Home.LEASE or task.token != item.token:
                    lost.append(item.task_id)
                    continue
                step.place(task, task.status, Home.LEASE, step.now_ms + lease_ms)
                if task.cancel_requested:
                    cancel.append(item.task_id)
            told = HeartbeatAnswer(outcome=outcome, lost=tuple(lost), cancel=tuple(cancel))
            if row is not None and outcome is Outcome.OK:
                if row.gone(step.now_ms):
                    self._state.wakeups.wake(LEADER_WAKEUP)
                row.last_beat_ms = step.now_ms
                told = attrs.evolve(told, draining=row.draining, capacity=row.capacity)
            return told

    async def workers(self) -> tuple[Worker, ...]:
        """All workers."""
        with self._state.step() as step:
            return step.worker_views()

    async def abilities(self, digests: Sequence[str]) -> tuple[Ability | None, ...]:
        """What digests stand for."""
        check_batch(digests)
        with self._state.step():
            return tuple(self._state.abilities.get(digest) for digest in digests)

    async def drain(self, worker_id: str, incarnation: str | None) -> Outcome:
        """Set the draining flag and put the queue back."""
        with self._state.step() as step:
            row = self._state.workers.get(worker_id)
            if row is None:
                return Outcome.NO_WORKER
            if incarnation is not None:
                outcome = check_incarnation(self._state, step, worker_id, incarnation)
                if outcome is not Outcome.OK:
                    return outcome
            row.leaving = row.leaving or incarnation is not None
            queue = self._state.queues[worker_id][:MAX_BATCH]
            if row.draining and not queue:
                return Outcome.ALREADY
            if not row.draining:
                row.draining = True
                step.note(EventKind.WORKER, worker_id, {"worker": worker_id, "act": "draining"})
                self._state.wakeups.wake(worker_id)
            step.requeue(queue, worker_id)
            return Outcome.OK

    async def deregister(self, worker_id: str, incarnation: str) -> Outcome:
        """Forget a worker."""
        with self._state.step() as step:
            outcome = check_incarnation(self._state, step, worker_id, incarnation)
            if outcome is not Outcome.OK:
                return outcome
            step.requeue(self._state.queues[worker_id][:MAX_BATCH], worker_id)
            del self._state.workers[worker_id]
            step.note(EventKind.WORKER, worker_id, {"worker": worker_id, "act": "deregistered"})
            return Outcome.OK


def check_incarnation(state: State, step: Step, worker_id: str, incarnation: str) -> Outcome:
    """``OK``, ``NO_WORKER`` or ``SUPERSEDED``, by the rule of the contract."""
    row = state.workers.get(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if row.incarnation == incarnation:
        return Outcome.OK
    if _may_replace(row, incarnation, step.now_ms):
        return Outcome.NO_WORKER
    return Outcome.SUPERSEDED


def _keep_ability(state: State, row: WorkerRow, ability: Ability | None) -> None:
    """Keep what a worker can run, and forget what no worker says any more."""
    digest = "" if ability is None else ability.digest
    if digest != row.ability:
        row.ability = digest
        state.wakeups.wake(LEADER_WAKEUP)
    if ability is not None and digest not in state.abilities:
        state.abilities[digest] = ability
        used = {worker.ability for worker in state.workers.values()}
        state.abilities = {key: one for key, one in state.abilities.items() if key in used}


def _may_replace(row: WorkerRow, incarnation: str, now_ms: int) -> bool:
    return incarnation > row.incarnation or row.gone(now_ms)


def _take_over(state: State, step: Step, row: WorkerRow) -> None:
    step.requeue(state.queues[row.id][:MAX_BATCH], row.id)
    for task_id in sorted(state.running[row.id]):
        task = state.tasks[task_id]
        step.place(task, task.status, Home.LEASE, step.now_ms)
    step.note(EventKind.WORKER, row.id, {"worker": row.id, "act": "superseded"})
