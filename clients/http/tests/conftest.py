"""Both clients behind one face, and a server that a test scripts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from aiohttp import web

from dsched_client import AsyncClient, Client


@attrs.define
class Server:
    """Answers with what the test says, in order, then with the last of it; keeps what was asked."""

    url: str = ""
    answers: list[Callable[[web.Request], Any]] = attrs.field(factory=list)
    asked: list[web.Request] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        script = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        found = script(request)
        return await found if asyncio.iscoroutine(found) else found


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(Server()) as running:
        yield running


class InThread:
    """A blocking client as the tests use it: every call in a thread."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        async def threaded(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(call, *arguments, **named)

        return threaded


@pytest.fixture(params=["sync", "async"])
def connected(request: pytest.FixtureRequest) -> Any:
    """Opens a client of either kind: ``async with connected(url, ...) as client``."""

    @asynccontextmanager
    async def open_client(url: str, **options: Any) -> AsyncIterator[Any]:
        if request.param == "async":
            async with AsyncClient(url, **options) as client:
                yield client
        else:
            with Client(url, **options) as client:
                yield InThread(client)

    return open_client
