"""The runner of the application: it counts connections, bounds the time of heads, and answers what
is no HTTP at all."""

import asyncio
import logging
from typing import Any, cast

from aiohttp import web

from dsched_api_http.doorkeeper import Doorkeeper, Refusal
from dsched_api_http.problems import Problem

_log = logging.getLogger(__name__)

HEAD_S = 10.0  # within which the head of a request has to come
KEEP_ALIVE_S = 75.0

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "dsched",
}


class Connection(web.RequestHandler):
    """A connection that answers unreadable bytes with a problem, and keeps them out of the log. It
    is closed if a head does not come in time, or if there are too many connections."""

    __slots__ = ("_address", "_doorkeeper", "_head_timer")

    def __init__(self, manager: web.Server, *, doorkeeper: Doorkeeper, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._doorkeeper = doorkeeper
        self._address: str | None = None  # None: it was not admitted
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or answer that there are too many and close it."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        refusal = self._doorkeeper.admit(address)
        if refusal is not None:
            self._force_close = True
            cast(asyncio.Transport, transport).write(_text_of(refusal))
            transport.close()
            return
        self._address = address
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; the time for a head runs until it is complete."""
        super().data_received(data)
        if not self._idle:
            self._forget_head()
        elif self._head_timer is None:
            self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        self._forget_head()
        if self._address is not None:
            self._doorkeeper.leave(self._address)
            self._address = None
            super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        """Whether no request is at hand."""
        return not self._messages and self._current_request is None

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_S, self._head_is_late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._idle:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A problem document, and the connection closed."""
        del message  # quotes what was sent
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status < 500:
            _log.debug("unreadable request from %s: %r", request.remote, exc)
            problem = Problem("bad_request", "the request is not HTTP as this server reads it")
        else:
            _log.error("a request from %s failed", request.remote, exc_info=exc)
            problem = Problem("internal", "the pod's log says more")
        response = problem.response()
        response.headers.update(SECURITY_HEADERS)
        response.force_close()
        return response


def _text_of(refusal: Refusal) -> bytes:
    """A whole answer, for a connection that is closed before it can ask anything."""
    problem = Problem(refusal.code, refusal.detail, hint=refusal.hint, headers={"Retry-After": "5"})
    response = problem.response()
    body = response.body
    assert isinstance(body, bytes)  # noqa: S101 - a problem is one
    headers = {**response.headers, **SECURITY_HEADERS, "Connection": "close"}
    headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {problem.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Server(web.Server):
    """Makes our connections."""

    def __init__(self, like: web.Server, doorkeeper: Doorkeeper, **kwargs: Any) -> None:
        super().__init__(like.request_handler, request_factory=like.request_factory, **kwargs)
        self._given = kwargs
        self._doorkeeper = doorkeeper

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, doorkeeper=self._doorkeeper, loop=self._loop, **self._given)


class Listener(web.AppRunner):
    """`aiohttp.web.AppRunner` with our connections."""

    __slots__ = ("_doorkeeper",)

    def __init__(self, app: web.Application, doorkeeper: Doorkeeper, **kwargs: Any) -> None:
        super().__init__(app, keepalive_timeout=KEEP_ALIVE_S, **kwargs)
        self._doorkeeper = doorkeeper

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._doorkeeper, **self._kwargs)
