"""What operators ask for: skips, the end of a drain, another leader, who runs."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_capacity, check_instants, check_limit, number_of
from dsched.contracts.store.codec import read_pod, write_pod
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_pod
from dsched.contracts.store.operating import (
    MAX_PODS,
    MAX_SKIPS,
    Operating,
    PodRecord,
    Skip,
    Term,
    TermPage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP, LEADER_WAKEUP
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.step import Item, Step
from dsched_store_sqlite.workers import LEAVING

TERMS = (
    "SELECT epoch, pod, began_ms, ended_ms, how, who, why FROM term WHERE epoch < ? "
    "ORDER BY epoch DESC LIMIT ?"
)
NO_EPOCH = 2**62  # later than any
PODS = (
    "SELECT pod.seen_ms, pod.record, coalesce(pod_format.format, ?) FROM pod "
    "LEFT JOIN pod_format ON pod_format.id = pod.id WHERE pod.until_ms > ?"
)
OF_BEFORE = 3  # the newest format of pods that do not say theirs


class SqliteOperating(OnSqlite, Operating):
    """What operators ask for."""

    async def skip(
        self, config_id: str, revision: int, instants: Sequence[int], *, by: str, why: str
    ) -> Outcome:
        """Remember instants that are not to be fired."""
        check_instants(instants)
        return await self._step(
            lambda step: _skip(
                step, config_id, revision=revision, instants=instants, by=by, why=why
            )
        )

    async def undrain(self, worker_id: str, *, by: str) -> Outcome:
        """Undo an operator's drain."""
        return await self._step(lambda step: _undrain(step, worker_id, by))

    async def resize(self, worker_id: str, capacity: int, *, by: str) -> Outcome:
        """Set how many attempts a worker runs at once."""
        check_capacity(capacity)
        return await self._step(lambda step: _resize(step, worker_id, capacity, by))

    async def step_down(self, fence: str, *, by: str, why: str, rest_ms: int) -> Outcome:
        """Take the lock from a term."""

        def run(step: Step) -> Outcome:
            if step.holder() != fence:
                return Outcome.FENCED
            meta = step.meta
            meta.fence, meta.lock_until_ms = None, step.now_ms
            meta.rest_pod = fence_pod(fence)
            meta.rest_until_ms = step.now_ms + rest_ms
            step.end_term("stepped_down", by, why)
            step.note(EventKind.LEADER, fence, {"act": "stepped_down", "who": by, "why": why})
            step.to_wake |= {ELECTION_WAKEUP, LEADER_WAKEUP}
            return Outcome.OK

        return await self._step(run)

    async def terms(self, cursor: str | None, limit: int) -> TermPage:
        """The last terms."""
        check_limit(limit)
        before = NO_EPOCH if cursor is None else number_of(cursor)

        def run(step: Step) -> TermPage:
            found = step.db.execute(TERMS, (before, limit + 1)).fetchall()
            terms = tuple(_term(*columns) for columns in found[:limit])
            more = len(found) > limit
            return TermPage(terms=terms, cursor=str(terms[-1].epoch) if more else None)

        return await self._step(run)

    async def pod_seen(self, pod: PodRecord, ttl_ms: int) -> None:
        """Say that a pod runs."""
        record = write_pod(pod)

        def run(step: Step) -> None:
            step.db.execute(
                "INSERT OR REPLACE INTO pod VALUES (?, ?, ?, ?)",
                (pod.id, step.now_ms + ttl_ms, step.wall_ms, record),
            )
            step.db.execute(
                "INSERT OR REPLACE INTO pod_format VALUES (?, ?)", (pod.id, pod.store_format)
            )
            _forget_pods(step)

        await self._step(run)

    async def pod_left(self, pod_id: str) -> None:
        """Say that a pod has left."""

        def run(step: Step) -> None:
            step.db.execute("DELETE FROM pod WHERE id = ?", (pod_id,))
            step.db.execute("DELETE FROM pod_format WHERE id = ?", (pod_id,))

        await self._step(run)

    async def pods(self) -> tuple[PodRecord, ...]:
        """The pods that run."""

        return await self._step(living_pods)


def living_pods(step: Step) -> tuple[PodRecord, ...]:
    """The pods that were seen within their time, by (name, id)."""
    found = step.db.execute(PODS, (OF_BEFORE, step.now_ms)).fetchall()
    pods = [
        read_pod(record, seen_ms=seen_ms, store_format=known) for seen_ms, record, known in found
    ]
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.id)))


def _skip(
    step: Step, config_id: str, *, revision: int, instants: Sequence[int], by: str, why: str
) -> Outcome:
    row = step.config(config_id)
    if row is None:
        return Outcome.UNKNOWN
    if row.revision != revision:
        return Outcome.MOVED
    kept = {skip.at_ms: skip for skip in row.skipped}
    new = [at_ms for at_ms in instants if at_ms not in kept]
    if not new:
        return Outcome.ALREADY
    if new[0] <= step.wall_ms:
        return Outcome.TOO_LATE
    if len(kept) + len(new) > MAX_SKIPS:
        return Outcome.FULL
    kept |= {at_ms: Skip(at_ms=at_ms, who=by, why=why) for at_ms in new}
    row.keep_skips([kept[at_ms] for at_ms in sorted(kept)])
    step.put_config(row)
    step.note(
        EventKind.CONFIG,
        by,
        {
            "config": config_id,
            "act": "skip",
            "revision": revision,
            "first": new[0],
            "last": new[-1],
            "count": len(new),
            "why": why,
        },
    )
    return Outcome.OK


def _resize(step: Step, worker_id: str, capacity: int, by: str) -> Outcome:
    row = step.worker(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if row.capacity == capacity:
        return Outcome.ALREADY
    row.capacity = capacity
    step.put_worker(row)
    event: Item = {"worker": worker_id, "act": "resized", "capacity": capacity}
    step.note(EventKind.WORKER, by, event)
    step.to_wake |= {worker_id, LEADER_WAKEUP}
    return Outcome.OK


def _undrain(step: Step, worker_id: str, by: str) -> Outcome:
    row = step.worker(worker_id)
    if row is None:
        return Outcome.NO_WORKER
    if not row.draining:
        return Outcome.ALREADY
    if row.draining == LEAVING:
        return Outcome.DRAINING
    row.draining = 0
    step.put_worker(row)
    step.note(EventKind.WORKER, by, {"worker": worker_id, "act": "undrained"})
    if step.meta.in_ready:
        step.to_wake.add(LEADER_WAKEUP)
    return Outcome.OK


def _forget_pods(step: Step) -> None:
    """Forget those whose time is over, and the least recently seen beyond the bound."""
    step.db.execute("DELETE FROM pod WHERE until_ms <= ?", (step.now_ms,))
    step.db.execute(
        "DELETE FROM pod WHERE id IN (SELECT id FROM pod ORDER BY until_ms DESC LIMIT -1 OFFSET ?)",
        (MAX_PODS,),
    )
    step.db.execute("DELETE FROM pod_format WHERE id NOT IN (SELECT id FROM pod)")


def _term(
    epoch: int, pod: str, began_ms: int, ended_ms: int | None, how: str, who: str, why: str
) -> Term:
    return Term(
        epoch=epoch,
        pod=pod,
        began_ms=began_ms,
        ended_ms=ended_ms,
        how=how,
        who=who,
        why=why,
    )
