"""The pods of a test cluster: the production code on the reference store, by the user's
settings."""

import asyncio
from collections.abc import Callable, Mapping

import attrs

from dsched.assembly import configured_plan
from dsched.config import LoadedSettings
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor
from dsched_testkit.kernel.plans import BOTH
from dsched_testkit.kernel.process import Process
from dsched_testkit.kernel.virtual_time import virtual_runtime
from dsched_testkit.memory import MemoryStore, State

MakeExecutors = Callable[[Process], Mapping[str, Executor]]


@attrs.define(kw_only=True, eq=False)
class ClusterProcess(Process):
    """The process of one pod; it shares the store's outages with the others."""

    down_until_s: Callable[[], float]

    def out_of_reach(self) -> bool:
        """Whether there is an outage."""
        return self.now_s() < self.down_until_s()


@attrs.define(kw_only=True)
class Pods:
    """Starts and ends pods by name, with the settings a configuration file would give them."""

    state: State
    loaded: LoadedSettings
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
        process = ClusterProcess(
            name=name,
            now_s=loop.time,
            worker_id=f"{name}-{self.started}",
            down_until_s=lambda: self.down_until_s,
        )
        plan = configured_plan(
            self.loaded,
            name=name,
            worker_id=process.worker_id,
            roles=BOTH,
            balancer=self.balancer,
            executors=self.executors(process),
            observers={},
            services={},
        )
        # Logs and prints of functions are not captured, so that the test's `caplog` and `capsys`
        # see them.
        worker = attrs.evolve(plan.worker, capture_logging=False, capture_prints=False)
        plan = attrs.evolve(plan, worker=worker)
        runtime = virtual_runtime(loop, self.seed * 1000 + self.started)
        process.run_pod(
            plan,
            lambda: MemoryStore(self.state),
            runtime,
            spawn=loop.create_task,
            ended=self._ended,
        )
        self.alive[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a pod at once, as ``kill -9`` does: no call of its clean-up reaches the store."""
        self.alive.pop(name).kill()

    async def stop(self, name: str) -> None:
        """SIGTERM: the pod drains and leaves."""
        process = self.alive.pop(name)
        process.stop()
        assert process.task is not None
        await asyncio.wait({process.task})

    def leader(self) -> str | None:
        """The name of the pod that leads, if there is one."""
        return next((name for name, process in self.alive.items() if process.leads), None)

    def _ended(self, process: Process, error: Exception | None) -> None:
        """Keep the failure; the test's next call raises it."""
        if error is not None and not process.dead:
            self.failures.append(error)
            self.alive.pop(process.name, None)
