"""What the collector makes of a part of the event log: pure, and the same every time.

Decisions with what became of them, the index of ended tasks, and statistics by config and hour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dsched.contracts.store.collecting import Finished, Projection
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.engine.leader.counting import CountedWorkers, Tally
from dsched.engine.leader.streaks import Streaks
from dsched.model import (
    Decision,
    DecisionUpdate,
    JsonValue,
    MissReason,
    TaskStatus,
    Verdict,
    config_of,
    fire_instant_of,
)
from dsched.model.status import TERMINAL

Item = Mapping[str, JsonValue]

MAX_WORDS = 200  # of a reason in a decision; the whole of it is in the log, and in the task
_STATUS = {status.value: status for status in TaskStatus}
MAY_END = frozenset(
    {
        EventKind.COMPLETED,
        EventKind.RELEASED,
        EventKind.REAPED,
        EventKind.CANCELLED,
        EventKind.RUN_ENDED,
    }
)
_Fire = tuple[str, int]  # config, nominal instant


def project(
    after: str, events: Sequence[Event], workers: CountedWorkers | None = None
) -> Projection:
    """The projection of these entries, which come after ``after``.

    ``workers`` are those that were counted before, in a term; of what is read again, they count the
    same.
    """
    portion = _Portion(workers or CountedWorkers())
    for event in events:
        portion.take(event)
    return Projection(
        after=after,
        upto=events[-1].cursor,
        decisions=tuple(Decision(**facts) for facts in portion.decisions),
        finished=tuple(portion.finished.values()),
        updates=tuple(
            DecisionUpdate(config_id=config_id, first_ms=first_ms, **facts)
            for (config_id, first_ms), facts in portion.updates.items()
        ),
        rollups=portion.tally.rollups(),
        streaks=portion.streaks.all(),
    )


class _Portion:
    """What was read so far, as the fields of values that are made at the end: a fire's decision
    and what became of its task often come in one part of the log."""

    def __init__(self, workers: CountedWorkers) -> None:
        self.decisions: list[dict[str, Any]] = []
        self.finished: dict[str, Finished] = {}
        self.updates: dict[_Fire, dict[str, Any]] = {}
        self.tally = Tally(workers)
        self.streaks = Streaks()
        self._fired: dict[_Fire, dict[str, Any]] = {}

    def take(self, event: Event) -> None:
        """Take one entry."""
        self.tally.count(event)
        match event.kind:
            case EventKind.FIRED:
                for item in event.items:
                    facts = _fired(event, item)
                    self.decisions.append(facts)
                    self._fired[item["config"], item["ms"]] = facts
            case EventKind.SKIPPED:
                self.decisions.extend(_skipped(event, item) for item in event.items)
            case EventKind.MISSED:
                self.decisions.extend(_missed(event, item) for item in event.items)
            case EventKind.DISPATCHED:
                self._dispatched(event)
            case EventKind.CONFIG:
                self.streaks.changed(event)
            case kind if kind in MAY_END:
                self._ended(event)

    def _fate(self, task_id: str) -> dict[str, Any] | None:
        """Where to write what became of a fire's task; None if no fire made it."""
        fire = fire_of(task_id)
        if fire is None:
            return None
        known = self._fired.get(fire)
        if known is None:  # it was fired in an earlier part of the log
            known = self.updates.setdefault(fire, {})
        return known

    def _dispatched(self, event: Event) -> None:
        for item in event.items:
            facts = self._fate(item["task"])
            if facts is not None:
                facts["worker_id"] = item["worker"]
                facts["worker_why"] = item.get("why", "")[:MAX_WORDS]

    def _ended(self, event: Event) -> None:
        for item in event.items:
            status = _STATUS[item["status"]]
            if status not in TERMINAL:
                continue
            task_id = item["task"]
            self.streaks.ended(task_id, status, item)
            self.finished[task_id] = Finished(task_id=task_id, status=status, end_ms=event.at_ms)
            facts = self._fate(task_id)
            if facts is not None:
                reason = str(item.get("reason") or "")[:MAX_WORDS]
                facts["ended"] = f"{status.value}: {reason}" if reason else status.value


def _fired(event: Event, item: Item) -> dict[str, Any]:
    return {
        "config_id": item["config"],
        "verdict": Verdict.FIRED,
        "first_ms": item["ms"],
        "last_ms": item["ms"],
        "detail": "held: an earlier run is live" if item.get("held") else "",
        "late_ms": item["late"],
        "at_ms": event.at_ms,
        "term": _epoch(event.by),
        "task_id": item["task"],
    }


def _skipped(event: Event, item: Item) -> dict[str, Any]:
    return {
        "config_id": item["config"],
        "verdict": Verdict.SKIPPED,
        "first_ms": item["first"],
        "last_ms": item["last"],
        "count": item["count"],
        "reason": item["reason"],
        "detail": _asked(item),
        "late_ms": max(0, event.at_ms - item["last"]),
        "at_ms": event.at_ms,
        "term": _epoch(event.by),
        "trigger": item.get("trigger", ""),
        "behind": item.get("behind"),
    }


def _asked(item: Item) -> str:
    """Who asked for it, and why, if somebody did."""
    who, why = item.get("who", ""), item.get("why", "")
    return f"{who}: {why}" if why else str(who)


def _missed(event: Event, item: Item) -> dict[str, Any]:
    reason = MissReason.UNFIRED if item["term"] else MissReason.LEADERLESS
    return {
        "config_id": item["config"],
        "verdict": Verdict.MISSED,
        "first_ms": item["ms"],
        "last_ms": item["ms"],
        "reason": reason.value,
        "late_ms": item["late"],
        "at_ms": event.at_ms,
        "term": item["term"],
    }


def fire_of(task_id: str) -> _Fire | None:
    """The config and nominal instant of the fire that made a task, None for any other task."""
    if "@" not in task_id:
        return None
    first_ms, config_id = fire_instant_of(task_id), config_of(task_id)
    return None if first_ms is None or config_id is None else (config_id, first_ms)


def _epoch(by: str) -> int:
    """The epoch if a leader decided, else 0 (a client's edit, pause or delete)."""
    head, colon, _ = by.partition(":")
    return fence_epoch(by) if colon and head.isdigit() else 0
