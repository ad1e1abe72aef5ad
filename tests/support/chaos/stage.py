"""The stores that chaos happens to: what pods need to reach one, and what is done to its servers."""

import asyncio
import contextlib
import signal
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from chaos.exporter import Cut
from chaos.line import Line
from chaos.plan import Planned
from dsched_testkit.servers import RedisServer, SentinelSet, sentinel_set

Act = Callable[[Planned], Awaitable[str | None]]
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
TIMEOUT = "1s"
_TURNS_S = 40.0


def at_least(replicas: int) -> tuple[str, ...]:
    """A server that takes no writes unless so many replicas were there two seconds ago."""
    return ("--min-replicas-to-write", str(replicas), "--min-replicas-max-lag", "2")


class Stage(ABC):
    """A store, its servers, and the lines to it.

    Each act returns when its fault is over: None if it was done, else why it could not be.
    """

    loss_bound_s: float | None = None

    def __init__(self) -> None:
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


class SqliteStage(Stage):
    """A file. Its trouble is another process that keeps it locked."""

    def __init__(self, folder: Path, name: str = "sqlite") -> None:
        super().__init__()
        self._path, self._name = folder / "dsched.db", name

    def settings(self, pod: str | None) -> dict[str, Any]:
        return {"store": self._name, self._name: {"path": str(self._path)}}

    def acts(self) -> dict[str, Act]:
        return {"file_locked": self._lock}

    async def _lock(self, planned: Planned) -> str | None:
        return await asyncio.to_thread(self._hold, planned.lasts_s)

    def _hold(self, seconds: float) -> str | None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                return str(error)
            time.sleep(seconds)
            db.execute("ROLLBACK")
        return None


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
            "redis_kill": self._kill,
            "redis_restart": self._restart,
            "redis_pause": lambda planned: pause(self._server, planned),
            "redis_freeze": lambda planned: freeze(self._server, planned),
            "script_flush": lambda _: told(self._server, "SCRIPT", "FLUSH"),
            "client_kill": lambda _: told(self._server, "CLIENT", "KILL", "TYPE", "normal"),
            "out_of_memory": lambda planned: fill(self._server, planned),
        }

    async def _kill(self, planned: Planned) -> None:
        from_s = time.monotonic()
        await asyncio.to_thread(self._server.kill)
        self._cut("redis_kill", from_s)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(self._server.start)

    async def _restart(self, planned: Planned) -> None:
        await asyncio.to_thread(self._server.stop)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(self._server.start)


