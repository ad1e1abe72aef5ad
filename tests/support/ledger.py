"""An HTTP target that writes down every call it gets: what really reached the outside world."""

import asyncio
import time
from collections import Counter
from types import TracebackType
from typing import Self

import attrs
from aiohttp import web


@attrs.define(kw_only=True)
class Call:
    """One request, by the facts in its headers. ``ended_s`` is None while it is being served."""

    task_id: str
    config_id: str | None
    attempt: int
    scheduled: str
    epoch: int
    received_s: float
    ended_s: float | None = None


class Ledger:
    """A server on a free port of loopback.

    ``/run`` answers at once, ``/slow/{ms}`` later, ``/gate/{name}`` when the test opens that gate.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/run", self._run)
        app.router.add_route("*", "/slow/{ms}", self._slow)
        app.router.add_route("*", "/gate/{name}", self._gate)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._gates:
            self.open(name)
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, path: str = "/run") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def open(self, gate: str) -> None:
        """Let every call that waits at this gate go, and all that come."""
        self._gates.setdefault(gate, asyncio.Event()).set()

    def of(self, task_id: str) -> list[Call]:
        """The calls for one task, in their order."""
        return [call for call in self.calls if call.task_id == task_id]

    def counted(self) -> Counter[str]:
        """How many calls each task made."""
        return Counter(call.task_id for call in self.calls)

    async def _run(self, request: web.Request) -> web.Response:
        return self._ended(self._noted(request))

    async def _slow(self, request: web.Request) -> web.Response:
        call = self._noted(request)
        await asyncio.sleep(int(request.match_info["ms"]) / 1000)
        return self._ended(call)

    async def _gate(self, request: web.Request) -> web.Response:
        call = self._noted(request)
        await self._gates.setdefault(request.match_info["name"], asyncio.Event()).wait()
        return self._ended(call)

    def _noted(self, request: web.Request) -> Call:
        headers = request.headers
        call = Call(
            task_id=headers["X-Dsched-Task-Id"],
            config_id=headers.get("X-Dsched-Config-Id"),
            attempt=int(headers["X-Dsched-Attempt"]),
            scheduled=headers["X-Dsched-Scheduled-Time"],
            epoch=int(headers["X-Dsched-Epoch"]),
            received_s=time.time(),
        )
        self.calls.append(call)
        return call

    @staticmethod
    def _ended(call: Call) -> web.Response:
        call.ended_s = time.time()
        return web.json_response({"attempt": call.attempt})
