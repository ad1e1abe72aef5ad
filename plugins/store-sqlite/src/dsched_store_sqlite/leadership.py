"""Time, waking, and the leader lock."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import Acquired, Leadership
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP, StoreTime, Timing
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.step import Step


class SqliteTiming(OnSqlite, Timing):
    """Time and waking."""

    async def now(self) -> StoreTime:
        """Read the clock."""
        return await self._step(lambda step: step.time)

    async def wakeup(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up."""
        return await self._hub.wakeups.wait(who, timeout_s)


class SqliteLeadership(OnSqlite, Leadership):
    """The leader lock."""

    async def acquire(self, pod: str, token: str, ttl_ms: int, *, floor: int = 0) -> Acquired:
        """Take the lock if it is free."""

        def run(step: Step) -> Acquired:
            meta, holder = step.meta, step.holder()
            if holder is not None:
                until_ms = meta.lock_until_ms
                if holder.split(":")[1] == token:
                    return Acquired(outcome=Outcome.OK, fence=holder)
                if until_ms is None or until_ms > step.now_ms + ttl_ms + 1000:
                    meta.lock_until_ms = step.now_ms + ttl_ms
                return Acquired(outcome=Outcome.TAKEN, fence=holder)
            if meta.rest_pod == pod and step.now_ms < meta.rest_until_ms:
                return Acquired(outcome=Outcome.RESTING, fence="")
            meta.rest_pod = None
            meta.epoch = max(meta.epoch + 1, step.now_ms, floor)
            meta.fence = fence = f"{meta.epoch}:{token}:{pod}"
            meta.lock_until_ms = step.now_ms + ttl_ms
            step.begin_term(meta.epoch, pod)
            step.note(EventKind.LEADER, fence, {"act": "acquired"})
            return Acquired(outcome=Outcome.OK, fence=fence)

        return await self._step(run)

    async def renew(self, fence: str, ttl_ms: int) -> Outcome:
        """Give the lock more time."""

        def run(step: Step) -> Outcome:
            if step.holder() != fence:
                return Outcome.FENCED
            step.meta.lock_until_ms = step.now_ms + ttl_ms
            return Outcome.OK

        return await self._step(run)

    async def resign(self, fence: str) -> Outcome:
        """Drop the lock."""

        def run(step: Step) -> Outcome:
            if step.holder() != fence:
                return Outcome.FENCED
            step.meta.fence, step.meta.lock_until_ms = None, step.now_ms
            step.end_term("resigned")
            step.note(EventKind.LEADER, fence, {"act": "resigned"})
            step.to_wake.add(ELECTION_WAKEUP)
            return Outcome.OK

        return await self._step(run)

    async def leader(self) -> str | None:
        """The current fence."""
        return await self._step(Step.holder)
