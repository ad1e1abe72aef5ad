"""How pods that do not lead report what is overdue."""

from dsched.contracts.store.checks import check_limit, check_skip
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.watching import MissedInstant, Watched, Watching
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.wire import decode, outcome


class RedisWatching(OnRedis, Watching):
    """Watching."""

    async def raise_missed(self, late_ms: int, skip: int, limit: int, *, by: str) -> Watched:
        """Report what is overdue."""
        check_limit(limit)
        check_skip(skip)
        answer = await self._step("raise_missed", by, late_ms, skip, limit)
        return Watched(
            time=store_time(answer[1]),
            fence=decode(answer[2]) or None,
            looked=int(answer[3]),
            missed=tuple(map(_missed, answer[4])),
        )

    async def raise_leaderless(self, idle_ms: int, *, by: str) -> Outcome:
        """Report that nobody leads."""
        return outcome((await self._step("raise_leaderless", by, idle_ms))[0])


def _missed(row: bytes) -> MissedInstant:
    config_id, _, due_ms = decode(row).rpartition(" ")
    return MissedInstant(config_id, int(due_ms))