class SentinelStage(Stage):
    """A primary, two replicas, three sentinels; the profile ``ha``, whose bound holds only where a
    write needs every replica that may be promoted."""

    loss_bound_s = 2.0

    def __init__(self, servers: SentinelSet) -> None:
        super().__init__()
        self._all = (servers.primary, *servers.replicas)
        self._sentinels = servers.sentinels
        self._settings = {
            "sentinel": {"master": servers.master, "nodes": list(servers.nodes)},
            "timeout": TIMEOUT,
            "durability": "ha",
        }

    def settings(self, pod: str | None) -> dict[str, Any]:
        return {"store": "redis", "redis": self._settings}

    def acts(self) -> dict[str, Act]:
        return {
            "primary_kill": lambda planned: self._if_whole(planned, self._kill_primary),
            "primary_freeze": lambda planned: self._if_whole(planned, self._freeze_primary),
            "failover": lambda planned: self._if_whole(planned, self._failover),
            "replica_kill": lambda planned: self._if_whole(planned, self._kill_replica),
            "sentinel_kill": self._kill_sentinel,
            "redis_pause": lambda planned: self._if_whole(planned, self._pause_primary),
            "script_flush": lambda _: self._on_primary(lambda one: told(one, "SCRIPT", "FLUSH")),
            "client_kill": lambda _: self._on_primary(
                lambda one: told(one, "CLIENT", "KILL", "TYPE", "normal")
            ),
        }

    async def heal(self) -> None:
        async def whole() -> bool:
            return await self._primary(followed_by=2) is not None

        end_s = time.monotonic() + 2 * _TURNS_S
        while not await whole():
            if time.monotonic() > end_s:
                raise AssertionError("the sentinels did not bring the replicas back")
            await asyncio.sleep(0.2)

    async def _primary(self, followed_by: int = 0) -> RedisServer | None:
        """The server that leads, if so many follow it and are up to date."""
        found = []
        for server in self._all:
            with contextlib.suppress(OSError, RuntimeError):
                info = str(await asyncio.to_thread(server.command, "INFO", "replication"))
                if "role:master" in info:
                    found.append((info.count("state=online"), server))
        if not found or (len(found) > 1 and followed_by):
            return None
        most, server = max(found, key=lambda one: one[0])
        return server if most >= followed_by else None

    async def _on_primary(self, act: Callable[[RedisServer], Awaitable[str | None]]) -> str | None:
        primary = await self._primary()
        return "nobody leads" if primary is None else await act(primary)

    async def _if_whole(
        self, planned: Planned, act: Callable[[RedisServer, Planned], Awaitable[None]]
    ) -> str | None:
        """A second trouble on top would lose more than any profile bounds."""
        primary = await self._primary(followed_by=2)
        if primary is None:
            return "the replicas do not follow yet"
        await act(primary, planned)
        return None

    async def _kill_primary(self, primary: RedisServer, planned: Planned) -> None:
        from_s = time.monotonic()
        await asyncio.to_thread(primary.kill)
        self._cut("primary_kill", from_s)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(primary.start)

    async def _freeze_primary(self, primary: RedisServer, planned: Planned) -> None:
        await freeze(primary, planned)

    async def _pause_primary(self, primary: RedisServer, planned: Planned) -> None:
        await pause(primary, planned)

    async def watch(self) -> None:
        """See each server stop being the primary. Only then writes may be lost, whoever did it.

        The sentinels need no fault of ours to act: on a machine that stands still for a second
        they do.
        """
        alone_s: dict[int, float] = {}
        while True:
            asked_s, leading = time.monotonic(), []
            for server in self._all:
                with contextlib.suppress(OSError, RuntimeError):
                    info = str(await asyncio.to_thread(server.command, "INFO", "replication"))
                    if "role:master" in info:
                        leading.append(server.port)
                    elif server.port in alone_s:
                        self._cut("demoted", alone_s.pop(server.port))
            for port in leading:
                if len(leading) == 1 or port not in alone_s:
                    alone_s[port] = asked_s
            await asyncio.sleep(0.2)

    async def _failover(self, primary: RedisServer, planned: Planned) -> None:
        sentinel = self._sentinels[int(planned.target * len(self._sentinels))]
        await told(sentinel, "SENTINEL", "FAILOVER", SentinelSet.master)
        end_s = time.monotonic() + _TURNS_S
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError, RuntimeError):
                info = str(await asyncio.to_thread(primary.command, "INFO", "replication"))
                if "role:slave" in info:
                    return
            await asyncio.sleep(0.1)

    async def _kill_replica(self, primary: RedisServer, planned: Planned) -> None:
        others = [server for server in self._all if server is not primary]
        replica = others[int(planned.target * len(others))]
        await asyncio.to_thread(replica.kill)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(replica.start)

    async def _kill_sentinel(self, planned: Planned) -> None:
        sentinel = self._sentinels[int(planned.target * len(self._sentinels))]
        await asyncio.to_thread(sentinel.kill)
        await asyncio.sleep(planned.lasts_s)
        await asyncio.to_thread(sentinel.start)


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


@contextlib.asynccontextmanager
async def open_stage(
    backend: str, folder: Path, pods: list[str], store: str | None = None
) -> AsyncIterator[Stage]:
    """Start what this backend needs; everything is stopped at the end.

    ``store``: another store that has SQLite's settings, in its place.
    """
    async with contextlib.AsyncExitStack() as stack:
        if backend == "redis":
            server = stack.enter_context(RedisServer(*EVERYSEC))
            lines = {pod: await stack.enter_async_context(Line(server.port)) for pod in pods}
            yield RedisStage(server, lines)
        elif backend == "sentinel":
            args = (*EVERYSEC, *at_least(2), "--repl-diskless-sync-delay", "0")
            servers = sentinel_set(3, *args, replicas=2, least_major=7)
            stage = SentinelStage(stack.enter_context(servers))
            watching = asyncio.create_task(stage.watch())
            try:
                yield stage
            finally:
                watching.cancel()
                await asyncio.wait([watching], timeout=10)
        else:
            yield SqliteStage(folder, store or "sqlite")
