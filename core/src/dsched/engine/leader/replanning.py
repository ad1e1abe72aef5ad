"""After the store's clock went back: dues that lie too far ahead are planned anew."""

import logging
from datetime import timedelta

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.firing import Replan
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.term import Term
from dsched.planning import next_due

log = logging.getLogger("dsched.leader")

PAGES_A_TICK = 20


class ReplanStep:
    """Walks over all configs once for each new generation of the clock, a page at a time."""

    def __init__(self, store: Store, term: Term, watch: ClockWatch) -> None:
        self._store = store
        self._term = term
        self._watch = watch
        self._done_for = 0
        self._walking_for = 0
        self._cursor: str | None = None

    async def replan(self) -> bool:
        """If the clock went back since the last walk: due := min(due, next after the wall).

        At most `PAGES_A_TICK` pages; whether there is more to do at once.
        """
        clock_gen = self._watch.clock_gen
        if clock_gen is None or clock_gen == self._done_for:
            return False
        if clock_gen != self._walking_for:
            self._walking_for, self._cursor = clock_gen, None
            self._term.disturbed()
        for _ in range(PAGES_A_TICK):
            self._term.check()
            await self._replan_page()
            if self._cursor is None:
                self._done_for = clock_gen
                return False
        return True

    async def _replan_page(self) -> None:
        page = await self._store.list_configs(self._cursor, MAX_BATCH)
        wall_ms = (await self._store.now()).wall_ms
        items = [item for stored in page.configs if (item := _planned(stored, wall_ms))]
        if items:
            await self._store.replan(self._term.fence, items)
        self._cursor = page.cursor


def _planned(stored: StoredConfig, wall_ms: int) -> Replan | None:
    try:
        return replanned(stored, wall_ms)
    except Exception:
        # One config that cannot be planned must not keep the others from firing.
        log.exception("config %s cannot be planned; its due instant stays", stored.config.id)
        return None


def replanned(stored: StoredConfig, wall_ms: int) -> Replan | None:
    """How a config's due moves back with the clock, or None if it stays."""
    due_ms, last_fired_ms = stored.due_ms, stored.last_fired_ms
    if due_ms is None or stored.paused is not None:
        return None
    if last_fired_ms is not None:
        last_fired_ms = min(last_fired_ms, wall_ms)
    delay = stored.config.fixed_delay
    if delay is not None:
        next_ms: int | None = wall_ms + delay // timedelta(milliseconds=1)
    else:
        next_ms = next_due(stored.config, now_ms=wall_ms, last_fired_ms=last_fired_ms)
    moved_ms = due_ms if next_ms is None else min(due_ms, next_ms)
    if (moved_ms, last_fired_ms) == (due_ms, stored.last_fired_ms):
        return None
    return Replan(
        config_id=stored.config.id,
        revision=stored.config.revision,
        due_ms=due_ms,
        next_due_ms=moved_ms,
        last_fired_ms=last_fired_ms,
    )
