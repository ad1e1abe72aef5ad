"""Server-sent events: opened, written with patience, left when their token ends or the pod
leaves."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from dsched.contracts import StoreError
from dsched_api_http.gate import Gate
from dsched_api_http.patience import end_of_patience

_log = logging.getLogger(__name__)

CHECK_S = (
    4.0  # with the second for which streams share an answer: a stream outlasts its token by 5 s
)
LEFT_S = 0.5  # how long a stream may outlast its connection
WRITE_S = 20.0  # a client that takes nothing for so long is let go
RETRY_MS = 2000


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


async def while_admitted(
    gate: Gate, request: web.Request, stopping: asyncio.Event, work: Coroutine[Any, Any, None]
) -> None:
    """Do the work of a stream until it is done, its token ends, or the pod leaves."""

    async def admitted() -> None:
        while True:
            # All streams at the same instants, so that the store is asked for all of them at once.
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(CHECK_S - now_s % CHECK_S)
            try:
                if not await gate.still_good(request):
                    return
            except StoreError as error:
                _log.debug("whether a stream's token is still good cannot be asked: %s", error)

    async def left() -> None:
        """Who has closed the connection takes no share any more, also while there is nothing to
        write."""
        while True:
            await asyncio.sleep(LEFT_S)
            if request.transport is None or request.transport.is_closing():
                return

    await first_of(work, admitted(), left(), stopping.wait())


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Do several things until one of them is done; the others are cancelled. Raises its error."""
    tasks = [asyncio.create_task(one) for one in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for one in done:
        one.result()


async def until_stopped(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it is done or the pod leaves."""
    await first_of(work, stopping.wait())
