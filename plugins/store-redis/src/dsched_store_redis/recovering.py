"""Reaping, pruning and the collector's walk."""

from collections.abc import Sequence

from dsched.contracts.checks import check_batch, check_limit
from dsched.contracts.codec import write_decision
from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    MAX_BATCH,
    MAX_EVENT_PAGE,
    EventPage,
    Overdue,
    OverdueLease,
    Projection,
    Pruned,
    QueuedTask,
    Reap,
)
from dsched.contracts.store import Collecting, Recovering
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.dispatching import read_route
from dsched_store_redis.rows import read_event, read_task, read_workers, token_in
from dsched_store_redis.wire import decode, is_id, lines, outcome, outcomes, safe_id, text

FORGET_MS = 3_600_000


class RedisRecovering(OnRedis, Recovering):
    """Recovering."""

    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """What is over or has waited too long."""
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
                    item.task_id if is_id(item.task_id) else "?",
                    item.token,
                    str(item.delay_ms),
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
        check_limit(limit)
        settings = self._footing.settings
        answer = await self._step("prune", fence, limit, self._ttl, settings.max_events, FORGET_MS)
        return Pruned(count=answer[1], more=answer[2] == 1)


class RedisCollecting(OnRedis, Collecting):
    """Collecting."""

    async def collect(self, fence: str, limit: int) -> EventPage:
        """What the collector has not read."""
        check_limit(limit, MAX_EVENT_PAGE)
        answer = await self._step("collect", fence, limit)
        events = tuple(map(read_event, answer[2]))
        after = decode(answer[1])
        return EventPage(events=events, cursor=events[-1].cursor if events else after, after=after)

    async def project(self, fence: str, projection: Projection) -> Outcome:
        """Add what the collector made of it, and move its cursor."""
        check_batch([item.task_id for item in projection.finished], 10 * MAX_BATCH)
        if len(projection.decisions) > 10 * MAX_BATCH:
            raise ValueError(f"more than {10 * MAX_BATCH} decisions in one call")
        decisions = (
            f"{safe_id(item.config_id, 'config id')}\t{item.first_ms}\t{item.at_ms}"
            f"\t{item.verdict.value}\t{_word(item.reason)}\t{write_decision(item)}"
            for item in projection.decisions
        )
        finished = (
            f"{safe_id(item.task_id, 'task id')}\t{item.status.value}\t{item.end_ms}"
            for item in projection.finished
        )
        answer = await self._step(
            "project", fence, projection.after, projection.upto, lines(decisions), lines(finished)
        )
        return outcome(answer[0])


def _word(reason: str) -> str:
    return reason.replace("\t", " ").replace("\n", " ")
