"""The pods of a test cluster: the production code on the reference store, each behind a line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs

from dsched.config import Settings
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched.engine.worker.role import WorkerPlan
from dsched_testkit.memory import MemoryStore, State
from dsched_testkit.simulation.lines import Line, Proceed
from dsched_testkit.virtual_time import virtual_runtime

BOTH = frozenset({"scheduler", "worker"})
MakeExecutors = Callable[["Process"], Mapping[str, Executor]]


@attrs.define(eq=False)
class Process:
    """One pod, as an operating system would run it: it may be stopped for a while, or killed."""

    name: str
    down_until_s: Callable[[], float]
    now_s: Callable[[], float]
    paused_until_s: float = 0.0
    dead: bool = False
    worker_id: str = ""
    pod: Pod = attrs.field(init=False)
    task: "asyncio.Task[None]" = attrs.field(init=False)

    @property
    def paused(self) -> bool:
        """Whether it is stopped just now."""
        return self.now_s() < self.paused_until_s

    async def gate(self) -> None:
        """A stopped process does nothing; it goes on where it was."""
        while self.paused and not self.dead:  # noqa: ASYNC110
            await asyncio.sleep(self.paused_until_s - self.now_s())

    async def rule(self, handle: str, step: str, proceed: Proceed) -> Any:  # noqa: ARG002
        """The rule of its line to the store."""
        await self.gate()
        if self.dead or self.now_s() < self.down_until_s():
            await asyncio.sleep(0)
            raise StoreUnavailableError("the store is out of reach", maybe_applied=False)
        answer = await proceed()
        await self.gate()
        return answer


@attrs.define(kw_only=True)
class Pods:
    """Starts and ends pods by name, with the settings a configuration file would give them."""

    state: State
    settings: Settings
    balancer: tuple[str, LoadBalancer]
    executors: MakeExecutors
    seed: int
    down_until_s: float = 0.0
    alive: dict[str, Process] = attrs.field(factory=dict)
    failures: list[BaseException] = attrs.field(factory=list)
    started: int = 0

    def start(self, name: str) -> Process:
        """Start a pod; its worker has an id of its own, as each process has."""
        if name in self.alive:
            raise ValueError(f"pod {name} runs already; there are {sorted(self.alive)}")
        loop = asyncio.get_running_loop()
        self.started += 1
        process = Process(name, lambda: self.down_until_s, loop.time)
        process.worker_id = f"{name}-{self.started}"
        process.pod = self._pod(process, virtual_runtime(loop, self.seed * 1000 + self.started))
        process.task = loop.create_task(self._run(process), name=f"pod {name}")
        self.alive[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a pod at once, as ``kill -9`` does: none of its farewells reaches the store."""
        process = self.alive.pop(name)
        process.dead = True
        process.task.cancel()

    async def stop(self, name: str) -> None:
        """SIGTERM: the pod drains and leaves."""
        process = self.alive.pop(name)
        process.pod.stop()
        await asyncio.wait({process.task})

    def leader(self) -> str | None:
        """The name of the pod that leads, if there is one."""
        return next((n for n, one in self.alive.items() if one.pod.status().leading), None)

    async def _run(self, process: Process) -> None:
        try:
            await process.pod.run()
        except Exception as error:  # noqa: BLE001 - shown to the test at its next call
            if not process.dead:
                self.failures.append(error)
                self.alive.pop(process.name, None)

    def _pod(self, process: Process, runtime: Runtime) -> Pod:
        line = Line(process.rule)

        def handle(name: str) -> Store:
            return line.over(MemoryStore(self.state), name)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            yield handle("heartbeat")

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            await process.gate()

        return Pod(
            self._plan(process),
            store=handle("main"),
            election_store=handle("election"),
            open_store=opened,
            runtime=attrs.evolve(runtime, sleep=sleep),
        )

    def _plan(self, process: Process) -> PodPlan:
        schedule, worker = self.settings.schedule, self.settings.worker
        return PodPlan(
            name=process.name,
            roles=BOTH,
            election=ElectionTimes(
                ttl_s=schedule.leader_lock_ttl.total_seconds(),
                renew_every_s=schedule.leader_renew_interval.total_seconds(),
            ),
            leader=LeaderTimes(
                scan_interval_s=schedule.scan_interval.total_seconds(),
                dispatch_timeout_s=schedule.dispatch_timeout.total_seconds(),
                heartbeat_interval_s=worker.heartbeat_interval.total_seconds(),
            ),
            worker=WorkerPlan(
                worker_id=process.worker_id,
                capacity=worker.max_concurrent_tasks,
                backlog=worker.queue_bound,
                labels=worker.labels,
                heartbeat=HeartbeatTimes(
                    interval_s=worker.heartbeat_interval.total_seconds(),
                    timeout_s=worker.heartbeat_timeout.total_seconds(),
                ),
                drain_timeout_s=worker.drain_timeout.total_seconds(),
            ),
            balancer=self.balancer,
            executors=self.executors(process),
            observers={},
            services={},
        )
