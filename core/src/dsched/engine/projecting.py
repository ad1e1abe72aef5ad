"""What the collector makes of a part of the event log: pure, and the same every time.

Decisions with what became of them, the index of ended tasks, and statistics by config and hour.
"""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from dsched.contracts.steps import Event, EventKind, Finished, Projection, fence_epoch
from dsched.engine.counting import Tally
from dsched.model import (
    Decision,
    Fate,
    JsonValue,
    MissReason,
    TaskStatus,
    Verdict,
    config_of,
    fire_instant_of,
)

Item = Mapping[str, JsonValue]

MAX_WORDS = 200  # of a reason in a decision; the whole of it is in the log, and in the task
_STATUS = {status.value: status for status in TaskStatus}
_Fire = tuple[str, int]  # config, nominal instant


def project(after: str, events: Sequence[Event]) -> Projection:
    """The projection of these entries, which come after ``after``."""
    decisions: list[Decision] = []
    fired: dict[_Fire, int] = {}
    fates: dict[_Fire, Fate] = {}
    finished: dict[str, Finished] = {}
    tally = Tally()
    for event in events:
        tally.count(event)
        for decision in _decisions(event):
            if decision.verdict is Verdict.FIRED:
                fired[decision.config_id, decision.first_ms] = len(decisions)
            decisions.append(decision)
        for fate in _fates(event):
            at = fired.get((fate.config_id, fate.first_ms))
            if at is None:  # it was fired in an earlier part of the log
                known = fates.get((fate.config_id, fate.first_ms))
                fates[fate.config_id, fate.first_ms] = _later(known, fate)
            else:
                decisions[at] = _followed(decisions[at], fate)
        for ended in _ended(event):
            finished[ended.task_id] = ended
    return Projection(
        after=after,
        upto=events[-1].cursor,
        decisions=tuple(decisions),
        finished=tuple(finished.values()),
        fates=tuple(fates.values()),
        rollups=tally.rollups(),
    )


def _decisions(event: Event) -> Iterator[Decision]:
    match event.kind:
        case EventKind.FIRED:
            yield from (_fired(event, item) for item in event.items)
        case EventKind.SKIPPED:
            yield from (_skipped(event, item) for item in event.items)
        case EventKind.MISSED:
            yield from (_missed(event, item) for item in event.items)


def _fired(event: Event, item: Item) -> Decision:
    return Decision(
        config_id=item["config"],
        verdict=Verdict.FIRED,
        first_ms=item["ms"],
        last_ms=item["ms"],
        detail="held: an earlier run is live" if item.get("held") else "",
        late_ms=item["late"],
        at_ms=event.at_ms,
        term=_epoch(event.by),
        task_id=item["task"],
    )


def _skipped(event: Event, item: Item) -> Decision:
    return Decision(
        config_id=item["config"],
        verdict=Verdict.SKIPPED,
        first_ms=item["first"],
        last_ms=item["last"],
        count=item["count"],
        reason=item["reason"],
        detail=f"{item['who']}: {item['why']}" if "who" in item else "",
        late_ms=max(0, event.at_ms - item["last"]),
        at_ms=event.at_ms,
        term=_epoch(event.by),
    )


def _missed(event: Event, item: Item) -> Decision:
    reason = MissReason.UNFIRED if item["term"] else MissReason.LEADERLESS
    return Decision(
        config_id=item["config"],
        verdict=Verdict.MISSED,
        first_ms=item["ms"],
        last_ms=item["ms"],
        reason=reason.value,
        late_ms=item["late"],
        at_ms=event.at_ms,
        term=item["term"],
    )


def _fates(event: Event) -> Iterator[Fate]:
    for item in event.items:
        task_id = item.get("task")
        fire = None if task_id is None else fire_of(task_id)
        if fire is None:
            continue
        config_id, first_ms = fire
        if event.kind is EventKind.DISPATCHED:
            yield Fate(
                config_id=config_id,
                first_ms=first_ms,
                worker_id=item["worker"],
                worker_why=item.get("why", "")[:MAX_WORDS],
            )
        elif (status := _terminal(item)) is not None:
            reason = str(item.get("reason") or "")[:MAX_WORDS]
            ended = f"{status}: {reason}" if reason else status.value
            yield Fate(config_id=config_id, first_ms=first_ms, ended=ended)


def _later(known: Fate | None, fate: Fate) -> Fate:
    """Two fates of one fire as one; the later word holds."""
    if known is None:
        return fate
    if fate.worker_id is None:
        fate = attrs.evolve(fate, worker_id=known.worker_id, worker_why=known.worker_why)
    return fate if fate.ended else attrs.evolve(fate, ended=known.ended)


def _followed(decision: Decision, fate: Fate) -> Decision:
    if fate.worker_id is not None:
        decision = attrs.evolve(decision, worker_id=fate.worker_id, worker_why=fate.worker_why)
    return attrs.evolve(decision, ended=fate.ended) if fate.ended else decision


def _ended(event: Event) -> Iterator[Finished]:
    for item in event.items:
        status = _terminal(item)
        if status is not None:
            yield Finished(task_id=item["task"], status=status, end_ms=event.at_ms)


def _terminal(item: Item) -> TaskStatus | None:
    word = item.get("status")
    status = None if word is None else _STATUS[word]
    return status if status is not None and status.terminal else None


def fire_of(task_id: str) -> _Fire | None:
    """The config and nominal instant of the fire that made a task, None for any other task."""
    first_ms, config_id = fire_instant_of(task_id), config_of(task_id)
    return None if first_ms is None or config_id is None else (config_id, first_ms)


def _epoch(by: str) -> int:
    """The epoch if a leader decided, else 0 (a client's edit, pause or delete)."""
    head, colon, _ = by.partition(":")
    return fence_epoch(by) if colon and head.isdigit() else 0
