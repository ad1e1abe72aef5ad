"""What operators ask of the reference store."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.checks import check_capacity, check_instants, check_limit, number_of
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_pod
from dsched.contracts.store.operating import (
    MAX_PODS,
    MAX_SKIPS,
    Operating,
    PodRecord,
    Skip,
    TermPage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP, LEADER_WAKEUP
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.state import Item
from dsched_testkit.memory.terms import end_term


class MemoryOperating(OnState, Operating):
    """What operators ask for."""

    async def skip(
        self, config_id: str, revision: int, instants: Sequence[int], *, by: str, why: str
    ) -> Outcome:
        """Remember instants that are not to be fired."""
        check_instants(instants)
        with self._state.step() as step:
            row = self._state.configs.get(config_id)
            if row is None:
                return Outcome.UNKNOWN
            if row.config.revision != revision:
                return Outcome.MOVED
            known = {skip.at_ms for skip in row.skips}
            new = [at_ms for at_ms in instants if at_ms not in known]
            if not new:
                return Outcome.ALREADY
            if new[0] <= step.wall_ms:
                return Outcome.TOO_LATE
            if len(known) + len(new) > MAX_SKIPS:
                return Outcome.FULL
            added = [Skip(at_ms=at_ms, who=by, why=why) for at_ms in new]
            row.skips = tuple(sorted([*row.skips, *added], key=lambda skip: skip.at_ms))
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

    async def undrain(self, worker_id: str, *, by: str) -> Outcome:
        """Undo an operator's drain."""
        with self._state.step() as step:
            row = self._state.workers.get(worker_id)
            if row is None:
                return Outcome.NO_WORKER
            if not row.draining:
                return Outcome.ALREADY
            if row.leaving:
                return Outcome.DRAINING
            row.draining = False
            step.note(EventKind.WORKER, by, {"worker": worker_id, "act": "undrained"})
            if len(self._state.ready):
                self._state.wakeups.wake(LEADER_WAKEUP)
            return Outcome.OK

    async def resize(self, worker_id: str, capacity: int, *, by: str) -> Outcome:
        """Set how many attempts a worker runs at once."""
        check_capacity(capacity)
        with self._state.step() as step:
            row = self._state.workers.get(worker_id)
            if row is None:
                return Outcome.NO_WORKER
            if row.capacity == capacity:
                return Outcome.ALREADY
            row.capacity = capacity
            event: Item = {"worker": worker_id, "act": "resized", "capacity": capacity}
            step.note(EventKind.WORKER, by, event)
            for who in (worker_id, LEADER_WAKEUP):
                self._state.wakeups.wake(who)
            return Outcome.OK

    async def step_down(self, fence: str, *, by: str, why: str, rest_ms: int) -> Outcome:
        """Take the lock from a term."""
        with self._state.step() as step:
            state = self._state
            if step.holder() != fence:
                return Outcome.FENCED
            state.fence, state.lock_until_ms = None, step.now_ms
            state.rest_pod = fence_pod(fence)
            state.rest_until_ms = step.now_ms + rest_ms
            end_term(step, "stepped_down", by, why)
            step.note(EventKind.LEADER, fence, {"act": "stepped_down", "who": by, "why": why})
            state.wakeups.wake(ELECTION_WAKEUP)
            state.wakeups.wake(LEADER_WAKEUP)
            return Outcome.OK

    async def terms(self, cursor: str | None, limit: int) -> TermPage:
        """The last terms."""
        check_limit(limit)
        before = None if cursor is None else number_of(cursor)
        with self._state.step():
            found = [
                term
                for term in reversed(self._state.terms)
                if before is None or term.epoch < before
            ]
            page = tuple(found[:limit])
            more = len(found) > limit
            return TermPage(terms=page, cursor=str(page[-1].epoch) if more else None)

    async def pod_seen(self, pod: PodRecord, ttl_ms: int) -> None:
        """Say that a pod runs."""
        with self._state.step() as step:
            pods = self._state.pods
            pods.pop(pod.id, None)
            while len(pods) >= MAX_PODS:
                del pods[next(iter(pods))]
            record = attrs.evolve(pod, seen_ms=step.wall_ms)
            pods[pod.id] = (record, step.now_ms + ttl_ms)

    async def pod_left(self, pod_id: str) -> None:
        """Say that a pod has left."""
        with self._state.step():
            self._state.pods.pop(pod_id, None)

    async def pods(self) -> tuple[PodRecord, ...]:
        """The pods that run."""
        with self._state.step() as step:
            pods = self._state.pods
            for pod_id in [key for key, (_, until_ms) in pods.items() if until_ms <= step.now_ms]:
                del pods[pod_id]
            found = [record for record, _ in pods.values()]
            return tuple(sorted(found, key=lambda pod: (pod.name, pod.id)))
