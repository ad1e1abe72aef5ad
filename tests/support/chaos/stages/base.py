"""What pods need to reach a store, and what can be done to any server."""

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from chaos.clocks import ClockOffset
from chaos.exporter import Cut
from chaos.line import Line
from chaos.plan import Planned
from dsched_testkit.servers import RedisServer

Act = Callable[[Planned], Awaitable[str | None]]
TIMEOUT = "1s"
TURNS_S = 40.0


class Stage(ABC):
    """A store, its servers, and the lines to it.

    Each act returns when its fault is over: None if it was done, else why it could not be.
    ``clocks``: by pod, of what its wall clock is ahead. ``one_clock``: all have the same, which is
    also that of whoever watches.
    """

    loss_bound_s: float | None = None
    one_clock = False

    def __init__(self) -> None:
        self.clocks: dict[str, ClockOffset] = {}
        self.cuts: list[Cut] = []
        self.lines: dict[str, Line] = {}

    @abstractmethod
    def settings(self, pod: str | None) -> dict[str, Any]:
        """The store's settings for a pod, or (None) for whoever watches and never is cut off."""

    @abstractmethod
    def acts(self) -> dict[str, Act]:
        """What can be done to the store, by kind."""

    async def heal(self) -> None:
        """All servers run and know each other, all lines are whole."""
        for line in self.lines.values():
            line.heal()

    def _cut(self, what: str, from_s: float) -> None:
        """Writes acknowledged between then and now may be lost."""
        self.cuts.append(Cut(what=what, from_s=from_s, upto_s=time.monotonic()))


async def told(server: RedisServer, *words: str) -> str | None:
    """One command. None if it was carried out."""
    try:
        await asyncio.to_thread(server.command, *words)
    except (OSError, RuntimeError) as error:
        return f"{' '.join(words)}: {error}"
    return None


async def pause(server: RedisServer, planned: Planned) -> str | None:
    """The server holds every command back. (ALL: a pause of writes aborts Redis 7.0.15.)"""
    refused = await told(server, "CLIENT", "PAUSE", str(int(planned.lasts_s * 1000)), "ALL")
    await asyncio.sleep(planned.lasts_s)
    return refused


async def freeze(server: RedisServer, planned: Planned) -> None:
    """The process stands still."""
    server.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(planned.lasts_s)
    finally:
        server.send_signal(signal.SIGCONT)


async def fill(server: RedisServer, planned: Planned) -> str | None:
    """The server has no room for anything new for a while."""
    refused = await told(server, "CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(planned.lasts_s)
    await told(server, "CONFIG", "SET", "maxmemory", "0")
    return refused
