"""Time, waking and the leader lock."""

from dsched.contracts.store.leadership import Acquired, Leadership
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime, Timing
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.wire import decode, outcome


class RedisTiming(OnRedis, Timing):
    """Time and waking."""

    async def now(self) -> StoreTime:
        """Read the clock."""
        return store_time((await self._step("now"))[1])

    async def wakeup(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up."""
        return await self._footing.wakeups.wait(who, timeout_s)


class RedisLeadership(OnRedis, Leadership):
    """The leader lock."""

    async def acquire(self, pod: str, token: str, ttl_ms: int, *, floor: int = 0) -> Acquired:
        """Take the lock if it is free."""
        if ":" in token:
            raise ValueError("a leader's token must not hold a colon: it is a part of the fence")
        answer = await self._step("acquire", pod, token, ttl_ms, floor, durable=True)
        return Acquired(outcome=outcome(answer[0]), fence=decode(answer[1]))

    async def renew(self, fence: str, ttl_ms: int) -> Outcome:
        """Give the lock more time."""
        return outcome((await self._step("renew", fence, ttl_ms))[0])

    async def resign(self, fence: str) -> Outcome:
        """Drop the lock."""
        return outcome((await self._step("resign", fence))[0])

    async def leader(self) -> str | None:
        """The current fence."""
        return decode((await self._step("leader"))[1]) or None
