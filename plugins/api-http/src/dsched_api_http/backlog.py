"""Bounds on what waits to be run: tasks and bytes, in all and for each token."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import islice

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.model import Home
from dsched_api_http.options import ApiOptions
from dsched_api_http.problems import Problem
from dsched_api_http.tokens import Principal

WAITING = (Home.DELAYED, Home.READY, Home.QUEUE, Home.HELD)
FRESH_S = 1.0  # for how long the store's own count is used
LOOK_EVERY = 500  # after this many tasks of a token the oldest are looked up in the store
LOOK_AGAIN_S = 0.2
# What the store keeps of a task besides its arguments, about.
OVERHEAD_BYTES = 500


@attrs.define
class _Ledger:
    """What one token has submitted here and still waits, as far as is known; oldest first."""

    waiting: dict[str, int] = attrs.field(factory=dict)
    size: int = 0
    reserved: int = 0
    reserved_size: int = 0
    look_at: int = LOOK_EVERY
    looked_s: float = float("-inf")
    looking: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @property
    def count(self) -> int:
        return len(self.waiting) + self.reserved

    @property
    def bytes(self) -> int:
        return self.size + self.reserved_size

    def add(self, task_id: str, size: int) -> None:
        self.size += size - self.waiting.get(task_id, 0)
        self.waiting[task_id] = size

    def drop(self, task_id: str) -> None:
        self.size -= self.waiting.pop(task_id, 0)

    def later(self, task_id: str) -> None:
        """It still waits: look it up after all others."""
        if task_id in self.waiting:
            self.waiting[task_id] = self.waiting.pop(task_id)


class Backlog:
    """The bounds of what waits. The store counts all tasks; this pod counts the tasks of each
    token, and bytes, of what came in through it."""

    def __init__(
        self, store: Store, options: ApiOptions, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._options = options
        self._monotonic = monotonic
        self._ledgers: dict[str, _Ledger] = {}
        self._stored = 0
        self._since = 0  # let in since the store has counted
        self._counted_s = float("-inf")

    @asynccontextmanager
    async def room(self, who: Principal, sizes: Mapping[str, int]) -> AsyncIterator[None]:
        """Let these tasks in (bytes by id) or raise `Problem` 429; with an error they are not
        counted."""
        ledger = self._ledgers.setdefault(who.id, _Ledger())
        count, size = len(sizes), sum(sizes.values()) + OVERHEAD_BYTES * len(sizes)
        await self._check_all(count, size)
        await self._check_token(ledger, count, size)
        ledger.reserved += count
        ledger.reserved_size += size
        self._since += count
        try:
            yield
        except BaseException:
            self._since -= count
            raise
        else:
            for task_id, one in sizes.items():
                ledger.add(task_id, one + OVERHEAD_BYTES)
        finally:
            ledger.reserved -= count
            ledger.reserved_size -= size

    async def _check_all(self, count: int, size: int) -> None:
        most, most_bytes = self._options.max_waiting, self._options.max_waiting_bytes
        if self._monotonic() - self._counted_s >= FRESH_S:
            self._counted_s, self._since = self._monotonic(), 0
            counts = await self._store.counts()
            self._stored = sum(counts.by_home.get(home, 0) for home in WAITING)
        if self._stored + self._since + count > most:
            raise _full(f"{self._stored + self._since} tasks wait to be run", most, "max_waiting")
        if self._held() + size > most_bytes:
            for ledger in list(self._ledgers.values()):
                await self._poll(ledger)
        held = self._held()
        if held + size > most_bytes:
            what = f"{held} bytes of tasks that came by this pod wait to be run"
            raise _full(what, most_bytes, "max_waiting_bytes")

    def _held(self) -> int:
        return sum(ledger.bytes for ledger in self._ledgers.values())

    async def _check_token(self, ledger: _Ledger, count: int, size: int) -> None:
        most, most_bytes = self._share(self._options)

        def over() -> bool:
            return ledger.count + count > most or ledger.bytes + size > most_bytes

        if over() or ledger.count >= ledger.look_at:
            await self._poll(ledger)
        if ledger.count + count > most:
            what = f"{ledger.count} tasks of this token wait to be run"
            raise _full(what, most, "max_waiting_by_token")
        if ledger.bytes + size > most_bytes:
            what = f"{ledger.bytes} bytes of tasks of this token wait to be run"
            raise _full(what, most_bytes, "max_waiting_bytes_by_token")

    @staticmethod
    def _share(options: ApiOptions) -> tuple[int, int]:
        if options.auth == "none":  # all callers are one principal
            return options.max_waiting, options.max_waiting_bytes
        return options.max_waiting_by_token, options.max_waiting_bytes_by_token

    async def _poll(self, ledger: _Ledger) -> None:
        """Look up the oldest tasks of a token, and stop counting those that have begun or ended."""
        async with ledger.looking:
            if self._monotonic() - ledger.looked_s < LOOK_AGAIN_S:
                return
            ledger.looked_s = self._monotonic()
            oldest = list(islice(ledger.waiting, LOOK_EVERY))
            for start in range(0, len(oldest), MAX_BATCH):
                ids = oldest[start : start + MAX_BATCH]
                for task_id, task in zip(ids, await self._store.get(ids), strict=True):
                    if task is None or task.home not in WAITING:
                        ledger.drop(task_id)
                    else:
                        ledger.later(task_id)
            ledger.look_at = ledger.count + LOOK_EVERY


def _full(what: str, most: int, setting: str) -> Problem:
    return Problem(
        "backlog_full",
        f"{what}, and no more than {most} may",
        hint=f"submit again when some have run, add workers, or raise api.{setting}",
        headers={"Retry-After": "10"},
    )
