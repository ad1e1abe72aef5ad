"""Clients of a cluster under chaos: submit, trigger, cancel, retry, pause; each call is told."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs

from chaos.exporter import ConfigCalls
from chaos.workflows import ANCHOR, flow_configs, flow_spec
from dsched.client import Client, ClientError
from dsched.contracts.store.outcomes import StoreError
from dsched.model import (
    Misfire,
    OnCrash,
    Overlap,
    RetryPolicy,
    TaskConfig,
    TaskSpec,
    manual_task_id,
)
from dsched_testkit.evidence import Recorder
from dsched_testkit.instants import content_line

CALL_S = 12.0
# What is queued without a bound has to be worked off faster than it comes, also when a
# cluster was out for a while; else no bound on the rest at the end could be promised.
QUICK: dict[str, Any] = {"function": "nap", "args": {"seconds": 0.1}}
_TRIGGERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("every-1", {"every": timedelta(seconds=1), "start_at": ANCHOR}),
    ("every-1500", {"every": timedelta(milliseconds=1500), "start_at": ANCHOR}),
    ("every-1300", {"every": timedelta(milliseconds=1300), "start_at": ANCHOR}),
    ("every-2", {"every": timedelta(seconds=2), "start_at": ANCHOR}),
    ("cron-2", {"cron_expr": "*/2 * * * * *"}),
    ("cron-5", {"cron_expr": "*/5 * * * * *"}),
    ("cron-some", {"cron_expr": "1,7,23,24,25,40,59 * * * * *"}),
    ("delay-1", {"fixed_delay": timedelta(seconds=1)}),
    ("delay-3", {"fixed_delay": timedelta(seconds=3)}),
)


def random_configs(chance: random.Random) -> list[TaskConfig]:
    """Nine configs: four `every`, three crons with seconds, two fixed delays; every policy. And
    four that make runs of workflows."""
    found = []
    for number, (config_id, trigger) in enumerate(_TRIGGERS):
        spec = random_spec(chance)
        policies = {
            "overlap": tuple(Overlap)[number % len(Overlap)],
            "misfire": tuple(Misfire)[number % len(Misfire)],
            "misfire_grace": timedelta(seconds=chance.choice((1, 5, 60))),
        }
        if policies["misfire"] is Misfire.FIRE_ALL:  # beside the others it is refused
            policies["overlap"] = chance.choice((Overlap.ALLOW, Overlap.QUEUE_ALL))
        kept = ("payload", "timeout", "retry", "on_crash", "max_crashes", "priority")
        copied = {name: getattr(spec, name) for name in kept}
        if policies["overlap"] is Overlap.QUEUE_ALL:
            copied["payload"] = QUICK
        found.append(TaskConfig(id=config_id, executor="local", **trigger, **policies, **copied))
    return [*found, *flow_configs(chance, random_spec(chance))]


def random_spec(chance: random.Random) -> TaskSpec:
    """A task: short mostly, now and then longer than a lease, failing, hanging, or in a process."""
    seconds = chance.choice((0.0, 0.02, 0.1, 0.3, 0.3, 1.0, 1.0, 4.0))
    function = chance.choices(("nap", "work", "stumble", "apart"), (60, 20, 18, 2))[0]
    args: dict[str, Any] = {"seconds": seconds}
    if function == "stumble":
        args["falls"] = chance.choice((1, 1, 2, 9))
    timeout_s = 2.5 if chance.random() < 0.05 else 20.0
    retry = RetryPolicy(
        max_retries=chance.choice((0, 1, 3)),
        retry_delay=timedelta(seconds=chance.choice((0.2, 1.0))),
        backoff_rate=2.0,
        max_delay=timedelta(seconds=3),
    )
    return TaskSpec(
        executor="local",
        payload={"function": function, "args": args},
        timeout=timedelta(seconds=timeout_s),
        retry=retry,
        on_crash=chance.choice((OnCrash.RETRY, OnCrash.RETRY, OnCrash.RETRY, OnCrash.FAIL)),
        max_crashes=chance.choice((1, 3, 20)),
        priority=chance.randint(0, 9),
    )


@attrs.define(kw_only=True)
class Users:
    """Several clients in one process. Their history is flushed before and after each call.

    The configs that are ``left_alone`` are neither edited nor paused: only those can be accounted
    for where the store's wall clock goes back.
    """

    client: Client
    recorder: Recorder
    calls: ConfigCalls
    chance: random.Random
    configs: list[TaskConfig]
    left_alone: frozenset[str] = frozenset()
    acknowledged: list[str] = attrs.field(factory=list)
    acknowledged_s: dict[str, float] = attrs.field(factory=dict)
    operations: int = 0

    async def put_all(self) -> None:
        """Create the configs; returns when all are there."""
        for config in self.configs:
            self.calls.contents[config.id] = content_line(config)
            await self.insist("put", config.id, partial(self.client.put_config, config))

    async def delete_all(self) -> None:
        """Remove the configs: nothing fires any more."""
        for config in self.configs:
            await self.insist("deleted", config.id, partial(self.client.delete_config, config.id))

    async def insist(self, act: str, config_id: str, call: Callable[[], Awaitable[object]]) -> None:
        """Change a config, again and again until the store says that it is so."""
        for _ in range(30):
            ended = await self._change(act, config_id, call)
            if ended == "ok" or (ended == "fail" and act == "deleted"):
                return  # what a failover forgot cannot be deleted, and need not
            await asyncio.sleep(0.5)
        raise AssertionError(f"{act} of {config_id} was never acknowledged")

    async def run(self) -> None:
        """Act until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(self._submit_on(f"s{number}"))
            group.create_task(self._run_on("r"))
            group.create_task(self._operate())

    async def _submit_on(self, name: str) -> None:
        chance, number = random.Random(f"{self.chance.random()}{name}"), 0
        while True:
            number += 1
            await asyncio.sleep(chance.uniform(0.1, 0.8))
            dice, task_id = chance.random(), f"{name}-{number}"
            if dice < 0.75:
                spec = random_spec(chance)
                delay_s = chance.choice((0, 0, 0, 0, 0.5, 3.0))
                await self.submit(task_id, spec, delay_s)
            elif dice < 0.85:
                await self.trigger(chance.choice(self.configs).id, task_id)
            elif self.acknowledged:
                victim = chance.choice(self.acknowledged[-30:])
                await self.told("cancel", victim, partial(self.client.cancel, victim))

    async def _run_on(self, name: str) -> None:
        """Make runs of workflows, cancel some, and retry some whole or from their failures."""
        chance, number = random.Random(f"{self.chance.random()}{name}"), 0
        while True:
            number += 1
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            run_id, made = f"{name}-{number}", f"{name}-{chance.randrange(number) + 1}"
            dice = chance.random()
            if dice < 0.6:
                await self.submit(run_id, flow_spec(chance, random_spec(chance)))
            elif made in self.acknowledged and dice < 0.75:
                await self.told("cancel", made, partial(self.client.cancel, made))
            elif made in self.acknowledged:
                failed = chance.random() < 0.5
                again = partial(self.client.retry, made, key=str(number), failed=failed)
                await self.told("retry", None, again)

    async def submit(self, task_id: str, spec: TaskSpec, delay_s: float = 0.0) -> None:
        """Submit; now and then once more, as a client does that lost its memory."""
        for _ in range(1 + (self.chance.random() < 0.05)):
            call = partial(self.client.submit, spec, task_id=task_id, delay_s=delay_s)
            if await self.told("submit", task_id, call) == "ok":
                self.acknowledged.append(task_id)

    async def trigger(self, config_id: str, key: str) -> None:
        """Run a config's task now."""
        task_id = manual_task_id(config_id, key)
        call = partial(self.client.trigger, config_id, key=key)
        if await self.told("trigger", task_id, call) == "ok":
            self.acknowledged.append(task_id)

    async def _operate(self) -> None:
        """One operator: pauses, resumes, skips. One change at a time."""
        paused: set[str] = set()
        operated = [config for config in self.configs if config.id not in self.left_alone]
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 3.0))
            config = self.chance.choice(operated)
            act = self.chance.choice(("pause", "resume", "skip", "edit"))
            if act == "pause" and len(paused) < 3:
                call = partial(self.client.pause_config, config.id, why="chaos")
                await self._change("paused", config.id, call)
                paused.add(config.id)
            elif act == "resume" and paused:
                one = self.chance.choice(sorted(paused))
                resume = partial(self.client.resume_config, one)
                if await self._change("resumed", one, resume) == "ok":
                    paused.discard(one)
            elif act == "skip" and config.fixed_delay is None:
                await self._skip(config.id)
            elif act == "edit" and config.workflow is None:
                await self._edit(config)

    async def _skip(self, config_id: str) -> None:
        # (By `time`, whose clock the suite can step.)
        first = datetime.fromtimestamp(time.time(), UTC) + timedelta(
            seconds=self.chance.uniform(0.5, 4)
        )
        to = first + timedelta(seconds=self.chance.uniform(2, 6))
        call = partial(self.client.skip_config, config_id, from_=first, to=to, why="chaos")
        await self.told("skip", None, call)

    async def _edit(self, config: TaskConfig) -> None:
        """Another payload and priority; the trigger stays, so its instants are the same."""
        spec = random_spec(self.chance)
        payload = QUICK if config.overlap is Overlap.QUEUE_ALL else spec.payload
        changed = attrs.evolve(config, payload=payload, priority=spec.priority)
        await self._change("put", config.id, partial(self.client.put_config, changed))

    async def _change(self, act: str, config_id: str, call: Callable[[], Awaitable[object]]) -> str:
        entry = self.calls.invoke(config_id, act)
        entry[1] = await self.told(act, None, call)
        return str(entry[1])

    async def told(
        self, call: str, task_id: str | None, act: Callable[[], Awaitable[object]]
    ) -> str:
        """Call, and write down how it went: ``ok``, ``fail``, ``info``."""
        self.operations += 1
        op, began_s = f"op{self.operations}", time.monotonic()
        self.recorder.write("invoke", op=op, at_s=began_s, call=call, task=task_id)
        try:
            async with asyncio.timeout(CALL_S):
                await act()
        except (StoreError, TimeoutError, asyncio.CancelledError) as error:
            ended = "info"
            if isinstance(error, asyncio.CancelledError):
                self.recorder.write(ended, op=op, at_s=time.monotonic())
                raise
        except ClientError:
            ended = "fail"
        else:
            ended = "ok"
        ended_s = time.monotonic()
        self.recorder.write(ended, op=op, at_s=ended_s)
        if ended == "ok" and call in ("submit", "trigger") and task_id is not None:
            self.acknowledged_s[task_id] = ended_s
        return ended
