"""What goes wrong in a run, one process or one world at a time, and what clients do meanwhile."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import attrs

from dsched.client import Client, ClientError
from dsched.contracts.outcomes import StoreUnavailableError
from dsched.model import Overlap, TaskConfig, from_ms
from dsched_testkit.simulation.configs import random_policies, random_spec, random_trigger
from dsched_testkit.simulation.faults import PROCESS_FAULTS, WORLD_FAULTS, Sky
from dsched_testkit.simulation.processes import Process, Processes
from dsched_testkit.virtual_time import VirtualWall

NAMES = ("a", "b", "c")
MOST_CLOCK_STEPS = 3  # each way: more would only carry the wall away
ODD_WORK = ("hang", "raise", "ignore_cancel", "late_answer")


@attrs.define(kw_only=True)
class Trouble:
    """Breaks processes and the world every few seconds, until the sky is fair."""

    processes: Processes
    sky: Sky
    wall: VirtualWall
    chance: random.Random
    group: asyncio.TaskGroup

    async def run(self) -> None:
        """Until the sky is fair."""
        kinds = [kind for kind in (*PROCESS_FAULTS, *WORLD_FAULTS) if kind in self.sky.faults]
        while kinds:
            await asyncio.sleep(self.chance.uniform(2, 14))
            if self.sky.fair:
                return
            kind = self.chance.choice(kinds)
            if kind in WORLD_FAULTS:
                self._world(kind)
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

    def _process(self, kind: str) -> None:
        chance, processes = self.chance, self.processes
        leader = processes.leader()
        victim = leader if leader and chance.random() < 0.4 else chance.choice(processes.alive)
        self.sky.counts[kind] += 1
        now_s = self.sky.now_s()
        match kind:
            case "pause":
                victim.wire.paused_until_s = now_s + chance.uniform(0.5, 60)
            case "cut":
                victim.wire.cut_until_s = now_s + chance.uniform(0.5, 60)
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

    def _leave(self, victim: Process, *, operator: bool) -> None:
        if operator:
            self.group.create_task(self._drained(victim), name="operator")
        else:
            self.processes.leave(victim)
            self._start_later(victim.name, self.chance.uniform(1, 20))

    async def _drained(self, victim: Process) -> None:
        """An operator drains the worker; some time later its pod is restarted."""
        await self.processes.state_store().drain(victim.worker_id, None)
        await asyncio.sleep(self.chance.uniform(2, 20))
        self.processes.leave(victim)
        self._start_later(victim.name, self.chance.uniform(1, 10))

    def _start_later(self, name: str, seconds: float, worker_id: str | None = None) -> None:
        async def start() -> None:
            await asyncio.sleep(seconds)
            if not self.sky.fair:
                self.processes.start(name, worker_id)

        self.group.create_task(start(), name="restart")


@attrs.define(kw_only=True)
class Users:
    """Clients behind a wire of their own: submissions, triggers, cancels, changes of configs."""

    client: Client
    sky: Sky
    chance: random.Random
    wall: Callable[[], int]
    task_ids: Callable[[], list[str]]
    configs: dict[str, TaskConfig]
    acknowledged: list[str] = attrs.field(factory=list)
    refused: int = 0

    async def put_all(self) -> None:
        """Create the configs."""
        for config in self.configs.values():
            await self.tried(self.client.put_config, config)

    async def run(self) -> None:
        """Act every second or so until the sky is fair."""
        number = 0
        while not self.sky.fair:
            await asyncio.sleep(self.chance.uniform(0.1, 2.5))
            number += 1
            dice = self.chance.random()
            if dice < 0.7:
                await self._submit(number)
            elif dice < 0.85 and "cancel" in self.sky.faults:
                await self._cancel()
            elif "edit" in self.sky.faults:
                await self._change(number)

    async def tried(self, act: Callable[..., object], *args: object, **how: object) -> bool:
        """Whether the act was answered. A client may give up, or find that others were faster."""
        try:
            await act(*args, **how)  # type: ignore[misc]
        except (StoreUnavailableError, ClientError):
            self.refused += 1
            return False
        return True

    async def _submit(self, number: int) -> None:
        chance, task_id = self.chance, f"job{number}"
        delay_s = chance.choice((0, 0, 0, chance.uniform(0, 20)))
        spec = random_spec(chance, self.sky.faults)
        done = await self.tried(self.client.submit, spec, task_id=task_id, delay_s=delay_s)
        if done:
            self.acknowledged.append(task_id)
        if done and chance.random() < 0.05:
            await self.tried(self.client.submit, spec, task_id=task_id, delay_s=delay_s)
            await self.tried(
                self.client.submit, attrs.evolve(spec, owner="somebody"), task_id=task_id
            )

    async def _cancel(self) -> None:
        ids = self.task_ids()[-40:]
        if ids:
            self.sky.counts["cancel"] += 1
            await self.tried(self.client.cancel, self.chance.choice(ids))

    async def _change(self, number: int) -> None:
        chance = self.chance
        config_id = chance.choice([key for key in sorted(self.configs) if "at" not in key[:2]])
        self.sky.counts["edit"] += 1
        acts = (
            *("edit", "edit", "pause", "resume", "resume", "delete", "trigger", "disable"),
            *("skip", "skip", "skip", "backfill", "step_down"),
        )
        match chance.choice(acts):
            case "edit":
                await self._edit(config_id)
            case "disable":
                config = attrs.evolve(self.configs[config_id], enabled=False)
                await self.tried(self.client.put_config, config)
            case "pause":
                await self.tried(self.client.pause_config, config_id, why="simulation")
            case "resume":
                await self.tried(self.client.resume_config, config_id)
            case "delete":
                cancel = chance.random() < 0.5
                await self.tried(self.client.delete_config, config_id, cancel_tasks=cancel)
            case "trigger":
                await self.tried(self.client.trigger, config_id, key=f"k{number}")
            case "skip":
                await self._skip(config_id)
            case "backfill":
                await self._backfill(config_id)
            case "step_down":
                await self.tried(self.client.step_down, why="simulation")

    async def _skip(self, config_id: str) -> None:
        """Instants of the next while, some of which may have come when the store hears of it."""
        now, chance = from_ms(self.wall()), self.chance
        first = now + timedelta(seconds=chance.uniform(-1, 30))
        last = first + timedelta(seconds=chance.choice((1, 5, 40)))
        await self.tried(self.client.skip_config, config_id, from_=first, to=last, why="simulation")

    async def _backfill(self, config_id: str) -> None:
        """A few of the past instants, whether or not they fired."""
        last = from_ms(self.wall())
        first = last - timedelta(seconds=self.chance.uniform(1, 90))
        again = self.chance.random() < 0.5
        await self.tried(
            self.client.backfill_config,
            config_id,
            from_=first,
            to=last,
            limit=5,
            again=again,
            why="simulation",
        )

    async def _edit(self, config_id: str) -> None:
        """Another trigger of the same kind, other policies; now and then another overlap."""
        chance, old = self.chance, self.configs[config_id]
        overlap = chance.choice((old.overlap, old.overlap, old.overlap, *Overlap))
        policies = random_policies(chance, self.sky.faults, overlap)
        trigger = random_trigger(chance, config_id, self.wall())
        config = TaskConfig(id=config_id, executor="fn", **trigger, **policies)
        self.configs[config_id] = config
        await self.tried(self.client.put_config, config)
