"""The line between a pod and its store: a TCP proxy on loopback that can be cut and delayed."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65536
_CONNECT_S = 5.0
_CLOSE_S = 5.0


class Line:
    """Forwards to a port of loopback, in order, both ways.

    ``delay_s`` holds each piece back by that long. While it is `silent` nothing gets through, and
    what was sent arrives when it is over: late. While it is `cut` connections are refused.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.delay_s = 0.0
        self.passed_bytes = 0
        self._behind = port
        self._refuses = False
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_CLOSE_S)

    def cut(self) -> None:
        """Every connection breaks, and none is made, until `heal`."""
        self._refuses = True
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self) -> None:
        """Nothing arrives any more, on connections that stay open, until `heal`."""
        self._speaks.clear()

    def heal(self) -> None:
        """As it was in the beginning; what was held back arrives now."""
        self._refuses = False
        self.delay_s = 0.0
        self._speaks.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            # The server's own callback would log a cancellation as an error of ours.
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            return
        async with asyncio.timeout(_CONNECT_S):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            there = asyncio.create_task(self._pump(reader, far_writer, answers=False))
            back = asyncio.create_task(self._pump(far_reader, writer, answers=True))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.wait({there, back}, timeout=_CLOSE_S)
        finally:
            self._writers -= ends
            far_writer.transport.abort()

    def _loses(self, *, answer: bool) -> bool:
        """Whether a piece gets lost, which breaks its connection. This line loses none."""
        return False

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._loses(answer=answers):
                    return
                until_s = time.monotonic() + self.delay_s
                while (left_s := min(until_s - time.monotonic(), self.delay_s)) > 0:
                    await asyncio.sleep(left_s)
                await self._speaks.wait()
                writer.write(data)
                await writer.drain()
                self.passed_bytes += len(data)
