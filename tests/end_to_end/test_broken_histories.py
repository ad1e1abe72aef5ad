"""A store that loses its past under running pods: they go on, say so once, and `why` tells it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, cluster_on

from dsched.client import NotFoundError
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import StoreEmptiedError
from dsched_testkit.servers import RedisServer, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

TOLD = "the history of the store is broken"
GONE = "the store that this pod has worked on is gone"
BEFORE, SINCE = ["before-1", "before-2"], ["since-1", "since-2"]


def said(cluster: Cluster, words: str) -> dict[str, int]:
    """How many lines of each pod's log have these words."""
    return {name: pod.log_file.read_text().count(words) for name, pod in cluster.pods.items()}


async def work(cluster: Cluster, ids: Sequence[str]) -> None:
    await cluster.submit(ids)
    await cluster.all_succeed(ids)


async def seen_by_all(cluster: Cluster) -> None:
    """Every pod has looked at what was done so far: no look is older than 10 s."""
    await asyncio.sleep(11)


async def broken_once(cluster: Cluster, loss: str) -> None:
    """Wait until the break is recorded, and see that it was told as it should be."""

    async def recorded() -> bool:
        return bool((await cluster.store.history(None)).breaks)

    await cluster.until_store(recorded, "the break is recorded", 30)
    await cluster.until(
        lambda: all(count == 1 for count in said(cluster, TOLD).values()), "every pod has said so"
    )
    entries = [e for e in await cluster.events() if e.kind is EventKind.HISTORY]
    assert [item["loss"] for entry in entries for item in entry.items] == [loss]
    assert [pod.code for pod in cluster.pods.values()] == [None] * len(cluster.pods)


async def goes_on(cluster: Cluster, *, least_epoch: int) -> None:
    """Work is done, by a leader that is above all that targets have seen."""
    await cluster.workers_ready(2)
    await work(cluster, ["later-1", "later-2"])
    assert fence_epoch(await cluster.leader()) >= least_epoch
    assert all(count == 1 for count in said(cluster, TOLD).values())


async def with_a_past(cluster: Cluster, keep: Callable[[], Awaitable[None]]) -> int:
    """Two pods and some work, something kept in the middle of it; the highest epoch then."""
    for name in ("pod-a", "pod-b"):
        cluster.start(name)
    await cluster.workers_ready(2)
    await work(cluster, BEFORE)
    await keep()
    await work(cluster, SINCE)
    await seen_by_all(cluster)
    assert set(said(cluster, TOLD).values()) == {0}
    return fence_epoch(await cluster.leader())


async def why_tells_of_the_break(cluster: Cluster, forgotten: str) -> None:
    with pytest.raises(NotFoundError, match="history is broken"):
        await cluster.client.why_task(forgotten)


@pytest.mark.redis
async def test_a_redis_restored_from_an_older_dump_under_running_pods(tmp_path: Path):
    dump = tmp_path / "kept.rdb"
    with RedisServer() as server:
        async with cluster_on(_redis(server), tmp_path, {}) as cluster:

            async def keep() -> None:
                server.command("SAVE")
                shutil.copy(server.folder / "dump.rdb", dump)

            epoch = await with_a_past(cluster, keep)
            server.kill()
            shutil.copy(dump, server.folder / "dump.rdb")
            server.start()
            await broken_once(cluster, "restored")
            await why_tells_of_the_break(cluster, "since-1")
            told = (await cluster.client.why_task("before-1")).because
            assert not any("history" in text for text in told)
            await goes_on(cluster, least_epoch=epoch)
            assert len([c for c in cluster.ledger.calls if c.task_id == "before-1"]) == 1
            assert {0} == set((await cluster.stop_all()).values())


@pytest.mark.redis
async def test_a_redis_that_is_flushed_under_running_pods_stays_empty_until_one_is_restored(
    tmp_path: Path,
):
    dump = tmp_path / "kept.rdb"
    with RedisServer() as server:
        async with cluster_on(_redis(server), tmp_path, {}) as cluster:

            async def keep() -> None:
                server.command("SAVE")
                shutil.copy(server.folder / "dump.rdb", dump)

            epoch = await with_a_past(cluster, keep)
            server.command("FLUSHALL")
            await cluster.until(
                lambda: all(count == 1 for count in said(cluster, GONE).values()),
                "every pod says that the store is gone",
                30,
            )
            with pytest.raises(StoreEmptiedError):
                await cluster.store.now()
            assert server.command("DBSIZE") == 0
            assert [pod.code for pod in cluster.pods.values()] == [None, None]
            server.kill()
            shutil.copy(dump, server.folder / "dump.rdb")
            server.start()
            await broken_once(cluster, "restored")
            await goes_on(cluster, least_epoch=epoch)


