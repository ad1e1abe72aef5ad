"""Reaping and pruning."""

from collections.abc import Sequence

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import (
    Overdue,
    OverdueLease,
    Pruned,
    QueuedTask,
    Reap,
    Recovering,
)
from dsched.model import error_to_keep
from dsched_store_redis.base import ENDS, OnRedis, store_time
from dsched_store_redis.dispatching import read_route
from dsched_store_redis.rows import read_task, read_workers, token_in
from dsched_store_redis.wire import decode, known, lines, outcomes, text

FORGET_MS = 3_600_000


class RedisRecovering(OnRedis, Recovering):
    """Recovering."""

    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """Leases that are over, and queue entries that have waited too long."""
        check_limit(limit)
        answer = await self._step("overdue", fence, limit, min_queue_age_ms)
        time = store_time(answer[1])
        leases = []
        for row in answer[2]:
            task = read_task(row)
            if task is not None:
                leases.append(OverdueLease(task=task, token=token_in(row)))
        flat = answer[3]
        queued = tuple(
            QueuedTask(
                task_id=decode(flat[at]),
                worker_id=decode(flat[at + 1]),
                age_ms=int(flat[at + 2]),
                required_labels=read_route(flat[at + 3])[0],
                need=read_route(flat[at + 3])[2],
            )
            for at in range(0, len(flat), 4)
        )
        return Overdue(
            time=time,
            leases=tuple(leases),
            queued=queued,
            workers=read_workers(answer[4], time.now_ms),
        )

    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """End attempts whose leases are over."""
        check_batch([item.task_id for item in items])
        rows = (
            "\t".join(
                (
                    known(item.task_id),
                    item.token,
                    f"{item.delay_ms} {text(error_to_keep(item.error))}",
                    "" if item.fail_reason is None else text(item.fail_reason),
                    text(item.error),
                )
            )
            for item in items
        )
        answer = await self._step("reap", fence, lines(rows), self._ttl, durable=True)
        return outcomes(answer[1])

    async def prune(self, fence: str, limit: int) -> Pruned:
        """Remove what is past its time."""
        check_limit(limit, MAX_HEAVY_BATCH)
        settings = self._footing.settings
        counts = (settings.kept_count(status) for status in ENDS)
        answer = await self._step(
            "prune",
            fence,
            limit,
            self._ttl,
            " ".join("-" if count is None else str(count) for count in counts),
            settings.result_ttl_ms,
            settings.max_events,
            FORGET_MS,
        )
        return Pruned(count=answer[1], more=answer[2] == 1)
