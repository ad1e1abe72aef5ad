"""The lines of tasks: a page, or followed live as server-sent events."""

import asyncio

from aiohttp import web

from dsched.client import ClientError
from dsched.contracts import StoreError
from dsched.contracts.tasklogs import LinePage
from dsched_api_http.asked import LinesQuery
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.problems import invalid
from dsched_api_http.reasons import LinesView, line_of
from dsched_api_http.scopes import Scope
from dsched_api_http.streaming import Send, message, stream, too_many_streams
from dsched_api_http.wire import plain

POLL_S = 0.5
QUIET_POLLS = 30  # after which a comment shows that the stream is alive
FOLLOW_PAGE = 500


async def get_lines(call: Call) -> Answer | web.StreamResponse:
    """What its attempts wrote, from the first line on or from a cursor."""
    query: LinesQuery = call.query
    after = call.request.headers.get("Last-Event-ID") or query.after
    page = await _page(call, after, query.limit)
    if not query.follow:
        lines = tuple(map(line_of, page.lines))
        return Answer(body=LinesView(items=lines, cursor=page.cursor, complete=page.complete))
    follows = call.api.followers
    if len(follows) >= call.api.options.max_streams:
        raise too_many_streams()
    me = object()
    follows.add(me)
    try:
        return await stream(call, lambda send: _follow(call, after, send))
    finally:
        follows.discard(me)


async def _page(call: Call, after: str | None, limit: int) -> LinePage:
    try:
        return await call.client.task_lines(
            call.path["id"], after=after, limit=limit, attempt=call.query.attempt
        )
    except ValueError as error:
        raise invalid("after", "is not a cursor of task lines") from error


async def _follow(call: Call, after: str | None, send: Send) -> None:
    """Every line as it comes, until the task has ended and all is told."""
    quiet = 0
    try:
        while True:
            page = await _page(call, after, FOLLOW_PAGE)
            for line in page.lines:
                await send(message("line", plain(line_of(line)), str(line.n)))
            after = page.cursor
            if page.complete:
                await send(message("end", {}, after))
                return
            quiet = 0 if page.lines else quiet + 1
            if quiet == QUIET_POLLS:
                quiet = 0
                await send(b": still here\n\n")
            if len(page.lines) < FOLLOW_PAGE:
                await asyncio.sleep(POLL_S)
    except (OSError, TimeoutError, StoreError, ClientError):
        return  # the client is gone or too slow, the store away, or the task: it comes again


ROUTES = (
    Route(
        method="GET",
        path="/tasks/{id}/logs",
        name="task.logs",
        scope=Scope.READ,
        handle=get_lines,
        summary="What a task wrote; follow=true streams it (server-sent events)",
        query=LinesQuery,
        answer=LinesView,
        problems=("not_found", "too_many_requests"),
    ),
)
