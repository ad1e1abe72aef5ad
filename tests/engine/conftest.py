"""Pods on the reference store, in this process and in real time, for the engine's tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import pytest

from dsched.client import Client
from dsched.contracts import ExecutionContext, Executor, Observer, Store
from dsched.engine.election import ElectionTimes
from dsched.engine.heartbeat import HeartbeatTimes
from dsched.engine.leader import LeaderTimes
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.worker import WorkerPlan
from dsched.model import Task, TaskResult, TaskSpec
from dsched_balancers.least_tasks import LeastTasks
from dsched_testkit.memory import MemoryStore, State, new_state

Body = Callable[[ExecutionContext, Task], Awaitable[object]]


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


async def _ok(context: ExecutionContext, task: Task) -> object:
    return {"ran": task.id}


@attrs.define
class Cluster:
    """A store's content and the pods started on it. Settings are short, so tests are too."""

    group: asyncio.TaskGroup
    state: State = attrs.field(factory=new_state)
    executor: Functions = attrs.field(factory=lambda: Functions({"ok": _ok}))
    observers: dict[str, Observer] = attrs.field(factory=dict)
    pods: dict[str, Pod] = attrs.field(factory=dict)
    running: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)
    heartbeat: HeartbeatTimes = attrs.field(
        factory=lambda: HeartbeatTimes(interval_s=0.3, timeout_s=1.0)
    )
    election: ElectionTimes = attrs.field(
        factory=lambda: ElectionTimes(ttl_s=1.5, renew_every_s=0.4)
    )
    dispatch_timeout_s: float = 0.5
    drain_timeout_s: float = 3.0

    @property
    def client(self) -> Client:
        return Client(MemoryStore(self.state))

    def open_store(self) -> Store:
        """How this cluster's pods get at the store; tests replace it to break things."""
        return MemoryStore(self.state)

    def start(
        self,
        name: str,
        roles: frozenset[str] = frozenset({"scheduler", "worker"}),
        *,
        worker_id: str | None = None,
        capacity: int = 4,
        labels: Mapping[str, str] | None = None,
        runtime: Runtime | None = None,
    ) -> Pod:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            yield self.open_store()

        plan = PodPlan(
            name=name,
            roles=roles,
            election=self.election,
            leader=LeaderTimes(
                scan_interval_s=1.0,
                dispatch_timeout_s=self.dispatch_timeout_s,
                heartbeat_interval_s=self.heartbeat.interval_s,
            ),
            worker=WorkerPlan(
                worker_id=worker_id or f"{name}-w",
                capacity=capacity,
                backlog=capacity,
                labels=labels or {},
                heartbeat=self.heartbeat,
                drain_timeout_s=self.drain_timeout_s,
            ),
            balancer=("least-tasks", LeastTasks()),
            executors={"fn": self.executor},
            observers=self.observers,
            services={},
        )
        pod = Pod(
            plan,
            store=self.open_store(),
            election_store=self.open_store(),
            open_store=opened,
            runtime=runtime or Runtime(),
        )
        self.pods[name] = pod
        self.running[name] = self.group.create_task(pod.run(), name=f"pod {name}")
        return pod

    async def stop(self, name: str) -> None:
        """Drain one pod and wait until it has left."""
        self.pods.pop(name).hurry()
        await self.running.pop(name)

    async def kill(self, name: str) -> None:
        """End a pod's coroutines at once, without any of its farewells reaching the store."""
        self.pods.pop(name)
        task = self.running.pop(name)
        task.cancel()
        await asyncio.wait({task})

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
        """Wait for a condition; fails by name."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"waited {timeout_s:g} s in vain: {what}")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with asyncio.TaskGroup() as group:
        cluster = Cluster(group)
        yield cluster
        for name in list(cluster.pods):
            await cluster.stop(name)


def spec(name: str = "ok", **changes: object) -> TaskSpec:
    """A snapshot that runs the test function of that name."""
    return TaskSpec(executor="fn", payload=name, **changes)  # type: ignore[arg-type]
