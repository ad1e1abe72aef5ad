"""A pod: a scheduler, a worker, observers and services, in one task group."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import attrs

from dsched.client import Client
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor
from dsched.contracts.observer import Observer, Scrape, Scraped
from dsched.contracts.service import Intake, Pages, PodStatus, Service, ServiceError
from dsched.contracts.store import Store
from dsched.engine.assertions import Assertions
from dsched.engine.history_watch import HistoryWatch
from dsched.engine.isolation import apart
from dsched.engine.leader.election import Election, ElectionTimes
from dsched.engine.leader.leading import Leader, LeaderTimes
from dsched.engine.observed_store import Answering, ObservedStore
from dsched.engine.observers import Announcer
from dsched.engine.past import Past
from dsched.engine.presence import Presence
from dsched.engine.runtime import Runtime
from dsched.engine.watchdog import Watchdog, WatchTimes
from dsched.engine.worker.heartbeat import OpenStore
from dsched.engine.worker.role import WorkerPlan, WorkerRole
from dsched.engine.write_watch import NO_ANSWER, WriteWatch
from dsched.functions.at_hand import at_hand
from dsched.functions.handles import Submits

log = logging.getLogger("dsched.pod")

SCHEDULER = "scheduler"
WORKER = "worker"
SERVICE_RESTART_S = 1.0
SERVICE_RESTART_MAX_S = 60.0


@attrs.frozen(kw_only=True)
class PodPlan:
    """What a pod is to be, as configured. ``services`` are those of its roles; they use ``intake``
    and ``pages``. ``client`` makes the client through which functions of its tasks submit."""

    name: str
    roles: frozenset[str]
    election: ElectionTimes
    leader: LeaderTimes
    worker: WorkerPlan
    balancer: tuple[str, LoadBalancer]
    executors: Mapping[str, Executor]
    observers: Mapping[str, Observer]
    services: Mapping[str, Service]
    intake: Intake | None = None
    pages: tuple[Pages, ...] = ()
    client: Callable[[Store], Submits] = Client
    missed_after_s: float = 60.0


class Pod:
    """Runs until `stop`, then leaves in the order of docs/protocol.md, "A pod leaves".

    ``store`` is the general handle, ``election_store`` one used for the leader lock alone,
    ``open_store`` opens a further one for the heartbeat's thread.
    """

    def __init__(
        self,
        plan: PodPlan,
        *,
        store: Store,
        election_store: Store,
        open_store: OpenStore,
        runtime: Runtime,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._announcer = Announcer(plan.observers)
        assertions = Assertions(self._announcer)
        self._writes = WriteWatch(runtime, plan.name, self._announcer.tell)
        self._answering = Answering()
        self._store = self._observed(store, assertions)
        self._stopping = asyncio.Event()
        self._scraping = asyncio.Lock()
        self.worker: WorkerRole | None = None
        self.election: Election | None = None
        self._watchdog: Watchdog | None = None
        past = Past()
        self._history = HistoryWatch(
            plan.name, self._store, runtime=runtime, announcer=self._announcer, past=past
        )
        if SCHEDULER in plan.roles:
            self._take_part(election_store, assertions, past)
        if WORKER in plan.roles:
            self.worker = WorkerRole(
                self._store, open_store, plan.executors, runtime, self._announcer, plan.worker
            )

    def _observed(self, store: Store, assertions: Assertions) -> Store:
        return ObservedStore(
            store,
            self._runtime,
            announcer=self._announcer,
            assertions=assertions,
            writes=self._writes,
            answering=self._answering,
        )

    def _take_part(self, election_store: Store, assertions: Assertions, past: Past) -> None:
        """Be a scheduler: stand for election, and watch while another one leads."""
        plan, store, runtime = self._plan, self._store, self._runtime
        leader = Leader(store, runtime, self._announcer, assertions, plan.leader, plan.balancer)
        self.election = Election(
            plan.name,
            election_store,
            runtime,
            self._announcer,
            plan.election,
            leader.lead,
            past=past,
        )
        self._watchdog = Watchdog(
            plan.name,
            store,
            store,
            runtime,
            self._announcer,
            WatchTimes(missed_after_s=plan.missed_after_s, lock_ttl_s=plan.election.ttl_s),
            leads=lambda: self.status().leading or self._stopping.is_set(),
        )

    @property
    def store(self) -> Store:
        """The general store handle."""
        return self._store

    @property
    def intake(self) -> Intake:
        """The judge of what services take in."""
        if self._plan.intake is None:
            raise RuntimeError("this pod was put together without one")
        return self._plan.intake

    @property
    def pages(self) -> tuple[Pages, ...]:
        """The pages that are installed, by name."""
        return self._plan.pages

    async def scrape(self) -> Scrape | None:
        """The figures of the first observer that has some, written in a thread of its own."""
        for observer in self._plan.observers.values():
            if isinstance(observer, Scraped):
                async with self._scraping:
                    return await asyncio.to_thread(observer.scrape)
        return None

    def status(self) -> PodStatus:
        """How the pod is, without asking the store."""
        draining = self._stopping.is_set()
        registered = self.worker is None or self.worker.registered.is_set()
        leading = self.election is not None and self.election.term is not None
        trouble, ails = self._writes.trouble, self._what_ails_the_store()
        return PodStatus(
            name=self._plan.name,
            roles=self._plan.roles,
            ready=registered and not draining and not ails,
            leading=leading,
            draining=draining,
            detail="draining" if draining else ails or ("ready" if registered else "registering"),
            writes_refused="" if trouble is None else trouble.reason,
            store_words="" if trouble is None else trouble.words,
        )

    def _what_ails_the_store(self) -> str:
        """Why nothing can be asked or written now; "" if nothing is known against it."""
        trouble = self._writes.trouble
        if not self._answering.answers or (trouble is not None and trouble.reason == NO_ANSWER):
            return "the store does not answer"
        return "" if trouble is None else "the store takes no writes"

    def stop(self) -> None:
        """Begin to leave: not ready, resign, hand back, finish what runs. `run` then returns."""
        self._stopping.set()
        if self.election is not None:
            self.election.stop()
        if self.worker is not None:
            self.worker.drain()

    def hurry(self) -> None:
        """Do not wait for what still runs."""
        self.stop()
        if self.worker is not None:
            self.worker.hurry()

    async def run(self) -> None:
        """Run until `stop` or until a part fails for good."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self._announcer.run(), name="observers")]
            presence = Presence(
                self._store,
                self._store,
                runtime=self._runtime,
                status=self.status,
                writes=self._writes,
                answering=self._answering,
            )
            background.append(group.create_task(presence.run(), name="presence"))
            background.append(group.create_task(self._history.run(), name="history"))
            background += [
                group.create_task(self._serve(name, service), name=f"service {name}")
                for name, service in self._plan.services.items()
            ]
            if self._watchdog is not None:
                background.append(group.create_task(self._watchdog.run(), name="watchdog"))
            await self._run_roles()
            for task in background:
                task.cancel()
            await presence.leave()

    async def _run_roles(self) -> None:
        # Each attempt is started from here, and what it submits goes through this client.
        with at_hand(self._plan.client(self._store), everywhere=False):
            await self._work()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            if self.election is not None:
                group.create_task(self.election.run(), name="election")
            if self.worker is not None:
                group.create_task(self.worker.run(), name="worker")
            await self._stopping.wait()

    async def _serve(self, name: str, service: Service) -> None:
        """Run a service; restart it with a growing delay when it fails, and never fail for it."""
        delay_s, before = SERVICE_RESTART_S, ""
        while True:
            try:
                await apart(service.run(self))
                log.warning("service %s ended; it is not restarted", name)
                return
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises; it is logged
                before = _said(name, error, delay_s, before)
            await self._runtime.sleep(delay_s)
            delay_s = min(SERVICE_RESTART_MAX_S, delay_s * 2)


def _said(name: str, error: Exception, delay_s: float, before: str) -> str:
    """Log why a service failed. The traceback is logged once, not with every start that fails
    alike, and never for a `ServiceError`, whose message says all that there is to know."""
    if isinstance(error, ServiceError):
        why = str(error)
        level = logging.DEBUG if why == before else logging.ERROR
        log.log(level, "service %s cannot run, and tries again: %s", name, why)
        return why
    why = f"{type(error).__name__}: {error}"
    log.error(
        "service %s failed; restarting it in %g s: %s",
        name,
        delay_s,
        why,
        exc_info=error if why != before else None,
    )
    return why
