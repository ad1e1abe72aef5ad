"""One Redis server."""

import asyncio
from typing import Any

from chaos.line import Line
from chaos.plan import Planned
from chaos.stages.base import TIMEOUT, Act, Stage, fill, freeze, pause, told
from dsched_testkit.servers import RedisServer


class RedisStage(Stage):
    """One server that keeps an append-only file, behind a line for each pod."""

    loss_bound_s = 2.0

    def __init__(self, server: RedisServer, lines: dict[str, Line]) -> None:
        super().__init__()
        self._server, self.lines = server, lines

    def settings(self, pod: str | None) -> dict[str, Any]:
        port = self._server.port if pod is None else self.lines[pod].port
        return {"store": "redis", "redis": {"addr": f"127.0.0.1:{port}", "timeout": TIMEOUT}}

    def acts(self) -> dict[str, Act]:
        return {
            "redis_kill": lambda planned: self._kill("redis_kill", self._server, planned),
            "redis_restart": self._restart,
            "redis_pause": lambda planned: pause(self._server, planned),
            "redis_freeze": lambda planned: freeze(self._server, planned),
            "script_flush": lambda _: told(self._server, "SCRIPT", "FLUSH"),
            "client_kill": lambda _: told(self._server, "CLIENT", "KILL", "TYPE", "normal"),
            "out_of_memory": lambda planned: fill(self._server, planned),
        }

    async def _restart(self, planned: Planned) -> None:
        await asyncio.to_thread(self._server.stop)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(self._server.start)
