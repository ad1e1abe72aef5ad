"""Server-sent events: one way to hold a stream open, to write to it, and to end it."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from dsched_api_http.call import Call
from dsched_api_http.problems import Problem

WRITE_S = 20.0  # a client that takes nothing for so long is let go
RETRY_MS = 2000

Send = Callable[[bytes], Awaitable[None]]


def too_many_streams() -> Problem:
    """As many streams are open as there may be."""
    return Problem(
        "too_many_requests",
        "as many streams are open as there may be",
        hint="close some, or raise api.max_streams",
        headers={"Retry-After": "10"},
    )


async def stream(call: Call, write: Callable[[Send], Awaitable[None]]) -> web.StreamResponse:
    """Answer with what ``write`` sends, until it returns, the client goes or the pod stops."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(call.request)

    async def send(data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await response.write(data)

    writing = asyncio.create_task(_written(write, send), name="stream")
    stopping = asyncio.create_task(call.api.stopping.wait(), name="stream until stopping")
    try:
        await asyncio.wait({writing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (writing, stopping):
            one.cancel()
        await asyncio.gather(writing, stopping, return_exceptions=True)
    return response


async def _written(write: Callable[[Send], Awaitable[None]], send: Send) -> None:
    await send(f"retry: {RETRY_MS}\n\n".encode())
    await write(send)


def message(event: str, data: object, cursor: str | None = None) -> bytes:
    """One event; ``cursor`` is what a client that was cut off comes back with."""
    head = "" if cursor is None else f"id: {cursor}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()
