"""How the cluster is, for the observers, and what nobody can run, for every pod."""

from dsched.contracts.observer import BlockedClass, ClusterGauges, LimitGauge, Unrunnable
from dsched.contracts.store import Store
from dsched.contracts.store.reading import Counts
from dsched.contracts.store.unrunnable import (
    FullSince,
    LimitSince,
    UnrunnableSince,
    tell_unrunnable,
)
from dsched.engine.leader.blocked import BlockedClasses, by_kind, full_of, unrunnable_of, worst_of
from dsched.engine.leader.limit_gauges import LimitUses, told_limits
from dsched.engine.leader.scheduling import Scheduling
from dsched.engine.observers import Announcer


class GaugeStep:
    """Told every few seconds by the leader only, so that sums over the pods are right."""

    def __init__(self, store: Store, announcer: Announcer) -> None:
        self._store = store
        self._announcer = announcer
        self._told_pods = False
        self._uses = LimitUses()

    async def tell(self, scheduling: Scheduling, blocked: BlockedClasses) -> None:
        """Count, read on what waits under classes and limits, and tell all of it."""
        counts = await self._store.counts()
        await blocked.look(self._store, scheduling.dispatching.shut_classes)
        scheduling.dispatching.found_empty(blocked.empty(counts.time.wall_ms))
        found, wall_ms = blocked.classes(), counts.time.wall_ms
        unrunnable = scheduling.unplaced.now(unrunnable_of(found, scheduling.workers, wall_ms))
        full = full_of(found, wall_ms)
        await self._uses.look(self._store)
        limits = await told_limits(self._store, self._uses.worst(), wall_ms)
        oldest_ms = counts.oldest_ready_ms
        age_s = 0.0 if oldest_ms is None else max(0, counts.time.wall_ms - oldest_ms) / 1000
        self._announcer.tell(
            ClusterGauges(
                tasks_by_status={str(key): n for key, n in counts.by_status.items()},
                waiting_by_home={str(key): n for key, n in counts.by_home.items()},
                oldest_ready_age_s=age_s,
                workers=scheduling.workers,
                now_ms=counts.time.now_ms,
                unrunnable=unrunnable,
                nobody=counts.nobody,
                blocked=by_kind(found, wall_ms),
                worst=worst_of(found, wall_ms),
                full=full,
                limits=limits,
            )
        )
        # Where all are full it is a backlog like any other, which more workers of any kind end.
        others = any(one.has_room for one in scheduling.workers)
        await self._tell_pods(counts, unrunnable, full=full if others else (), limits=limits)

    async def _tell_pods(
        self,
        counts: Counts,
        unrunnable: tuple[Unrunnable, ...],
        *,
        full: tuple[BlockedClass, ...],
        limits: tuple[LimitGauge, ...],
    ) -> None:
        found = bool(unrunnable or full or limits)
        if not (found or self._told_pods):
            return
        wall_ms = counts.time.wall_ms
        since = [
            UnrunnableSince(
                reason=one.reason, tasks=one.tasks, since_ms=wall_ms - round(one.lasted_s * 1000)
            )
            for one in unrunnable
        ]
        full_since = [
            FullSince(
                demands=one.demands, tasks=one.tasks, since_ms=wall_ms - round(one.lasted_s * 1000)
            )
            for one in full
        ]
        limited = [
            LimitSince(
                name=one.name,
                tasks=one.waiting,
                since_ms=wall_ms - round(one.oldest_s * 1000),
                held=one.held,
                most=one.max_running,
            )
            for one in limits
        ]
        await tell_unrunnable(self._store, since, wall_ms, full=full_since, limits=limited)
        self._told_pods = found
