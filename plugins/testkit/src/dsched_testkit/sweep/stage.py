"""Where a scenario plays: a store, pods of the production code, a user, each behind its strand."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs

from dsched.client import Client, ClientError
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.leader.term import first_error
from dsched.engine.pod import Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.worker.claims import SupersededError
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched.engine.worker.process_identity import ProcessIdentity
from dsched.engine.worker.role import WorkerPlan
from dsched.engine.worker.succession import Host
from dsched.model import TaskSpec
from dsched_testkit.evidence import Line as EvidenceLine
from dsched_testkit.memory import State
from dsched_testkit.simulation.bodies import Ledger
from dsched_testkit.simulation.lines import Line
from dsched_testkit.simulation.processes import BrokenAssertions
from dsched_testkit.simulation.recording import Books, RecordedStore
from dsched_testkit.sweep.bodies import Bodies
from dsched_testkit.sweep.strand import Call, Meter, Point, Strand
from dsched_testkit.virtual_time import VirtualWall, virtual_runtime

BOTH = frozenset({"scheduler", "worker"})
SCHEDULER = frozenset({"scheduler"})
WORKER = frozenset({"worker"})

USER = "user"
RESTART_S = 1.0
WAIT_S = 20.0
HEARTBEAT = HeartbeatTimes(interval_s=0.3, timeout_s=1.0)
ELECTION = ElectionTimes(ttl_s=1.5, renew_every_s=0.4)
LEADER = LeaderTimes(scan_interval_s=1.0, dispatch_timeout_s=2.0, heartbeat_interval_s=0.3)
DRAIN_TIMEOUT_S = 3.0

T = TypeVar("T")

Script = Callable[["User"], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Role:
    """How a pod is started, and started again after a crash."""

    roles: frozenset[str] = BOTH
    worker_id: str | None = None
    capacity: int = 3
    labels: Mapping[str, str] = attrs.field(factory=dict)
    missed_after_s: float = 60.0
    knows_host: bool = False  # whether it can tell that a process of its name has ended


@attrs.define(kw_only=True, eq=False)
class Process:
    """One operating system's process; ``pod`` is None for the user's."""

    name: str
    strand: Strand
    worker_id: str = ""
    pod: Pod | None = None
    task: asyncio.Task[None] | None = None
    leaving: bool = False


class User(Client):
    """The client as a user's program has it: what was acknowledged is remembered."""

    def __init__(self, store: Store, stage: "Stage") -> None:
        super().__init__(store)
        self._stage = stage
        self.store = store  # for programs that speak to it without a client, as an API pod does

    async def submit(
        self, spec: TaskSpec, *, task_id: str | None = None, delay_s: float = 0.0
    ) -> str:
        """As the client; asked and answered is what the user testifies."""
        op = self._stage.invoked("submit", task_id)
        try:
            done = await super().submit(spec, task_id=task_id, delay_s=delay_s)
        except ClientError:
            self._stage.answered("fail", op)
            raise
        self._stage.answered("ok", op)
        self._stage.acknowledged.append(done)
        return done

    async def attempt(self, act: Awaitable[T]) -> T | None:
        """An act that may find the world changed: a repeated script must bear that."""
        try:
            return await act
        except (ClientError, TimeoutError):
            self._stage.counts["refused"] += 1
            return None


