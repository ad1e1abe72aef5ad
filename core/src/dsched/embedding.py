"""dsched inside any asyncio program: a whole pod with `pod`, or only a client with `connect`."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs

from dsched.assembly import all_roles, no_executor, open_pod, store_opener
from dsched.client import Client
from dsched.config import LoadedSettings, read_plugin_settings, read_settings
from dsched.config.scheduled import code_sources
from dsched.config.settings import Settings
from dsched.contracts.service import PodStatus
from dsched.contracts.store import Store
from dsched.declaring import declare, report
from dsched.engine.pod import WORKER, Pod
from dsched.engine.worker.exits import exits_kept_in
from dsched.functions.schedules import SCHEDULES
from dsched.loading import Catalogue, load_catalogue
from dsched.model import InvalidConfigError, TaskConfig
from dsched.planning import check_policies, compile_trigger

ConfigSource: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | None


@attrs.frozen(kw_only=True)
class EmbeddedPod:
    """A running pod and a client on its store."""

    client: Client
    _pod: Pod

    def status(self) -> PodStatus:
        """How the pod is; never touches the store."""
        return self._pod.status()


@asynccontextmanager
async def pod(
    config: ConfigSource = None,
    *,
    tasks: Iterable[TaskConfig] = (),
    roles: Iterable[str] | None = None,
    plugins: Iterable[object] = (),
) -> AsyncIterator[EmbeddedPod]:
    """Run a pod in this event loop until the block ends, then drain it.

    ``config`` is the path of a configuration file or a mapping of the same shape. ``tasks`` are put
    into the store at the start, and so is what `@dsched.schedule` declares in this process; of that,
    what is no longer declared is paused. ``roles`` default to scheduler and worker: services with ports are
    the host program's choice. ``plugins`` are plugin objects given in code. Any number of replicas
    of the program may do this: they elect one leader among them. An exception of the block is
    raised as it is, after the drain. A failure of the pod for good cancels the block and is raised
    in an `ExceptionGroup`. ``worker.processes`` above 1 is refused. A task with an executor that is not installed, or a payload that its
    executor refuses, is an `InvalidConfigError`, and then none is put.
    """
    loaded, catalogue = _load(config, plugins)
    chosen = _checked_roles(roles, catalogue, loaded.settings)
    configs = [_checked(task, catalogue) for task in tasks]
    sources = code_sources(SCHEDULES, apps=(), settings=loaded.settings, catalogue=catalogue)
    failure: Exception | None = None
    async with open_pod(loaded, catalogue, roles=chosen) as opened, asyncio.TaskGroup() as group:
        client = _client(opened.store, loaded.settings, by=loaded.settings.pod.name)
        for done in await client.put_configs(configs):
            done.kept()
        for source in sources:
            report(await declare(client, source.configs, origin=source.origin))
        with exits_kept_in(asyncio.get_running_loop()):
            running = group.create_task(opened.run(), name="dsched pod")
            try:
                yield EmbeddedPod(client=client, pod=opened)
            except Exception as error:  # noqa: BLE001 - the block's own; raised below, outside the group
                failure = error
            finally:
                opened.stop()
                await asyncio.wait({running})  # drain: an error or a cancellation would cut it off
    if failure is not None:
        raise failure


@asynccontextmanager
async def connect(
    config: ConfigSource = None, *, plugins: Iterable[object] = (), by: str = "client"
) -> AsyncIterator[Client]:
    """A client on the configured store, for programs that only submit and read.

    ``by`` names the program in the event log. Raises `StoreUnavailableError` if the store does not
    answer, `StoreRefusedError` if it must not be used.
    """
    loaded, catalogue = _load(config, plugins)
    async with store_opener(loaded, catalogue)() as store:
        yield _client(store, loaded.settings, by=by)


def _client(store: Store, settings: Settings, *, by: str) -> Client:
    """A client that fills in what the settings say of tasks that do not say it themselves."""
    return Client(store, by=by, defaults=settings.task.defaults)


def _load(config: ConfigSource, plugins: Iterable[object]) -> tuple[LoadedSettings, Catalogue]:
    """The installed plugins and the settings, from a file's path or a mapping of its shape."""
    path = os.fspath(config) if isinstance(config, str | os.PathLike) else None
    given = dict(_dotted(config)) if isinstance(config, Mapping) else {}
    allowed = read_plugin_settings(path, os.environ, given)
    catalogue = load_catalogue(
        enabled=allowed.enabled, disabled=allowed.disabled, extra_plugins=tuple(plugins)
    )
    return read_settings(path, os.environ, given, catalogue), catalogue


def _checked_roles(
    roles: Iterable[str] | None, catalogue: Catalogue, settings: Settings
) -> frozenset[str]:
    chosen = frozenset({"scheduler", "worker"} if roles is None else roles)
    known = all_roles(catalogue)
    if unknown := chosen - known:
        raise ValueError(f"unknown roles {sorted(unknown)}; there are {sorted(known)}")
    if missing := no_executor(chosen, catalogue):
        raise InvalidConfigError("executors", missing)
    count = settings.worker.processes
    if WORKER in chosen and count > 1:
        raise InvalidConfigError(
            "worker.processes",
            f"is {count}, but dsched.pod works in the process of its program: leave it out (or set "
            "it to 1 for this program), give heavy functions isolation='process', or run workers "
            "beside it with dsched-run --role worker",
        )
    return chosen


def _checked(task: TaskConfig, catalogue: Catalogue) -> TaskConfig:
    """Judged as a task file would be, and with the `type` that it would give, so that both ways
    give equal configs."""
    executor = catalogue.executors.get(task.executor)
    if executor is None:
        known = ", ".join(catalogue.executors)
        raise InvalidConfigError(
            f"{task.id}.executor", f"{task.executor!r} is not installed; there is {known}"
        )
    problems = executor.provider.check_payload(task.payload)
    if problems:
        raise InvalidConfigError(f"{task.id}.payload", "; ".join(problems))
    compile_trigger(task.trigger)
    check_policies(task)
    return task if task.type else attrs.evolve(task, type=executor.provider.protocol)


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """``{"redis": {"addr": x}}`` as ``redis.addr: x``: what `read_settings` takes as overrides."""
    for key, value in tree.items():
        place = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{place}.")
        else:
            yield place, value
