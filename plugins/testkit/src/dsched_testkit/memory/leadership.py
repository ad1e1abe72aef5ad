"""Time, waking, and the leader lock of the reference store."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import Acquired, Leadership
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP, StoreTime, Timing
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.terms import begin_term, end_term


class MemoryTiming(OnState, Timing):
    """Time and waking."""

    async def now(self) -> StoreTime:
        """Read the clock."""
        with self._state.step() as step:
            return step.time

    async def wakeup(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up."""
        return await self._state.wakeups.wait(who, timeout_s)


class MemoryLeadership(OnState, Leadership):
    """The leader lock."""

    async def acquire(self, pod: str, token: str, ttl_ms: int, *, floor: int = 0) -> Acquired:
        """Take the lock if it is free."""
        with self._state.step() as step:
            state = self._state
            holder = step.holder()
            if holder is not None:
                until = state.lock_until_ms
                if holder.split(":")[1] == token:
                    return Acquired(outcome=Outcome.OK, fence=holder)
                if until is None or until > step.now_ms + ttl_ms + 1000:
                    state.lock_until_ms = step.now_ms + ttl_ms
                return Acquired(outcome=Outcome.TAKEN, fence=holder)
            if state.rest_pod == pod and step.now_ms < state.rest_until_ms:
                return Acquired(outcome=Outcome.RESTING, fence="")
            state.rest_pod = None
            state.epoch = max(state.epoch + 1, step.now_ms, floor)
            state.fence = f"{state.epoch}:{token}:{pod}"
            state.lock_until_ms = step.now_ms + ttl_ms
            begin_term(step, state.epoch, pod)
            step.note(EventKind.LEADER, state.fence, {"act": "acquired"})
            return Acquired(outcome=Outcome.OK, fence=state.fence)

    async def renew(self, fence: str, ttl_ms: int) -> Outcome:
        """Give the lock more time."""
        with self._state.step() as step:
            if step.holder() != fence:
                return Outcome.FENCED
            self._state.lock_until_ms = step.now_ms + ttl_ms
            return Outcome.OK

    async def resign(self, fence: str) -> Outcome:
        """Drop the lock."""
        with self._state.step() as step:
            if step.holder() != fence:
                return Outcome.FENCED
            self._state.fence, self._state.lock_until_ms = None, step.now_ms
            end_term(step, "resigned")
            step.note(EventKind.LEADER, fence, {"act": "resigned"})
            self._state.wakeups.wake(ELECTION_WAKEUP)
            return Outcome.OK

    async def leader(self) -> str | None:
        """The current fence."""
        with self._state.step() as step:
            return step.holder()
