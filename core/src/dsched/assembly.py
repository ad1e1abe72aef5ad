"""From settings and installed plugins to a pod: opens what is needed, in order, and closes it."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from dsched.client import Client
from dsched.client.asking import CALL_S
from dsched.config import LoadedSettings
from dsched.config.intake import CatalogueIntake
from dsched.config.settings import TaskSettings
from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor
from dsched.contracts.observer import Observer
from dsched.contracts.service import Intake, Pages, Service
from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreReadOnlyError, StoreUnavailableError
from dsched.contracts.store.settings import Kept, StoreSettings
from dsched.contracts.store.standing import join_cluster
from dsched.engine.leader.election import ElectionTimes
from dsched.engine.leader.leading import LeaderTimes
from dsched.engine.leader.term import trust_s
from dsched.engine.pod import SCHEDULER, WORKER, Pod, PodPlan
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import Patience, until_answered
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched.engine.worker.role import WorkerPlan
from dsched.functions.handles import Submits
from dsched.loading import Catalogue, Installed
from dsched.loading.opening import opened_by
from dsched.loading.remedy import installed
from dsched.model import TaskStatus, Wait

log = logging.getLogger("dsched.pod")

PROBES_AFTER_S = 0.5
MAX_HOST = 100


def all_roles(catalogue: Catalogue) -> frozenset[str]:
    """Every role that is installed: scheduler, worker, and each service by its name."""
    return frozenset({SCHEDULER, WORKER, *catalogue.services})


def no_executor(roles: frozenset[str], catalogue: Catalogue) -> str | None:
    """Why this pod would be of no use as a worker; None if it has an executor, or is no worker."""
    if WORKER not in roles or catalogue.executors:
        return None
    return f"the role {WORKER} needs an executor; installed: {installed(catalogue.executors)}"


@asynccontextmanager
async def open_pod(
    loaded: LoadedSettings,
    catalogue: Catalogue,
    *,
    roles: frozenset[str],
    runtime: Runtime | None = None,
    wait: bool = True,
    new_cluster: bool = False,
) -> AsyncIterator[Pod]:
    """A pod with everything it needs open; nothing runs until `Pod.run`.

    Waits for a store that does not answer, unless told not to: then `StoreUnavailableError`.
    `StoreRefusedError` in any case if the store must not be used. ``new_cluster``: a store in which
    nothing was ever is what is expected, though the settings name a cluster.
    """
    runtime = runtime or Runtime()
    open_store = store_opener(loaded, catalogue)
    async with AsyncExitStack() as stack:
        trouble = _Trouble()
        async with _probes_answered(loaded, catalogue, roles=roles, why=lambda: trouble.words):
            reach = partial(_reachable, stack, open_store, runtime, trouble, wait=wait)
            store = await reach()
            await until_answered(
                runtime,
                "start-up",
                lambda: join_cluster(store, loaded.settings.cluster, new=new_cluster),
            )
            election_store = await reach()
        plan = await _plan(stack, loaded, catalogue=catalogue, roles=roles, runtime=runtime)
        yield Pod(
            plan,
            store=store,
            election_store=election_store,
            open_store=open_store,
            runtime=runtime,
        )


def store_opener(
    loaded: LoadedSettings, catalogue: Catalogue
) -> Callable[[], AbstractAsyncContextManager[Store]]:
    """How to open a handle on the configured store."""
    settings = loaded.settings
    installed = catalogue.stores[settings.store]
    options = loaded.stores[settings.store]
    told = store_settings_of(loaded)
    return lambda: opened_by(installed, options, told)


def store_settings_of(loaded: LoadedSettings) -> StoreSettings:
    """What the settings tell a store."""
    settings = loaded.settings
    return _store_settings(settings.task, settings.schedule.leader_lock_ttl)


def client_on(
    store: Store,
    loaded: LoadedSettings,
    catalogue: Catalogue,
    *,
    by: str,
    timeout: Wait = CALL_S,
) -> Client:
    """A client that fills in what the settings say of tasks that do not say it themselves, and
    refuses what no installed executor takes."""
    return Client(
        store,
        by=by,
        defaults=loaded.settings.task.defaults,
        judge=CatalogueIntake(defaults=loaded.settings.task, catalogue=catalogue),
        timeout=timeout,
    )


def _store_settings(task: TaskSettings, lock_ttl: timedelta) -> StoreSettings:
    return StoreSettings(
        leader_trust_ms=round(1000 * trust_s(lock_ttl.total_seconds())),
        result_ttl_ms=_ms(task.result_ttl),
        stats_ttl_ms=_ms(task.stats_ttl),
        log_caps=task.logs.caps,
        retention={
            TaskStatus.SUCCESS: _kept(task.keep_success, task.keep_success_count),
            TaskStatus.FAILED: _kept(task.keep_failed, task.keep_failed_count),
            TaskStatus.CANCELLED: _kept(task.keep_cancelled, task.keep_cancelled_count),
        },
    )


def _kept(age: timedelta | None, count: int | None) -> Kept:
    return Kept(age_ms=None if age is None else _ms(age), count=count)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


class _Trouble:
    """Why the store is of no use yet, in words that may be told to anybody."""

    words = "waiting for the store"

    def met(self, error: StoreUnavailableError) -> None:
        if isinstance(error, StoreReadOnlyError):
            self.words = f"the store takes no writes ({error.reason})"
        else:
            self.words = "the store does not answer"


@asynccontextmanager
async def _probes_answered(
    loaded: LoadedSettings,
    catalogue: Catalogue,
    *,
    roles: frozenset[str],
    why: Callable[[], str],
) -> AsyncIterator[None]:
    """Have the services answer probes while the pod waits, so that nothing restarts it for
    waiting."""
    answering = asyncio.create_task(_answer_probes(loaded, catalogue, roles, why))
    try:
        yield
    finally:
        answering.cancel()
        await asyncio.wait({answering})


async def _answer_probes(
    loaded: LoadedSettings, catalogue: Catalogue, roles: frozenset[str], why: Callable[[], str]
) -> None:
    await asyncio.sleep(PROBES_AFTER_S)  # most stores answer at once: then nothing is opened twice
    async with AsyncExitStack() as stack:
        for name, one in catalogue.services.items():
            if name not in roles or one.provider.before is None:
                continue
            try:
                await stack.enter_async_context(one.provider.before(loaded.services[name], why))
            except Exception as error:  # noqa: BLE001 - the service itself says so when it runs
                log.debug("%s answers no probes while the pod waits: %s", name, error)
        await asyncio.Event().wait()  # until cancelled


async def _reachable(
    stack: AsyncExitStack,
    open_store: Callable[[], AbstractAsyncContextManager[Store]],
    runtime: Runtime,
    trouble: _Trouble,
    *,
    wait: bool,
) -> Store:
    """A handle that has answered once."""
    patience = Patience(runtime, "start-up")
    while True:
        async with AsyncExitStack() as attempt:
            try:
                store = await attempt.enter_async_context(open_store())
                await store.now()
            except StoreUnavailableError as error:
                if not wait:
                    raise
                trouble.met(error)
                await patience.wait(error)
                continue
            patience.answered()
            stack.push_async_exit(attempt.pop_all().__aexit__)
            return store


async def _plan(
    stack: AsyncExitStack,
    loaded: LoadedSettings,
    *,
    catalogue: Catalogue,
    roles: frozenset[str],
    runtime: Runtime,
) -> PodPlan:
    """Open the plugins that the roles need, and gather what the pod is to be."""
    executors = await _open_all(
        stack, catalogue.executors if WORKER in roles else {}, loaded.executors
    )
    services = {name: one for name, one in catalogue.services.items() if name in roles}
    settings = loaded.settings
    return configured_plan(
        loaded,
        name=settings.pod.name,
        worker_id=settings.worker.id or f"{settings.pod.name[:64]}-{runtime.token()[:12]}",
        roles=roles,
        balancer=_balancer(loaded, catalogue),
        executors=executors,
        observers=await _open_all(stack, catalogue.observers, loaded.observers),
        services=await _open_all(stack, services, loaded.services),
        intake=CatalogueIntake(defaults=settings.task, catalogue=catalogue),
        pages=tuple(one.provider.pages for one in catalogue.pages.values()),
        client=lambda store: client_on(store, loaded, catalogue, by=settings.pod.name),
    )


def configured_plan(
    loaded: LoadedSettings,
    *,
    name: str,
    worker_id: str,
    roles: frozenset[str],
    balancer: tuple[str, LoadBalancer],
    executors: Mapping[str, Executor],
    observers: Mapping[str, Observer],
    services: Mapping[str, Service],
    intake: Intake | None = None,
    pages: tuple[Pages, ...] = (),
    client: Callable[[Store], Submits] = Client,
) -> PodPlan:
    """What a pod of that name is to be, from these settings and the opened plugins."""
    schedule, worker = loaded.settings.schedule, loaded.settings.worker
    return PodPlan(
        name=name,
        roles=roles,
        election=ElectionTimes(
            ttl_s=schedule.leader_lock_ttl.total_seconds(),
            renew_every_s=schedule.leader_renew_interval.total_seconds(),
        ),
        leader=LeaderTimes(
            scan_interval_s=schedule.scan_interval.total_seconds(),
            dispatch_timeout_s=schedule.dispatch_timeout.total_seconds(),
            heartbeat_interval_s=worker.heartbeat_interval.total_seconds(),
        ),
        worker=_worker_plan(loaded, worker_id),
        balancer=balancer,
        executors=executors,
        observers=observers,
        services=services,
        intake=intake,
        pages=pages,
        client=client,
        missed_after_s=schedule.missed_after.total_seconds(),
    )


def _worker_plan(loaded: LoadedSettings, worker_id: str) -> WorkerPlan:
    settings = loaded.settings.worker
    return WorkerPlan(
        worker_id=worker_id,
        capacity=settings.max_concurrent_tasks,
        backlog=settings.queue_bound,
        labels=settings.labels,
        address=settings.address or own_address(),
        heartbeat=HeartbeatTimes(
            interval_s=settings.heartbeat_interval.total_seconds(),
            timeout_s=settings.heartbeat_timeout.total_seconds(),
        ),
        drain_timeout_s=settings.drain_timeout.total_seconds(),
        task_logs=loaded.settings.task.logs.enabled,
        capture_logging=settings.capture_logging,
        capture_prints=settings.capture_prints,
    )


def own_address() -> str:
    """Where this process is, to be shown to people: its host and its process id."""
    host = "".join(char for char in socket.gethostname() if char.isprintable())
    return f"{host[:MAX_HOST]}:{os.getpid()}"


def _balancer(loaded: LoadedSettings, catalogue: Catalogue) -> tuple[str, LoadBalancer]:
    name = loaded.settings.schedule.balancer
    return name, catalogue.balancers[name].provider.build(loaded.balancers[name])


async def _open_all(
    stack: AsyncExitStack, installed: Mapping[str, Installed[Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Open one object a provider, closed again when the stack is."""
    opened = {}
    for name, one in installed.items():
        log.debug("opening %s (%s %s)", name, one.distribution, one.version)
        opened[name] = await stack.enter_async_context(opened_by(one, options[name]))
    return opened
