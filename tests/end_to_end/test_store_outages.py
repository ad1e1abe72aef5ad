"""Redis dies, stands still, drops its clients or is not there yet: F02, F33, F34, and start-up."""

import asyncio
import contextlib
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from accounts import check_accounts, every_second
from cluster import Cluster, cluster_on
from pods import PodProcess, clean_environment, until

from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.working import Submission
from dsched_testkit.servers import RedisServer, SentinelSet, free_port, sentinel_set

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(120)]

RESUMED_S = 10.0
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@attrs.define
class Load:
    """Submissions, one after another; only what was acknowledged counts."""

    acknowledged: list[str] = attrs.field(factory=list)
    refused: int = 0

    async def run(self, cluster: Cluster) -> None:
        """Submit until cancelled. A call without an answer is made once, and is not counted."""
        number = 0
        while True:
            number += 1
            item = Submission(task_id=f"load-{number}", spec=cluster.spec())
            try:
                (outcome,) = await cluster.store.submit([item], by="load")
            except StoreUnavailableError:
                self.refused += 1
            else:
                assert outcome is Outcome.OK
                self.acknowledged.append(item.task_id)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def load_on(cluster: Cluster) -> AsyncIterator[Load]:
    load = Load()
    running = asyncio.create_task(load.run(cluster))
    try:
        yield load
    finally:
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


async def resumes(cluster: Cluster, load: Load) -> float:
    """Wait until a task submitted from now on has run; how long that took."""
    since_s, known = time.monotonic(), len(load.acknowledged)
    await cluster.until(
        lambda: any(cluster.ledger.of(task_id) for task_id in load.acknowledged[known:]),
        "something that was submitted after the outage runs",
        RESUMED_S,
    )
    return time.monotonic() - since_s


async def test_redis_may_be_killed_paused_and_stopped_under_load_and_all_acknowledged_ends(
    open_redis_cluster: Callable[..., Any], server: RedisServer
):
    async with open_redis_cluster() as cluster:
        owed = every_second(cluster.ledger.url())
        await cluster.start_three("--tasks", cluster.tasks_file([owed.config]))
        await cluster.until(lambda: cluster.ledger.calls, "the first fire")
        from_ms = (await cluster.store.now()).wall_ms
        async with load_on(cluster) as load:
            await resumes(cluster, load)
            for outage in (killed, stood_still, shut_down, dropped_its_clients):
                refused = load.refused
                await outage(server, lambda refused=refused: load.refused > refused)
                took_s = await resumes(cluster, load)
                assert [pod.code for pod in cluster.pods.values()] == [None] * 3, outage.__name__
                assert took_s < RESUMED_S, outage.__name__

        await cluster.all_succeed(load.acknowledged, 40)
        upto_ms = (await cluster.store.now()).wall_ms - 2000
        fired = check_accounts(await cluster.events(), [owed], from_ms=from_ms, upto_ms=upto_ms)
        await cluster.all_succeed(list(fired))
        assert {0} == set((await cluster.stop_all()).values())


async def killed(server: RedisServer, noticed: Callable[[], bool]) -> None:
    """kill -9, and started again."""
    server.kill()
    await until(noticed, "the load notices that the server is dead")
    server.start()


async def stood_still(server: RedisServer, noticed: Callable[[], bool]) -> None:
    """Frozen for longer than the leader's term, so that every half-open socket shows."""
    frozen_s = time.monotonic()
    server.send_signal(signal.SIGSTOP)
    try:
        await until(noticed, "the load notices that the server is frozen")
        await until(lambda: time.monotonic() - frozen_s > 3.5, "the leader's term is over")
    finally:
        server.send_signal(signal.SIGCONT)


async def shut_down(server: RedisServer, noticed: Callable[[], bool]) -> None:
    """SHUTDOWN NOSAVE: the append-only file alone has to hold everything."""
    with contextlib.suppress(OSError, RuntimeError):  # it closes the connection, and no answer
        server.command("SHUTDOWN", "NOSAVE")
    await until(noticed, "the load notices that the server is gone")
    server.kill()
    server.start()


async def dropped_its_clients(server: RedisServer, noticed: Callable[[], bool]) -> None:
    """Every connection is cut fifty times, whatever was under way on it."""
    for _ in range(50):
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.03)


