"""Real servers on loopback, a plain execution context, and an executor that may call both."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ssl import SSLContext
from typing import Any, TypeAlias

import attrs
import pytest
from aiohttp import web

from dsched.model import Task, TaskResult, TaskSpec, TaskStatus
from dsched_executor_http.executor import HttpExecutor, open_http_executor
from dsched_executor_http.options import HttpOptions

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define
class Context:
    """What the engine tells an attempt, with a real deadline on the monotonic clock."""

    idempotency_key: str
    timeout_s: float = 5.0
    attempt: int = 1
    epoch: int = 17
    worker_id: str = "worker-1"
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("task"))
    started: float = attrs.field(factory=time.monotonic)

    @property
    def deadline(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.remaining())

    def remaining(self) -> float:
        return max(0.0, self.started + self.timeout_s - time.monotonic())

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        raise AssertionError("the http executor reports no progress")


def make_task(payload: Any, task_id: str) -> Task:
    """A running task with this payload."""
    return Task(
        id=task_id,
        status=TaskStatus.RUNNING,
        scheduled_ms=1_700_000_000_123,
        spec=TaskSpec(executor="http", payload=payload),
    )


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """What a test opens here is closed at its end, in reverse order."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def serve(closing: AsyncExitStack) -> Callable[..., Awaitable[str]]:
    """Start a server with one handler for everything; gives its base URL."""

    async def start(
        handler: Handler,
        *,
        ssl: SSLContext | None = None,
        host: str = "127.0.0.1",
        shown_host: str | None = None,
    ) -> str:
        application = web.Application(client_max_size=10 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, 0, ssl_context=ssl).start()
        port = runner.addresses[0][1]
        scheme = "http" if ssl is None else "https"
        return f"{scheme}://{shown_host or host}:{port}"

    return start


@pytest.fixture
def serve_raw(closing: AsyncExitStack) -> Callable[..., Awaitable[str]]:
    """Start a bare TCP server; gives its base URL."""

    async def start(
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> str:
        server = await closing.enter_async_context(
            await asyncio.start_server(handle, "127.0.0.1", 0)
        )
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    return start


@pytest.fixture
def open_executor(closing: AsyncExitStack) -> Callable[..., Awaitable[HttpExecutor]]:
    """Open an executor; loopback is allowed unless the options say otherwise."""

    async def open_it(options: Mapping[str, Any] | None = None, **arguments: Any) -> HttpExecutor:
        filled = HttpOptions(**{"allow": ["127.0.0.0/8"], **(options or {})})
        return await closing.enter_async_context(open_http_executor(filled, **arguments))

    return open_it


@pytest.fixture
def run(
    open_executor: Callable[..., Awaitable[HttpExecutor]],
) -> Callable[..., Awaitable[TaskResult]]:
    """Run one attempt with a payload."""

    async def run_it(
        payload: Any,
        *,
        executor: HttpExecutor | None = None,
        options: Mapping[str, Any] | None = None,
        timeout_s: float = 5.0,
        attempt: int = 1,
        task_id: str = "report@1700000000123",
    ) -> TaskResult:
        chosen = executor or await open_executor(options)
        context = Context(task_id, timeout_s=timeout_s, attempt=attempt)
        return await chosen.execute(context, make_task(payload, task_id))

    return run_it
