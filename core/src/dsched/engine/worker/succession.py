"""A worker that starts lets go what ended processes of its host still hold."""

import logging
from collections.abc import Callable, Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration, Workers
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import until_answered
from dsched.engine.worker.process_identity import (
    ProcessIdentity,
    has_ended,
    identity_in,
    this_process,
)
from dsched.model import Worker

log = logging.getLogger("dsched.worker")

LOOK_EVERY_S = 1.0


@attrs.frozen(kw_only=True)
class Host:
    """The processes of this host: who we are (None: nobody knows), and whether another has
    ended."""

    own: ProcessIdentity | None = attrs.field(factory=this_process)
    ended: Callable[[ProcessIdentity], bool] = has_ended


@attrs.frozen(kw_only=True)
class Predecessors:
    """The workers whose work may be let go now, and those that are still in doubt."""

    dead: tuple[Worker, ...] = ()
    doubtful: tuple[Worker, ...] = ()


def predecessors(workers: Sequence[Worker], own_id: str, host: Host) -> Predecessors:
    """Which of ``workers`` were processes of this host that have ended.

    It is certain for a worker of our own PID namespace whose process has ended. A worker of the
    same host and pod name in another namespace is most likely our own container before its
    restart: it counts as dead once it is silent, and is in doubt before. All others are left to
    their heartbeat timeout.
    """
    dead: list[Worker] = []
    doubtful: list[Worker] = []
    for worker in workers:
        process = identity_in(worker.incarnation)
        if host.own is None or process is None or worker.id == own_id or process == host.own:
            continue
        if process.host != host.own.host:
            continue
        if process.space == host.own.space:
            if host.ended(process):
                dead.append(worker)
        elif _pod_of(worker.id) == _pod_of(own_id):
            (dead if worker.silent else doubtful).append(worker)
    return Predecessors(dead=tuple(dead), doubtful=tuple(doubtful))


class Succession:
    """Lets go what dead processes of this host had, so that nobody has to wait for their timeouts.

    Each is registered anew, without room, in the name of this process: that puts its queue back
    and makes its leases over. It is deregistered when nothing runs in its name any more.
    """

    def __init__(
        self, store: Workers, registration: Registration, runtime: Runtime, host: Host
    ) -> None:
        self._store = store
        self._own = registration
        self._runtime = runtime
        self._host = host
        self._taken: set[str] = set()

    async def run(self) -> None:
        """Check once, and again as long as something is in doubt or not yet given away."""
        if self._host.own is None:
            return
        until_s = self._runtime.monotonic() + 2 * self._own.heartbeat_timeout_ms / 1000
        while True:
            workers = await until_answered(self._runtime, "succeeding", self._store.workers)
            found = predecessors(workers, self._own.worker_id, self._host)
            for worker in found.dead:
                await self._take_over(worker)
            for worker in workers:
                if worker.id in self._taken and self._is_ours(worker) and not worker.running:
                    await self._forget(worker.id)
            open_ends = bool(self._taken or found.dead or found.doubtful)
            if not open_ends or self._runtime.monotonic() >= until_s:
                return
            await self._runtime.sleep(LOOK_EVERY_S)

    def _is_ours(self, worker: Worker) -> bool:
        return worker.incarnation == self._own.incarnation

    async def _take_over(self, worker: Worker) -> None:
        in_its_name = Registration(
            worker_id=worker.id,
            incarnation=self._own.incarnation,
            capacity=0,
            backlog=0,
            heartbeat_timeout_ms=worker.heartbeat_timeout_ms,
        )
        outcome = await until_answered(
            self._runtime, "succeeding", lambda: self._store.register(in_its_name)
        )
        if outcome is not Outcome.OK:
            return  # another process of this host, begun later, does it
        self._taken.add(worker.id)
        log.warning(
            "worker %s was a process of this host that has ended: "
            "%d tasks in its queue and %d that it ran are let go",
            worker.id,
            worker.queued,
            worker.running,
        )
        while outcome is Outcome.OK:
            outcome = await until_answered(
                self._runtime,
                "succeeding",
                lambda: self._store.drain(worker.id, self._own.incarnation),
            )

    async def _forget(self, worker_id: str) -> None:
        await until_answered(
            self._runtime,
            "succeeding",
            lambda: self._store.deregister(worker_id, self._own.incarnation),
        )
        self._taken.discard(worker_id)


def _pod_of(worker_id: str) -> str:
    return worker_id.rpartition("-")[0]
