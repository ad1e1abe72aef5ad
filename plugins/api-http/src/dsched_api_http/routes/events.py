"""The event log as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from dsched.contracts import Event, EventKind, StoreError
from dsched_api_http.call import Call, Route
from dsched_api_http.events import TOPICS, TooOldError, message_of, topics_of
from dsched_api_http.problems import invalid
from dsched_api_http.requests import EventsQuery
from dsched_api_http.scopes import Scope
from dsched_api_http.streams import opened, send, while_admitted


async def stream_events(call: Call) -> web.StreamResponse:
    """Events of some topics, from now on or from where the client was cut off."""
    kinds = topics_of(call.query.topics)
    if kinds is None:
        raise invalid("topics", f"must be some of {', '.join(TOPICS)}")
    with call.api.streams.one_more(call.principal.id):
        response = await opened(call.request)
        await while_admitted(
            call.api.gate, call.request, call.api.stopping, _write(call, response, kinds)
        )
    return response


async def _write(call: Call, response: web.StreamResponse, kinds: frozenset[EventKind]) -> None:
    """Write until the client goes, or cannot be served any more."""
    after = call.request.headers.get("Last-Event-ID") or None
    within_s = call.query.within.total_seconds()
    try:
        while True:
            try:
                async with aclosing(call.api.hub.follow(after, within_s)) as events:
                    await _tell(response, events, kinds)
            except TooOldError:
                await send(response, b"event: reset\ndata: {}\n\n")
                after = None
    except (OSError, TimeoutError, StoreError):
        return  # the client is gone or too slow, or the store is away: the client reconnects


async def _tell(
    response: web.StreamResponse,
    events: AsyncGenerator[Event | None, None],
    kinds: frozenset[EventKind],
) -> None:
    async for event in events:
        if event is None:
            await send(response, b": still here\n\n")
        elif event.kind in kinds:
            await send(response, message_of(event))


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
        endless=True,
    ),
)
