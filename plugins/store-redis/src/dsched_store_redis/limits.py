"""Limits: stored, listed, and what is in use."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.limits import (
    MAX_LIMITS,
    MAX_PLACE,
    Limiting,
    LimitPage,
    LimitUse,
    LimitUsePage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.model import Limit
from dsched_store_redis.base import OnRedis
from dsched_store_redis.wire import decode, is_id, optional, outcome


class RedisLimiting(OnRedis, Limiting):
    """Limits."""

    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit."""
        answer = await self._step(
            "put_limit", limit.id, record_text(limit), MAX_LIMITS, durable=True
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
        return tuple(_limit(limit_id, text) if text else None for limit_id, text in found)

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
        page = [_use(flat[at : at + 6]) for at in range(0, len(flat), 6)]
        return LimitUsePage(uses=tuple(page), cursor=page[-1].name if more else None)

    async def place_in_line(self, name: str, task_id: str) -> int | None:
        """How many tasks go before this one, and itself."""
        if not is_id(task_id):
            return None
        answer = await self._step("place_in_line", name, task_id, MAX_PLACE)
        return optional(answer[1])


def _use(row: Sequence[bytes]) -> LimitUse:
    name, held, waiting, oldest, tokens, next_in = row
    return LimitUse(
        name=decode(name),
        held=int(held),
        waiting=int(waiting),
        oldest_ms=optional(oldest),
        tokens=optional(tokens),
        next_token_in_ms=optional(next_in),
    )


def record_text(limit: Limit) -> str:
    """A limit as it is stored: without a rate as ever, else also its text, the burst, and in how
    many microseconds a token comes and how many there are at most. A dash is none."""
    pace = limit.pace
    if pace is None:
        return str(limit.max_running)
    most = "-" if limit.max_running is None else limit.max_running
    burst = "-" if limit.burst is None else limit.burst
    return f"{most} {limit.rate} {burst} {pace.token_us} {pace.size}"


def _limit(limit_id: str, text: bytes) -> Limit:
    most, *rated = decode(text).split(" ")
    if not rated:
        return Limit(id=limit_id, max_running=int(most))
    rate, burst = rated[:2]
    return Limit(id=limit_id, max_running=_number(most), rate=rate, burst=_number(burst))


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)
