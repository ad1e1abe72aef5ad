"""Fifty schedulers and two hundred workers on one Redis: simulated clients in this process.

Each is the production code of a pod with handles and connections of its own; only the process and
the heartbeat's thread are shared. At the end leaders are stopped, one after another.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import rig
import stores
import wide
from plan import Plan
from systems import Stage

from dsched.contracts.executor import Executor
from dsched.contracts.executor.context import ExecutionContext
from dsched.contracts.store import Store
from dsched.contracts.store.leadership import fence_pod
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.worker.role import WorkerPlan
from dsched.model import Task, TaskResult, TaskSpec
from dsched_balancers.least_tasks import LeastTasks

SCHEDULERS = 50
WORKERS = 200
TASKS_A_SECOND = 50
LOOK_S = 0.02
HANDOVERS = 5
CALM_S = 5.0
START_S = 300.0
SPEC = TaskSpec(executor="count", payload=None)


class Counting(Executor):
    """Counts the runs of each task."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Nothing but the count."""
        self.runs[task.id] += 1
        return TaskResult()


class Asked:
    """A handle whose calls are counted."""

    def __init__(self, store: Store, calls: Counter[str]) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, step: str) -> Any:
        if step.startswith("_"):
            raise AttributeError(step)
        self._calls[step] += 1
        return getattr(self._store, step)

    async def wakeup(self, who: str, timeout_s: float) -> bool:
        """A wait for a wake-up is a request, too."""
        self._calls["wakeup"] += 1
        return await self._store.wakeup(who, timeout_s)


@attrs.define
class Crowd:
    """The pods, and what has been seen of them."""

    stage: Stage
    stack: AsyncExitStack
    group: asyncio.TaskGroup
    executor: Counting = attrs.field(factory=Counting)
    election: Counter[str] = attrs.field(factory=Counter)
    pods: dict[str, Pod] = attrs.field(factory=dict)
    running: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)
    led: list[int] = attrs.field(factory=list)

    async def start(self, name: str, role: str) -> None:
        """One more pod, with the settings of one that nobody configured."""

        async def handle() -> Store:
            return await self.stack.enter_async_context(stores.opened(self.stage))

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            async with stores.opened(self.stage) as store:
                yield store

        plan = PodPlan(
            name=name,
            roles=frozenset({role}),
            election=ElectionTimes(),
            leader=LeaderTimes(),
            worker=WorkerPlan(worker_id=name),
            balancer=("least-tasks", LeastTasks()),
            executors={"count": self.executor},
            observers={},
            services={},
        )
        self.pods[name] = pod = Pod(
            plan,
            store=await handle(),
            election_store=Asked(await handle(), self.election),
            open_store=opened,
            runtime=Runtime(threads=False),
        )
        self.running[name] = self.group.create_task(pod.run(), name=f"pod {name}")

    def leaders(self) -> list[str]:
        """The pods that believe they lead at this moment."""
        return [name for name, pod in self.pods.items() if pod.status().leading]

    async def watch(self) -> None:
        """Count those who lead, over and over, until cancelled."""
        while True:
            self.led.append(len(self.leaders()))
            await asyncio.sleep(LOOK_S)

    async def until_led(self) -> float:
        """Seconds until somebody leads."""
        began_s = time.monotonic()
        async with asyncio.timeout(START_S):
            while not self.leaders():
                await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s

    async def end(self, name: str) -> None:
        """Stop one pod as SIGTERM does, and forget it."""
        pod = self.pods.pop(name)
        pod.stop()
        await self.running.pop(name)


def crowd(stage: Stage, plan: Plan) -> dict[str, float]:
    """Leaders at a time, election requests, and whether every task ran once."""
    try:
        return asyncio.run(_crowd(stage, plan.window_s))
    except* TimeoutError:
        raise rig.BenchError("nobody leads, or the tasks do not end") from None


