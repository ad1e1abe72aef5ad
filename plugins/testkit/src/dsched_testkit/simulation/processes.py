"""The pods of a simulated cluster: started, stopped, killed and started again by name."""

import asyncio
import random
from collections import Counter

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.engine.runtime import Runtime
from dsched_testkit.kernel.bodies import Ledger
from dsched_testkit.kernel.failures import BrokenAssertions, leaves, superseded
from dsched_testkit.kernel.plans import Times, host_of, pod_plan
from dsched_testkit.kernel.recording import Books, RecordedStore
from dsched_testkit.kernel.virtual_time import virtual_runtime
from dsched_testkit.memory import State
from dsched_testkit.simulation.bodies import OddBodies
from dsched_testkit.simulation.configs import LABEL
from dsched_testkit.simulation.faults import FaultyProcess, Sky

CAPACITIES = (2, 4, 4)  # a pod that comes again may be a smaller one
TIMES = Times(drain_timeout_s=10.0)


@attrs.define(kw_only=True, eq=False)
class Processes:
    """Starts pods of the production code on the recorded store, each with faults of its own."""

    group: asyncio.TaskGroup
    state: State
    books: Books
    ledger: Ledger
    sky: Sky
    chance: random.Random
    balancer: tuple[str, LoadBalancer]
    alive: list[FaultyProcess] = attrs.field(factory=list)
    killed: list[asyncio.Task[None]] = attrs.field(factory=list)
    ends: Counter[str] = attrs.field(factory=Counter)
    problems: list[str] = attrs.field(factory=list)
    started: int = 0
    assertions: BrokenAssertions = attrs.field(factory=BrokenAssertions)
    worker_ids: dict[str, None] = attrs.field(factory=dict)

    def start(self, name: str, worker_id: str | None = None) -> FaultyProcess:
        """Start a pod; its worker has a new id unless one is given."""
        self.started += 1
        worker_id = worker_id or f"{name}-{self.started}"
        self.worker_ids[worker_id] = None
        process = FaultyProcess(
            name=name,
            number=self.started,
            now_s=self.sky.now_s,
            worker_id=worker_id,
            sky=self.sky,
            chance=random.Random(self.chance.getrandbits(64)),
        )
        plan = pod_plan(
            name,
            worker_id,
            TIMES,
            balancer=self.balancer,
            executor=OddBodies(
                process=process, ledger=self.ledger, kill=lambda: self._killed_by_a_task(process)
            ),
            capacity=self.chance.choice(CAPACITIES),
            labels=LABEL if name == "a" else {},
            host=host_of(name, self.started, self._has_ended),
            observers={"assertions": self.assertions},
        )
        runtime = self._runtime()
        process.run_pod(
            plan, self.state_store, runtime, spawn=self.group.create_task, ended=self._ended
        )
        self.alive.append(process)
        return process

    def _has_ended(self, number: int) -> bool:
        return number not in {one.number for one in self.alive}

    def _runtime(self) -> Runtime:
        drift_ppm = self.chance.uniform(-500, 500) if "drift" in self.sky.faults else 0.0
        seed = self.chance.getrandbits(64)
        return virtual_runtime(asyncio.get_running_loop(), seed, drift_ppm=drift_ppm)

    def _ended(self, process: FaultyProcess, error: Exception | None) -> None:
        """A pod that ends unasked must have a reason."""
        self.alive = [one for one in self.alive if one is not process]
        if error is None:
            self.ends["left"] += 1
        elif superseded(error):
            self.ends["superseded"] += 1
        elif self.sky.generation and any(isinstance(o, StoreRefusedError) for o in leaves(error)):
            self.ends["refused after a wipe"] += 1
        else:
            self.problems.append(f"pod {process.worker_id} failed: {leaves(error)!r}")

    def kill(self, process: FaultyProcess) -> None:
        """End a process at once, and remember it."""
        process.kill()
        assert process.task is not None
        self.killed.append(process.task)
        self.alive.remove(process)
        self.ends["killed"] += 1

    def state_store(self) -> RecordedStore:
        """A handle of no process."""
        return RecordedStore(self.state, self.books)

    def leader(self) -> FaultyProcess | None:
        """The process that thinks it leads; of several, the first."""
        return next((one for one in self.alive if one.leads), None)

    def _killed_by_a_task(self, process: FaultyProcess) -> None:
        """A task that takes its whole process down."""
        if process in self.alive and not self.sky.fair:
            self.sky.counts["kill"] += 1
            self.kill(process)
