"""dsched through its public client; its workers are real `dsched-run` processes."""

import os
import secrets
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import works

import dsched
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import Submission
from dsched.model import Limit

NOOP = dsched.TaskSpec(executor="local", payload={"function": "noop"})
NAP = dsched.TaskSpec(executor="local", payload={"function": "nap", "args": {"seconds": 0.2}})
_open: dict[str, dsched.Client] = {}


@asynccontextmanager
async def opened():
    async with dsched.connect(os.environ["BENCH_CONFIG"]) as client:
        _open["client"] = client
        yield


async def _submit(items: list[Submission]) -> None:
    outcomes = await _open["client"].submit_many(items)
    if set(outcomes) != {Outcome.OK}:
        raise RuntimeError(f"submit answered {set(outcomes)}")


async def noops(count: int) -> None:
    await _submit([Submission(task_id=secrets.token_hex(12), spec=NOOP) for _ in range(count)])


async def works_of(sizes: tuple[int, ...], numbers: range) -> None:
    if sizes[3] == works.LIMITED and numbers.start == 0:
        await _open["client"].put_limit(Limit(id="tenant", max_running=1))
    await _submit([Submission(task_id=f"work-{n:08d}", spec=_work(sizes, n)) for n in numbers])


def _work(sizes: tuple[int, ...], number: int) -> dsched.TaskSpec:
    payload = {"function": "work", "args": works.payload(sizes, number)}
    return dsched.TaskSpec(executor="local", payload=payload, **_routed(sizes[3], number))


def _routed(kind: int, number: int) -> dict[str, object]:
    if kind == works.ROUTED:
        return {
            "start_deadline": timedelta(hours=1),
            "labels": {"team": f"team-{number % 50}", "kind": "order"},
            "required_labels": {"zone": "a"},
        }
    return {"limits": [f"tenant:{number}"]} if kind == works.LIMITED else {}


async def ping(sent_s: float) -> None:
    await _submit([Submission(task_id=secrets.token_hex(12), spec=_stamp(sent_s))])


async def due(instants: list[float], slow_every: int = 0) -> None:
    now_s = time.time()
    await _submit(
        [
            Submission(
                task_id=secrets.token_hex(12),
                spec=NAP if slow_every and number % slow_every == 0 else _stamp(at_s),
                delay_ms=max(0, round((at_s - now_s) * 1000)),
            )
            for number, at_s in enumerate(instants)
        ]
    )


async def periodic(count: int) -> None:
    """Configs that fire once a second each, evenly spread over the second."""
    start = datetime.now(UTC) + timedelta(seconds=3)
    for number in range(count):
        config = dsched.TaskConfig(
            id=f"fire-{number}",
            name="bench",
            executor="local",
            payload={"function": "fire"},
            every=timedelta(seconds=1),
            start_at=start + timedelta(seconds=number / count),
        )
        await _open["client"].put_config(config)


async def storm(count: int, due_s: float) -> None:
    """Configs with a cron expression of a payload each, all due at one whole second and not
    again."""
    due = datetime.fromtimestamp(due_s, UTC)
    configs = [
        dsched.TaskConfig(
            id=f"storm-{number:05d}",
            executor="local",
            payload={"function": "fire", "args": {"number": number}},
            cron_expr=f"{due.second} {due.minute} {due.hour} * * *",
        )
        for number in range(count)
    ]
    await _open["client"].put_configs(configs)


def _stamp(at_s: float) -> dsched.TaskSpec:
    return dsched.TaskSpec(executor="local", payload={"function": "stamp", "args": {"due_s": at_s}})
