"""Tasks that nobody can run now, and what they cost those that somebody can.

Two clusters (a store and a pod each) stand side by side, so that whatever else the machine does
meets both; into one of them comes what is blocked. Ordinary tasks are then given to both by turns.
At last the pods are killed, and a leader's reading is timed on both stores by turns.

What is busy is a worker of this process: it holds what fills it, and says nothing for an hour.
"""

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable

import attrs
import metering
import rig
import scale_configs
import stores
import systems
import tally
import wide
from plan import Plan
from systems import Stage

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import Limit, TaskSpec

TABLE = "and that nobody can run, beside the same without them"
START_S = 60.0
SHUT_S = 900.0
GAP_S = 0.02
TICKS = 200
HOUR_MS = 3_600_000
# What a script of Redis may take. `SLOWLOG` is the server's own clock: the machine's other work
# lengthens what it says, never shortens it.
SLOW_US = 5_000
SINGLE = "HGET", "HSET", "ZADD", "ZREM", "ZCARD", "GET"
# A worker with this many labels can run twice as many classes with each, and is full.
BUSY_LABELS = 14

Demand = Callable[[int], dict[str, str]]


@attrs.frozen(kw_only=True)
class Case:
    """So many tasks, what each demands, and what the ordinary ones beside them demand; or the
    limit, which lets nothing begin, that each names."""

    name: str
    short: str
    count: int
    demands: Demand = attrs.field(default=lambda _: {})
    limit: str | None = None
    others: dict[str, str] = attrs.field(factory=dict)


def cases(plan: Plan) -> list[Case]:
    """A busy label, a label that nobody has, a full limit, and very many classes."""
    return [
        Case(
            name="wait for a busy label",
            short="of a busy label",
            count=plan.busy,
            demands=lambda _: {"busy0": "yes"},
            others={"zone": "a"},
        ),
        Case(
            name="match no worker",
            short="of a label that nobody has",
            count=plan.unmatched,
            demands=lambda _: {"gpu": "none"},
        ),
        Case(
            name="wait under a full limit",
            short="under a full limit",
            count=plan.unmatched,
            limit="full",
        ),
        Case(
            name=f"are of {plan.classes:,} classes",
            short="of many classes",
            count=plan.blocked,
            demands=lambda number: _of_many(number % plan.classes),
        ),
    ]


def _of_many(number: int) -> dict[str, str]:
    """The label of nobody, or some of the labels of the worker that is busy, by turns."""
    if number % 2:
        return {"gpu": f"kind-{number}"}
    bits = number // 2 + 1
    return {f"busy{bit}": "yes" for bit in range(BUSY_LABELS) if bits >> bit & 1}


def beside(stage: Stage, plan: Plan) -> dict[str, float]:
    """Each case with its table."""
    found: dict[str, float] = {}
    for number, case in enumerate(cases(plan)):
        with (
            systems.stage(stage.system, stage.folder / f"{number}-without") as without,
            systems.stage(stage.system, stage.folder / f"{number}-blocked") as blocked,
        ):
            found |= _measured(without, blocked, case, plan)
            print(f"  {stage.system.name}: {case.name}, measured", file=sys.stderr, flush=True)
    return found


def _measured(without: Stage, blocked: Stage, case: Case, plan: Plan) -> dict[str, float]:
    stages = without, blocked
    pids = [stage.start_pod(name="pod-1") for stage in stages]
    came = asyncio.run(_filled(stages, case))
    if blocked.server is not None:
        blocked.server.command("CONFIG", "RESETSTAT")
    before_s = [rig.cpu_s([pid]) for pid in pids]
    asyncio.run(_pinged(stages, case, plan.pings))
    rows = [
        _spread(stage, plan.pings) | {"CPU of the pod, ms a task": 1000 * spent / plan.pings}
        for stage, spent in zip(
            stages,
            [rig.cpu_s([pid]) - then for pid, then in zip(pids, before_s, strict=True)],
            strict=True,
        )
    ]
    for pid in pids:
        os.killpg(pid, signal.SIGKILL)
    ticks = asyncio.run(_ticks(stages))
    rows = [row | tick for row, tick in zip(rows, ticks, strict=True)]
    return _figures(case, rows) | {
        f"tasks that nobody can run, {case.short}: {name}": one for name, one in came.items()
    }


async def _filled(stages: tuple[Stage, Stage], case: Case) -> dict[str, float]:
    """Fill the second store, and wait until all of it stands where it costs nobody anything."""
    blocked = stages[1]
    for stage in stages:
        async with stores.opened(stage) as store:
            await _registered(store)
            await _with_a_busy_worker(store)
    if blocked.server is not None:
        blocked.server.command("CONFIG", "SET", "slowlog-log-slower-than", str(SLOW_US))
        blocked.server.command("CONFIG", "SET", "slowlog-max-len", "100000")
    began_s = time.monotonic()
    async with stores.opened(blocked) as store:
        if case.limit is not None:
            await store.put_limit(Limit(id=case.limit, max_running=0))
        await _submit(store, case)
        filled_s = time.monotonic() - began_s
        async with asyncio.timeout(SHUT_S):
            while await _waiting(store, case) < case.count:
                await asyncio.sleep(1.0)
        shut_s = time.monotonic() - began_s
    return {"submitted within s": filled_s, "all under their classes within s": shut_s} | _slow(
        blocked
    )


async def _registered(store: Store) -> None:
    async with asyncio.timeout(START_S):
        while not await store.workers() or await store.leader() is None:
            await asyncio.sleep(rig.LOOK_S)


