"""The runner of the application: what is no HTTP at all is answered as quietly as the rest."""

import logging
from typing import Any

from aiohttp import web

from dsched_api_http.problems import Problem

_log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "dsched",
}


class Connection(web.RequestHandler):
    """A connection that answers bytes it cannot read with a problem, and no stranger's noise in
    the log."""

    __slots__ = ()

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


class _Server(web.Server):
    """Makes our connections."""

    def __init__(self, like: web.Server, **kwargs: Any) -> None:
        super().__init__(like.request_handler, request_factory=like.request_factory, **kwargs)
        self._given = kwargs

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, loop=self._loop, **self._given)


class Listener(web.AppRunner):
    """`aiohttp.web.AppRunner` with our connections."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), **self._kwargs)
