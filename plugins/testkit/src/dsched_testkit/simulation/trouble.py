"""What goes wrong in a run, one process, one store or one world at a time."""

import asyncio
import random
from collections.abc import Callable

import attrs

from dsched_testkit.kernel.virtual_time import VirtualWall
from dsched_testkit.simulation.faults import (
    PROCESS_FAULTS,
    STORE_FAULTS,
    WORLD_FAULTS,
    FaultyProcess,
    Sky,
)
from dsched_testkit.simulation.processes import Processes
from dsched_testkit.simulation.store_trouble import StoreTrouble

NAMES = ("a", "b", "c")
MOST_CLOCK_STEPS = 3  # each way: more would only carry the wall away
ODD_WORK = ("hang", "raise", "ignore_cancel", "late_answer", "huge_result")


@attrs.define(kw_only=True)
class Trouble:
    """Breaks processes and the world every few seconds, until the sky is fair."""

    processes: Processes
    store: StoreTrouble
    sky: Sky
    wall: VirtualWall
    chance: random.Random
    group: asyncio.TaskGroup
    emptied: Callable[[], None]
    _striking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the sky is fair."""
        menu = (*PROCESS_FAULTS, *WORLD_FAULTS, *STORE_FAULTS)
        kinds = [kind for kind in menu if kind in self.sky.faults]
        while kinds:
            await asyncio.sleep(self.chance.uniform(2, 12))
            if self.sky.fair:
                return
            kind = self.chance.choice(kinds)
            if kind in WORLD_FAULTS:
                self._world(kind)
            elif kind in STORE_FAULTS:
                self._store(kind)
            elif self.processes.alive:
                self._process(kind)

    def _world(self, kind: str) -> None:
        chance = self.chance
        if kind != "outage" and self.sky.counts[kind] >= MOST_CLOCK_STEPS:
            return
        self.sky.counts[kind] += 1
        match kind:
            case "outage":
                self.sky.down_until_s = self.sky.now_s() + chance.uniform(1, 40)
            case "clock_forward":
                self.wall.step(chance.choice((700, chance.randint(2000, 120_000))))
            case "clock_back":
                self.wall.step(-chance.choice((700, chance.randint(2000, 60_000))))

    def _store(self, kind: str) -> None:
        """A fault of the store takes its time; others strike meanwhile, but no second of these."""
        if self._striking is not None and not self._striking.done():
            return
        generation = self.sky.generation
        self._striking = self.group.create_task(self.store.strike(kind), name="store")
        if kind == "wipe":
            self.group.create_task(self._start_anew(generation), name="operator")

    async def _start_anew(self, generation: int) -> None:
        """After a wipe nothing works any more until the pods are started anew, one by one."""
        await asyncio.sleep(self.chance.uniform(0.1, 5))
        if self.sky.generation == generation or self.sky.fair:
            return
        self.emptied()
        for one in list(self.processes.alive):
            await asyncio.sleep(self.chance.uniform(0.1, 5))
            if one in self.processes.alive and one.generation != self.sky.generation:
                self.processes.kill(one)
            self._start_later(one.name, self.chance.uniform(0.1, 5))

    def _process(self, kind: str) -> None:
        chance, processes = self.chance, self.processes
        leader = processes.leader()
        victim = leader if leader and chance.random() < 0.4 else chance.choice(processes.alive)
        self.sky.counts[kind] += 1
        now_s = self.sky.now_s()
        match kind:
            case "pause":
                victim.frozen_until_s = now_s + chance.uniform(0.5, 60)
            case "cut":
                victim.cut_until_s = now_s + chance.uniform(0.5, 60)
            case "crash":
                processes.kill(victim)
                self._start_later(victim.name, chance.uniform(0.5, 20))
            case "takeover":
                processes.kill(victim)
                self._start_later(victim.name, chance.uniform(0.5, 40), victim.worker_id)
            case "twin" if len(processes.alive) < 5:
                processes.start(victim.name, victim.worker_id)
            case "loss" if len(processes.alive) > 1:
                processes.kill(victim)
                self._start_later(victim.name, chance.uniform(60, 120))
            case "leave" | "drain":
                self._leave(victim, operator=kind == "drain")

    def _leave(self, victim: FaultyProcess, *, operator: bool) -> None:
        if operator:
            self.group.create_task(self._drained(victim), name="operator")
        else:
            victim.stop()
            self._start_later(victim.name, self.chance.uniform(1, 20))

    async def _drained(self, victim: FaultyProcess) -> None:
        """An operator drains the worker; some time later its pod is restarted.

        That is every pod with its id: another process may be registered by then. The operator
        completes what was begun, even if the faults are over meanwhile.
        """
        await self.processes.state_store().drain(victim.worker_id, None)
        await asyncio.sleep(self.chance.uniform(2, 20))
        for one in self.processes.alive:
            if one.worker_id == victim.worker_id:
                one.stop()
        await asyncio.sleep(self.chance.uniform(1, 10))
        self.processes.start(victim.name)

    def _start_later(self, name: str, seconds: float, worker_id: str | None = None) -> None:
        async def start() -> None:
            await asyncio.sleep(seconds)
            if not self.sky.fair:
                self.processes.start(name, worker_id)

        self.group.create_task(start(), name="restart")