async def _with_a_busy_worker(store: Store) -> None:
    """A worker with many labels, and one task that it holds."""
    busy = Registration(
        worker_id="busy",
        incarnation="1-a",
        labels={f"busy{bit}": "yes" for bit in range(BUSY_LABELS)},
        capacity=1,
        backlog=0,
        heartbeat_timeout_ms=HOUR_MS,
    )
    await store.register(busy)
    spec = TaskSpec(
        executor="local", payload={"function": "noop"}, required_labels={"busy0": "yes"}
    )
    await store.submit([Submission(task_id="held", spec=spec)], by="bench")
    number = 0
    async with asyncio.timeout(START_S):
        while True:
            number += 1
            claimed = await store.claim("busy", "1-a", number - 1, number, 1)
            if claimed.tasks:
                return
            await asyncio.sleep(rig.LOOK_S)


async def _submit(store: Store, case: Case) -> None:
    async def submit(batch: range):
        items = [
            Submission(
                task_id=f"blocked-{number:07d}",
                spec=TaskSpec(
                    executor="local",
                    payload={"function": "noop"},
                    required_labels=case.demands(number),
                    limits=() if case.limit is None else (case.limit,),
                    priority=9,
                ),
            )
            for number in batch
        ]
        return await store.submit(items, by="bench")

    await stores.fill(range(case.count), MAX_BATCH, submit)


async def _waiting(store: Store, case: Case) -> int:
    if case.limit is not None:
        page = await store.limit_uses(None, MAX_BATCH, of=case.limit)
        return sum(one.waiting for one in page.uses)
    return await _under_classes(store)


async def _under_classes(store: Store) -> int:
    waiting, cursor = 0, None
    while True:
        page = await store.shut_classes(cursor, MAX_BATCH)
        waiting += sum(one.waiting for one in page.classes)
        cursor = page.cursor
        if cursor is None:
            return waiting


def _slow(stage: Stage) -> dict[str, float]:
    """How many scripts were slow by the server's own log."""
    if stage.server is None:
        return {}
    rows = str(stage.server.command("SLOWLOG", "GET", "100000")).splitlines()
    stage.server.command("SLOWLOG", "RESET")
    return {
        "scripts over 5 ms meanwhile": float(rows.count("EVALSHA")),
        # What takes microseconds and is as slow by this clock was stopped by the machine.
        "single commands over 5 ms meanwhile": float(sum(rows.count(one) for one in SINGLE)),
    }


async def _pinged(stages: tuple[Stage, Stage], case: Case, count: int) -> None:
    """Ordinary tasks, one at a time, to both by turns."""
    async with stores.opened(stages[0]) as without, stores.opened(stages[1]) as blocked:
        for number in range(count):
            for store in (without, blocked):
                spec = TaskSpec(
                    executor="local",
                    payload={"function": "stamp", "args": {"due_s": time.time()}},
                    required_labels=case.others,
                )
                await store.submit([Submission(task_id=f"ping-{number}", spec=spec)], by="bench")
                await asyncio.sleep(GAP_S)
    for stage in stages:
        rig.until_ran(stage.tally, count, START_S, stage.folder / "pod-1.log")


def _spread(stage: Stage, count: int) -> dict[str, float]:
    delays_ms = sorted(1000 * delay for delay in tally.read(stage.tally)[3])
    if len(delays_ms) != count:
        raise rig.BenchError(f"{len(delays_ms)} of {count} tasks said when they started")
    return {
        "submit to start, ms p50": statistics.median(delays_ms),
        "submit to start, ms p90": delays_ms[int(0.9 * count)],
    }


async def _ticks(stages: tuple[Stage, Stage]) -> list[dict[str, float]]:
    """What a leader reads when an ordinary task has come, by turns."""
    meters = [metering.Meter(stage.server) for stage in stages]
    spec = TaskSpec(executor="local", payload={"function": "noop"})
    async with stores.opened(stages[0]) as without, stores.opened(stages[1]) as blocked:
        pair = without, blocked
        fences = [await scale_configs.lead(store) for store in pair]
        for store in pair:
            await store.submit([Submission(task_id="ordinary", spec=spec)], by="bench")
        for _ in range(TICKS):
            for store, fence, meter in zip(pair, fences, meters, strict=True):
                await meter.call("poll", lambda s=store, f=fence: s.poll(f, MAX_BATCH))
    found = []
    for row in (meter.rows["poll"] for meter in meters):
        found.append({"tick, ms p50": statistics.median(row.took_ms)})
        if row.script_us:
            found[-1]["tick, script us p50"] = statistics.median(row.script_us)
    return found


def _figures(case: Case, rows: list[dict[str, float]]) -> dict[str, float]:
    table = f"{case.count:,} tasks that {case.name} {TABLE}"
    without, blocked = rows
    found: dict[str, float] = {}
    for row, value in without.items():
        found[wide.name(table, row, "without")] = value
        found[wide.name(table, row, "beside them")] = blocked[row]
        found[wide.name(table, row, "times")] = blocked[row] / value if value else 1.0
    tick = "tick, script us p50" if "tick, script us p50" in without else "tick, ms p50"
    wait = "submit to start, ms p50"
    return found | {
        f"tasks that nobody can run, {case.short}: tick, times": blocked[tick] / without[tick],
        f"tasks that nobody can run, {case.short}: start, times": blocked[wait] / without[wait],
    }
