"""What a client is built on: its options, and how it sends and follows."""

import os
import random
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from dsched import __version__
from dsched_client.aio.transport import Stream, Transport, sleep
from dsched_client.errors import UnavailableError, UnreachableError
from dsched_client.options import options
from dsched_client.requests import Call, Request
from dsched_client.retrying import LONGEST_DELAY_S, Trouble, delay_s
from dsched_client.stream import Event, EventReader

T = TypeVar("T")


class Sending:
    """Sends calls, and sends them again if that does no harm."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8700",
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout_s: float = 10.0,
        retry_for_s: float = 10.0,
        attempts: int = 6,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._options = options(
            url,
            agent=f"dsched-client/{__version__}",
            token=token,
            token_file=token_file,
            timeout_s=timeout_s,
            retry_for_s=retry_for_s,
            attempts=attempts,
        )
        self._transport = Transport(self._options, ssl_context)

    async def __aenter__(self) -> Self:
        """Itself, open."""
        self._transport.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        await self._transport.aclose()

    async def _send(self, call: Call[T]) -> T:
        until_s, attempt = time.monotonic() + self._options.retry_for_s, 0
        while True:
            attempt += 1
            outcome = await self._transport.attempt(call.request)
            wait_s = delay_s(
                outcome,
                attempt=attempt,
                attempts=self._options.attempts,
                repeatable=call.request.repeatable,
                left_s=until_s - time.monotonic(),
                uniform=random.random(),
            )
            if wait_s is not None:
                await sleep(wait_s)
            elif isinstance(outcome, Trouble):
                raise UnreachableError(outcome.message, maybe_applied=outcome.sent)
            else:
                return call.read(outcome)

    async def _follow(
        self, request_of: Callable[[str | None], Request], cursor: str | None
    ) -> Stream[Event]:
        """The events of a stream, taken up at its cursor whenever it breaks."""
        failures = 0
        while True:
            try:
                async with self._transport.stream(request_of(cursor)) as pieces:
                    reader = EventReader()
                    async for piece in pieces:
                        failures = 0
                        for event in reader.feed(piece):
                            cursor = event.cursor or cursor
                            yield event
            except (UnreachableError, UnavailableError):
                failures += 1
                if failures >= self._options.attempts:
                    raise
            await sleep(min(LONGEST_DELAY_S, 0.1 * 2**failures) * (0.5 + random.random() / 2))