@attrs.define(kw_only=True, eq=False)
class Stage:
    """A play under way. ``point`` is its one fault, None for the play as written."""

    group: asyncio.TaskGroup
    state: State
    wall: VirtualWall
    now_s: Callable[[], float]
    balancer: tuple[str, LoadBalancer]
    point: Point | None = None
    calls: list[Call] | None = None
    books: Books = attrs.field(factory=Books)
    ledger: Ledger = attrs.field(init=False)
    pods: dict[str, Process] = attrs.field(factory=dict)
    lives: list[Process] = attrs.field(factory=list)
    plans: dict[str, Role] = attrs.field(factory=dict)
    counts: Counter[str] = attrs.field(factory=Counter)
    acknowledged: list[str] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)
    assertions: BrokenAssertions = attrs.field(factory=BrokenAssertions)
    said: list[EvidenceLine] = attrs.field(factory=list)
    faults: list[EvidenceLine] = attrs.field(factory=list)
    rest: Mapping[str, object] = attrs.field(factory=dict)
    meter: Meter = attrs.field(factory=Meter)
    healing: bool = False
    over: bool = False

    def __attrs_post_init__(self) -> None:
        """The ledger is kept by the stage's clock."""
        self.ledger = Ledger(now_s=self.now_s)

    @property
    def store(self) -> RecordedStore:
        """A handle without a strand: the operator's, or the world's."""
        return RecordedStore(self.state, self.books)

    # --- what it testifies ---

    def invoked(self, call: str, task_id: str | None) -> str:
        """A user asks for something; the operation's name."""
        self.counts["operations"] += 1
        op = f"op{self.counts['operations']}"
        line = {"line": "invoke", "op": op, "at_s": self.now_s(), "call": call, "task": task_id}
        self.said.append(line)
        return op

    def answered(self, how: str, op: str) -> None:
        """A user has an answer. Without one nobody knows."""
        self.said.append({"line": how, "op": op, "at_s": self.now_s()})

    def healed(self) -> None:
        """Until now there was trouble; a worker that is dead now was killed by it."""
        now_ms = self.wall()
        here = {process.worker_id for process in self.pods.values()}
        dead = sorted({process.worker_id for process in self.lives} - here)
        self.faults = [
            {"line": "fault", "kind": "trouble", "at_ms": 0, "upto_ms": now_ms},
            *(
                {"line": "fault", "kind": "kill", "at_ms": now_ms + 1, "worker": worker_id}
                for worker_id in dead
            ),
        ]

    # --- pods ---

    def start(self, name: str, role: Role | None = None) -> Process:
        """Start a pod unless it is there; its worker has a new id in each life, unless it is fixed."""
        present = self.pods.get(name)
        if present is not None and not present.leaving:
            return present
        role = self.plans[name] = role or self.plans.get(name, Role())
        self.counts[f"starts of {name}"] += 1
        life = f"{name}-{self.counts[f'starts of {name}']}"
        strand = self._strand(life, lambda: self.kill(name, process))
        process = Process(name=life, strand=strand, worker_id=role.worker_id or life)
        process.pod = self._pod(name, process, role)
        process.task = self.group.create_task(self._run(name, process), name=f"pod {life}")
        self.pods[name] = process
        self.lives.append(process)
        return process

    def _strand(self, life: str, crash: Callable[[], None]) -> Strand:
        return Strand(
            name=life,
            state=self.state,
            group=self.group,
            point=self.point,
            crash=crash,
            calls=self.calls,
            now_s=self.now_s,
            meter=self.meter,
        )

    def _pod(self, name: str, process: Process, role: Role) -> Pod:
        line, strand = Line(process.strand), process.strand

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            yield line.over(self.store, "heartbeat")

        plan = PodPlan(
            name=name,
            roles=role.roles,
            election=ELECTION,
            leader=LEADER,
            worker=WorkerPlan(
                worker_id=process.worker_id,
                capacity=role.capacity,
                backlog=role.capacity,
                labels=role.labels,
                heartbeat=HEARTBEAT,
                drain_timeout_s=DRAIN_TIMEOUT_S,
                host=self._host(name) if role.knows_host else None,
            ),
            balancer=self.balancer,
            executors={
                "fn": Bodies(
                    strand=strand, ledger=self.ledger, kill=lambda: self.kill(name, process)
                )
            },
            observers={"assertions": self.assertions},
            services={},
            missed_after_s=role.missed_after_s,
        )
        return Pod(
            plan,
            store=line.over(self.store, "main"),
            election_store=line.over(self.store, "election"),
            open_store=opened,
            runtime=self._runtime(strand),
        )

    def _host(self, name: str) -> Host:
        """The host of all pods of this name, of whose processes the next life is one."""
        host, number = name.encode().hex()[:8].rjust(8, "0"), len(self.lives)
        return Host(
            own=ProcessIdentity(host, "1", number, number),
            ended=lambda process: self.lives[process.pid].strand.dead,
        )

    def _runtime(self, strand: Strand) -> Runtime:
        # By the whole name: processes that draw the same tokens would be taken for one another.
        seed = int.from_bytes(strand.name.encode())
        runtime = virtual_runtime(asyncio.get_running_loop(), seed)

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            await strand.resumed()

        return attrs.evolve(runtime, sleep=sleep)

    async def _run(self, name: str, process: Process) -> None:
        assert process.pod is not None
        try:
            await process.pod.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            if not isinstance(first_error(error), SupersededError):
                self.problems.append(f"pod {process.name} failed: {first_error(error)!r}")
        finally:
            if self.pods.get(name) is process:
                del self.pods[name]

    def end(self) -> None:
        """Stop every process there still is; none is started again."""
        self.over = True
        for process in self.lives:
            self.kill("", process)

    def kill(self, name: str, process: Process | None = None) -> None:
        """End a pod at once, as ``kill -9`` does; its supervisor starts another a second later."""
        process = process or self.pods.get(name)
        if process is None or process.strand.dead:
            return
        process.strand.dead = True
        if self.pods.get(name) is process:
            del self.pods[name]
        if process.task is not None:
            process.task.cancel()
        if not (process.leaving or self.over):
            self.group.create_task(self._restart(name), name="restart")

    async def _restart(self, name: str) -> None:
        await asyncio.sleep(RESTART_S)
        if not self.over and name not in self.pods:
            self.start(name)

    async def leave(self, name: str) -> None:
        """SIGTERM, and wait until the pod has left."""
        process = self.pods.get(name)
        if process is None or process.pod is None or process.task is None:
            return
        process.leaving = True
        process.pod.stop()
        await asyncio.wait({process.task}, timeout=WAIT_S)

    def pause(self, name: str, seconds: float) -> None:
        """Stop a pod, as SIGSTOP does, for so long."""
        if name in self.pods:
            self.pods[name].strand.paused_until_s = self.now_s() + seconds

    def leads(self, name: str) -> bool:
        """Whether this pod thinks it leads."""
        process = self.pods.get(name)
        return bool(process and process.pod and process.pod.status().leading)

    async def lead_by(self, name: str, role: Role | None = None) -> None:
        """Start a pod and wait until it leads."""
        self.start(name, role)
        await self.until(lambda: self.leads(name), f"{name} leads")

    # --- the user ---

    async def user(self, script: Script) -> None:
        """Run a user's program; one that crashes is started again from its beginning."""
        while not await self._program(script):  # noqa: ASYNC110 - a supervisor waits like this
            await asyncio.sleep(RESTART_S)

    async def _program(self, script: Script) -> bool:
        """One life of a user's program; whether it came to its end."""
        self.counts["starts of user"] += 1
        life = f"{USER}-{self.counts['starts of user']}"
        process = Process(name=life, strand=self._strand(life, lambda: _end(process)))
        user = User(Line(process.strand).over(self.store, "client"), self)
        process.task = self.group.create_task(_played(script, user), name=f"program {life}")
        await asyncio.wait({process.task})
        return not process.strand.dead

    # --- waiting ---

    async def until(self, condition: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
        """Wait for a condition. After a fault it may never come true; then the play goes on."""
        until_s = self.now_s() + wait_s
        while not condition():
            if self.now_s() >= until_s:
                if self.point is None and not self.healing:
                    self.problems.append(f"as written: waited {wait_s:g} s in vain: {what}")
                return
            await asyncio.sleep(0.05)

    async def ended(self, *task_ids: str) -> None:
        """Wait until these tasks have ended."""
        for task_id in task_ids:
            await self.until(lambda: self.is_ended(task_id), f"{task_id} has ended")  # noqa: B023

    async def running(self, task_id: str) -> None:
        """Wait until a task runs, or has run."""
        await self.until(lambda: task_id in self.ledger.tries, f"{task_id} runs")

    async def fired(self, config_id: str, times: int, within_s: float = WAIT_S) -> None:
        """Wait until a config has been fired so often."""
        prefix = f"{config_id}@"
        await self.until(
            lambda: sum(key.startswith(prefix) for key in self.state.tasks) >= times,
            f"{config_id} has fired {times} times",
            within_s,
        )

    def is_ended(self, task_id: str) -> bool:
        """Whether a task has ended, or is removed already."""
        row = self.state.tasks.get(task_id)
        return row is not None and row.status.terminal


def _end(process: Process) -> None:
    process.strand.dead = True
    if process.task is not None:
        process.task.cancel()


async def _played(script: Script, user: User) -> None:
    try:
        await script(user)
    except StoreUnavailableError:
        return  # a program that could not reach the store for long gives up
