"""A primary with replicas, watched by sentinels."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from chaos.plan import Planned
from chaos.stages.base import TIMEOUT, TURNS_S, Act, Stage, freeze, pause, told
from dsched_testkit.servers import RedisServer, SentinelSet


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

        end_s = time.monotonic() + 2 * TURNS_S
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
        end_s = time.monotonic() + TURNS_S
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
