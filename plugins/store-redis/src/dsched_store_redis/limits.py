"""Limits: stored, listed, and what is in use."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.limits import (
    MAX_LIMITS,
    Limiting,
    LimitPage,
    LimitUse,
    LimitUsePage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.model import Limit
from dsched_store_redis.base import OnRedis
from dsched_store_redis.wire import decode, outcome


class RedisLimiting(OnRedis, Limiting):
    """Limits."""

    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit."""
        answer = await self._step(
            "put_limit", limit.id, limit.max_running, MAX_LIMITS, durable=True
        )
        return outcome(answer[1])

    async def drop_limit(self, limit_id: str, *, force: bool) -> Outcome:
        """Remove a limit."""
        answer = await self._step("drop_limit", limit_id, int(force), durable=True)
        return outcome(answer[1])

    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Limits by id."""
        check_batch(limit_ids)
        answer = await self._step("get_limits", " ".join(limit_ids))
        found = zip(limit_ids, answer[1], strict=True)
        return tuple(_limit(limit_id, most) if most else None for limit_id, most in found)

    async def list_limits(self, cursor: str | None, limit: int) -> LimitPage:
        """Limits by id."""
        check_limit(limit)
        _, flat, more = await self._step("list_limits", cursor or "", limit)
        page = [_limit(decode(flat[at]), flat[at + 1]) for at in range(0, len(flat), 2)]
        return LimitPage(limits=tuple(page), cursor=page[-1].id if more else None)

    async def limit_uses(
        self, cursor: str | None, limit: int, *, of: str | None = None
    ) -> LimitUsePage:
        """What holds places or is waited for."""
        check_limit(limit)
        _, flat, more = await self._step("limit_uses", cursor or "", limit, of or "")
        page = [
            LimitUse(name=decode(flat[at]), held=int(flat[at + 1]), waiting=int(flat[at + 2]))
            for at in range(0, len(flat), 3)
        ]
        return LimitUsePage(uses=tuple(page), cursor=page[-1].name if more else None)


def _limit(limit_id: str, most: bytes) -> Limit:
    return Limit(id=limit_id, max_running=int(most))
