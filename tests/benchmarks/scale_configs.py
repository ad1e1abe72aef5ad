"""A store with many configs beside one with few, both fired 100 times a second, at the same time.

Two clusters (a Redis, a scheduler, a worker each) run side by side, so that whatever else the
machine does meets both. Then the pods are killed, and a tick of the leader is timed on both stores
by turns, with the same 100 configs due.
"""

import asyncio
import os
import signal
import statistics
import time

import attrs
import metering
import rig
import stores
import systems
import tally
import wide
from plan import Plan
from systems import Stage

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH

FEW = 1000
SETTLE_S = 10.0
START_S = 60.0
TICKS = 300
RATE = 100
LOCK_TTL_MS = 600_000


@attrs.define
class Cluster:
    """A store of so many configs, and the two pods on it."""

    stage: Stage
    configs: int
    scheduler: int = 0
    worker: int = 0

    def start(self) -> None:
        """Fill the store, start the pods, and let them fire."""
        asyncio.run(self._fill())
        self.scheduler = self.stage.start_pod("--role", "scheduler", name="scheduler-1")
        self.worker = self.stage.start_pod("--role", "worker", name="worker-1")
        asyncio.run(self._registered())
        self.stage.drive("fires", RATE)
        rig.until_ran(self.stage.tally, RATE, START_S, self.stage.folder / "scheduler-1.log")

    async def _registered(self) -> None:
        """Until the worker is there: what is fired without one is put off by seconds."""
        async with stores.opened(self.stage) as store, asyncio.timeout(START_S):
            while not await store.workers() or await store.leader() is None:
                await asyncio.sleep(rig.LOOK_S)

    async def _fill(self) -> None:
        async with stores.opened(self.stage) as store:
            await stores.fill_configs(store, range(self.configs))

    def stop(self) -> None:
        """Kill both pods: nothing writes any more."""
        for pid in (self.scheduler, self.worker):
            os.killpg(pid, signal.SIGKILL)

    def reading(self) -> dict[str, float]:
        """What has been spent by now, in ms, and how many delays were noted."""
        server = self.stage.server
        calls, script_us = metering.scripts(server)
        return {
            "leader CPU": 1000 * rig.cpu_s([self.scheduler]),
            "worker CPU": 1000 * rig.cpu_s([self.worker]),
            "Redis CPU": 1000 * rig.cpu_s([server.pid]),
            "script time": script_us / 1000,
            "script calls": calls,
            "delays": len(tally.read(self.stage.tally)[3]),
        }


def many_against_few(stage: Stage, plan: Plan) -> dict[str, float]:
    """Leader CPU, Redis CPU, lateness and a tick with ``plan.many`` configs, and the ratios."""
    with systems.stage(stage.system, stage.folder / "few") as other:
        clusters = Cluster(other, FEW), Cluster(stage, plan.many)
        for cluster in clusters:
            cluster.start()
        time.sleep(SETTLE_S)
        before = [cluster.reading() for cluster in clusters]
        time.sleep(plan.window_s)
        after = [cluster.reading() for cluster in clusters]
        few, many = (
            _window(cluster, *readings, plan.window_s)
            for cluster, *readings in zip(clusters, before, after, strict=True)
        )
        for cluster in clusters:
            cluster.stop()
        ticks = asyncio.run(_ticks(clusters))
        few, many = (row | tick for row, tick in zip((few, many), ticks, strict=True))
    return _figures(few, many, plan.many)


def _window(
    cluster: Cluster, before: dict[str, float], after: dict[str, float], window_s: float
) -> dict[str, float]:
    """What one cluster spent in the window."""
    spent = {name: (after[name] - before[name]) / window_s for name in before}
    delays = tally.read(cluster.stage.tally)[3][int(before["delays"]) : int(after["delays"])]
    if len(delays) < 0.9 * RATE * window_s:
        raise rig.BenchError(f"only {len(delays)} fires in {window_s:g} s")
    ordered_ms = sorted(1000 * delay for delay in delays)
    return {
        "leader CPU, ms a second": spent["leader CPU"],
        "worker CPU, ms a second": spent["worker CPU"],
        "Redis CPU, ms a second": spent["Redis CPU"],
        "script time, ms a second": spent["script time"],
        "script calls a second": spent["script calls"],
        "lateness, ms p50": statistics.median(ordered_ms),
        "lateness, ms p99": ordered_ms[int(len(ordered_ms) * 0.99)],
    }


async def _ticks(clusters: tuple[Cluster, Cluster]) -> list[dict[str, float]]:
    """A tick's reading (`poll`: 100 configs due), by turns: the call, and the script in it."""
    meters = [metering.Meter(cluster.stage.server) for cluster in clusters]
    async with (
        stores.opened(clusters[0].stage) as few,
        stores.opened(clusters[1].stage) as many,
    ):
        fences = [await lead(store) for store in (few, many)]
        for _ in range(TICKS):
            for store, fence, meter in zip((few, many), fences, meters, strict=True):
                await meter.call("poll", lambda s=store, f=fence: s.poll(f, MAX_BATCH))
    rows = [meter.rows["poll"] for meter in meters]
    return [
        {
            "tick with 100 due, script us p50": statistics.median(row.script_us),
            "tick with 100 due, ms p50": statistics.median(row.took_ms),
        }
        for row in rows
    ]


async def lead(store: Store) -> str:
    """Take the lock, once the killed leader's has run out."""
    async with asyncio.timeout(30):
        while (answer := await store.acquire("bench", "bench", LOCK_TTL_MS)).outcome != "OK":
            await asyncio.sleep(0.5)
    return answer.fence


def _figures(few: dict[str, float], many: dict[str, float], count: int) -> dict[str, float]:
    table = f"{count:,} configs in the store against {FEW:,}, 100 fires a second"
    found: dict[str, float] = {}
    for row, value in few.items():
        ratio = many[row] / value if value else 1.0
        found[wide.name(table, row, f"{FEW:,} configs")] = value
        found[wide.name(table, row, f"{count:,} configs")] = many[row]
        found[wide.name(table, row, "times")] = ratio
    # The script's own time is exact; the call's hangs on whoever else wants the processor.
    tick = "tick with 100 due, script us p50"
    cpu = "leader CPU, ms a second"
    return found | {
        "many configs against few: leader CPU, times": many[cpu] / few[cpu],
        "many configs against few: tick, times": many[tick] / few[tick],
    }
