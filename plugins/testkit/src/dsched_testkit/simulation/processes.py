"""The pods of a simulated cluster: started, stopped, killed and started again by name."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.observer import InvariantViolated, Notice
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.worker.claims import SupersededError
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched.engine.worker.process_identity import ProcessIdentity
from dsched.engine.worker.role import WorkerPlan
from dsched.engine.worker.succession import Host
from dsched_testkit.memory import State
from dsched_testkit.simulation.bodies import Bodies, Ledger
from dsched_testkit.simulation.configs import LABEL
from dsched_testkit.simulation.faults import Sky, Wire
from dsched_testkit.simulation.lines import Line
from dsched_testkit.simulation.recording import Books, RecordedStore
from dsched_testkit.virtual_time import virtual_runtime

CAPACITIES = (2, 4, 4)  # a pod that comes again may be a smaller one
BOTH = frozenset({"scheduler", "worker"})


@attrs.define(kw_only=True, eq=False)
class Process:
    """One operating system's process, from its start to its end."""

    name: str
    number: int
    worker_id: str
    wire: Wire
    pod: Pod
    task: asyncio.Task[None]
    leaving: bool = False


@attrs.define
class BrokenAssertions:
    """An observer: what the production's own assertions found."""

    found: list[str] = attrs.field(factory=list)

    def notify(self, notice: Notice) -> None:
        """Keep what is broken."""
        if isinstance(notice, InvariantViolated):
            self.found.append(f"{notice.name}: {notice.detail} (seen at run time)")


@attrs.define(kw_only=True, eq=False)
class Processes:
    """Starts pods of the production code on the recorded store, each behind a wire of its own."""

    group: asyncio.TaskGroup
    state: State
    books: Books
    ledger: Ledger
    sky: Sky
    chance: random.Random
    balancer: tuple[str, LoadBalancer]
    alive: list[Process] = attrs.field(factory=list)
    killed: list[asyncio.Task[None]] = attrs.field(factory=list)
    ends: Counter[str] = attrs.field(factory=Counter)
    problems: list[str] = attrs.field(factory=list)
    started: int = 0
    assertions: BrokenAssertions = attrs.field(factory=BrokenAssertions)
    worker_ids: dict[str, None] = attrs.field(factory=dict)

    def start(self, name: str, worker_id: str | None = None) -> Process:
        """Start a pod; its worker has a new id unless one is given."""
        self.started += 1
        number = self.started
        wire = Wire(sky=self.sky, chance=random.Random(self.chance.getrandbits(64)))
        worker_id = worker_id or f"{name}-{number}"
        self.worker_ids[worker_id] = None
        bodies = Bodies(wire=wire, ledger=self.ledger, kill=lambda: self._killed_by_a_task(number))
        pod = self._pod(name, worker_id, wire, bodies)
        task = self.group.create_task(self._run(number, pod), name=f"pod {name} {number}")
        process = Process(
            name=name, number=number, worker_id=worker_id, wire=wire, pod=pod, task=task
        )
        self.alive.append(process)
        return process

    def _pod(self, name: str, worker_id: str, wire: Wire, bodies: Bodies) -> Pod:
        line = Line(wire)
        inner = RecordedStore(self.state, self.books)
        capacity = self.chance.choice(CAPACITIES)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            yield line.over(inner, "heartbeat")

        plan = PodPlan(
            name=name,
            roles=BOTH,
            election=ElectionTimes(),
            leader=LeaderTimes(),
            worker=WorkerPlan(
                worker_id=worker_id,
                capacity=capacity,
                backlog=capacity,
                labels=LABEL if name == "a" else {},
                heartbeat=HeartbeatTimes(),
                drain_timeout_s=10.0,
                host=self._host(name, self.started),
            ),
            balancer=self.balancer,
            executors={"fn": bodies},
            observers={"assertions": self.assertions},
            services={},
        )
        return Pod(
            plan,
            store=line.over(inner, "main"),
            election_store=line.over(inner, "election"),
            open_store=opened,
            runtime=self._runtime(wire),
        )

    def _host(self, name: str, number: int) -> Host:
        """Pods of one name share a host, and can tell whether a process of it has ended."""
        return Host(
            own=ProcessIdentity(name.encode().hex()[:8].rjust(8, "0"), "1", number, number),
            ended=lambda process: process.pid not in {one.number for one in self.alive},
        )

    def _runtime(self, wire: Wire) -> Runtime:
        drift_ppm = self.chance.uniform(-500, 500) if "drift" in self.sky.faults else 0.0
        runtime = virtual_runtime(
            asyncio.get_running_loop(), self.chance.getrandbits(64), drift_ppm=drift_ppm
        )
        rest = runtime.sleep

        async def sleep(seconds: float) -> None:
            await rest(seconds)
            await wire.resumed()

        return attrs.evolve(runtime, sleep=sleep)

    async def _run(self, number: int, pod: Pod) -> None:
        """A pod that ends on its own is looked into; it must have a reason."""
        try:
            await pod.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            leaves = _leaves(error)
            if all(isinstance(one, SupersededError) for one in leaves):
                self.ends["superseded"] += 1
            elif self.sky.generation and any(isinstance(o, StoreRefusedError) for o in leaves):
                self.ends["refused after a wipe"] += 1
            else:
                self.problems.append(f"pod {number} failed: {leaves!r}")
        else:
            self.ends["left"] += 1
        finally:
            self.alive = [one for one in self.alive if one.pod is not pod]

    def kill(self, process: Process) -> None:
        """End a process at once, as ``kill -9`` does: none of its farewells reaches the store."""
        process.wire.dead = True
        process.task.cancel()
        self.killed.append(process.task)
        self.alive.remove(process)
        self.ends["killed"] += 1

    def leave(self, process: Process) -> None:
        """SIGTERM."""
        process.leaving = True
        process.pod.stop()

    def state_store(self) -> RecordedStore:
        """A handle without a wire."""
        return RecordedStore(self.state, self.books)

    def leader(self) -> Process | None:
        """The process that thinks it leads; of several, the first."""
        return next((one for one in self.alive if one.pod.status().leading), None)

    def _killed_by_a_task(self, number: int) -> None:
        """A task that takes its whole process down."""
        name = f" {number}"
        victim = next((one for one in self.alive if one.task.get_name().endswith(name)), None)
        if victim is not None and not self.sky.fair:
            self.sky.counts["kill"] += 1
            self.kill(victim)


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions at the bottom of nested groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]
