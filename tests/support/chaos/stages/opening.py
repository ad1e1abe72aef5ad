"""Starts what a backend needs, and stops it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from chaos.clocks import ClockOffset, shifted
from chaos.line import Line
from chaos.stages.base import Stage
from chaos.stages.cluster import ClusterStage
from chaos.stages.sentinel import SentinelStage
from chaos.stages.sqlite import SqliteStage
from chaos.stages.standalone import RedisStage
from dsched_testkit.servers import RedisServer, redis_cluster, sentinel_set

EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")


def at_least(replicas: int) -> tuple[str, ...]:
    """A server that takes no writes unless so many replicas were there two seconds ago."""
    return ("--min-replicas-to-write", str(replicas), "--min-replicas-max-lag", "2")


def _replicated(replicas: int) -> tuple[str, ...]:
    return (*EVERYSEC, *at_least(replicas), "--repl-diskless-sync-delay", "0")


@contextlib.asynccontextmanager
async def open_stage(
    backend: str, folder: Path, pods: list[str], store: str | None = None
) -> AsyncIterator[Stage]:
    """Start what this backend needs; everything is stopped at the end.

    ``store``: another store that has SQLite's settings, in its place.
    """
    async with contextlib.AsyncExitStack() as stack:
        stage: Stage
        if backend == "redis":
            server = stack.enter_context(RedisServer(*EVERYSEC))
            lines = {pod: await stack.enter_async_context(Line(server.port)) for pod in pods}
            stage = RedisStage(server, lines)
        elif backend == "sentinel":
            servers = sentinel_set(3, *_replicated(2), replicas=2, least_major=7)
            sentinels = SentinelStage(stack.enter_context(servers))
            await stack.enter_async_context(_watched(sentinels.watch()))
            stage = sentinels
        elif backend == "cluster":
            cluster = ClusterStage(
                stack.enter_context(
                    redis_cluster(
                        3, *_replicated(1), replicas=1, node_timeout_ms=1000, least_major=7
                    )
                )
            )
            await stack.enter_async_context(_watched(cluster.watch()))
            stage = cluster
        else:
            stage = SqliteStage(folder, store or "sqlite")
        if stage.one_clock:
            host = ClockOffset(folder / "host.clock")
            stack.enter_context(shifted(host))
            stage.clocks = dict.fromkeys(pods, host)
        else:
            stage.clocks = {pod: ClockOffset(folder / f"{pod}.clock") for pod in pods}
        yield stage


@contextlib.asynccontextmanager
async def _watched(watch: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Watch meanwhile. What the watching failed of is raised."""
    watching = asyncio.create_task(watch)
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching], timeout=10)
    if watching.done() and not watching.cancelled():
        watching.result()
