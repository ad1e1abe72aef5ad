"""Registration, heartbeats and drain."""

from collections.abc import Iterable, Sequence

import attrs

from dsched.contracts.store.bounds import MAX_BATCH, MAX_WORKERS
from dsched.contracts.store.checks import check_batch
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration, Workers
from dsched.model import Ability, Home, TaskStatus, Worker
from dsched.model.json import dumps, loads
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.rows import TASK, WORKER, TaskRow, WorkerRow
from dsched_store_sqlite.step import Step

DEFAULT_LEASE_MS = 30_000
# Why a worker drains: an operator asked for it, or it leaves by itself.
OPERATOR, LEAVING = 1, 2

WORKER_VIEWS = (
    f"SELECT {WORKER}, coalesce(load.running, 0), coalesce(load.queued, 0), "  # noqa: S608
    "CASE WHEN load.running + load.queued >= worker.capacity + worker.backlog THEN "
    "(SELECT rank FROM task WHERE home = 'queue' AND worker_id = worker.id "
    "ORDER BY place DESC LIMIT 1) END, worker_ability.digest "
    "FROM worker LEFT JOIN load ON load.worker_id = worker.id LEFT JOIN worker_ability ON "
    "worker_ability.worker_id = worker.id AND worker_ability.incarnation = worker.incarnation "
    "ORDER BY worker.id"
)
QUEUE = (
    f"SELECT {TASK} FROM task WHERE home = 'queue' AND worker_id = ? "  # noqa: S608
    "ORDER BY place LIMIT ?"
)
ABILITY = "SELECT names FROM ability WHERE digest = ?"
PUT_ABILITY = "INSERT INTO ability VALUES (?, ?)"
DROP_UNUSED = (
    "DELETE FROM ability WHERE digest != ? AND NOT EXISTS "
    "(SELECT 1 FROM worker_ability JOIN worker ON worker.id = worker_ability.worker_id "
    "AND worker.incarnation = worker_ability.incarnation "
    "WHERE worker_ability.digest = ability.digest)"
)
LEASES_OF = (
    f"SELECT {TASK} FROM task INDEXED BY task_lease_id "  # noqa: S608
    "WHERE home = 'lease' AND worker_id = ? ORDER BY id"
)


class SqliteWorkers(OnSqlite, Workers):
    """Workers."""

    async def register(self, worker: Registration) -> Outcome:
        """Make a worker known."""
        return await self._step(lambda step: _register(step, worker))

    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Beat, and renew what is listed."""
        check_batch([item.task_id for item in held])
        return await self._step(lambda step: _beat(step, worker_id, incarnation, held))

    async def workers(self) -> tuple[Worker, ...]:
        """All workers."""
        return await self._step(worker_views)

    async def abilities(self, digests: Sequence[str]) -> tuple[Ability | None, ...]:
        """What digests stand for."""
        check_batch(digests)

        def run(step: Step) -> tuple[Ability | None, ...]:
            return tuple(_ability(step, digest) for digest in digests)

        return await self._step(run)

    async def drain(self, worker_id: str, incarnation: str | None) -> Outcome:
        """Set the draining flag and put the queue back."""
        return await self._step(lambda step: _drain(step, worker_id, incarnation))

    async def deregister(self, worker_id: str, incarnation: str) -> Outcome:
        """Forget a worker."""

        def run(step: Step) -> Outcome:
            outcome = check_incarnation(step, worker_id, incarnation)
            if outcome is not Outcome.OK:
                return outcome
            _requeue(step, _queue(step, worker_id), worker_id)
            step.drop_worker(worker_id)
            step.note(EventKind.WORKER, worker_id, {"worker": worker_id, "act": "deregistered"})
            return Outcome.OK

        return await self._step(run)


def worker_views(step: Step) -> tuple[Worker, ...]:
    """All workers by id, with the store's counts; after a `flush` of what the step changed."""
    found = step.db.execute(WORKER_VIEWS)
    return tuple(
        WorkerRow(*columns).view(step.now_ms, running, queued, rank=rank, ability=ability)
        for *columns, running, queued, rank, ability in found
    )


