"""Pods on the reference store, in one process, and the lines between them, which tests break."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest

from dsched.client import Client
from dsched.contracts import ExecutionContext, Executor, LoadBalancer, Observer, Service
from dsched.contracts.store.settings import StoreSettings
from dsched.engine.pod import Pod
from dsched.engine.runtime import Runtime
from dsched.engine.worker.succession import Host
from dsched.model import (
    Misfire,
    OnCrash,
    Overlap,
    RetryPolicy,
    Task,
    TaskConfig,
    TaskResult,
    TaskSpec,
)
from dsched_balancers.least_tasks import LeastTasks
from dsched_testkit.kernel.line import Line as Line
from dsched_testkit.kernel.line import first as first
from dsched_testkit.kernel.line import lost_reply as lost_reply
from dsched_testkit.kernel.line import never as never
from dsched_testkit.kernel.line import only as only
from dsched_testkit.kernel.line import unreachable as unreachable
from dsched_testkit.kernel.plans import BOTH as BOTH
from dsched_testkit.kernel.plans import SCHEDULER as SCHEDULER
from dsched_testkit.kernel.plans import SHORT, Times, pod_plan
from dsched_testkit.kernel.plans import WORKER as WORKER
from dsched_testkit.kernel.process import Process
from dsched_testkit.kernel.virtual_time import VirtualLoop, VirtualWall, virtual_runtime
from dsched_testkit.memory import MemoryStore, State, new_state

Body = Callable[[ExecutionContext, Task], Awaitable[object]]

NO_RETRY = RetryPolicy(max_retries=0)


class Functions(Executor):
    """Runs the coroutine function named by the payload: the tests' own executor."""

    def __init__(self, bodies: Mapping[str, Body]) -> None:
        self.bodies = dict(bodies)
        self.started: list[tuple[str, int, str]] = []

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        assert task.spec is not None
        self.started.append((task.id, context.attempt, context.worker_id))
        data = await self.bodies[task.spec.payload](context, task)
        return data if isinstance(data, TaskResult) else TaskResult(data=data)

    def starts(self, task_id: str) -> int:
        """How many attempts at this task have begun."""
        return sum(started == task_id for started, _, _ in self.started)


async def _ok(context: ExecutionContext, task: Task) -> object:
    return {"ran": task.id}


def _sleep(seconds: float) -> Body:
    async def body(context: ExecutionContext, task: Task) -> object:
        await asyncio.sleep(seconds)
        return "slept"

    return body


async def _fail(context: ExecutionContext, task: Task) -> object:
    raise RuntimeError("no luck")


BODIES: dict[str, Body] = {"ok": _ok, "sleep 60": _sleep(60), "sleep 1": _sleep(1), "fail": _fail}


