"""The event log as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from dsched.contracts import Event, EventKind, StoreError
from dsched_api_http.call import Call, Route
from dsched_api_http.events import TOPICS, TooOldError, message_of, topics_of
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.requests import EventsQuery
from dsched_api_http.scopes import Scope

WRITE_S = 20.0  # a client that takes nothing for so long is let go
RETRY_MS = 2000


async def stream_events(call: Call) -> web.StreamResponse:
    """Events of some topics, from now on or from where the client was cut off."""
    kinds = topics_of(call.query.topics)
    if kinds is None:
        raise invalid("topics", f"must be some of {', '.join(TOPICS)}")
    if call.api.hub.listeners >= call.api.options.max_streams:
        raise Problem(
            "too_many_requests",
            "as many streams are open as there may be",
            hint="close some, or raise api.max_streams",
            headers={"Retry-After": "10"},
        )
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(call.request)
    writing = asyncio.create_task(_write(call, response, kinds))
    stopping = asyncio.create_task(call.api.stopping.wait())
    try:
        await asyncio.wait({writing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (writing, stopping):
            one.cancel()
        await asyncio.gather(writing, stopping, return_exceptions=True)
    return response


async def _write(call: Call, response: web.StreamResponse, kinds: frozenset[EventKind]) -> None:
    """Write until the client goes, or cannot be served any more."""
    after = call.request.headers.get("Last-Event-ID") or None
    try:
        await _send(response, f"retry: {RETRY_MS}\n\n".encode())
        while True:
            try:
                async with aclosing(call.api.hub.follow(after)) as events:
                    await _tell(response, events, kinds)
            except TooOldError:
                await _send(response, b"event: reset\ndata: {}\n\n")
                after = None
    except (OSError, TimeoutError, StoreError):
        return  # the client is gone or too slow, or the store is away: it comes again


async def _tell(
    response: web.StreamResponse,
    events: AsyncGenerator[Event | None, None],
    kinds: frozenset[EventKind],
) -> None:
    async for event in events:
        if event is None:
            await _send(response, b": still here\n\n")
        elif event.kind in kinds:
            await _send(response, message_of(event))


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(data)


ROUTES = (
    Route(
        method="GET",
        path="/events",
        name="event.stream",
        scope=Scope.READ,
        handle=stream_events,
        summary="Follow the event log (server-sent events)",
        query=EventsQuery,
        problems=("too_many_requests",),
        stream=True,
    ),
)
