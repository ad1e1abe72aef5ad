"""Limits: stored, listed, and what waits under them let go."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.classes import CLASSES_FROM
from dsched.contracts.store.limits import (
    MAX_FREED,
    MAX_LIMITS,
    MAX_OPEN,
    Limiting,
    LimitPage,
    LimitUse,
    LimitUsePage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import Limit
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.classes import FIRST_WAITING, move_places
from dsched_store_sqlite.needs import limits_of
from dsched_store_sqlite.places import names_in
from dsched_store_sqlite.step import Step

GET = "SELECT max_running FROM limit_record WHERE id = ?"
PUT = "INSERT OR REPLACE INTO limit_record VALUES (?, ?)"
DROP = "DELETE FROM limit_record WHERE id = ?"
COUNT = "SELECT count(*) FROM limit_record"
LIST = "SELECT id, max_running FROM limit_record WHERE id > ? ORDER BY id LIMIT ?"
# A limit and its instances: what begins with its id and a colon ends before its id and a semicolon.
USES_OF = (
    "SELECT name, held, waiting FROM limit_use WHERE name > ? AND name < ? AND "
    "(name = ? OR name >= ?) ORDER BY name LIMIT ?"
)
USES = "SELECT name, held, waiting FROM limit_use WHERE name > ? ORDER BY name LIMIT ?"
WAITED_FOR = (
    "UPDATE limit_use SET open = 1 WHERE waiting > 0 AND (name = ? OR (name >= ? AND name < ?))"
)
OPEN = "SELECT name FROM limit_use WHERE open = 1 ORDER BY name LIMIT ?"


class SqliteLimiting(OnSqlite, Limiting):
    """Limits."""

    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit."""
        return await self._step(lambda step: _put_limit(step, limit))

    async def drop_limit(self, limit_id: str, *, force: bool) -> Outcome:
        """Remove a limit."""

        def run(step: Step) -> Outcome:
            if _get(step, limit_id) is None:
                return Outcome.UNKNOWN
            if not force and _uses(step, "", 1, limit_id):
                return Outcome.TAKEN
            step.db.execute(DROP, (limit_id,))
            _changed(step, limit_id)
            return Outcome.OK

        return await self._step(run)

    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Limits by id."""
        check_batch(limit_ids)

        def run(step: Step) -> tuple[Limit | None, ...]:
            return tuple(_get(step, limit_id) for limit_id in limit_ids)

        return await self._step(run)

    async def list_limits(self, cursor: str | None, limit: int) -> LimitPage:
        """Limits by id."""
        check_limit(limit)

        def run(step: Step) -> LimitPage:
            found = step.db.execute(LIST, (cursor or "", limit + 1)).fetchall()
            page = tuple(Limit(id=key, max_running=most) for key, most in found[:limit])
            return LimitPage(limits=page, cursor=page[-1].id if len(found) > limit else None)

        return await self._step(run)

    async def limit_uses(
        self, cursor: str | None, limit: int, *, of: str | None = None
    ) -> LimitUsePage:
        """What holds places or is waited for."""
        check_limit(limit)

        def run(step: Step) -> LimitUsePage:
            found = _uses(step, cursor or "", limit + 1, of)
            page = tuple(
                LimitUse(name=name, held=held, waiting=waiting)
                for name, held, waiting in found[:limit]
            )
            return LimitUsePage(uses=page, cursor=page[-1].name if len(found) > limit else None)

        return await self._step(run)


def _put_limit(step: Step, limit: Limit) -> Outcome:
    if step.format < CLASSES_FROM:
        return Outcome.OLDER
    known = _get(step, limit.id)
    if known == limit:
        return Outcome.DUP
    if known is None and step.db.execute(COUNT).fetchone()[0] >= MAX_LIMITS:
        return Outcome.FULL
    step.db.execute(PUT, (limit.id, limit.max_running))
    _changed(step, limit.id)
    return Outcome.OK


def _get(step: Step, limit_id: str) -> Limit | None:
    found = step.db.execute(GET, (limit_id,)).fetchone()
    return None if found is None else Limit(id=limit_id, max_running=found[0])


def _uses(step: Step, cursor: str, limit: int, of: str | None) -> list[tuple[str, int, int]]:
    if of is None:
        return step.db.execute(USES, (cursor, limit)).fetchall()
    within = (cursor, f"{of};", of, f"{of}:", limit)
    return step.db.execute(USES_OF, within).fetchall()


def _changed(step: Step, limit_id: str) -> None:
    opened = step.db.execute(WAITED_FOR, (limit_id, f"{limit_id}:", f"{limit_id};"))
    if opened.rowcount:
        step.to_wake.add(LEADER_WAKEUP)


def let_go(step: Step) -> None:
    """Let go what waits under limits that have room again. All moves are flushed before."""
    left = MAX_FREED
    names = names_in(step.db.execute(OPEN, (MAX_OPEN,)).fetchall())
    for name in names:
        left -= _let_go_of(step, name, left)
    if names:
        step.flush()
        if step.db.execute(OPEN, (1,)).fetchone():
            step.to_wake.add(LEADER_WAKEUP)


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
    return len(moves)
