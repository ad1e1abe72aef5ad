"""Requests over aiohttp: no redirects, no proxies of the environment, no cookies."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar

import aiohttp
from yarl import URL

from dsched_client.answers import Answer, body_of
from dsched_client.errors import ProtocolError, UnreachableError
from dsched_client.options import MAX_ANSWER_BYTES, Options
from dsched_client.requests import Request
from dsched_client.retrying import Trouble

OK = 200
MAX_CONNECTIONS = 20
PIECE_BYTES = 64 * 1024

T = TypeVar("T")
Stream: TypeAlias = AsyncGenerator[T, None]
sleep = asyncio.sleep


class Transport:
    """Sends requests within one event loop."""

    def __init__(self, options: Options, context: ssl.SSLContext | None) -> None:
        self._options = options
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make ready for requests, in the running loop."""
        if self._session is not None:
            raise RuntimeError("this client is open already")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=self._context or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**self._options.headers, "Accept-Encoding": "identity"},
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def attempt(self, request: Request) -> Answer | Trouble:
        """One attempt: an answer, whatever it says, or why there was none."""
        timeout = self._timeout(total_s=self._options.timeout_s + request.extra_s)
        try:
            async with self._asked(request, timeout) as response:
                return await self._whole(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return self._trouble(error, sent=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return self._trouble(error, sent=True)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer to be read bit by bit; `UnreachableError`, or what a refusal says."""
        try:
            async with self._asked(request, self._timeout(read_s=request.extra_s)) as response:
                if response.status != OK:
                    body_of(await self._whole(response))
                    raise ProtocolError(f"the stream answered {response.status}")
                yield response.content.iter_any()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(self._unreachable(error), maybe_applied=False) from error

    def _timeout(
        self, *, total_s: float | None = None, read_s: float | None = None
    ) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=total_s, sock_connect=self._options.timeout_s, sock_read=read_s
        )

    @asynccontextmanager
    async def _asked(
        self, request: Request, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the client with `async with AsyncClient(...) as client:`")
        where = self._options.endpoint
        async with self._session.request(
            request.method,
            URL(f"{where.origin}{where.prefix}{request.target}", encoded=True),
            data=request.body,
            headers=request.headers,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            yield response

    async def _whole(self, response: aiohttp.ClientResponse) -> Answer:
        pieces, size = [], 0
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                response.close()
                raise ProtocolError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status, headers=headers, body=b"".join(pieces))

    def _trouble(self, error: BaseException, *, sent: bool) -> Trouble:
        timed_out = isinstance(error, TimeoutError)
        return Trouble(sent=sent, message=self._unreachable(error), timed_out=timed_out)

    def _unreachable(self, error: BaseException) -> str:
        why = str(error) or type(error).__name__
        return f"{self._options.endpoint.origin} did not answer: {why}"
