"""Random workflows of a cluster under chaos: what configs and clients make runs of."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from dsched.model import JsonValue, Overlap, Step, TaskConfig, TaskSpec, When, Workflow

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
_TRIGGERS: tuple[tuple[str, dict[str, Any], Overlap], ...] = (
    ("flow-every-4", {"every": timedelta(seconds=4), "start_at": ANCHOR}, Overlap.ALLOW),
    ("flow-cron-5", {"cron_expr": "*/5 * * * * *"}, Overlap.SKIP),
    ("flow-cron-3", {"cron_expr": "*/3 * * * * *"}, Overlap.QUEUE_ONE),
    ("flow-delay-2", {"fixed_delay": timedelta(seconds=2)}, Overlap.SKIP),
)
_IDS = ("a", "b", "c", "d")
_ITEMS = 4


def flow_configs(chance: random.Random, spec: TaskSpec) -> list[TaskConfig]:
    """Four configs whose fires make runs; ``spec`` gives their retries, crashes and priority."""
    kept = ("timeout", "retry", "on_crash", "max_crashes", "priority")
    copied = {name: getattr(spec, name) for name in kept}
    return [
        TaskConfig(id=config_id, overlap=overlap, **trigger, **copied, **_what(chance))
        for config_id, trigger, overlap in _TRIGGERS
    ]


def flow_spec(chance: random.Random, spec: TaskSpec) -> TaskSpec:
    """The same of a task that a client submits."""
    return attrs.evolve(spec, **_what(chance))


def _what(chance: random.Random) -> dict[str, Any]:
    """A few steps, each of which needs some of those before it; or a function in shards."""
    if chance.random() < 0.2:
        flow = Workflow(shards=chance.randint(2, 5), max_parallel=chance.choice((None, 2)))
        return {"executor": "local", "payload": _call(chance), "workflow": flow}
    ids = _IDS[: chance.randint(2, len(_IDS))]
    flow = Workflow(
        steps=[_step(chance, ids[:at], ids[at]) for at in range(len(ids))],
        fail_fast=chance.random() < 0.3,
    )
    return {"executor": "workflow", "payload": None, "workflow": flow}


def _step(chance: random.Random, before: tuple[str, ...], step_id: str) -> Step:
    needs = sorted(chance.sample(before, min(len(before), chance.choice((1, 1, 2)))))
    kind = chance.choice(("one", "one", "shards", "list"))
    counted: dict[str, Any] = {}
    payload = _call(chance)
    if kind == "shards":
        counted = {"shards": chance.randint(2, 4)}
    elif kind == "list":
        counted = {"for_each": list(range(chance.randint(0, _ITEMS)))}
    if counted:
        counted["max_parallel"] = chance.choice((None, 1, 2))
    return Step(
        id=step_id,
        executor="local",
        payload=payload,
        needs=needs,
        when=chance.choice((When.SUCCESS, When.SUCCESS, *When)) if needs else When.SUCCESS,
        allow_failure=chance.random() < 0.2,
        **counted,
    )


def _call(chance: random.Random) -> JsonValue:
    seconds = chance.choice((0.0, 0.05, 0.2, 0.5, 1.5))
    if chance.random() < 0.25:
        return {"function": "stumble", "args": {"seconds": seconds, "falls": chance.choice((1, 9))}}
    return {"function": chance.choice(("nap", "work")), "args": {"seconds": seconds}}
