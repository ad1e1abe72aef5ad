"""What waits under limits, read a few pages at a time."""

from collections.abc import Iterable, Mapping

from dsched.contracts.observer import LimitGauge
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.limits import Limiting, LimitUse, in_force
from dsched.model import Limit, limit_of

PAGES_A_LOOK = 10
MAX_WORST = 20


class LimitUses:
    """The limits and instances in use as they were when they were read last.

    A look reads `PAGES_A_LOOK` pages, from where the one before ended, so that a cluster of ten
    thousand tenants reads each of them at every tenth look.
    """

    def __init__(self) -> None:
        self._before: dict[str, LimitUse] = {}
        self._read: dict[str, LimitUse] = {}
        self._cursor: str | None = None

    async def look(self, store: Limiting) -> None:
        """Read on."""
        for _ in range(PAGES_A_LOOK):
            page = await store.limit_uses(self._cursor, MAX_BATCH)
            self._read.update((one.name, one) for one in page.uses)
            self._cursor = page.cursor
            if page.cursor is None:  # all of them are read: what was not among them is idle
                self._before, self._read = self._read, {}
                return

    def worst(self) -> tuple[LimitUse, ...]:
        """Those under which most waits, the most first."""
        known = (self._before | self._read).values()
        waits = [one for one in known if one.waiting]
        return tuple(sorted(waits, key=lambda one: (-one.waiting, one.name))[:MAX_WORST])


async def told_limits(
    store: Limiting, worst: Iterable[LimitUse], wall_ms: int
) -> tuple[LimitGauge, ...]:
    """The same with what is let, and for how long the oldest has waited."""
    uses = tuple(worst)
    if not uses:
        return ()
    ids = sorted({one.name for one in uses} | {limit_of(one.name) for one in uses})
    found = await store.get_limits(ids)
    stored = {one.id: one for one in found if one is not None}
    return tuple(_gauge(one, stored, wall_ms) for one in uses)


def _gauge(use: LimitUse, stored: Mapping[str, Limit], wall_ms: int) -> LimitGauge:
    oldest_ms = wall_ms if use.oldest_ms is None else use.oldest_ms
    return LimitGauge(
        name=use.name,
        max_running=in_force(use.name, stored),
        held=use.held,
        waiting=use.waiting,
        oldest_s=max(0, wall_ms - oldest_ms) / 1000,
    )
