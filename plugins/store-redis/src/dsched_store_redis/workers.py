"""Registration, heartbeats and drain."""

from collections.abc import Sequence

from dsched.contracts.store.bounds import MAX_WORKERS
from dsched.contracts.store.checks import check_batch
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration, Workers
from dsched.model import Ability, JsonValue, Worker
from dsched.model.json import dumps
from dsched_store_redis.base import OnRedis
from dsched_store_redis.rows import read_workers
from dsched_store_redis.wire import decode, ids, is_id, lines, load_json, optional, outcome, safe_id

_DEFAULT_LEASE_MS = 30_000


class RedisWorkers(OnRedis, Workers):
    """Workers."""

    async def register(self, worker: Registration) -> Outcome:
        """Make a worker known."""
        safe_id(worker.worker_id, "worker id")
        safe_id(worker.incarnation, "incarnation")
        # The fixed part of the JSON that readers find; the scripts add what changes. The digest of
        # the ability comes first, by the order of keys: dispatch finds it there.
        facts: dict[str, JsonValue] = {
            "id": worker.worker_id,
            "address": worker.address,
            "capacity": worker.capacity,
            "incarnation": worker.incarnation,
            "labels": dict(worker.labels),
        }
        ability = worker.ability
        if ability is not None:
            facts["ability"] = safe_id(ability.digest, "ability")
        head = dumps(facts)
        answer = await self._step(
            "register",
            worker.worker_id,
            worker.incarnation,
            worker.capacity,
            worker.backlog,
            worker.heartbeat_timeout_ms,
            head[:-1] + ",",
            MAX_WORKERS,
            "" if ability is None else ability.digest,
            "" if ability is None else dumps(sorted(ability.names)),
        )
        if answer[0] == b"CROWDED":
            raise StoreRefusedError(
                f"{MAX_WORKERS} workers are registered; stop some, or drain what is gone"
            )
        return outcome(answer[0])

    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Beat, and renew what is listed."""
        check_batch([item.task_id for item in held])
        impossible = [item.task_id for item in held if not is_id(item.task_id)]
        rows = (f"{item.task_id}\t{item.token}" for item in held if is_id(item.task_id))
        answer = await self._step(
            "heartbeat", worker_id, incarnation, _DEFAULT_LEASE_MS, lines(rows)
        )
        lost = {*decode(answer[1]).split(), *impossible}
        cancel = set(decode(answer[2]).split())
        return HeartbeatAnswer(
            outcome=outcome(answer[0]),
            lost=tuple(item.task_id for item in held if item.task_id in lost),
            cancel=tuple(item.task_id for item in held if item.task_id in cancel),
            draining=answer[3] == 1,
            capacity=optional(answer[4]),
        )

    async def workers(self) -> tuple[Worker, ...]:
        """All workers."""
        answer = await self._step("workers")
        return read_workers(answer[2], int(answer[1]))

    async def abilities(self, digests: Sequence[str]) -> tuple[Ability | None, ...]:
        """What digests stand for."""
        check_batch(digests)
        if not digests:
            return ()
        answer = await self._step("abilities", ids(digests))
        return tuple(
            Ability(digest, frozenset(load_json(decode(names)))) if names else None
            for digest, names in zip(digests, answer[1], strict=True)
        )

    async def drain(self, worker_id: str, incarnation: str | None) -> Outcome:
        """Set the draining flag and put the queue back."""
        if not is_id(worker_id):
            return Outcome.NO_WORKER
        anyone = "1" if incarnation is None else "0"
        return outcome((await self._step("drain", worker_id, incarnation or "", anyone))[0])

    async def deregister(self, worker_id: str, incarnation: str) -> Outcome:
        """Forget a worker."""
        return outcome((await self._step("deregister", worker_id, incarnation))[0])