async def test_pods_follow_a_sentinel_failover_and_go_on(tmp_path: Path):
    with sentinel_set(3, *APPEND_ALWAYS) as servers:
        settings = {
            "store": "redis",
            "redis": {
                "sentinel": {"master": servers.master, "nodes": list(servers.nodes)},
                "timeout": "1s",
            },
            "metrics": {"port": 0},
        }
        async with cluster_on(settings, tmp_path) as cluster:
            await cluster.start_three()
            before = [f"before-{at}" for at in range(20)]
            await cluster.submit(before)
            await cluster.all_succeed(before)
            # What was acknowledged has reached the replica, so its promotion may lose nothing.
            await until(lambda: _follows(servers), "the replica has what the primary has")

            servers.primary.kill()
            await until(lambda: _is_primary(servers.replica), "the replica is promoted", 30)
            after = [f"after-{at}" for at in range(20)]
            await cluster.submit(after)
            await cluster.all_succeed([*before, *after])
            assert set(cluster.ledger.counted().values()) == {1}
            assert [pod.code for pod in cluster.pods.values()] == [None] * 3
            assert {0} == set((await cluster.stop_all()).values())


def _is_primary(server: RedisServer) -> bool:
    try:
        return "role:master" in str(server.command("INFO", "replication"))
    except ConnectionError:  # a server that changes its role hangs up on its clients
        return False


def _follows(servers: SentinelSet) -> bool:
    offsets = [
        re.findall(r"master_repl_offset:(\d+)", str(one.command("INFO", "replication")))
        for one in (servers.primary, servers.replica)
    ]
    return offsets[0] == offsets[1]


def start_alone(name: str, folder: Any, port: int, *argv: str) -> PodProcess:
    """A pod on a Redis of this port, without a cluster around it."""
    config = folder / f"{name}.yaml"
    settings = {
        "store": "redis",
        "redis": {"addr": f"127.0.0.1:{port}", "timeout": "500ms"},
        "metrics": {"port": 0},
    }
    config.write_text(json.dumps(settings))
    argv = ("--config", str(config), "--log-format", "json", *argv)
    return PodProcess(name, argv, folder, clean_environment(POD_NAME=name))


async def test_a_pod_waits_for_a_redis_that_is_down_says_so_and_starts_when_it_comes(tmp_path):
    port = free_port()
    waiting = start_alone("waits", tmp_path, port)
    stopped = start_alone("stopped", tmp_path, port)
    hasty = start_alone("hasty", tmp_path, port, "--no-wait")
    pods = [waiting, stopped, hasty]
    try:
        assert await hasty.ended(20) == 4
        assert hasty.said(f"127.0.0.1:{port}"), hasty.tail()
        for pod in (waiting, stopped):
            await until(
                lambda pod=pod: pod.said("the store does not answer"), "it says so", 20, pods
            )
        stopped.terminate()
        assert await stopped.ended(10) == 0
        assert waiting.code is None
        with RedisServer(port=port):
            await until(lambda: waiting.said("the store answers again"), "it notices", 10, pods)
            await until(lambda: waiting.said("is ready for"), "its worker is ready", 10, pods)
            await until(lambda: waiting.said("leads from now on"), "it leads", 10, pods)
            waiting.terminate()
            assert await waiting.ended(10) == 0
    finally:
        for pod in pods:
            pod.end()


async def test_sigterm_ends_a_pod_in_order_even_while_redis_is_gone(
    open_redis_cluster: Callable[..., Any], server: RedisServer
):
    async with open_redis_cluster(worker={"drain_timeout": "1s"}) as cluster:
        await cluster.start_three()
        await cluster.submit(["held"], "/gate/held")
        await cluster.until(lambda: cluster.ledger.of("held"), "the task runs")
        server.kill()
        for pod in cluster.pods.values():
            pod.terminate()
        # drain_timeout, 5 s for what does not stop, and the steps of leaving, 2 s each
        codes = {name: await pod.ended(20) for name, pod in cluster.pods.items()}
        assert {0} == set(codes.values()), [pod.tail() for pod in cluster.pods.values()]

        server.start()
        cluster.ledger.open("held")
        cluster.start("later")
        task = (await cluster.all_succeed(["held"]))["held"]
        assert task.attempt == 2
