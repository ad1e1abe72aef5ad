"""What the tests of the API share: real pods with a real API on a free port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from dsched.assembly import open_pod
from dsched.client import Client
from dsched.config import read_settings
from dsched.contracts import (
    ExecutionContext,
    Executor,
    ExecutorProvider,
    PagesProvider,
    Store,
    StoreProvider,
    StoreSettings,
    TaskFailed,
    hookimpl,
)
from dsched.engine.pod import Pod
from dsched.loading import load_catalogue
from dsched.model import Task, TaskResult
from dsched_testkit.memory import MemoryStore, State, new_state

ADMIN = "admin-token-of-the-tests-0123456789"
SCOPES = ("read", "submit", "operate", "admin")


class Echo(Executor):
    """An executor that answers with its payload, fails on ``{"fail": why}``, waits on a gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        payload = None if task.spec is None else task.spec.payload
        if isinstance(payload, dict):
            if "fail" in payload:
                raise TaskFailed(str(payload["fail"]), retryable=payload.get("retryable", False))
            for _ in range(payload.get("times", 1)):
                for line in payload.get("log", ()):
                    context.logger.info("%s", line)
            for line in payload.get("say", ()):
                context.logger.info(line)
            if payload.get("wait"):
                await self.gate.wait()
        return TaskResult(data=payload)


class TestPlugin:
    """Registers `Echo` under the name ``echo``, and a memory of its own as store ``fresh``."""

    __test__ = False

    def __init__(self, state: State, pages: Path | None = None) -> None:
        self.executor = Echo()
        self.state = state
        self.pages = pages

    @hookimpl
    def dsched_pages(self) -> list[PagesProvider]:
        return [] if self.pages is None else [PagesProvider(name="shop", folder=self.pages)]

    @hookimpl
    def dsched_executors(self) -> list[ExecutorProvider]:
        @asynccontextmanager
        async def opened(_: object) -> AsyncIterator[Echo]:
            yield self.executor

        return [ExecutorProvider(name="echo", protocol="echo", open=opened)]

    @hookimpl
    def dsched_stores(self) -> list[StoreProvider]:
        @asynccontextmanager
        async def opened(_: object, _settings: StoreSettings) -> AsyncIterator[Store]:
            yield MemoryStore(self.state)

        return [StoreProvider(name="fresh", open=opened)]


@attrs.frozen(kw_only=True)
class Reply:
    """An answer as received."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


@attrs.frozen(kw_only=True)
class Served:
    """A pod with an API, and a way to ask it."""

    pod: Pod
    client: Client
    url: str
    http: aiohttp.ClientSession
    echo: Echo
    token: str = ADMIN

    def using(self, token: str) -> "Served":
        """The same, as somebody else; an empty token: as a stranger."""
        return attrs.evolve(self, token=token)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Reply:
        """Ask for a path below the version, or for one of the probes."""
        base = self.url if path in ("/livez", "/readyz", "/metrics") else f"{self.url}/api/v1"
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            more["json"] = body
        sent |= dict(headers or {})
        async with self.http.request(method, base + path, headers=sent, **more) as answer:
            text = await answer.text()
            is_json = "json" in answer.headers.get("Content-Type", "")
            body = await answer.json(content_type=None) if is_json else None
            return Reply(status=answer.status, headers=answer.headers, body=body, text=text)

    async def token_of(self, scope: str, **fields: Any) -> str:
        """A new token."""
        made = await self.ask("POST", "/tokens", {"name": "test", "scope": scope, **fields})
        assert made.status == 201, made.text
        return str(made.body["token"])


ServeApi = Callable[..., AbstractAsyncContextManager[Served]]


async def eventually(check: Callable[[], Awaitable[Any]], timeout_s: float = 20.0) -> Any:
    """What a check answers once it is true."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = await check()
            if found:
                return found
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(
    settings: Mapping[str, Any] | None = None,
    roles: tuple[str, ...] = ("api",),
    state: State | None = None,
    pages: Path | None = None,
    **api: Any,
) -> AsyncIterator[Served]:
    """A running pod with the API."""
    plugin = TestPlugin(state or new_state(), pages)
    catalogue = load_catalogue(extra_plugins=(plugin,))
    options = {"port": 0, "admin_token": ADMIN, "rate_per_s": 10_000.0} | api
    given = {"store": "fresh", "pod.name": "pod-a"} | dict(settings or {})
    given |= {f"api.{name}": value for name, value in options.items()}
    loaded = read_settings(None, {}, given, catalogue)
    async with (
        open_pod(loaded, catalogue, roles=frozenset(roles)) as pod,
        aiohttp.ClientSession() as http,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(pod.run())
        service = pod._plan.services["api"]

        async def address() -> Any:
            return service.address  # type: ignore[attr-defined]

        host, port = await eventually(address)
        host = f"[{host}]" if ":" in host else host
        try:
            yield Served(
                pod=pod,
                client=Client(pod.store),
                url=f"http://{host}:{port}",
                http=http,
                echo=plugin.executor,
            )
        finally:
            plugin.executor.gate.set()
            pod.stop()
            await asyncio.wait({running})


@pytest.fixture(name="eventually")
def eventually_of_tests() -> Callable[..., Awaitable[Any]]:
    """Waits for a condition: see `eventually`."""
    return eventually


@pytest.fixture
def serve() -> ServeApi:
    """Opens pods with an API: see `serving`."""
    return serving


@pytest.fixture
async def api() -> AsyncIterator[Served]:
    """An API on an empty store, without scheduler and worker."""
    async with serving() as served:
        yield served


@pytest.fixture
async def cluster() -> AsyncIterator[Served]:
    """An API in a pod that also schedules and works."""
    async with serving(roles=("api", "scheduler", "worker")) as served:
        yield served