@pytest.mark.redis
async def test_an_empty_redis_that_a_new_pod_has_begun_is_told_by_those_that_knew_the_old_one(
    tmp_path: Path,
):
    with RedisServer() as server:
        async with cluster_on(_redis(server), tmp_path, {}) as cluster:

            async def keep() -> None:
                pass

            epoch = await with_a_past(cluster, keep)
            server.command("FLUSHALL")
            newcomer = cluster.start("pod-c")
            await broken_by_those_that_knew(cluster)
            assert newcomer.code is None
            await why_tells_of_the_break(cluster, "before-1")
            assert fence_epoch(await cluster.leader()) >= epoch


async def broken_by_those_that_knew(cluster: Cluster) -> None:
    async def recorded() -> bool:
        return bool((await cluster.store.history(None)).breaks)

    await cluster.until_store(recorded, "the break is recorded", 30)
    await cluster.until(
        lambda: [said(cluster, TOLD)[name] for name in ("pod-a", "pod-b")] == [1, 1],
        "both have said so",
    )


@pytest.mark.redis
async def test_a_replica_that_lagged_and_is_promoted(tmp_path: Path):
    with RedisServer() as server, RedisServer() as replica:
        async with cluster_on(_redis(server), tmp_path, {}) as cluster:

            async def keep() -> None:
                replica.command("REPLICAOF", "127.0.0.1", str(server.port))
                wait_until(lambda: _in_step(replica), "the replica has everything")
                replica.command("REPLICAOF", "NO", "ONE")

            epoch = await with_a_past(cluster, keep)
            # It takes the address of the old one, as a service name or a proxy would point to it.
            replica.command("SAVE")
            server.kill()
            shutil.copy(replica.folder / "dump.rdb", server.folder / "dump.rdb")
            server.start()
            await broken_once(cluster, "restored")
            await why_tells_of_the_break(cluster, "since-2")
            await goes_on(cluster, least_epoch=epoch)


async def test_an_sqlite_file_that_becomes_an_older_copy_of_itself_under_running_pods(
    tmp_path: Path,
):
    """By SQLite's own backup, the one way that leaves those who have it open unharmed."""
    file, copy = tmp_path / "dsched.db", tmp_path / "copy.db"
    async with cluster_on(_sqlite(file), tmp_path, {}) as cluster:

        async def keep() -> None:
            _backup(file, copy)

        epoch = await with_a_past(cluster, keep)
        _backup(copy, file)
        await broken_once(cluster, "restored")
        await why_tells_of_the_break(cluster, "since-1")
        await goes_on(cluster, least_epoch=epoch)


async def test_an_sqlite_file_that_another_took_the_place_of_ends_the_pods_and_says_why(
    tmp_path: Path,
):
    file, copy = tmp_path / "dsched.db", tmp_path / "copy.db"
    async with cluster_on(_sqlite(file), tmp_path, {}) as cluster:

        async def keep() -> None:
            _backup(file, copy)

        await with_a_past(cluster, keep)
        copy.replace(file)
        pods = list(cluster.pods.values())
        await asyncio.to_thread(
            wait_until, lambda: all(pod.code is not None for pod in pods), "they end"
        )
        assert all(pod.code for pod in pods)
        assert min(said(cluster, "removed or replaced while it was open").values()) > 0


def _backup(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def _in_step(replica: RedisServer) -> bool:
    return "master_link_status:up" in str(replica.command("INFO", "replication"))


def _redis(server: RedisServer) -> dict[str, Any]:
    return {
        "store": "redis",
        "redis": {"addr": server.addr, "timeout": "1s"},
        "metrics": {"port": 0},
    }


def _sqlite(file: Path) -> dict[str, Any]:
    return {"store": "sqlite", "sqlite": {"path": str(file)}, "metrics": {"port": 0}}
