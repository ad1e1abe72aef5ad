"""Random runs of many tasks: what clients submit, and a few configs that make them."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import attrs

from dsched.model import Overlap, Step, TaskConfig, TaskSpec, When, Workflow
from dsched.model.shards import EACH_WORKER, Shards
from dsched_testkit.simulation.bodies import random_payload
from dsched_testkit.simulation.configs import (
    OVERLAPS,
    random_policies,
    random_spec,
    random_trigger,
)
from dsched_testkit.simulation.users import Users

SHARE = 0.5  # of the seeds have runs in their load
_KINDS = ("every20", "cron21", "delay22")
MOST_ITEMS = 4
_IDS = ("a", "b", "c", "d", "e")


def random_workflow(chance: random.Random, faults: frozenset[str]) -> Workflow:
    """A few steps, each of which needs some of those before it; now and then only shards."""
    more: dict[str, Any] = {
        "fail_fast": chance.random() < 0.3,
        "timeout": chance.choice((None, None, None, timedelta(seconds=40))),
    }
    if chance.random() < 0.2:
        shards = _shards(chance.randint(1, 5), more)
        return Workflow(shards=shards, max_parallel=chance.choice((None, 1, 2)), **more)
    ids = _IDS[: chance.randint(1, len(_IDS))]
    return Workflow(steps=[_step(chance, faults, ids, at) for at in range(len(ids))], **more)


def _step(chance: random.Random, faults: frozenset[str], ids: tuple[str, ...], at: int) -> Step:
    needs = chance.sample(ids[:at], chance.randint(0, min(2, at)))
    shards: Shards | None = chance.choice((None, None, None, 2, 3))
    payload: Any = dict(random_payload(chance, faults))
    if needs and chance.random() < 0.3:
        payload["of"] = f"${{needs.{needs[0]}.data}}"
    own = _listed(payload, at, needs) if shards is None else {}
    if shards is not None:
        shards = _shards(shards, (at, payload))
    if own:
        payload["item"] = "${item}"
    return Step(
        id=ids[at],
        executor="fn",
        payload=payload,
        needs=sorted(needs),
        when=chance.choice((When.SUCCESS, When.SUCCESS, *When)) if needs else When.SUCCESS,
        allow_failure=chance.random() < 0.2,
        shards=shards,
        for_each=own.get("for_each"),
        max_parallel=chance.choice((None, 1, 2)) if shards else own.get("max_parallel"),
        timeout=timedelta(seconds=chance.choice((5, 20))),
        required_labels={},
    )


def _shards(shards: Shards, drawn: object) -> Shards:
    """So many; of some one for each worker instead.

    With a chance of its own, as `_listed` has.
    """
    return EACH_WORKER if random.Random(f"worker {drawn}").random() < 0.3 else shards


def _listed(payload: Any, at: int, needs: list[str]) -> dict[str, Any]:
    """The list of some steps: written out, or what others answered, which may be none.

    With a chance of its own, so that the rest of what a seed gives stays as it was.
    """
    chance = random.Random(f"{at} {payload}")
    if chance.random() < 0.7:
        return {}
    for_each: Any = [chance.randint(0, 9) for _ in range(chance.randint(0, MOST_ITEMS))]
    if needs and chance.random() < 0.4:
        for_each = f"${{needs.{min(needs)}.data}}"
    return {"for_each": for_each, "max_parallel": chance.choice((None, 1, 2))}


def _what(chance: random.Random, faults: frozenset[str], payload: Any) -> dict[str, Any]:
    """What is run: a workflow, whose steps say what."""
    flow = random_workflow(chance, faults)
    if flow.steps:
        return {"executor": "workflow", "payload": None, "workflow": flow}
    return {"executor": "fn", "payload": payload, "workflow": flow}


def random_run(chance: random.Random, faults: frozenset[str]) -> TaskSpec:
    """What a client submits."""
    spec = random_spec(chance, faults - {"kill"})
    return attrs.evolve(spec, **_what(chance, faults, spec.payload))


@attrs.define(kw_only=True)
class RunUsers:
    """Clients that make, cancel and repeat runs, beside ``users``, in the same process."""

    users: Users
    chance: random.Random

    def configs(self) -> dict[str, TaskConfig]:
        """Configs whose fires make runs."""
        users, chance, found = self.users, self.chance, {}
        for config_id in _KINDS:
            overlap = Overlap.SKIP if config_id == "every20" else chance.choice(OVERLAPS)
            policies = random_policies(chance, users.sky.faults, overlap)
            policies |= _what(chance, users.sky.faults, policies["payload"])
            trigger = random_trigger(chance, config_id, users.wall(), users.zone)
            found[config_id] = TaskConfig(id=config_id, **trigger, **policies)
        return found

    async def run(self) -> None:
        """Act every few seconds until the sky is fair."""
        users, chance, number = self.users, self.chance, 0
        while not users.sky.fair:
            await asyncio.sleep(chance.uniform(1, 9))
            number += 1
            dice = chance.random()
            if dice < 0.7:
                spec, run_id = random_run(chance, users.sky.faults), f"run{number}"
                delay_s = chance.choice((0, 0, chance.uniform(0, 20)))
                await users.tried(users.client.submit, spec, task_id=run_id, delay_s=delay_s)
            elif dice < 0.85:
                await self._cancel()
            else:
                await self._repeat(number)

    async def _cancel(self) -> None:
        """A run, or a member of one."""
        ids = [one for one in self.users.task_ids() if one.startswith(("run", *_KINDS))][-30:]
        if ids:
            await self.users.tried(self.users.client.cancel, self.chance.choice(ids))

    async def _repeat(self, number: int) -> None:
        ids = [one for one in self.users.task_ids() if one.startswith("run") and "~" not in one]
        if ids:
            chosen = self.chance.choice(ids)
            failed = number % 2 == 0  # then what succeeded is taken over
            await self.users.tried(self.users.client.retry, chosen, key=f"r{number}", failed=failed)
