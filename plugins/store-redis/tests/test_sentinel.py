"""Behind real sentinels: a failover that is asked for, a kill, and sentinels that are silent."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from _pytest.logging import LogCaptureFixture

from dsched.contracts.store.outcomes import StoreError, StoreUnavailableError
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_redis.options import Durability, RedisOptions, SentinelOptions
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import SentinelSet, sentinel_set

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SPEC = TaskSpec(executor="local")
# A sentinel knows of the promotion a second late, and is asked once a second.
SPLIT_S = 4.0


def _options(servers: SentinelSet) -> SentinelOptions:
    return SentinelOptions(master=servers.master, nodes=servers.nodes)


class _Load:
    """Submits until it is stopped; when each task was acknowledged."""

    def __init__(self, store: RedisStore, name: str) -> None:
        self._store = store
        self._name = name
        self.acknowledged_s: dict[str, float] = {}

    async def run(self) -> None:
        number = 0
        while True:
            number += 1
            task_id = f"{self._name}-{number}"
            try:
                await self._store.submit([Submission(task_id=task_id, spec=SPEC)], by="me")
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                self.acknowledged_s[task_id] = time.monotonic()
            await asyncio.sleep(0.005)

    async def missing(self) -> list[str]:
        """What was acknowledged and is not there."""
        ids, gone = list(self.acknowledged_s), []
        for start in range(0, len(ids), 100):
            some = ids[start : start + 100]
            found = await self._store.get(some)
            gone += [name for name, task in zip(some, found, strict=True) if task is None]
        return gone


@contextlib.asynccontextmanager
async def _loaded(store: RedisStore, name: str) -> AsyncIterator[_Load]:
    load = _Load(store, name)
    task = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(holds: Any, timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.05)


def _role(server: Any) -> str:
    try:
        info = str(server.command("INFO", "replication"))
    except (OSError, RuntimeError):
        return "gone"
    return "master" if "role:master" in info else "slave"


async def test_a_failover_that_is_asked_for_is_followed_at_once_by_pooled_connections(
    opener: Any,
) -> None:
    """The old primary goes on taking writes until a sentinel turns it into a replica: 10 s."""
    with sentinel_set(3) as servers:
        async with opener(servers.primary, sentinel=_options(servers)) as store:
            async with _loaded(store, "a") as load:
                await asyncio.sleep(1.0)
                servers.sentinels[0].command("SENTINEL", "FAILOVER", servers.master)
                await _until(lambda: _role(servers.replica) == "master")
                promoted_s = time.monotonic()
                await _until(lambda: _role(servers.primary) == "slave", 60)
                demoted_s = time.monotonic()
                await asyncio.sleep(0.5)
            lost = [load.acknowledged_s[one] for one in await load.missing()]
            late_s = max(lost, default=promoted_s) - promoted_s
            print(f"{len(lost)} of {len(load.acknowledged_s)} lost, the last {late_s:.1f} s after")
            print(f"the promotion; the old primary followed after {demoted_s - promoted_s:.1f} s")
            assert late_s < SPLIT_S
            assert max(load.acknowledged_s.values()) > demoted_s


async def test_a_wakeup_does_not_wait_on_an_old_primary(opener: Any) -> None:
    """A leader's poll and a worker's claim wait behind it, and would run there."""
    with sentinel_set(3) as servers:
        async with opener(servers.primary, sentinel=_options(servers)) as store:
            await store.now()

            async def listen() -> float:
                with contextlib.suppress(StoreUnavailableError):
                    while True:
                        await store.wakeup("nobody", 60.0)
                return time.monotonic()

            listening = asyncio.create_task(listen())
            await _until(
                lambda: "blocked_clients:1" in str(servers.primary.command("INFO", "clients"))
            )
            servers.sentinels[0].command("SENTINEL", "FAILOVER", servers.master)
            await _until(lambda: _role(servers.replica) == "master")
            promoted_s = time.monotonic()
            left_s = await asyncio.wait_for(listening, 30)
            assert left_s - promoted_s < SPLIT_S


async def test_a_killed_primary_is_left_for_the_promoted_replica(opener: Any) -> None:
    with sentinel_set(3) as servers:
        async with opener(
            servers.primary, sentinel=_options(servers), timeout=timedelta(seconds=1)
        ) as store:
            async with _loaded(store, "a") as load:
                await asyncio.sleep(1.0)
                killed_s = time.monotonic()
                await asyncio.to_thread(servers.primary.kill)
                await _until(lambda: _role(servers.replica) == "master")
                await asyncio.to_thread(servers.primary.start)
                async with asyncio.timeout(10):
                    while max(load.acknowledged_s.values()) < time.monotonic() - 0.5:
                        await asyncio.sleep(0.05)
                await _until(lambda: _role(servers.primary) == "slave", 60)
                await asyncio.sleep(0.5)
            lost = [load.acknowledged_s[one] for one in await load.missing()]
            assert all(at_s < killed_s + 1 for at_s in lost), "nothing after the kill is lost"


async def test_a_promoted_replica_is_found_while_the_first_sentinels_hang(opener: Any) -> None:
    with sentinel_set(3) as servers:
        async with opener(
            servers.primary, sentinel=_options(servers), timeout=timedelta(seconds=1)
        ) as store:
            await store.now()
            servers.sentinels[0].send_signal(signal.SIGSTOP)
            try:
                servers.sentinels[1].command("SENTINEL", "FAILOVER", servers.master)
                await _until(lambda: _role(servers.replica) == "master")
                async with asyncio.timeout(SPLIT_S):
                    while store._footing.link._newest != ("127.0.0.1", servers.replica.port):
                        await asyncio.sleep(0.05)
                        with contextlib.suppress(StoreError):
                            await store.now()
            finally:
                servers.sentinels[0].send_signal(signal.SIGCONT)


async def test_without_sentinels_the_primary_is_used_on_and_that_is_said_once(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    with sentinel_set(2) as servers:
        async with opener(servers.primary, sentinel=_options(servers)) as store:
            await store.now()
            for sentinel in servers.sentinels:
                await asyncio.to_thread(sentinel.kill)
            async with asyncio.timeout(30):
                while "no sentinel of main answers" not in caplog.text:
                    await asyncio.sleep(0.1)
            for _ in range(5):
                await store.now()
                await asyncio.sleep(0.3)
            assert caplog.text.count("no sentinel of main answers") == 1
            for sentinel in servers.sentinels:
                await asyncio.to_thread(sentinel.start)
            async with asyncio.timeout(30):
                while "sentinels of main answer again" not in caplog.text:
                    await asyncio.sleep(0.1)


async def test_a_profile_that_bounds_no_loss_is_warned_about_behind_sentinels(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    with sentinel_set(1) as servers, caplog.at_level(logging.WARNING, "dsched.store.redis"):
        async with (
            opener(servers.primary, sentinel=_options(servers)),
            opener(servers.primary, sentinel=_options(servers)),
        ):
            pass
    said = "redis.durability is standalone: at each failover"
    assert caplog.text.count(said) == 1, "once, however many handles a pod opens"


def test_the_profile_for_trying_things_out_is_refused_behind_sentinels() -> None:
    with pytest.raises(ValueError, match="durability dev is for one server"):
        RedisOptions(
            sentinel=SentinelOptions(master="m", nodes=("h:1",)), durability=Durability.DEV
        )
