"""A server that answers and takes no writes: said in its own words, and over when it is mended."""

import asyncio
from typing import Any

import pytest

from dsched.contracts.store.outcomes import Outcome, StoreReadOnlyError
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_testkit.servers import NoServerError, RedisServer, free_port, wait_until

SPEC = TaskSpec(executor="local")


async def _submit(store: Any, task_id: str) -> tuple[Outcome, ...]:
    return await store.submit([Submission(task_id=task_id, spec=SPEC)], by="me")


async def test_a_server_at_maxmemory_takes_no_writes_and_says_so(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            server.command("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreReadOnlyError, match=r"OOM|maxmemory") as raised:
                await _submit(store, "a")
            assert not raised.value.maybe_applied
            server.command("CONFIG", "SET", "maxmemory", "0")
            assert await _submit(store, "a") == (Outcome.OK,)


async def test_a_server_that_cannot_save_takes_no_writes_and_says_so(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            server.command("CONFIG", "SET", "save", "3600 1000000")
            # A folder of the dump's name is in the way of the dump.
            (server.folder / "dump.rdb").mkdir()
            server.command("SET", "x", "1")
            server.command("BGSAVE")
            await asyncio.to_thread(
                wait_until,
                lambda: "rdb_last_bgsave_status:err" in str(server.command("INFO", "persistence")),
                "the save fails",
            )
            with pytest.raises(StoreReadOnlyError, match="disk") as raised:
                await _submit(store, "a")
            assert not raised.value.maybe_applied
            (server.folder / "dump.rdb").rmdir()
            server.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            assert await _submit(store, "a") == (Outcome.OK,)


async def test_a_server_without_enough_replicas_takes_no_writes_and_says_so(opener: Any) -> None:
    try:
        server = RedisServer(least_major=7)
    except NoServerError as error:
        pytest.skip(str(error))  # servers before 7.0 apply the limit to no script
    with server:
        async with opener(server) as store:
            server.command("CONFIG", "SET", "min-replicas-to-write", "1")
            with pytest.raises(StoreReadOnlyError, match="min-replicas-to-write") as raised:
                await _submit(store, "a")
            assert not raised.value.maybe_applied
            server.command("CONFIG", "SET", "min-replicas-to-write", "0")
            assert await _submit(store, "a") == (Outcome.OK,)


async def test_a_server_that_became_a_replica_takes_no_writes_and_says_so(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            await store.now()
            server.command("REPLICAOF", "127.0.0.1", str(free_port()))
            with pytest.raises(StoreReadOnlyError, match="failover is under way") as raised:
                await _submit(store, "a")
            assert not raised.value.maybe_applied
            server.command("REPLICAOF", "NO", "ONE")
            assert await _submit(store, "a") == (Outcome.OK,)
