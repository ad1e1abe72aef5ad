"""Requests over the standard library's HTTP client: no redirects, no proxies of the environment."""

import http.client
import ssl
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeAlias, TypeVar

from dsched_client.answers import Answer, body_of
from dsched_client.errors import ProtocolError, UnreachableError
from dsched_client.options import MAX_ANSWER_BYTES, Options
from dsched_client.requests import Request
from dsched_client.retrying import Trouble

MAX_IDLE = 8
PIECE_BYTES = 64 * 1024

T = TypeVar("T")
Stream: TypeAlias = Generator[T, None, None]
sleep = time.sleep


class Transport:
    """Sends requests from any thread; keeps some connections open for the next ones."""

    def __init__(self, options: Options, context: ssl.SSLContext | None) -> None:
        self._options = options
        secure = options.endpoint.secure
        self._context = (context or ssl.create_default_context()) if secure else None
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def open(self) -> None:
        """Make ready for requests: connections are made when they are needed."""

    def attempt(self, request: Request) -> Answer | Trouble:
        """One attempt: an answer, whatever it says, or why there was none."""
        reused = self._reusable() if request.repeatable else None
        if reused is not None:
            outcome = self._over(reused, request)
            # The server may have closed it since; that says nothing about a fresh one.
            if isinstance(outcome, Answer):
                return outcome
        fresh = self._connection(request.extra_s)
        try:
            fresh.connect()
        except OSError as error:
            fresh.close()
            return self._trouble(error, sent=False)
        return self._over(fresh, request)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """An answer to be read bit by bit; `UnreachableError`, or what a refusal says."""
        connection = self._connection(request.extra_s)
        try:
            self._ask(connection, request)
            response = connection.getresponse()
            if response.status != http.client.OK:
                body_of(self._whole(response, time.monotonic() + self._options.timeout_s))
                raise ProtocolError(f"the stream answered {response.status}")
            yield iter(partial(response.read1, PIECE_BYTES), b"")
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._unreachable(error), maybe_applied=False) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close what is kept open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _over(self, connection: http.client.HTTPConnection, request: Request) -> Answer | Trouble:
        limit_s = self._options.timeout_s + request.extra_s
        try:
            if connection.sock is not None:
                connection.sock.settimeout(limit_s)
            self._ask(connection, request)
            response = connection.getresponse()
            answer = self._whole(response, time.monotonic() + limit_s)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return self._trouble(error, sent=True)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return answer

    def _ask(self, connection: http.client.HTTPConnection, request: Request) -> None:
        headers = {**self._options.headers, **request.headers}
        target = self._options.endpoint.prefix + request.target
        connection.request(request.method, target, body=request.body, headers=headers)

    def _whole(self, response: http.client.HTTPResponse, until_s: float) -> Answer:
        pieces, size = [], 0
        while piece := response.read(PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise ProtocolError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > until_s:
                raise TimeoutError("the answer did not end in time")
        response.close()  # or its connection would not take another request
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=headers, body=b"".join(pieces))

    def _connection(self, extra_s: float) -> http.client.HTTPConnection:
        where = self._options.endpoint
        timeout_s = self._options.timeout_s + extra_s
        if self._context is None:
            return http.client.HTTPConnection(where.host, where.port, timeout=timeout_s)
        return http.client.HTTPSConnection(
            where.host, where.port, timeout=timeout_s, context=self._context
        )

    def _reusable(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        if response.will_close or connection.sock is None:
            connection.close()
            return
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        with suppress(OSError):
            connection.close()

    def _trouble(self, error: Exception, *, sent: bool) -> Trouble:
        timed_out = isinstance(error, TimeoutError)
        return Trouble(sent=sent, message=self._unreachable(error), timed_out=timed_out)

    def _unreachable(self, error: Exception) -> str:
        why = str(error) or type(error).__name__
        return f"{self._options.endpoint.origin} did not answer: {why}"
