"""What goes wrong with the store itself: restarts and failovers that lose writes, refusals."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import attrs

from dsched.model import config_of
from dsched_testkit.judging.testimony import LOSS_BOUND_S, Loss
from dsched_testkit.kernel.recording import Books
from dsched_testkit.kernel.virtual_time import VirtualWall
from dsched_testkit.memory import State
from dsched_testkit.simulation.copies import copy_of, nothing_stored, put_back
from dsched_testkit.simulation.faults import Sky

RESTART_LOSES_S = 1.0
MOST_FAILOVERS = 4
EVICTS_AFTER_MS = 60_000  # what nobody has asked for in that time


@attrs.define(kw_only=True)
class StoreTrouble:
    """Breaks the store. ``dying`` is called before writes are lost, with the last kept position."""

    state: State
    books: Books
    sky: Sky
    wall: VirtualWall
    chance: random.Random
    dying: Callable[[int], None]
    losses: list[Loss] = attrs.field(factory=list)
    evicted: set[str] = attrs.field(factory=set)
    evictions: Counter[str] = attrs.field(factory=Counter)
    clock_went_back: bool = False

    async def strike(self, kind: str) -> None:
        """One fault of the store, begun now."""
        chance, sky = self.chance, self.sky
        match kind:
            case "restart":
                sky.counts[kind] += 1
                await self._lose(kind, chance.uniform(0, RESTART_LOSES_S))
                self._refuse("loading", chance.uniform(0.2, 5))
            case "failover" if sky.counts[kind] < MOST_FAILOVERS:
                sky.counts[kind] += 1
                await self._lose(kind, chance.uniform(0, LOSS_BOUND_S))
                self._other_clock()
                self._refuse("readonly", chance.uniform(0.2, 3))
            case "wipe" if not sky.counts[kind]:
                sky.counts[kind] += 1
                self._wipe()
            case "loading" | "readonly" | "oom":
                sky.counts[kind] += 1
                self._refuse(kind, chance.uniform(0.5, 20))
            case "evict":
                self._evict()

    async def _lose(self, kind: str, seconds: float) -> None:
        """What is written from now on for ``seconds`` is lost when the server goes down then."""
        from_s, position = self.sky.now_s(), self.state.last_cursor
        kept = copy_of(self.state), copy_of(self.books)
        generation = self.sky.generation
        await asyncio.sleep(seconds)
        if self.sky.fair or self.sky.generation != generation:
            return
        self.dying(position)
        put_back(self.state, kept[0])
        put_back(self.books, kept[1])
        self.losses.append(Loss(from_s=from_s, upto_s=self.sky.now_s(), kind=kind))
        self.sky.dead_until_s = self.sky.now_s() + self.chance.uniform(0.2, 15)
        await asyncio.sleep(self.sky.dead_until_s - self.sky.now_s())

    def _other_clock(self) -> None:
        """The copy's server has a clock of its own."""
        chance = self.chance
        by_ms = chance.choice((0, chance.randint(-900, 900), chance.randint(-20_000, 20_000)))
        self.wall.step(by_ms)
        self.clock_went_back |= by_ms < 0

    def _wipe(self) -> None:
        self.dying(0)
        put_back(self.state, nothing_stored(self.state))
        put_back(self.books, copy_of(Books()))
        self.losses.append(Loss(from_s=0.0, upto_s=self.sky.now_s(), kind="wipe"))
        self.sky.generation += 1

    def _refuse(self, kind: str, seconds: float) -> None:
        self.sky.refusing = kind
        self.sky.refusing_until_s = self.sky.now_s() + seconds

    def _evict(self) -> None:
        """A server that evicts takes what has a time to live: the lock, wake-ups, ended tasks."""
        self.sky.counts["evict"] += 1
        state, what = self.state, self.chance.choice(("lock", "lock", "wake-ups", "ended"))
        self.evictions[f"evicted {what}"] += 1
        match what:
            case "lock":
                state.fence, state.lock_until_ms = None, 0
            case "wake-ups":
                state.wakeups.forget()
            case "ended":
                self._evict_ended()

    def _evict_ended(self) -> None:
        """Some of the ended. What a fire made only where no instant can come a second time.

        Where the clock may go back, the kept task is what tells an instant that came already.
        """
        again = self.sky.faults & {"clock_back", "failover"}
        old_ms = self.state.wall() - EVICTS_AFTER_MS
        ended = [
            row.id
            for row in self.state.tasks.values()
            if row.end_ms is not None and row.end_ms < old_ms
            # Runs have no time to live, nor have their members: they go together.
            if row.spec.workflow is None and row.spec.member is None
            if not (again and config_of(row.id))
        ]
        for task_id in self.chance.sample(ended, min(len(ended), 5)):
            del self.state.tasks[task_id]
            self.evicted.add(task_id)
