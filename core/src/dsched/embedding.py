"""dsched inside any asyncio program: a whole pod with `pod`, or only a client with `connect`."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from types import FrameType
from typing import Any, TypeAlias

import attrs

from dsched.assembly import all_roles, client_on, no_executor, open_pod, store_opener
from dsched.client import Client
from dsched.client.asking import CALL_S
from dsched.client.blocking import BlockingClient
from dsched.config import LoadedSettings, read_plugin_settings, read_settings
from dsched.config.intake import CatalogueIntake
from dsched.config.scheduled import code_sources
from dsched.config.settings import Settings
from dsched.config.sources import PROGRAM
from dsched.contracts.service import PodStatus
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.declaring import Keeper, keep
from dsched.engine.pod import WORKER, Pod
from dsched.engine.runtime import Runtime
from dsched.engine.store_calls import Patience, answered_within
from dsched.engine.worker.exits import exits_kept_in
from dsched.functions.at_hand import at_hand
from dsched.functions.schedules import SCHEDULES
from dsched.loading import Catalogue, load_catalogue
from dsched.model import InvalidConfigError, TaskConfig, Wait, seconds_of

CLOSE_S = 10.0

ConfigSource: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | None


class StartStoppedError(RuntimeError):
    """A signal came before the pod had started; nothing runs."""


@attrs.frozen(kw_only=True)
class EmbeddedPod:
    """A running pod and a client on its store."""

    client: Client
    _pod: Pod

    def status(self) -> PodStatus:
        """How the pod is; never touches the store."""
        return self._pod.status()

    def hurry(self) -> None:
        """Leave without waiting for what still runs: it is given back, to be run elsewhere."""
        self._pod.hurry()


@asynccontextmanager
async def pod(
    config: ConfigSource = None,
    *,
    tasks: Iterable[TaskConfig] = (),
    roles: Iterable[str] | None = None,
    plugins: Iterable[object] = (),
    wait: bool = True,
    start_timeout: Wait | None = None,
) -> AsyncIterator[EmbeddedPod]:
    """Run a pod in this event loop until the block ends, then drain it.

    ``config`` is the path of a configuration file or a mapping of the same shape. ``tasks`` are put
    into the store at the start, and so is what `@dsched.schedule` declares in this process; of
    that, what is no longer declared is paused. ``roles`` default to scheduler and worker: services
    with ports are the host program's choice. ``plugins`` are plugin objects given in code. Any
    number of replicas of the program may do this: they elect one leader among them. An exception
    of the block is raised as it is, after the drain. A failure of the pod for good cancels the
    block and is raised in an `ExceptionGroup`. ``worker.processes`` above 1 is refused. A task
    with an executor that is not installed, or a payload that its executor refuses, is an
    `InvalidConfigError`, and then none is put.

    A store that does not answer is waited for, unless not to ``wait``, and no longer than
    ``start_timeout``: then it is a `StoreUnavailableError`. SIGTERM or SIGINT meanwhile, where the
    program handles them, ends the wait as well, with `StartStoppedError`.

    Within the block `function.submit(...)` goes through this pod.
    """
    loaded, catalogue = load(config, plugins)
    running = running_pod(
        loaded,
        catalogue,
        tasks=tasks,
        roles=roles,
        wait=wait,
        start_timeout=start_timeout,
    )
    async with running as embedded:
        yield embedded


@asynccontextmanager
async def running_pod(
    loaded: LoadedSettings,
    catalogue: Catalogue,
    *,
    tasks: Iterable[TaskConfig] = (),
    roles: Iterable[str] | None = None,
    wait: bool = True,
    start_timeout: Wait | None = None,
) -> AsyncIterator[EmbeddedPod]:
    """See `pod`."""
    chosen = _checked_roles(roles, catalogue, loaded.settings)
    judge = CatalogueIntake(defaults=loaded.settings.task, catalogue=catalogue)
    configs = [judge.judged(task) for task in tasks]
    sources = code_sources(SCHEDULES, apps=(), settings=loaded.settings, catalogue=catalogue)
    failure: Exception | None = None
    async with AsyncExitStack() as stack:
        async with _starting(start_timeout):
            opened = await stack.enter_async_context(
                open_pod(loaded, catalogue, roles=chosen, wait=wait)
            )
            client = client_on(opened.store, loaded, catalogue, by=loaded.settings.pod.name)
            keepers = [Keeper(client, source) for source in sources]
            await _put(client, configs, keepers, wait=wait)
        stack.enter_context(at_hand(client))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.enter_context(exits_kept_in(asyncio.get_running_loop()))
        running = group.create_task(opened.run(), name="dsched pod")
        keeping = group.create_task(keep(keepers, asyncio.sleep), name="dsched schedules")
        try:
            yield EmbeddedPod(client=client, pod=opened)
        except Exception as error:  # noqa: BLE001 - the block's own; raised below, outside the group
            failure = error
        finally:
            keeping.cancel()
            opened.stop()
            # Drain however the block ends: an error or a cancellation would cut the pod off.
            await asyncio.wait({running})
    if failure is not None:
        raise failure


async def _put(
    client: Client, configs: Sequence[TaskConfig], keepers: Sequence[Keeper], *, wait: bool
) -> None:
    """Put what is declared; once more from the start while the store does not answer."""
    patience = Patience(Runtime(), "putting the configs")
    while True:
        try:
            for done in await client.put_configs(configs):
                done.kept()
            for keeper in keepers:
                await keeper.look()
        except StoreUnavailableError as error:
            if not wait:
                raise
            await patience.wait(error)
        else:
            patience.answered()
            return


@asynccontextmanager
async def _starting(start_timeout: Wait | None) -> AsyncIterator[None]:
    """A start that ends when its time is over or a signal comes."""
    limit_s = None if start_timeout is None else seconds_of(start_timeout)
    limit = asyncio.timeout(limit_s)
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def stop() -> None:
        if begun and not limit.expired():
            limit.reschedule(loop.time())

    def signalled(number: int) -> None:
        heard.append(number)
        loop.call_soon_threadsafe(stop)

    begun = True
    try:
        with _hearing(signalled):
            async with limit:
                yield
            begun = False
    except TimeoutError as late:
        if not limit.expired():
            raise
        if heard:
            name = signal.Signals(heard[0]).name
            raise StartStoppedError(f"{name} came before the pod had started") from None
        raise StoreUnavailableError(
            f"the pod could not start within {limit_s:g} s: the store did not answer",
            maybe_applied=True,
        ) from late


@contextmanager
def _hearing(signalled: Callable[[int], None]) -> Iterator[None]:
    """Call ``signalled`` too for signals that the program handles, while the start may block it.

    A signal that the program does not handle ends it anyway; and only the main thread gets any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def received(number: int, frame: FrameType | None) -> None:
        signalled(number)
        before[number](number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            before[number] = handler
            signal.signal(number, received)
    try:
        yield
    finally:
        for one, former in before.items():
            if signal.getsignal(one) is received:
                signal.signal(one, former)
                signal.siginterrupt(one, False)


@asynccontextmanager
async def connect(
    config: ConfigSource = None,
    *,
    plugins: Iterable[object] = (),
    by: str = "client",
    timeout: Wait = CALL_S,
) -> AsyncIterator[Client]:
    """A client on the configured store, for programs that only submit and read.

    ``by`` names the program in the event log. Opening it and each question take at most
    ``timeout``; then, or if the store does not answer, `StoreUnavailableError`.
    `StoreRefusedError` if it must not be used. Within the block `function.submit(...)` goes
    through this client.
    """
    loaded, catalogue = load(config, plugins)
    async with AsyncExitStack() as stack:
        async with answered_within(seconds_of(timeout)):
            store = await stack.enter_async_context(store_opener(loaded, catalogue)())
        client = client_on(store, loaded, catalogue, by=by, timeout=timeout)
        stack.enter_context(at_hand(client))
        yield client


def connect_blocking(
    config: ConfigSource = None,
    *,
    plugins: Iterable[object] = (),
    by: str = "client",
    timeout: Wait = CALL_S,
) -> BlockingClient:
    """`connect` for code that does not await: open until its `close`, or the end of a `with`.

    It works in a thread of its own, so make it after a server has forked its workers, not before.
    """
    serving = _Serving(connect(config, plugins=plugins, by=by, timeout=timeout))
    return BlockingClient(serving.client, serving.loop, timeout=timeout, close=serving.close)


class _Serving:
    """An event loop in a thread of its own that holds a connection open."""

    def __init__(self, connection: AbstractAsyncContextManager[Client]) -> None:
        self.loop = asyncio.new_event_loop()
        self._opened: Future[Client] = Future()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(connection,), name="dsched client", daemon=True
        )
        self._thread.start()
        self.client = self._opened.result()

    def _run(self, connection: AbstractAsyncContextManager[Client]) -> None:
        try:
            self.loop.run_until_complete(self._serve(connection))
        finally:
            self.loop.close()

    async def _serve(self, connection: AbstractAsyncContextManager[Client]) -> None:
        try:
            async with connection as client:
                self._opened.set_result(client)
                await self._closing.wait()
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)

    def close(self) -> None:
        """Let go of the store, and wait for the thread's end."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(CLOSE_S)


def load(config: ConfigSource, plugins: Iterable[object]) -> tuple[LoadedSettings, Catalogue]:
    """The installed plugins and the settings, from a file's path or a mapping of its shape."""
    path = os.fspath(config) if isinstance(config, str | os.PathLike) else None
    given = dict(_dotted(config)) if isinstance(config, Mapping) else {}
    allowed = read_plugin_settings(path, os.environ, given, flags_of=PROGRAM)
    catalogue = load_catalogue(
        enabled=allowed.enabled, disabled=allowed.disabled, extra_plugins=tuple(plugins)
    )
    return read_settings(path, os.environ, given, catalogue, flags_of=PROGRAM), catalogue


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


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """``{"redis": {"addr": x}}`` as ``redis.addr: x``: what `read_settings` takes as overrides."""
    for key, value in tree.items():
        place = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{place}.")
        else:
            yield place, value
