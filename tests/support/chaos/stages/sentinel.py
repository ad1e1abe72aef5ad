"""A primary with replicas, watched by sentinels."""

import asyncio
import time
from functools import partial
from typing import Any

from chaos.plan import Planned
from chaos.stages.base import (
    TIMEOUT,
    TURNS_S,
    Act,
    OnWhole,
    ReplicatedStage,
    asked,
    away,
    freeze,
    pause,
    told,
)
from dsched_testkit.servers import RedisServer, SentinelSet


class SentinelStage(ReplicatedStage[RedisServer]):
    """A primary, two replicas, three sentinels; the profile ``ha``, whose bound holds only where a
    write needs every replica that may be promoted."""

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
        return {**super().acts(), "sentinel_kill": self._kill_sentinel}

    def acts_on_whole(self) -> dict[str, OnWhole[RedisServer]]:
        return {
            "primary_kill": partial(self._kill, "primary_kill"),
            "primary_freeze": freeze,
            "failover": self._failover,
            "replica_kill": self._kill_replica,
            "redis_pause": pause,
        }

    async def whole(self) -> RedisServer | None:
        """The primary that every replica follows."""
        return await self._primary(followed_by=2)

    async def leading(self) -> RedisServer | None:
        return await self._primary()

    async def _replication(self, server: RedisServer) -> str:
        return await asked(server, "INFO", "replication")

    async def _primary(self, followed_by: int = 0) -> RedisServer | None:
        """The server that leads, if so many follow it and are up to date."""
        found = []
        for server in self._all:
            info = await self._replication(server)
            if "role:master" in info:
                found.append((info.count("state=online"), server))
        if not found or (len(found) > 1 and followed_by):
            return None
        most, server = max(found, key=lambda one: one[0])
        return server if most >= followed_by else None

    async def watch(self) -> None:
        """See each server stop being the primary. Only then writes may be lost, whoever did it.

        The sentinels need no fault of ours to act: on a machine that stands still for a second
        they do.
        """
        alone_s: dict[int, float] = {}
        while True:
            asked_s, leading = time.monotonic(), []
            for server in self._all:
                info = await self._replication(server)
                if "role:master" in info:
                    leading.append(server.port)
                elif info and server.port in alone_s:
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
            if "role:slave" in await self._replication(primary):
                return
            await asyncio.sleep(0.1)

    async def _kill_replica(self, primary: RedisServer, planned: Planned) -> None:
        others = [server for server in self._all if server is not primary]
        await away(others[int(planned.target * len(others))], planned)

    async def _kill_sentinel(self, planned: Planned) -> None:
        await away(self._sentinels[int(planned.target * len(self._sentinels))], planned)
