"""I28: no more tasks begin than the rate of a limit allows, by the log and with fractions."""

from collections import defaultdict
from fractions import Fraction
from itertools import takewhile

import attrs

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.limits import record_in_force
from dsched.model import Home, Limit
from dsched.model.durations import parse_duration
from dsched_testkit.memory.state import State


@attrs.define
class _Bucket:
    tokens: Fraction
    at_ms: int


class PaceAudit:
    """Follows the log of a store. A record that has changed since the last look is followed anew,
    from a full bucket on."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._cursor = state.last_cursor
        self._limits = dict(state.places.limits)
        self._buckets: dict[str, _Bucket] = {}
        self._queued = {row.id for row in state.tasks.values() if row.home is Home.QUEUE}

    def problems(self) -> list[str]:
        """Every name of which more began than there were tokens."""
        state, found = self._state, []
        before, now = self._limits, dict(state.places.limits)
        changed = {name for name in self._buckets if not _same(name, before, now)}
        for name in changed:
            del self._buckets[name]
        for at_ms, by_name in sorted(self._changes().items()):
            for name, change in by_name.items():
                limit = record_in_force(name, now)
                if limit is None or limit.rate is None or not _same(name, before, now):
                    continue
                if self._move(name, limit, change, at_ms) < 0:
                    found.append(f"I28: more tasks of limit {name} began than it has tokens for")
        self._limits = now
        return found

    def _changes(self) -> dict[int, dict[str, int]]:
        """By time and name, how many tokens more there are by what the log has since."""
        found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        fresh = takewhile(lambda one: int(one.cursor) > self._cursor, reversed(self._state.log))
        for event in reversed(list(fresh)):
            at_ms = self._state.stamps[int(event.cursor)]
            for task_id, change in self._tokens(event):
                row = self._state.tasks.get(task_id)
                for name in () if row is None else row.spec.limits:
                    found[at_ms][name] += change
        self._cursor = self._state.last_cursor
        return found

    def _tokens(self, event: Event) -> list[tuple[str, int]]:
        """Which tasks take a token, and which leave a queue before an attempt of them began."""
        ids = [str(item.get("task")) for item in event.items]
        if event.kind is EventKind.DISPATCHED:
            self._queued.update(ids)
            return [(task_id, -1) for task_id in ids]
        left = self._queued.intersection(ids)
        if event.kind is EventKind.CLAIMED:
            self._queued -= left
        elif event.kind in (EventKind.RECALLED, EventKind.CANCELLED):
            self._queued -= left
            return [(task_id, 1) for task_id in left]
        return []

    def _move(self, name: str, limit: Limit, change: int, at_ms: int) -> Fraction:
        pace = limit.pace
        assert limit.rate is not None
        assert pace is not None
        size = Fraction(pace.size)
        count, _, span = limit.rate.partition("/")
        per_ms = Fraction(int(count), int(parse_duration(span).total_seconds() * 1000))
        known = self._buckets.setdefault(name, _Bucket(size, at_ms))
        there = min(size, known.tokens + (at_ms - known.at_ms) * per_ms) + change
        known.tokens, known.at_ms = min(size, max(there, Fraction(0))), at_ms
        return there


def _same(name: str, before: dict[str, Limit], now: dict[str, Limit]) -> bool:
    return record_in_force(name, before) == record_in_force(name, now)
