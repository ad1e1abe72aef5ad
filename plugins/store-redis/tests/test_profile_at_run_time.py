"""A profile is kept under way: settings that change, and servers that a failover brings."""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

import pytest
from _pytest.logging import LogCaptureFixture

from dsched.contracts.store.outcomes import Outcome, StoreError, StoreReadOnlyError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_redis import checks
from dsched_store_redis import store as store_module
from dsched_store_redis.options import Durability, RedisOptions, SentinelOptions
from dsched_store_redis.store import open_store
from dsched_testkit.servers import NoServerError, RedisServer, sentinel_set, wait_until

SPEC = TaskSpec(executor="local")
ENOUGH = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at a few times a second, rather than every half minute."""
    monkeypatch.setattr(checks, "EVERY_S", 0.1)
    monkeypatch.setattr(checks, "AGAIN_S", 0.1)
    monkeypatch.setattr(store_module, "AGAIN_S", 0.1)


async def _submit(store: Any, task_id: str) -> tuple[Outcome, ...]:
    return await store.submit([Submission(task_id=task_id, spec=SPEC)], by="me")


async def _until_said(caplog: LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in caplog.text:
            await asyncio.sleep(0.02)


async def test_an_eviction_policy_that_is_set_under_way_stops_the_writing_and_is_said_once(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    with RedisServer() as server, caplog.at_level(logging.INFO, "dsched.store.redis"):
        standalone = {"durability": Durability.STANDALONE, "key_prefix": "one:"}
        async with opener(server, **standalone) as store, opener(server, **standalone) as other:
            await _submit(store, "a")
            server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            await _until_said(caplog, "store degraded")
            for handle in (store, other):
                with contextlib.suppress(StoreReadOnlyError):
                    while True:  # each handle looks for itself
                        await asyncio.sleep(0.02)
                        await _submit(handle, "b")
                with pytest.raises(StoreReadOnlyError, match=r"allkeys-lru.*noeviction") as raised:
                    await _submit(handle, "c")
                assert not raised.value.maybe_applied
            with pytest.raises(StoreReadOnlyError, match="allkeys-lru"):
                await store.poll_when_woken("1:x:y", 10, 1.0)
            (task,) = await store.get(["a"])
            assert task is not None, "what is there can still be read"
            assert caplog.text.count("store degraded") == 1
            server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
            await _until_said(caplog, "is again what redis.durability asks for")
            async with asyncio.timeout(5):
                while True:
                    with contextlib.suppress(StoreReadOnlyError):
                        assert await _submit(store, "c") == (Outcome.OK,)
                        break
                    await asyncio.sleep(0.02)


async def test_for_trying_things_out_nothing_is_checked_under_way_either(opener: Any) -> None:
    with RedisServer() as server:
        async with opener(server, durability=Durability.DEV) as store:
            server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            await asyncio.sleep(0.5)
            assert await _submit(store, "a") == (Outcome.OK,)


def _followed(server: RedisServer) -> None:
    wait_until(
        lambda: "state=online" in str(server.command("INFO", "replication")), "a replica follows"
    )


@pytest.mark.slow
@pytest.mark.parametrize("profile", [Durability.HA, Durability.STRICT])
async def test_a_limit_of_replicas_that_is_taken_off_under_way_stops_the_writing(
    profile: Durability, opener: Any, caplog: LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(RedisServer(*ENOUGH, least_major=7))
        except NoServerError as error:
            pytest.skip(str(error))
        follow = ("--replicaof", "127.0.0.1", str(server.port))
        stack.enter_context(RedisServer(*follow, least_major=7))
        _followed(server)
        async with opener(server, durability=profile) as store:
            assert await _submit(store, "a") == (Outcome.OK,)
            server.command("CONFIG", "SET", "min-replicas-to-write", "0")
            await _until_said(caplog, "store degraded")
            with pytest.raises(StoreReadOnlyError, match="min-replicas-to-write 0"):
                await _submit(store, "b")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_failover_to_a_server_that_falls_short_of_the_profile_writes_nothing_there(
    caplog: LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step on it, however long it is until the next look."""
    monkeypatch.setattr(checks, "EVERY_S", 3600.0)
    with contextlib.ExitStack() as stack:
        try:
            servers = stack.enter_context(sentinel_set(3, *ENOUGH, least_major=7))
        except NoServerError as error:
            pytest.skip(str(error))
        _followed(servers.primary)
        # A replica that somebody set up without the limits, as a replaced machine is.
        servers.replica.command("CONFIG", "SET", "min-replicas-to-write", "0")
        options = RedisOptions(
            sentinel=SentinelOptions(master=servers.master, nodes=servers.nodes),
            durability=Durability.HA,
            timeout=timedelta(seconds=1),
        )
        async with open_store(options, StoreSettings()) as store:
            assert await _submit(store, "a") == (Outcome.OK,)
            await asyncio.to_thread(servers.primary.kill)
            async with asyncio.timeout(30):
                while "store degraded" not in caplog.text:
                    with pytest.raises(StoreError):
                        await _submit(store, "b")
                    await asyncio.sleep(0.05)
            assert "min-replicas-to-write 0" in caplog.text
            for number in range(20):
                with pytest.raises(StoreError):
                    await _submit(store, f"b{number}")
            assert servers.replica.command("EXISTS", "task:detail:a") == 1
            keys = str(servers.replica.command("KEYS", "task:detail:b*"))
            assert keys == "", "nothing was acknowledged, and nothing written"
            servers.replica.command("CONFIG", "SET", "min-replicas-to-write", "1")
            await asyncio.to_thread(servers.primary.start)
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(StoreError):
                        assert await _submit(store, "c") == (Outcome.OK,)
                        break
                    await asyncio.sleep(0.1)


async def test_another_start_of_the_server_is_looked_at_before_the_first_step(
    opener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "EVERY_S", 3600.0)
    with RedisServer("--appendonly", "yes") as server:
        async with opener(server, durability=Durability.STANDALONE) as store:
            await _submit(store, "a")
            await asyncio.to_thread(server.kill)
            with pytest.raises(StoreError):
                await _submit(store, "b")
            server._args = (*server._args, "--maxmemory-policy", "allkeys-lru")
            await asyncio.to_thread(server.start)
            with pytest.raises(StoreReadOnlyError, match="allkeys-lru"):
                await _submit(store, "b")
