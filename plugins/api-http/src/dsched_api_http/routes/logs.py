"""The lines of a task: a page of them, or as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from dsched.client import ClientError
from dsched.contracts import StoreError
from dsched.contracts.store.tasklogs import TaskLine
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.facts import Lines, line_of
from dsched_api_http.requests import LogsQuery
from dsched_api_http.routes.asking import named_task
from dsched_api_http.scopes import Scope
from dsched_api_http.streams import opened, send, while_admitted
from dsched_api_http.wire import plain

FOLLOW_PAGE = 500  # lines at one time


async def get_lines(call: Call) -> Answer | web.StreamResponse:
    """Lines after a cursor; with ``follow`` a stream that ends with the task."""
    task_id = named_task(call)
    asked: LogsQuery = call.query
    page = await call.client.task_lines(
        task_id, after=asked.after, limit=asked.limit, attempt=asked.attempt
    )
    if asked.follow:
        return await _follow(call, task_id)
    return Answer(
        body=Lines(
            items=tuple(map(line_of, page.lines)), cursor=page.cursor, complete=page.complete
        )
    )


async def _lines_of(call: Call, task_id: str, after: str | None) -> AsyncIterator[TaskLine]:
    """Every line after a cursor until the task has ended. All who follow look at the same
    instants, so that the store is asked once for those who have read equally far."""
    asked: LogsQuery = call.query
    within_s = asked.within.total_seconds()
    while True:
        page, *_ = await call.api.lines.answer(
            (task_id, after or "", str(asked.attempt)),
            within_s,
            partial(
                call.client.task_lines,
                task_id,
                after=after,
                limit=FOLLOW_PAGE,
                attempt=asked.attempt,
            ),
        )
        for line in page.lines:
            yield line
        if page.complete:
            return
        if len(page.lines) < FOLLOW_PAGE:
            await asyncio.sleep(within_s - asyncio.get_running_loop().time() % within_s)
        after = page.cursor


async def _follow(call: Call, task_id: str) -> web.StreamResponse:
    """Lines as they come, each with its number as id, and ``end`` after the last."""
    asked: LogsQuery = call.query
    last = call.request.headers.get("Last-Event-ID") or ""
    after = last if last.isascii() and last.isdigit() and len(last) <= 15 else asked.after
    with call.api.streams.one_more(call.principal.id):
        response = await opened(call.request)

        async def write() -> None:
            try:
                async for line in _lines_of(call, task_id, after):
                    text = json.dumps(plain(line_of(line)), separators=(",", ":"))
                    await send(response, f"id: {line.n}\nevent: line\ndata: {text}\n\n".encode())
                await send(response, b"event: end\ndata: {}\n\n")
            except (OSError, TimeoutError, StoreError, ClientError):
                return  # the client is gone, the store is away, or the task is: it comes again

        await while_admitted(call.api.gate, call.request, call.api.stopping, write())
    return response


ROUTES = (
    Route(
        method="GET",
        path="/tasks/{id}/logs",
        name="task.logs",
        scope=Scope.READ,
        handle=get_lines,
        summary="The lines of a task",
        query=LogsQuery,
        answer=Lines,
        problems=("not_found", "too_many_requests"),
        endless=True,
    ),
)
