"""What the store knows of its own past."""

from typing import Any

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.history import (
    MAX_BREAKS,
    MAX_WHY,
    Break,
    History,
    Loss,
    Lost,
    Mark,
    Remembering,
)
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import ELECTION_WAKEUP
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.collecting import cursor_number, cursor_text
from dsched_store_sqlite.step import Step

HISTORY = "SELECT identity, generation FROM history"
BREAKS = (
    "SELECT generation, at_ms, from_ms, loss, lost, author, why FROM history_break "
    "ORDER BY generation DESC LIMIT ?"
)
PUT_BREAK = "INSERT INTO history_break VALUES (?, ?, ?, ?, ?, ?, ?)"
TRIM_BREAKS = (
    "DELETE FROM history_break WHERE generation <= "
    "(SELECT generation FROM history_break ORDER BY generation DESC LIMIT 1 OFFSET ?)"
)
PUT_GENERATION = "UPDATE history SET generation = ? WHERE one = 1"
END = "SELECT cursor, at_ms FROM event ORDER BY cursor DESC LIMIT 1"
OLDEST = "SELECT min(cursor) FROM event"
ENTRY = "SELECT at_ms FROM event WHERE cursor = ?"
# Walks back from the end: what came since a restore is little, and this is asked once a break.
KEPT = "SELECT at_ms FROM event WHERE at_ms <= ? ORDER BY cursor DESC LIMIT 1"


class SqliteRemembering(OnSqlite, Remembering):
    """Remembering."""

    async def history(self, mark: Mark | None) -> History:
        """Where the history stands."""
        number = 0 if mark is None else cursor_number(mark.cursor)

        def run(step: Step) -> History:
            identity, generation = step.db.execute(HISTORY).fetchone()
            end = step.db.execute(END).fetchone()
            known = None if mark is None else _known(step, number, mark.at_ms)
            kept = None
            if mark is not None and known is False:
                kept = step.db.execute(KEPT, (mark.at_ms,)).fetchone()
            return History(
                identity=identity,
                generation=generation,
                epoch=step.meta.epoch,
                revision=step.meta.last_revision,
                end=None if end is None else Mark(cursor_text(end[0]), end[1]),
                known=known,
                kept_ms=None if kept is None else kept[0],
                breaks=tuple(map(_break, step.db.execute(BREAKS, (MAX_BREAKS,)).fetchall())),
                time=step.time,
            )

        return await self._step(run)

    async def raise_break(self, read: int, lost: Lost, *, by: str) -> Outcome:
        """Record that a part of the past is gone."""
        return await self._step(lambda step: _raise_break(step, read, lost, by))


def _raise_break(step: Step, read: int, lost: Lost, by: str) -> Outcome:
    (_, found) = step.db.execute(HISTORY).fetchone()
    if found != read:
        return Outcome.MOVED
    meta, why = step.meta, lost.why[:MAX_WHY]
    generation = max(read, lost.generation) + 1
    meta.epoch = max(meta.epoch, lost.epoch)
    meta.last_revision = max(meta.last_revision, lost.revision)
    _end_lower_term(step, lost.epoch)
    step.db.execute(PUT_GENERATION, (generation,))
    row = (generation, step.wall_ms, lost.from_ms, lost.loss.value, lost.identity, by, why)
    step.db.execute(PUT_BREAK, row)
    step.db.execute(TRIM_BREAKS, (MAX_BREAKS,))
    item = {"generation": generation, "loss": lost.loss.value, "from": lost.from_ms}
    step.note(EventKind.HISTORY, by, item | ({"why": why} if why else {}))
    return Outcome.OK


def _end_lower_term(step: Step, epoch: int) -> None:
    holder = step.holder()
    if holder is not None and fence_epoch(holder) < epoch:
        step.meta.fence, step.meta.lock_until_ms = None, step.now_ms
        step.to_wake.add(ELECTION_WAKEUP)


def _known(step: Step, number: int, at_ms: int) -> bool | None:
    """Whether the log has this entry; None if it is trimmed up to there."""
    if number > step.meta.last_cursor:
        return False
    (oldest,) = step.db.execute(OLDEST).fetchone()
    if oldest is None or oldest > number:
        return None
    found = step.db.execute(ENTRY, (number,)).fetchone()
    return found is not None and found[0] == at_ms


def _break(columns: tuple[Any, ...]) -> Break:
    generation, at_ms, from_ms, loss, lost, author, why = columns
    return Break(
        generation=generation,
        at_ms=at_ms,
        from_ms=from_ms,
        loss=Loss(loss),
        lost=lost,
        by=author,
        why=why,
    )