@attrs.define
class Cluster:
    """A store's content and the pods started on it. Settings are short, so tests are too."""

    group: asyncio.TaskGroup
    state: State
    wall: Callable[[], int]
    executor: Functions = attrs.field(factory=lambda: Functions(BODIES))
    observers: dict[str, Observer] = attrs.field(factory=dict)
    services: dict[str, Service] = attrs.field(factory=dict)
    balancer: LoadBalancer = attrs.field(factory=LeastTasks)
    pods: dict[str, Pod] = attrs.field(factory=dict)
    lines: dict[str, Line] = attrs.field(factory=dict)
    running: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)
    failures: dict[str, BaseException] = attrs.field(factory=dict)
    times: Times = SHORT
    task_logs: bool = True

    def use_defaults(self) -> None:
        """The settings of a pod that nobody configured."""
        self.times = Times()

    @property
    def client(self) -> Client:
        return Client(MemoryStore(self.state))

    @property
    def store(self) -> MemoryStore:
        """A handle of the test's own."""
        return MemoryStore(self.state)

    def start(
        self,
        name: str,
        roles: frozenset[str] = BOTH,
        *,
        worker_id: str | None = None,
        capacity: int = 4,
        labels: Mapping[str, str] | None = None,
        runtime: Runtime | None = None,
        line: Line | None = None,
        host: Host | None = None,
    ) -> Pod:
        line, loop = line or Line(), asyncio.get_running_loop()
        process = Process(name=name, now_s=loop.time, line=line)
        plan = pod_plan(
            name,
            worker_id or f"{name}-w",
            self.times,
            balancer=("test", self.balancer),
            executor=self.executor,
            roles=roles,
            capacity=capacity,
            labels=labels or {},
            task_logs=self.task_logs,
            host=host,
            observers=self.observers,
            services=self.services,
        )
        runtime = runtime or self._runtime(name)
        process.run_pod(
            plan, lambda: self.store, runtime, spawn=self.group.create_task, ended=self._ended
        )
        assert process.pod is not None
        assert process.task is not None
        self.pods[name], self.lines[name] = process.pod, line
        self.running[name] = process.task
        return process.pod

    def _ended(self, process: Process, error: Exception | None) -> None:
        """A pod that fails for good ends; the test finds it in `failures`, and the rest goes on."""
        if error is not None:
            self.failures[process.name] = error

    def _runtime(self, name: str) -> Runtime:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            return Runtime()
        return virtual_runtime(loop, sum(name.encode()) * 1000 + len(self.lines))

    async def stop(self, name: str) -> None:
        """Drain one pod in a hurry and wait until it has left."""
        self.pods.pop(name).hurry()
        await self.running.pop(name)

    async def leave(self, name: str) -> None:
        """Drain one pod with all the time it has, as SIGTERM does, and wait until it has left."""
        self.pods.pop(name).stop()
        await self.running.pop(name)

    async def kill(self, name: str) -> None:
        """End a pod at once, as ``kill -9`` does: no call of its clean-up reaches the store."""
        self.lines[name].cut()
        self.pods.pop(name)
        task = self.running.pop(name)
        task.cancel()
        await asyncio.wait({task})

    def leader(self) -> str | None:
        """The name of the pod that thinks it leads, if there is one."""
        leading = [name for name, pod in self.pods.items() if pod.status().leading]
        assert len(leading) <= 1, f"several pods lead: {leading}"
        return leading[0] if leading else None

    async def lead_by(self, name: str) -> None:
        """Start nothing; wait until this pod leads."""
        await self.until(lambda: self.pods[name].status().leading, f"{name} leads")

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
        """Wait for a condition; fails by name."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"waited {timeout_s:g} s in vain: {what}")

    def now_s(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    def row(self, task_id: str) -> Any:
        """A task as the store keeps it."""
        return self.state.tasks[task_id]

    def events(self, *kinds: str) -> list[Any]:
        """The log's entries of these kinds."""
        return [event for event in self.state.log if event.kind in kinds]

    def items(self, kind: str, **wanted: object) -> list[Mapping[str, Any]]:
        """The items of one kind of entry that have these values."""
        return [
            item
            for event in self.events(kind)
            for item in event.items
            if all(item.get(key) == value for key, value in wanted.items())
        ]

    def fired(self, config_id: str) -> list[int]:
        """The instants that were fired, in the log's order."""
        return [item["ms"] for item in self.items("fired", config=config_id)]


@asynccontextmanager
async def open_cluster(settings: StoreSettings | None = None) -> AsyncIterator[Cluster]:
    """A cluster in the loop's own time; all pods that are left are stopped at the end."""
    loop = asyncio.get_running_loop()
    wall = VirtualWall(loop) if isinstance(loop, VirtualLoop) else None
    state = new_state(settings=settings) if wall is None else new_state(wall, settings)
    async with asyncio.TaskGroup() as group:
        cluster = Cluster(group, state, wall or state.wall)
        yield cluster
        for name in list(cluster.pods):
            cluster.lines[name].heal()
            await cluster.stop(name)


def spec(name: str = "ok", **changes: object) -> TaskSpec:
    """A snapshot that runs the test function of that name."""
    return TaskSpec(executor="fn", payload=name, **changes)  # type: ignore[arg-type]


def config(config_id: str = "tick", name: str = "ok", **changes: Any) -> TaskConfig:
    """A config that runs a test function, every second unless told otherwise."""
    if not changes.keys() & {"cron_expr", "every", "fixed_delay", "at"}:
        changes["every"] = timedelta(seconds=1)
    for field, kind in (("overlap", Overlap), ("misfire", Misfire), ("on_crash", OnCrash)):
        if field in changes:
            changes[field] = kind(changes[field])
    return TaskConfig(id=config_id, executor="fn", payload=name, **changes)


def seconds(number: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=number)


def most_in_hand(cluster, prefix):
    """The most tasks that were queued at workers or ran at once, by the log."""
    held, most = set(), 0
    for event in cluster.state.log:
        for item in event.items:
            if not str(item.get("task", "")).startswith(prefix):
                continue
            if event.kind == "dispatched":
                held.add(item["task"])
            elif event.kind in ("completed", "recalled", "released", "reaped", "cancelled"):
                held.discard(item["task"])
        most = max(most, len(held))
    return most
