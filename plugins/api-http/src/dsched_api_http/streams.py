"""Server-sent events: opened, counted, written with patience, and left when the pod leaves."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from aiohttp import web

from dsched_api_http.patience import end_of_patience
from dsched_api_http.problems import Problem

WRITE_S = 20.0  # a client that takes nothing for so long is let go
RETRY_MS = 2000


class Streams:
    """How many streams are open, and no more than may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open = 0

    def one_more(self) -> AbstractContextManager[None]:
        """Count a stream while it is open; raises `Problem` 429."""
        if self.open >= self._most:
            raise Problem(
                "too_many_requests",
                "as many streams are open as there may be",
                hint="close some, or raise api.max_streams",
                headers={"Retry-After": "10"},
            )
        return self._counted()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


async def opened(request: web.Request) -> web.StreamResponse:
    """A stream that has begun; it may wait for the store from now on."""
    end_of_patience()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    await send(response, f"retry: {RETRY_MS}\n\n".encode())
    return response


async def send(response: web.StreamResponse, data: bytes) -> None:
    """Write, but not for ever."""
    async with asyncio.timeout(WRITE_S):
        await response.write(data)


async def until_stopped(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it is done or the pod leaves."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (working, waiting):
            one.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
