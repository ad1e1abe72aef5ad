"""A TCP proxy that lets requests through and swallows some answers, cutting the connection."""

import asyncio
import contextlib
import random
from types import TracebackType
from typing import Self


class LossyProxy:
    """In front of a server on loopback. ``loss`` is the share of answers that never arrive.

    The request of a swallowed answer has been carried out: its sender cannot know that.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        self.port = 0
        self.loss = 0.0
        self.swallowed = 0
        self._behind = port
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
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
        while self._open:
            for writer in list(self._open):
                writer.close()
            await asyncio.sleep(0.01)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            self._open |= {writer, behind_writer}
            try:
                async with asyncio.TaskGroup() as group:
                    requests = group.create_task(self._pump(reader, behind_writer, lossy=False))
                    answers = group.create_task(self._pump(behind_reader, writer, lossy=True))
                    await asyncio.wait([requests, answers], return_when="FIRST_COMPLETED")
                    behind_writer.close()
                    writer.close()
            finally:
                self._open -= {writer, behind_writer}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lossy: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if lossy and self._chance.random() < self.loss:
                    self.swallowed += 1
                    return
                writer.write(data)
                await writer.drain()
