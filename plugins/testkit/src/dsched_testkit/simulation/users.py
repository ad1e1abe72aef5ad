"""What clients do in a simulated cluster: submissions, triggers, cancels, changes of configs."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import attrs

from dsched.client import Client, ClientError
from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
from dsched.model import Overlap, TaskConfig, from_ms
from dsched_testkit.evidence import Line
from dsched_testkit.simulation.configs import random_policies, random_spec, random_trigger
from dsched_testkit.simulation.faults import Sky


@attrs.define(kw_only=True)
class Users:
    """Clients in a process of their own: submissions, triggers, cancels, changes of configs."""

    client: Client
    sky: Sky
    chance: random.Random
    wall: Callable[[], int]
    zone: str
    task_ids: Callable[[], list[str]]
    configs: dict[str, TaskConfig]
    said: list[Line] = attrs.field(factory=list)
    operations: int = 0

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
        self.operations += 1
        op, call = f"op{self.operations}", getattr(act, "__name__", "call")
        task = how.get("task_id") or (args[0] if call == "cancel" else None)
        self._say("invoke", op, call=call, task=task)
        try:
            await act(*args, **how)  # type: ignore[misc]
        except (StoreUnavailableError, StoreRefusedError):
            self._say("info", op)
        except ClientError:
            self._say("fail", op)
        else:
            self._say("ok", op)
            return True
        return False

    def _say(self, line: str, op: str, **more: object) -> None:
        """The history of this client."""
        self.said.append({"line": line, "op": op, "at_s": self.sky.now_s(), **more})

    async def _submit(self, number: int) -> None:
        chance, task_id = self.chance, f"job{number}"
        delay_s = chance.choice((0, 0, 0, chance.uniform(0, 20)))
        spec = random_spec(chance, self.sky.faults)
        done = await self.tried(self.client.submit, spec, task_id=task_id, delay_s=delay_s)
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
            *("pause_until", "pause_until"),
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
            case "pause_until":
                until = timedelta(seconds=chance.choice((1, 5, 40)))
                await self.tried(self.client.pause_config, config_id, why="simulation", until=until)
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
        """Other policies, half the time another trigger of the same kind, now and then another
        overlap."""
        chance, old = self.chance, self.configs[config_id]
        overlap = chance.choice((old.overlap, old.overlap, old.overlap, *Overlap))
        policies = random_policies(chance, self.sky.faults, overlap)
        if chance.random() < 0.5:
            if old.workflow is not None and old.workflow.steps:
                policies["payload"] = None  # its steps have payloads of their own
            config = attrs.evolve(old, **policies)
        else:
            trigger = random_trigger(chance, config_id, self.wall(), self.zone)
            config = TaskConfig(id=config_id, executor="fn", **trigger, **policies)
        self.configs[config_id] = config
        await self.tried(self.client.put_config, config)
