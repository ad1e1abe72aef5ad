"""The collector's walk over the log, and what is kept of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.checks import check_limit, check_projection
from dsched.contracts.store.codec import read_decision, write_decision
from dsched.contracts.store.collecting import Collecting, Projection, Streak
from dsched.contracts.store.events import EventPage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.statistics import EVERYTHING, Rollup
from dsched.model import Decision, DecisionUpdate
from dsched_store_redis.base import OnRedis
from dsched_store_redis.rows import read_event
from dsched_store_redis.wire import decode, lines, load_json, outcome, pairs, safe_id, text

MOST = 10 * MAX_BATCH


class RedisCollecting(OnRedis, Collecting):
    """Collecting."""

    async def collect(self, fence: str, limit: int) -> EventPage:
        """What the collector has not read."""
        check_limit(limit, MAX_EVENT_PAGE)
        answer = await self._step("collect", fence, limit)
        events = tuple(map(read_event, answer[2]))
        after = decode(answer[1])
        cursor = events[-1].cursor if events else after
        return EventPage(events=events, cursor=cursor, after=after, more=answer[3] == 1)

    async def project(self, fence: str, projection: Projection) -> Outcome:
        """Add what the collector made of it, and move its cursor."""
        check_projection(projection)
        finished = (
            f"{safe_id(item.task_id, 'task id')}\t{item.status.value}\t{item.end_ms}"
            for item in projection.finished
        )
        settings = self._footing.settings
        answer = await self._step(
            "project",
            fence,
            projection.after,
            projection.upto,
            lines(map(_decision_row, projection.decisions)),
            lines(finished),
            lines(map(_update_row, projection.updates)),
            lines(map(_rollup_row, projection.rollups)),
            settings.max_decisions,
            MOST,
            settings.stats_ttl_ms,
            lines(map(_streak_row, projection.streaks)),
        )
        return outcome(answer[0])


def _decision_row(item: Decision) -> str:
    return (
        f"{safe_id(item.config_id, 'config id')}\t{item.first_ms}\t{item.last_ms}\t{item.at_ms}"
        f"\t{item.verdict.value}\t{_word(item.reason)}\t{write_decision(item)}"
    )


def _update_row(item: DecisionUpdate) -> str:
    worker = "" if item.worker_id is None else json.dumps([item.worker_id, item.worker_why])
    ended = text(item.ended) if item.ended else ""
    return f"{safe_id(item.config_id, 'config id')}\t{item.first_ms}\t{worker}\t{ended}"


def _streak_row(item: Streak) -> str:
    last = text(item.last) if item.last else ""
    anew = "1" if item.anew else ""
    return f"{safe_id(item.config_id, 'config id')}\t{anew}\t{item.failures}\t{last}"


def _rollup_row(item: Rollup) -> str:
    owner = item.config_id
    if owner != EVERYTHING:
        safe_id(owner, "config id")
    return f"{owner}\t{item.hour_ms}\t{_numbers(item.adds)}\t{_numbers(item.tops)}"


def _numbers(named: Mapping[str, int]) -> str:
    return " ".join(f"{name} {number}" for name, number in named.items())


def _word(reason: str) -> str:
    return reason.replace("\t", " ").replace("\n", " ")


def read_decisions(records: Sequence[bytes], since: Sequence[bytes]) -> tuple[Decision, ...]:
    """Decisions from their records and, three fields each, what became of them."""
    return tuple(
        _with_fate(read_decision(decode(record)), *map(decode, since[3 * at : 3 * at + 3]))
        for at, record in enumerate(records)
    )


def _with_fate(decision: Decision, worker: str, ended: str, missed: str) -> Decision:
    changes: dict[str, Any] = {}
    if worker:
        changes["worker_id"], changes["worker_why"] = load_json(worker)
    if ended:
        changes["ended"] = load_json(ended)
    if missed:
        changes["missed_at_ms"] = int(missed)
    return attrs.evolve(decision, **changes) if changes else decision


def read_rollup(owner: str, hour: bytes, flat: Sequence[bytes]) -> Rollup:
    """The totals of an hour: the longest have names of one letter."""
    totals = {name: int(number) for name, number in pairs(flat).items()}
    return Rollup(
        config_id=owner,
        hour_ms=int(hour),
        adds={name: number for name, number in totals.items() if len(name) > 1},
        tops={name: number for name, number in totals.items() if len(name) == 1},
    )
