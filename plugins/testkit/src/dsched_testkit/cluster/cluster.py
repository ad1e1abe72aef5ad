"""`VirtualCluster`: what a user's test does with a cluster, and what it can say about it."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from dsched.client import Client
from dsched.config import LoadedSettings, read_settings
from dsched.config.settings import Settings
from dsched.contracts.executor import Executor
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.settings import StoreSettings
from dsched.functions.registry import REGISTRY, Registry
from dsched.loading import Catalogue
from dsched.model import JsonValue, Task, TaskConfig, TaskSpec, from_ms, to_ms
from dsched.wording import did_you_mean
from dsched_testkit.checker import History
from dsched_testkit.cluster.bodies import Functions, Recorded, StandIn
from dsched_testkit.cluster.catalogue import cluster_catalogue
from dsched_testkit.cluster.declared import Declared, Given, declared_by, put_declared
from dsched_testkit.cluster.idling import Idling, QuietLeaps
from dsched_testkit.cluster.pods import Pods
from dsched_testkit.cluster.values import Done, Skipped, Span, instant_of, seconds_of
from dsched_testkit.kernel.process import Process
from dsched_testkit.kernel.virtual_time import VirtualLoop, VirtualWall
from dsched_testkit.memory import MemoryStore, new_state

T = TypeVar("T")

START = datetime.fromisoformat("2027-01-15T08:00:00+00:00")
KEPT_MS = 100 * 365 * 86_400_000  # nothing is pruned during a test
MAX_LOG = 1_000_000
STEP_S = 1.0
BREATH_MS = 200
BOOT_MS = 60_000  # the pods are up and know each other when the test's time begins
LEAVES_WITHIN_S = 5.0


class VirtualCluster:
    """Pods of the production code around a user's tasks, in a time that only `advance` lets pass.

    It lives in a thread with an event loop of its own, which stands still between two calls: so
    its methods can be called from plain and from async tests alike.
    """

    def __init__(
        self,
        declared: Sequence[Declared],
        *,
        loaded: LoadedSettings,
        catalogue: Catalogue,
        pods: int,
        start: datetime,
        stand_ins: Mapping[str, StandIn],
        registry: Registry,
        seed: int,
    ) -> None:
        self._stand_ins = stand_ins
        self._registry = registry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dsched cluster")
        self._loop = self._thread.submit(VirtualLoop).result()
        self._now_ms = to_ms(start)
        self._wall = VirtualWall(self._loop, to_ms(start) - BOOT_MS)
        self._state = new_state(
            self._wall, StoreSettings(result_ttl_ms=KEPT_MS, max_events=MAX_LOG)
        )
        self._calls: dict[str, list[Task]] = {}
        name = loaded.settings.schedule.balancer
        balancer = catalogue.balancers[name].provider.build(loaded.balancers[name])
        self._executors = tuple(catalogue.executors)
        self._pods = Pods(
            state=self._state,
            loaded=loaded,
            balancer=(name, balancer),
            executors=self._made_for,
            seed=seed,
        )
        self._idling = Idling(self._state, self._pods, self._wall)
        self._zones: dict[str, str] = {}
        self._filter = QuietLeaps()
        logging.getLogger("dsched.leader").addFilter(self._filter)
        names = [chr(ord("a") + number) for number in range(pods)]
        self._run(self._begin(names, declared))

    # --- time, and what goes wrong in it ---

    @property
    def now(self) -> datetime:
        """The instant that the test has advanced to, in UTC.

        The cluster is a moment further, so that what is due at this very instant has been done.
        """
        return from_ms(self._now_ms)

    @property
    def leader(self) -> str | None:
        """The name of the pod that leads, if one does."""
        return self._pods.leader()

    @property
    def pods(self) -> tuple[str, ...]:
        """The names of the pods that run."""
        return tuple(self._pods.alive)

    def advance(self, span: Span) -> Done[datetime]:
        """Let time pass: ``"6h"``, seconds, or a timedelta; `now` after it."""
        return Done(self._run(self._advance(seconds_of(span))))

    def outage(self, span: Span) -> None:
        """From now on, for so long, no pod reaches the store."""
        self._pods.down_until_s = self._loop.time() + seconds_of(span)

    def kill_leader(self) -> str:
        """``kill -9`` for the pod that leads; its name. Advance first if there is none yet."""
        name = self.leader
        if name is None:
            raise AssertionError("no pod leads just now; advance some seconds first")
        return self.kill(name)

    def kill_worker(self, task_id: str | None = None) -> str:
        """``kill -9`` for a pod that does not lead, or for the one that runs this task; its
        name."""
        return self.kill(self._follower() if task_id is None else self._running(task_id))

    def kill(self, name: str) -> str:
        """``kill -9`` for this pod."""
        self._known(name)
        self._call(lambda: self._pods.kill(name))
        return name

    def pause_worker(self, span: Span = "60s", name: str | None = None) -> str:
        """Stop a pod for so long, as a suspended machine is; one that does not lead, or
        ``name``."""
        chosen = self._known(name or self._follower())
        chosen.frozen_until_s = self._loop.time() + seconds_of(span)
        return chosen.name

    def start(self, name: str) -> None:
        """Start a pod, a new one or one that was killed."""
        self._call(lambda: self._pods.start(name))

    def stop(self, name: str) -> None:
        """SIGTERM for a pod: it hands over, drains, and leaves."""
        self._known(name)
        self._run(self._pods.stop(name))

    # --- what clients do ---

    def ask(self, act: Callable[[Client], Awaitable[T]]) -> Done[T]:
        """Any call of a client: ``cluster.ask(lambda client: client.cancel("t1"))``."""

        async def asked() -> T:
            return await act(Client(MemoryStore(self._state), by="test"))

        return Done(self._run(asked()))

    def put(self, config: TaskConfig) -> None:
        """Create or change a config."""
        self._zones[config.id] = config.timezone
        self.ask(lambda client: client.put_config(config))

    def submit(self, function: str, args: JsonValue = None, **policies: Any) -> str:
        """Run a registered function once; the task's id. ``policies`` as those of a `TaskSpec`."""
        payload = {"function": function, "args": args}
        spec = TaskSpec(executor="local", payload=payload, **policies)
        return self.ask(lambda client: client.submit(spec)).value

    def trigger(self, config_id: str) -> str:
        """Run a config's task now, beside its schedule; the task's id."""
        return self.ask(lambda client: client.trigger(config_id)).value

    # --- what happened ---

    def fires(self, config_id: str) -> list[datetime]:
        """The instants that were fired, in the config's own zone, in their order."""
        __tracebackhide__ = True
        zone = ZoneInfo(self._zones.get(self._named(config_id), "UTC"))
        found = [item["ms"] for item in self._items(EventKind.FIRED, config_id)]
        return [from_ms(ms).astimezone(zone) for ms in found]

    def skipped(self, config_id: str) -> list[Skipped]:
        """The instants that were not fired, as the store tells them."""
        __tracebackhide__ = True
        zone = ZoneInfo(self._zones.get(self._named(config_id), "UTC"))
        return [
            Skipped(
                first=from_ms(item["first"]).astimezone(zone),
                last=from_ms(item["last"]).astimezone(zone),
                count=item["count"],
                reason=item["reason"],
            )
            for item in self._items(EventKind.SKIPPED, config_id)
        ]

    def task(self, task_id: str) -> Task:
        """One task, with its result."""
        __tracebackhide__ = True
        if task_id not in self._state.tasks:
            raise AssertionError(f"there is no task {task_id!r}")
        return self._state.tasks[task_id].view(full=True)

    def tasks(self, config_id: str) -> list[Task]:
        """All tasks of a config, by their instants, with their results."""
        __tracebackhide__ = True
        self._named(config_id)
        found = [row.view(full=True) for row in self._state.tasks.values()]
        return sorted(
            (task for task in found if task.config_id == config_id),
            key=lambda task: (task.scheduled_ms, task.id),
        )

    def outcomes(self, config_id: str) -> Counter[str]:
        """How many of a config's tasks have which status."""
        __tracebackhide__ = True
        return Counter(task.status.value for task in self.tasks(config_id))

    def calls(self, executor: str) -> list[Task]:
        """The tasks that were handed to an executor that a stand-in plays, in their order."""
        __tracebackhide__ = True
        if executor not in self._executors:
            hint = did_you_mean(executor, self._executors)
            raise AssertionError(f"no executor {executor!r} is installed; {hint}")
        return list(self._calls.get(executor, ()))

    def assert_fired(self, config_id: str, *instants: str | datetime) -> None:
        """Exactly these instants were fired, written as ``2027-03-28T03:00+02:00``."""
        __tracebackhide__ = True
        wanted = [instant_of(one) for one in instants]
        found = self.fires(config_id)
        if [one.timestamp() for one in found] != [one.timestamp() for one in wanted]:
            lines = [f"  fired   {one.isoformat()}" for one in found]
            lines += [f"  skipped {one}" for one in self.skipped(config_id)]
            lines += [f"  wanted  {one.isoformat()}" for one in wanted]
            raise AssertionError("\n".join([f"{config_id} fired at other instants:", *lines]))

    def assert_succeeded(self, config_id: str) -> None:
        """At least one task of the config ran, and all of them succeeded."""
        __tracebackhide__ = True
        outcomes = self.outcomes(config_id)
        if set(outcomes) != {"success"}:
            bad = [
                f"  {task.id} is {task.status}: {task.reason} {task.error.strip()[-500:]}"
                for task in self.tasks(config_id)
                if task.status != "success"
            ]
            raise AssertionError("\n".join([f"{config_id}: {dict(outcomes)}", *bad]))

    def check(self) -> None:
        """No pod failed for good, and the promises of dsched hold over all that happened."""
        __tracebackhide__ = True
        if self._pods.failures:
            raise AssertionError("a pod failed") from self._pods.failures[0]
        problems = History(self._state).problems()
        if problems:
            raise AssertionError("\n".join(problems))

    def close(self) -> None:
        """End everything; the fixture does it."""
        logging.getLogger("dsched.leader").removeFilter(self._filter)
        try:
            self._run(self._end())
        finally:
            self._thread.submit(self._loop.close).result()
            self._thread.shutdown()

    # --- how it is done ---

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        __tracebackhide__ = True
        return self._thread.submit(self._loop.run_until_complete, work).result()

    def _call(self, act: Callable[[], object]) -> None:
        async def called() -> None:
            act()

        self._run(called())

    async def _begin(self, names: Sequence[str], declared: Sequence[Declared]) -> None:
        for name in names:
            self._pods.start(name)
        await asyncio.sleep(BOOT_MS / 1000)
        if self._pods.failures:
            raise AssertionError("a pod failed") from self._pods.failures[0]
        client = Client(MemoryStore(self._state), by="test")
        self._zones |= await put_declared(client, declared)

    async def _advance(self, seconds: float) -> datetime:
        self._now_ms += round(seconds * 1000)
        end_ms = self._now_ms + BREATH_MS
        while (rest_ms := end_ms - self._wall()) > 0:
            if not self._idling.leap(end_ms):
                await asyncio.sleep(min(STEP_S, rest_ms / 1000))
            if self._pods.failures:
                raise AssertionError("a pod failed") from self._pods.failures[0]
        return self.now

    async def _end(self) -> None:
        for name in list(self._pods.alive):
            self._pods.kill(name)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        if others:
            await asyncio.wait(others, timeout=LEAVES_WITHIN_S)

    def _made_for(self, process: Process) -> dict[str, Executor]:
        made: dict[str, Executor] = {}
        for name in self._executors:
            if name == "local" and name not in self._stand_ins:
                made[name] = Functions(registry=self._registry, process=process)
            else:
                calls = self._calls.setdefault(name, [])
                answer = self._stand_ins.get(name)
                made[name] = Recorded(answer=answer, process=process, calls=calls)
        return made

    def _items(self, kind: EventKind, config_id: str) -> list[Any]:
        return [
            item
            for event in self._state.log
            if event.kind is kind
            for item in event.items
            if item["config"] == config_id
        ]

    def _named(self, config_id: str) -> str:
        """A config that is there, or was: a misspelt one would have fired nothing, as asserted."""
        __tracebackhide__ = True
        known = {*self._zones, *self._state.configs}
        if config_id not in known and not self._items(EventKind.FIRED, config_id):
            raise AssertionError(
                f"there is no config {config_id!r}; {did_you_mean(config_id, known)}"
            )
        return config_id

    def _known(self, name: str) -> Process:
        if name not in self._pods.alive:
            raise AssertionError(f"no pod {name} runs; there are {sorted(self._pods.alive)}")
        return self._pods.alive[name]

    def _follower(self) -> str:
        leader = self.leader
        others = [name for name in self._pods.alive if name != leader]
        if not others:
            raise AssertionError("only the leader runs; start another pod first")
        return others[0]

    def _running(self, task_id: str) -> str:
        worker_id = self._state.tasks[task_id].worker_id
        for name, process in self._pods.alive.items():
            if process.worker_id == worker_id:
                return name
        raise AssertionError(f"task {task_id} is at no running pod; it is at {worker_id}")


def open_cluster(
    folder: Path,
    tasks: Given = (),
    *,
    config: str | os.PathLike[str] | None = None,
    pods: int = 3,
    start: str | datetime = START,
    stand_ins: Mapping[str, StandIn] | None = None,
    registry: Registry = REGISTRY,
    seed: int = 0,
) -> VirtualCluster:
    """A cluster around a task file (from ``folder`` if relative), or configs made in code.

    ``config`` is a configuration file, as for `dsched-run`; its store is not used. Raises
    `ConfigError` for what `dsched-run` would refuse. Executors and the balancer that ship with
    dsched need not be installed.
    """
    catalogue = cluster_catalogue(stand_ins or ())
    settings = None if config is None else str(folder / config)
    # The store is the reference in memory, whether or not the default one is installed.
    chosen = {} if Settings().store in catalogue.stores else {"store": "memory"}
    loaded = read_settings(settings, {}, chosen, catalogue)
    return VirtualCluster(
        declared_by(tasks, folder, loaded, catalogue),
        loaded=loaded,
        catalogue=catalogue,
        pods=pods,
        start=instant_of(start),
        stand_ins=stand_ins or {},
        registry=registry,
        seed=seed,
    )
