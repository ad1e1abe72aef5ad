"""Limits of the reference store: stored, listed, and what waits under them let go."""

from collections.abc import Iterable, Sequence

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
    LimitUsePage,
)
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.model import Limit, limit_of
from dsched.model.limits import own_limit, owner_of
from dsched.model.rates import Pace
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.places import UNDER
from dsched_testkit.memory.state import State, TaskRow


class MemoryLimiting(OnState, Limiting):
    """Limits."""

    async def put_limit(self, limit: Limit) -> Outcome:
        """Store a limit."""
        with self._state.step():
            if self._state.format < CLASSES_FROM:
                return Outcome.OLDER
            limits = self._state.places.limits
            if limits.get(limit.id) == limit:
                return Outcome.DUP
            if limit.id not in limits and len(self._listed()) >= MAX_LIMITS:
                return Outcome.FULL
            paces = _paces(self._state, limit.id)
            limits[limit.id] = limit
            _changed(self._state, limit.id, paces)
            return Outcome.OK

    async def drop_limit(self, limit_id: str, *, force: bool) -> Outcome:
        """Remove a limit."""
        with self._state.step():
            places = self._state.places
            if limit_id not in places.limits:
                return Outcome.UNKNOWN
            if not force and any(_is_of(name, limit_id) for name in places.held | places.waiting):
                return Outcome.TAKEN
            paces = _paces(self._state, limit_id)
            del places.limits[limit_id]
            _changed(self._state, limit_id, paces)
            return Outcome.OK

    async def get_limits(self, limit_ids: Sequence[str]) -> tuple[Limit | None, ...]:
        """Limits by id."""
        check_batch(limit_ids)
        with self._state.step():
            return tuple(self._state.places.limits.get(limit_id) for limit_id in limit_ids)

    async def list_limits(self, cursor: str | None, limit: int) -> LimitPage:
        """Limits by id."""
        check_limit(limit)
        with self._state.step():
            limits = self._state.places.limits
            page, more = _page(self._listed(), cursor, limit)
            return LimitPage(limits=tuple(limits[one] for one in page), cursor=more)

    async def limit_uses(
        self, cursor: str | None, limit: int, *, of: str | None = None
    ) -> LimitUsePage:
        """What holds places or is waited for."""
        check_limit(limit)
        with self._state.step():
            places = self._state.places
            names = [one for one in _in_use(self._state) if of is None or _is_of(one, of)]
            page, more = _page(names, cursor, limit)
            uses = tuple(places.use(one, _oldest_under(self._state, one)) for one in page)
            return LimitUsePage(uses=uses, cursor=more)

    async def place_in_line(self, name: str, task_id: str) -> int | None:
        """How many tasks go before this one, and itself."""
        with self._state.step():
            line = _line_under(self._state, f"{UNDER}{name}")
            return min(line.index(task_id) + 1, MAX_PLACE) if task_id in line else None

    def _listed(self) -> list[str]:
        return [one for one in self._state.places.limits if owner_of(one) is None]


def bound_config(state: State, config_id: str, max_running: int | None) -> None:
    """A config is put with this, or deleted (None): its own limit follows."""
    name, limits = own_limit(config_id), state.places.limits
    before = limits.pop(name, None)
    if max_running is not None:
        limits[name] = Limit(id=name, max_running=max_running)
    if limits.get(name) != before:
        _changed(state, name, {})


def _paces(state: State, limit_id: str) -> dict[str, Pace | None]:
    places = state.places
    return {name: places.pace(name) for name in places.full if _is_of(name, limit_id)}


def _changed(state: State, limit_id: str, paces: dict[str, Pace | None]) -> None:
    places = state.places
    for name, before in paces.items():
        places.repace(name, before)
    if places.may_open([name for name in places.waiting if _is_of(name, limit_id)]):
        state.wakeups.wake(LEADER_WAKEUP)


def wait_under_limit(state: State, row: TaskRow, name: str) -> None:
    """A ready task that waited under nothing does so under a limit that refused it, or that has
    room for it yet, and others before it."""
    places = state.places
    put_under(state, row, f"{UNDER}{name}")
    places.touched.add(name)
    if places.may_open(one for one in row.spec.limits if one != name or places.room(one) > 0):
        state.wakeups.wake(LEADER_WAKEUP)


def let_go(state: State) -> None:
    """Let go what waits under limits that have room again."""
    places, left = state.places, MAX_FREED
    for name in places.touched:
        places.expect(name)
    places.touched.clear()
    for name in places.opening()[:MAX_OPEN]:
        room = places.room(name)
        while left and room > 0 and places.waiting[name]:
            row = state.tasks[_first_under(state, f"{UNDER}{name}")]
            shut = row.demanded if row.demanded in state.shut else None
            put_under(state, row, places.shut_for(row, passing=name) or shut)
            left -= 1
            room -= row.under is None
        if room <= 0:
            places.open.pop(name, None)
        if places.room(name) <= 0:
            places.expect(name)
    more = places.forget_full(MAX_FORGOTTEN)
    if places.opening() or more:
        state.wakeups.wake(LEADER_WAKEUP)


def put_under(state: State, row: TaskRow, under: str | None) -> None:
    """A ready task waits under this from now on, or under nothing."""
    state.places.put_under(row, under)
    state.ready.add(row.id, row.ready_key)


def _first_under(state: State, under: str) -> str:
    return _line_under(state, under)[0]


def _line_under(state: State, under: str) -> list[str]:
    waiting = state.ready.page(state.open_count(), len(state.ready))
    return [key for key in waiting if state.tasks[key].under == under]


def _oldest_under(state: State, name: str) -> int | None:
    if not state.places.waiting[name]:
        return None
    under = f"{UNDER}{name}"
    return min(row.scheduled_ms for row in state.tasks.values() if row.under == under)


def _in_use(state: State) -> set[str]:
    places = state.places
    return places.held.keys() | places.waiting.keys() | places.full.keys()


def _is_of(name: str, limit_id: str) -> bool:
    return limit_id in (name, limit_of(name))


def _page(names: Iterable[str], cursor: str | None, limit: int) -> tuple[list[str], str | None]:
    found = sorted(name for name in names if cursor is None or name > cursor)
    return found[:limit], found[limit - 1] if len(found) > limit else None