def check_incarnation(step: Step, worker_id: str, incarnation: str) -> Outcome:
    """``OK``, ``NO_WORKER`` or ``SUPERSEDED``, by the rule of the contract."""
    row = step.worker(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if row.incarnation == incarnation:
        return Outcome.OK
    if _may_replace(row, incarnation, step.now_ms):
        return Outcome.NO_WORKER
    return Outcome.SUPERSEDED


def _register(step: Step, worker: Registration) -> Outcome:
    worker_id = worker.worker_id
    row = step.worker(worker_id)
    if row is None:
        (known,) = step.db.execute("SELECT count(*) FROM worker").fetchone()
        if known >= MAX_WORKERS:
            raise StoreRefusedError(
                f"{MAX_WORKERS} workers are registered; stop some, or drain what is gone"
            )
    new = _worker_row(worker, step.now_ms)
    if row is not None and row.incarnation == worker.incarnation:
        new = attrs.evolve(new, draining=row.draining, stalled=row.stalled, capacity=row.capacity)
    elif row is not None:
        if not _may_replace(row, worker.incarnation, step.now_ms):
            return Outcome.SUPERSEDED
        _take_over(step, row)
    step.put_worker(new)
    _keep_ability(step, new, worker.ability)
    step.note(EventKind.WORKER, worker_id, {"worker": worker_id, "act": "registered"})
    return Outcome.OK


def _ability(step: Step, digest: str) -> Ability | None:
    found = step.db.execute(ABILITY, (digest,)).fetchone()
    return None if found is None else Ability(digest, frozenset(loads(found[0])))


def _keep_ability(step: Step, row: WorkerRow, ability: Ability | None) -> None:
    """Keep what a worker can run, and forget what no worker says any more."""
    digest = "" if ability is None else ability.digest
    if digest != step.ability_of(row):
        step.to_wake.add(LEADER_WAKEUP)
    step.set_ability(row, digest)
    if ability is not None and _ability(step, digest) is None:
        step.db.execute(PUT_ABILITY, (digest, dumps(sorted(ability.names))))
        step.db.execute(DROP_UNUSED, (digest,))


def _worker_row(worker: Registration, now_ms: int) -> WorkerRow:
    return WorkerRow(
        id=worker.worker_id,
        incarnation=worker.incarnation,
        capacity=worker.capacity,
        backlog=worker.backlog,
        heartbeat_timeout_ms=worker.heartbeat_timeout_ms,
        labels=dumps(dict(worker.labels)),
        address=worker.address,
        last_beat_ms=now_ms,
    )


def _may_replace(row: WorkerRow, incarnation: str, now_ms: int) -> bool:
    return incarnation > row.incarnation or row.gone(now_ms)


def _take_over(step: Step, row: WorkerRow) -> None:
    _requeue(step, _queue(step, row.id), row.id)
    for columns in step.db.execute(LEASES_OF, (row.id,)).fetchall():
        step.place(step.adopt(columns), TaskStatus.RUNNING, Home.LEASE, step.now_ms)
    step.clear_lanes(row.id)
    step.note(EventKind.WORKER, row.id, {"worker": row.id, "act": "superseded"})


def _beat(step: Step, worker_id: str, incarnation: str, held: Sequence[Held]) -> HeartbeatAnswer:
    outcome = check_incarnation(step, worker_id, incarnation)
    if outcome is Outcome.SUPERSEDED:
        return HeartbeatAnswer(outcome=outcome, lost=tuple(item.task_id for item in held))
    row = step.worker(worker_id)
    lease_ms = DEFAULT_LEASE_MS if row is None else row.heartbeat_timeout_ms
    lost, cancel = [], []
    tasks = step.load([item.task_id for item in held])
    for item, task in zip(held, tasks, strict=True):
        if task is None or task.home is not Home.LEASE or task.token != item.token:
            lost.append(item.task_id)
            continue
        step.place(task, task.status, Home.LEASE, step.now_ms + lease_ms)
        if task.cancel_requested:
            cancel.append(item.task_id)
    told = HeartbeatAnswer(outcome=outcome, lost=tuple(lost), cancel=tuple(cancel))
    if row is None or outcome is not Outcome.OK:
        return told
    if row.gone(step.now_ms):
        step.to_wake.add(LEADER_WAKEUP)
    row.last_beat_ms = step.now_ms
    step.put_worker(row)
    return attrs.evolve(told, draining=bool(row.draining), capacity=row.capacity)


def _drain(step: Step, worker_id: str, incarnation: str | None) -> Outcome:
    row = step.worker(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if incarnation is not None:
        outcome = check_incarnation(step, worker_id, incarnation)
        if outcome is not Outcome.OK:
            return outcome
        if row.draining == OPERATOR:
            row.draining = LEAVING
            step.put_worker(row)
    queue = _queue(step, worker_id)
    if row.draining and not queue:
        return Outcome.ALREADY
    if not row.draining:
        row.draining = OPERATOR if incarnation is None else LEAVING
        step.put_worker(row)
        step.note(EventKind.WORKER, worker_id, {"worker": worker_id, "act": "draining"})
        step.to_wake.add(worker_id)
    _requeue(step, queue, worker_id)
    return Outcome.OK


def _queue(step: Step, worker_id: str) -> list[TaskRow]:
    found = step.db.execute(QUEUE, (worker_id, MAX_BATCH)).fetchall()
    return [step.adopt(columns) for columns in found]


def _requeue(step: Step, tasks: Iterable[TaskRow], by: str) -> None:
    for task in tasks:
        step.note(EventKind.RECALLED, by, {"task": task.id, "worker": task.worker_id})
        task.reason = "recalled"
        step.place(task, TaskStatus.PENDING, Home.READY)
