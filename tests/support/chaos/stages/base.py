"""What pods need to reach a store, and what can be done to any server."""

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

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

    async def _kill(self, what: str, server: RedisServer, planned: Planned) -> None:
        """Kill a server that has what others have not; it is started again later."""
        from_s = time.monotonic()
        await asyncio.to_thread(server.kill)
        self._cut(what, from_s)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(server.start)


Whole = TypeVar("Whole")
OnWhole = Callable[[Whole, Planned], Awaitable[None]]


class ReplicatedStage(Stage, Generic[Whole]):
    """Servers of which one leads, and others take its place; the profile ``ha``.

    What may lose writes is done only while all is ``whole``: a second trouble on top would lose
    more than any profile bounds.
    """

    loss_bound_s = 2.0
    not_whole = "the replicas do not follow yet"

    @abstractmethod
    async def whole(self) -> Whole | None:
        """Who is who, if every server runs and follows or is followed."""

    @abstractmethod
    async def leading(self) -> RedisServer | None:
        """The server that takes the writes now."""

    @abstractmethod
    def acts_on_whole(self) -> dict[str, OnWhole[Whole]]:
        """What is done only if all is whole, by kind."""

    def acts(self) -> dict[str, Act]:
        return {
            **{kind: partial(self._if_whole, act) for kind, act in self.acts_on_whole().items()},
            "script_flush": lambda _: self._on_leading("SCRIPT", "FLUSH"),
            "client_kill": lambda _: self._on_leading("CLIENT", "KILL", "TYPE", "normal"),
        }

    async def heal(self) -> None:
        end_s = time.monotonic() + 2 * TURNS_S
        while await self.whole() is None:
            if time.monotonic() > end_s:
                raise AssertionError(f"{self.not_whole}, after {2 * TURNS_S:g} s")
            await asyncio.sleep(0.2)

    async def _if_whole(self, act: OnWhole[Whole], planned: Planned) -> str | None:
        whole = await self.whole()
        if whole is None:
            return self.not_whole
        await act(whole, planned)
        return None

    async def _on_leading(self, *words: str) -> str | None:
        server = await self.leading()
        return "nobody leads" if server is None else await told(server, *words)


async def asked(server: RedisServer, *words: str) -> str:
    """The answer to a command as text; "" where there is none."""
    try:
        return str(await asyncio.to_thread(server.command, *words))
    except (OSError, RuntimeError):
        return ""


async def leads(server: RedisServer) -> bool:
    """Whether it says that it is a primary."""
    return "role:master" in await asked(server, "INFO", "replication")


async def away(server: RedisServer, planned: Planned) -> None:
    """Kill a server that has nothing of its own, and start it again later."""
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(planned.lasts_s)
    await asyncio.to_thread(server.start)


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
