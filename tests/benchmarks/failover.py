"""From the moment when the leader goes to the first fire of the next one, with real pods on Redis.

The moment of the signal is this process's clock, that of the fire what the store wrote into its
log; both are the clock of one machine.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import rig
import stores
import wide
from plan import Plan
from systems import Stage

from dsched.contracts.store import Store
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_pod

SCHEDULERS = 2
CONFIGS_A_SECOND = 20
LOOK_S = 0.02
SETTLE_S = 3.0
TIMEOUT_S = 40.0
GONE = {signal.SIGKILL: "leader killed", signal.SIGTERM: "leader stopped"}
TABLE = "The leader goes: s to the next fire (lock TTL 10 s)"


@attrs.define
class Pods:
    """The schedulers that live, by name."""

    stage: Stage
    pids: dict[str, int] = attrs.field(factory=dict)
    started: int = 0

    def start(self) -> None:
        """One more."""
        self.started += 1
        name = f"scheduler-{self.started}"
        self.pids[name] = self.stage.start_pod("--role", "scheduler", name=name)

    def end(self, name: str, how: signal.Signals) -> None:
        """Send one a signal."""
        os.kill(self.pids.pop(name), how)


def failover(stage: Stage, plan: Plan) -> dict[str, float]:
    """Kill and stop leaders; the least, median and most of what it took."""
    pods = Pods(stage)
    for _ in range(SCHEDULERS):
        pods.start()
    stage.start_pod("--role", "worker", name="worker-1")
    stage.drive("fires", CONFIGS_A_SECOND)
    took = asyncio.run(_measure(stage, pods, plan.failovers))
    found: dict[str, float] = {}
    for what, seconds in took.items():
        ordered = sorted(seconds)
        # The target is held to the worst.
        found[f"{what}, s to the next fire"] = ordered[-1]
        for column, value in (
            ("least", ordered[0]),
            ("median", ordered[len(ordered) // 2]),
            ("most", ordered[-1]),
            ("times", len(ordered)),
        ):
            found[wide.name(TABLE, what, column)] = value
    return found


async def _measure(stage: Stage, pods: Pods, kills: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {what: [] for what in GONE.values()}
    async with stores.opened(stage) as store, _in_time(stage):
        await _next_fire(store, "")
        for how in [signal.SIGKILL] * kills + [signal.SIGTERM] * (3 * kills):
            await _all_present(store, pods)
            await asyncio.sleep(SETTLE_S)
            fence = await store.leader()
            if fence is None:
                raise rig.BenchError("there is no leader to end")
            at_ms = time.time() * 1000
            pods.end(fence_pod(fence), how)
            fired_ms = await _next_fire(store, fence)
            took[GONE[how]].append((fired_ms - at_ms) / 1000)
            pods.start()
    return took


@asynccontextmanager
async def _in_time(stage: Stage) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise rig.BenchError(f"nothing was fired within {TIMEOUT_S:g} s") from None


async def _all_present(store: Store, pods: Pods) -> None:
    """Until every scheduler says that it lives: one that still starts can follow nobody."""
    async with asyncio.timeout(TIMEOUT_S):
        while not pods.pids.keys() <= {pod.name for pod in await store.pods()}:
            await asyncio.sleep(LOOK_S)


async def _next_fire(store: Store, fence: str) -> int:
    """When the first fire by another term than this one was written, by the store's wall."""
    cursor = await _end_of_log(store)
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            page = await store.events(cursor, 1000)
            for event in page.events:
                if event.kind == EventKind.FIRED and event.by != fence:
                    return event.at_ms
            cursor = page.cursor
            await asyncio.sleep(LOOK_S)


async def _end_of_log(store: Store) -> str:
    cursor = None
    while page := await store.events(cursor, 1000):
        if not page.events:
            return page.cursor
        cursor = page.cursor
    raise AssertionError("a page is never nothing")
