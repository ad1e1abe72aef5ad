"""Where a scenario plays: a store, pods of the production code, a user, each in a process of its
own."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs

from dsched.client import Client, ClientError
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.engine.worker.succession import Host
from dsched.functions.handles import TaskHandle
from dsched.model import TaskSpec, Wait, Workflow
from dsched_testkit.evidence import Line as EvidenceLine
from dsched_testkit.judging.testimony import trouble
from dsched_testkit.kernel.bodies import Bodies, Ledger
from dsched_testkit.kernel.failures import BrokenAssertions, leaves, superseded
from dsched_testkit.kernel.plans import BOTH, SHORT, host_of, pod_plan
from dsched_testkit.kernel.recording import Books, RecordedStore
from dsched_testkit.kernel.virtual_time import VirtualWall, virtual_runtime
from dsched_testkit.memory import State
from dsched_testkit.sweep.process import Call, Meter, Point, SweptProcess

USER = "user"
RESTART_S = 1.0
WAIT_S = 20.0

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
    learns: str = ""  # a function that it has from 7 s after its start on
    knows_host: bool = False  # whether it can tell that a process of its name has ended


class User(Client):
    """The client as a user's program has it: what was acknowledged is remembered."""

    def __init__(self, store: Store, stage: "Stage") -> None:
        super().__init__(store)
        self._stage = stage
        self.store = store  # for programs that speak to it without a client, as an API pod does

    async def submit(
        self,
        spec: TaskSpec | Workflow | Mapping[str, Any],
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
        delay_s: float = 0.0,
        params: Mapping[str, Any] | None = None,
    ) -> TaskHandle[Any]:
        """As the client; the user testifies what was asked and answered."""
        op = self._stage.invoked("submit", task_id)
        try:
            done = await super().submit(
                spec, task_id=task_id, delay=delay, at=at, delay_s=delay_s, params=params
            )
        except ClientError:
            self._stage.answered("fail", op)
            raise
        self._stage.answered("ok", op)
        self._stage.acknowledged.append(done)
        return done

    async def submit_each(self, tasks: Mapping[str, TaskSpec]) -> None:
        """Submit these tasks, by their ids, in their order."""
        for task_id, spec in tasks.items():
            await self.attempt(self.submit(spec, task_id=task_id))

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
    pods: dict[str, SweptProcess] = attrs.field(factory=dict)
    lives: list[SweptProcess] = attrs.field(factory=list)
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

    def handle(self) -> RecordedStore:
        """A handle of no process: the operator's, or the world's."""
        return RecordedStore(self.state, self.books)

    @property
    def store(self) -> RecordedStore:
        """One more of them."""
        return self.handle()

    # --- what it testifies ---

    def invoked(self, call: str, task_id: str | None) -> str:
        """A user asks for something; the operation's name."""
        self.counts["operations"] += 1
        op = f"op{self.counts['operations']}"
        line = {"line": "invoke", "op": op, "at_s": self.now_s(), "call": call, "task": task_id}
        self.said.append(line)
        return op

    def answered(self, how: str, op: str) -> None:
        """A user has an answer. Without one the outcome is unknown."""
        self.said.append({"line": how, "op": op, "at_s": self.now_s()})

    def healed(self) -> None:
        """The faults end now; a worker that is dead now was killed by them."""
        here = {process.worker_id for process in self.pods.values()}
        dead = sorted({process.worker_id for process in self.lives} - here)
        self.faults = trouble(self.wall(), dead)

    # --- pods ---

    def start(self, name: str, role: Role | None = None) -> SweptProcess:
        """Start a pod unless it is there; its worker has a new id in each life, unless it is
        fixed."""
        present = self.pods.get(name)
        if present is not None and not present.leaving:
            return present
        role = self.plans[name] = role or self.plans.get(name, Role())
        process = self._process(name, lambda: self._killed(name, process))
        process.worker_id = role.worker_id or process.name
        bodies = Bodies(process=process, ledger=self.ledger, kill=process.kill)
        plan = pod_plan(
            name,
            process.worker_id,
            attrs.evolve(SHORT, missed_after_s=role.missed_after_s),
            balancer=self.balancer,
            executor=bodies,
            roles=role.roles,
            capacity=role.capacity,
            labels=role.labels,
            host=self._host(name) if role.knows_host else None,
            observers={"assertions": self.assertions},
        )
        if role.learns:
            known_s = self.now_s() + 7.0
            offered = lambda: [role.learns] if self.now_s() >= known_s else []  # noqa: E731
            functions = attrs.evolve(bodies, offered=offered)
            plan = attrs.evolve(plan, executors={**plan.executors, "local": functions})
        # By the whole name: processes that draw the same tokens would be taken for one another.
        runtime = virtual_runtime(asyncio.get_running_loop(), int.from_bytes(process.name.encode()))
        process.run_pod(plan, self.handle, runtime, spawn=self.group.create_task, ended=self._ended)
        self.pods[name] = process
        self.lives.append(process)
        return process

    def _host(self, name: str) -> Host:
        return host_of(name, len(self.lives), lambda number: self.lives[number].dead)

    def _process(self, name: str, killed: Callable[[], None]) -> SweptProcess:
        """The next life of a process of that name."""
        self.counts[f"starts of {name}"] += 1
        return SweptProcess(
            name=f"{name}-{self.counts[f'starts of {name}']}",
            state=self.state,
            group=self.group,
            point=self.point,
            killed=killed,
            calls=self.calls,
            now_s=self.now_s,
            meter=self.meter,
        )

    def _ended(self, process: SweptProcess, error: Exception | None) -> None:
        if error is not None and not superseded(error):
            self.problems.append(f"pod {process.name} failed: {leaves(error)[0]!r}")
        self._gone(process)

    def _gone(self, process: SweptProcess) -> None:
        self.pods = {name: one for name, one in self.pods.items() if one is not process}

    def _killed(self, name: str, process: SweptProcess) -> None:
        """The supervisor of a pod that was killed starts another a second later."""
        self._gone(process)
        if not (process.leaving or self.over):
            self.group.create_task(self._restart(name), name="restart")

    def end(self) -> None:
        """Stop every process there still is; none is started again."""
        self.over = True
        for process in self.lives:
            process.kill()

    def kill(self, name: str) -> None:
        """End a pod at once, as ``kill -9`` does, if it is there."""
        if name in self.pods:
            self.pods[name].kill()

    async def _restart(self, name: str) -> None:
        await asyncio.sleep(RESTART_S)
        if not self.over and name not in self.pods:
            self.start(name)

    async def leave(self, name: str) -> None:
        """SIGTERM, and wait until the pod has left."""
        process = self.pods.get(name)
        if process is None or process.task is None:
            return
        process.stop()
        await asyncio.wait({process.task}, timeout=WAIT_S)

    def pause(self, name: str, seconds: float) -> None:
        """Stop a pod, as SIGSTOP does, for so long."""
        if name in self.pods:
            self.pods[name].frozen_until_s = self.now_s() + seconds

    def leads(self, name: str) -> bool:
        """Whether this pod thinks it leads."""
        return name in self.pods and self.pods[name].leads

    async def lead_by(self, name: str, role: Role | None = None) -> None:
        """Start a pod and wait until it leads."""
        self.start(name, role)
        await self.until(lambda: self.leads(name), f"{name} leads")

    # --- the user ---

    async def user(self, script: Script) -> None:
        """Run a user's program; one that crashes is started again from its beginning."""
        while not await self._program(script):  # noqa: ASYNC110 - a supervisor waits like this
            await asyncio.sleep(RESTART_S)

    async def submit(self, tasks: Mapping[str, TaskSpec]) -> None:
        """Run a user's program that submits these tasks."""
        await self.user(lambda user: user.submit_each(tasks))

    async def _program(self, script: Script) -> bool:
        """One life of a user's program; whether it came to its end."""
        process = self._process(USER, lambda: None)
        user = User(process.handle(self.store, "client"), self)
        process.run(_played(script, user), self.group.create_task)
        assert process.task is not None
        await asyncio.wait({process.task})
        return not process.dead

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


async def _played(script: Script, user: User) -> None:
    try:
        await script(user)
    except StoreUnavailableError:
        return  # a program that could not reach the store for long gives up