async def _crowd(stage: Stage, window_s: float) -> dict[str, float]:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        crowd = Crowd(stage, stack, group)
        for number in range(SCHEDULERS):
            await crowd.start(f"scheduler-{number}", "scheduler")
        for number in range(WORKERS):
            await crowd.start(f"worker-{number}", "worker")
        await crowd.until_led()
        await _all_registered(crowd)
        watching = group.create_task(crowd.watch(), name="watching leaders")
        await asyncio.sleep(CALM_S)
        found = await _steady(stage, crowd, window_s)
        found |= await _handovers(crowd)
        watching.cancel()
        found["leaders at a time, at most"] = float(max(crowd.led))
        for pod in crowd.pods.values():
            pod.hurry()
        await asyncio.wait(crowd.running.values())
    table = f"{SCHEDULERS} schedulers and {WORKERS} workers on one Redis"
    return {wide.name(table, row, "figure"): value for row, value in found.items()}


async def _all_registered(crowd: Crowd) -> None:
    async with asyncio.timeout(START_S), stores.opened(crowd.stage) as store:
        while len(await store.workers()) < WORKERS:
            await asyncio.sleep(0.5)


async def _steady(stage: Stage, crowd: Crowd, window_s: float) -> dict[str, float]:
    """Requests while tasks come at a steady rate and nobody goes."""
    crowd.election.clear()
    server = stage.server
    before = rig.redis_info(server, "stats", "total_reads_processed")
    before_s = rig.cpu_s([server.pid])
    ids = await _submit(crowd, window_s)
    reads = rig.redis_info(server, "stats", "total_reads_processed") - before
    spent_s = rig.cpu_s([server.pid]) - before_s
    asked = crowd.election
    with_leader = 100 * sum(count > 0 for count in crowd.led) / len(crowd.led)
    async with asyncio.timeout(START_S), stores.opened(stage) as store:
        while len(crowd.executor.runs) < len(ids):
            await asyncio.sleep(LOOK_S)
        terms = len((await store.terms(None, 100)).terms)
    return {
        "tasks run": float(len(ids)),
        "tasks run more than once": float(sum(n > 1 for n in crowd.executor.runs.values())),
        "share of the time with a leader, nobody going, %": with_leader,
        "terms, before any leader is stopped": float(terms),
        "tries for the lock a second": asked["acquire"] / window_s,
        "renewals a second": asked["renew"] / window_s,
        "waits to lead a second": asked["wakeup"] / window_s,
        "election requests a second, all": sum(asked.values()) / window_s,
        "requests to Redis a second, all": reads / window_s,
        "Redis CPU, % of a core": 100 * spent_s / window_s,
    }


async def _submit(crowd: Crowd, window_s: float) -> list[str]:
    """Tasks at a steady rate; their ids."""
    ids = []
    began_s = time.monotonic()
    async with stores.opened(crowd.stage) as store:
        while (passed_s := time.monotonic() - began_s) < window_s:
            wanted = int(passed_s * TASKS_A_SECOND)
            for number in range(len(ids), wanted):
                items = stores.tasks(range(number, number + 1), SPEC, "crowd")
                ids.append(items[0].task_id)
                await store.submit(items, by="bench")
            await asyncio.sleep(LOOK_S)
    return ids


async def _handovers(crowd: Crowd) -> dict[str, float]:
    """Leaders stop, one after another; each time one of the others takes over."""
    took_s = []
    async with stores.opened(crowd.stage) as store:
        for _ in range(HANDOVERS):
            fence = await store.leader()
            began_s = time.monotonic()
            async with asyncio.TaskGroup() as group, asyncio.timeout(START_S):
                group.create_task(crowd.end(fence_pod(fence)), name="a leader that leaves")
                while (new := await store.leader()) is None or new == fence:
                    await asyncio.sleep(LOOK_S)
                took_s.append(time.monotonic() - began_s)
            await crowd.until_led()
    return {
        "leaders stopped": float(HANDOVERS),
        "to the next leader, s at most": max(took_s),
    }
