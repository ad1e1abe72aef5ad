"""A real server that receives webhooks, and entries of the log as stores write them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import attrs
from aiohttp import web

from dsched.contracts import Event, EventKind, LogEntry
from dsched_alerts.options import AlertOptions

SECRET = "a secret of enough length"


@attrs.define
class Hook:
    """What was received, and what is answered: the statuses in order, then the last for ever."""

    url: str = ""
    statuses: list[int] = attrs.field(factory=lambda: [204])
    requests: list[web.Request] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)
    slow_s: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        await asyncio.sleep(self.slow_s)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    @property
    def alerts(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]

    def options(self, **more: Any) -> AlertOptions:
        told = {"url": self.url, "secret": SECRET, "allow": ["127.0.0.1"], **more}
        return AlertOptions(**told)

    async def until(self, count: int) -> None:
        await until(lambda: len(self.bodies) >= count)


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def entry(kind: str, cursor: str = "1", at_ms: int = 1000, **item: Any) -> LogEntry:
    """An entry with one item."""
    known = EventKind(kind) if kind in set(EventKind) else kind
    return LogEntry(
        event=Event(cursor=cursor, kind=known, at_ms=at_ms, by="x", items=(item,))  # type: ignore[arg-type]
    )


def failed(cursor: str = "1", task: str = "job@1000", at_ms: int = 1000) -> LogEntry:
    """A task that ended failed."""
    return entry(
        "completed", cursor, at_ms, task=task, status="failed", attempt=3, code="error", run=12
    )
