"""Limits: stored, listed, and what waits under them let go."""

import sqlite3
from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.classes import CLASSES_FROM
from dsched.contracts.store.limits import (
    MAX_FORGOTTEN,
    MAX_FREED,
    MAX_LIMITS,
    MAX_OPEN,
    MAX_PLACE,
    Limiting,
    LimitPage,
    LimitUse,
    LimitUsePage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import Limit
from dsched.model.limits import OWN, own_limit
from dsched.model.rates import Pace
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.buckets import NO_MOST, read_limit
from dsched_store_sqlite.classes import FIRST_WAITING, move_places, oldest_ms
from dsched_store_sqlite.needs import limits_of
from dsched_store_sqlite.places import names_in
from dsched_store_sqlite.step import Step

PUT = "INSERT OR REPLACE INTO limit_record VALUES (?, ?)"
DROP = "DELETE FROM limit_record WHERE id = ?"
PUT_RATE = "INSERT OR REPLACE INTO limit_rate VALUES (?, ?, ?)"
DROP_RATE = "DELETE FROM limit_rate WHERE id = ?"
# Those of configs come after all others, and are neither counted nor listed.
COUNT = f"SELECT count(*) FROM limit_record WHERE id < '{OWN}'"  # noqa: S608
LIST = (
    "SELECT id, max_running, rate, burst FROM limit_record LEFT JOIN limit_rate USING (id) "  # noqa: S608
    f"WHERE id > ? AND id < '{OWN}' ORDER BY id LIMIT ?"
)
# A limit and its instances: what begins with its id and a colon ends before its id and a semicolon.
USES_OF = (
    "SELECT name, held, waiting FROM limit_use WHERE name > ? AND name < ? AND "
    "(name = ? OR name >= ?) ORDER BY name LIMIT ?"
)
USES = "SELECT name, held, waiting FROM limit_use WHERE name > ? ORDER BY name LIMIT ?"
WAITED_FOR = (
    "UPDATE limit_use SET open = iif(open BETWEEN 1 AND ?, open, ?) "
    "WHERE waiting > 0 AND (name = ? OR (name >= ? AND name < ?))"
)
# A limit that lacks tokens only is not in use.
ANY_USE_OF = (
    "SELECT 1 FROM limit_use WHERE (held > 0 OR waiting > 0) AND "
    "(name = ? OR (name >= ? AND name < ?)) LIMIT 1"
)
WAITS = (
    "SELECT rank, scheduled_ms FROM task "
    "WHERE id = ? AND home = 'ready' AND place < 0 AND place = ?"
)
LINE_UP_TO = (
    "SELECT count(*) FROM (SELECT 1 FROM task WHERE home = 'ready' AND place < 0 AND place = ? "
    "AND (rank, scheduled_ms, id) <= (?, ?, ?) ORDER BY rank, scheduled_ms, id LIMIT ?)"
)
OPENING = "SELECT name FROM limit_use WHERE open > 0 AND open <= ? ORDER BY open, name LIMIT ?"
FIRST_OPENING = "SELECT min(open) FROM limit_use WHERE open > 0"


class SqliteLimiting(OnSqlite, Limiting):
    """Limits."""

    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit."""
        return await self._step(lambda step: _put_limit(step, limit))

    async def drop_limit(self, limit_id: str, *, force: bool) -> Outcome:
        """Remove a limit."""

        def run(step: Step) -> Outcome:
            if step.places.buckets.record(limit_id) is None:
                return Outcome.UNKNOWN
            if not force and step.db.execute(ANY_USE_OF, _within(limit_id)).fetchone():
                return Outcome.TAKEN
            paces = step.places.buckets.paces_of(limit_id)
            step.db.execute(DROP, (limit_id,))
            step.db.execute(DROP_RATE, (limit_id,))
            _changed(step, limit_id, paces)
            return Outcome.OK

        return await self._step(run)

    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Limits by id."""
        check_batch(limit_ids)

        def run(step: Step) -> tuple[Limit | None, ...]:
            return tuple(step.places.buckets.record(limit_id) for limit_id in limit_ids)

        return await self._step(run)

    async def list_limits(self, cursor: str | None, limit: int) -> LimitPage:
        """Limits by id."""
        check_limit(limit)

        def run(step: Step) -> LimitPage:
            found = step.db.execute(LIST, (cursor or "", limit + 1)).fetchall()
            page = tuple(read_limit(*columns) for columns in found[:limit])
            return LimitPage(limits=page, cursor=page[-1].id if len(found) > limit else None)

        return await self._step(run)

    async def limit_uses(
        self, cursor: str | None, limit: int, *, of: str | None = None
    ) -> LimitUsePage:
        """What holds places or is waited for."""
        check_limit(limit)

        def run(step: Step) -> LimitUsePage:
            found = _uses(step, cursor or "", limit + 1, of)
            page = tuple(_use(step, *columns) for columns in found[:limit])
            return LimitUsePage(uses=page, cursor=page[-1].name if len(found) > limit else None)

        return await self._step(run)

    async def place_in_line(self, name: str, task_id: str) -> int | None:
        """How many tasks go before this one, and itself."""

        def run(step: Step) -> int | None:
            use = step.places.use(name)
            if use is None:
                return None
            found = step.db.execute(WAITS, (task_id, -use.number)).fetchone()
            if found is None:
                return None
            line = (-use.number, *found, task_id, MAX_PLACE)
            return int(step.db.execute(LINE_UP_TO, line).fetchone()[0])

        return await self._step(run)


def _put_limit(step: Step, limit: Limit) -> Outcome:
    if step.format < CLASSES_FROM:
        return Outcome.OLDER
    buckets = step.places.buckets
    known = buckets.record(limit.id)
    if known == limit:
        return Outcome.DUP
    if known is None and step.db.execute(COUNT).fetchone()[0] >= MAX_LIMITS:
        return Outcome.FULL
    paces = buckets.paces_of(limit.id)
    write_limit(step.db, limit)
    _changed(step, limit.id, paces)
    return Outcome.OK


def bound_config(step: Step, config_id: str, max_running: int | None) -> None:
    """A config is put with this, or deleted (None): its own limit follows."""
    name = own_limit(config_id)
    before = step.places.buckets.record(name)
    if max_running == (None if before is None else before.max_running):
        return
    if max_running is None:
        step.db.execute(DROP, (name,))
    else:
        step.db.execute(PUT, (name, max_running))
    _changed(step, name, {})


def write_limit(db: sqlite3.Connection, limit: Limit) -> None:
    """Store a limit, as it is."""
    most = NO_MOST if limit.max_running is None else limit.max_running
    db.execute(PUT, (limit.id, most))
    if limit.rate is None:
        db.execute(DROP_RATE, (limit.id,))
    else:
        db.execute(PUT_RATE, (limit.id, limit.rate, limit.burst))


def _use(step: Step, name: str, held: int, waiting: int) -> LimitUse:
    buckets = step.places.buckets
    next_ms = buckets.next_ms(name)
    use = step.places.use(name)
    return LimitUse(
        name=name,
        held=held,
        waiting=waiting,
        oldest_ms=oldest_ms(step, use.number) if waiting and use is not None else None,
        tokens=buckets.left(name),
        next_token_in_ms=None if next_ms is None else next_ms - step.now_ms,
    )


def _uses(step: Step, cursor: str, limit: int, of: str | None) -> list[tuple[str, int, int]]:
    if of is None:
        return step.db.execute(USES, (cursor, limit)).fetchall()
    within = (cursor, f"{of};", of, f"{of}:", limit)
    return step.db.execute(USES_OF, within).fetchall()


def _within(limit_id: str) -> tuple[str, str, str]:
    """A limit and its instances: what begins with its id and a colon ends before a semicolon."""
    return limit_id, f"{limit_id}:", f"{limit_id};"


def _changed(step: Step, limit_id: str, paces: dict[str, Pace | None]) -> None:
    step.places.buckets.repace(paces)
    step.places.note_used(paces)
    step.places.flush()
    within = (step.now_ms, step.now_ms, *_within(limit_id))
    if step.db.execute(WAITED_FOR, within).rowcount:
        step.to_wake.add(LEADER_WAKEUP)


def opens_in_ms(step: Step) -> int | None:
    """When the first limit may have room; None: not by time. All changes are flushed before."""
    (at_ms,) = step.db.execute(FIRST_OPENING).fetchone()
    return None if at_ms is None else max(0, at_ms - step.now_ms)


def let_go(step: Step) -> None:
    """Let go what waits under limits that have room again. All moves are flushed before."""
    left, places = MAX_FREED, step.places
    for name in places.touched:
        places.expect(name)
    places.flush()
    names = names_in(step.db.execute(OPENING, (step.now_ms, MAX_OPEN)).fetchall())
    for name in names:
        left -= _let_go_of(step, name, left)
    more = places.forget_full(MAX_FORGOTTEN)
    step.flush()
    if more or (names and step.db.execute(OPENING, (step.now_ms, 1)).fetchone()):
        step.to_wake.add(LEADER_WAKEUP)
    places.touched.clear()


def _let_go_of(step: Step, name: str, most: int) -> int:
    """Let go what waits under one limit, at most so many; how many went."""
    use, room, moves = step.places.use(name), step.places.room(name), []
    if use is None:
        return 0
    found = []
    if most > 0 and room > 0:
        found = step.db.execute(FIRST_WAITING, (-use.number, 10, most)).fetchall()
    for _, _, task_id, seq, _, needs in found:
        if room <= 0:
            break
        number = step.places.shut_for(limits_of(needs), name) or step.class_number(needs)
        moves.append((seq, task_id, -number))
        step.add_waiting(use.number, -1)
        if number:
            step.add_waiting(number, 1)
        room -= not number
    move_places(step, moves)
    step.flush()
    if room <= 0 or not use.waiting:
        step.places.close(name)
    if step.places.room(name) <= 0:
        step.places.expect(name)
    return len(moves)
