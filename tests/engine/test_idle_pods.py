"""What pods ask of the store while nothing happens, counted in virtual time."""

import asyncio
from collections import Counter

from engine_cluster import SCHEDULER, WORKER, Line, spec

from dsched.model import TaskStatus

CALM_S = 20
WATCHED_S = 60


async def test_idle_pods_ask_the_store_less_than_twice_a_second_each(cluster):
    cluster.use_defaults()
    calls = Counter()

    # A wait for a bell, and its end. But that of a worker is one message with its claim, and the
    # server ends it: `test_a_claim_without_a_ring_is_one_message` of the Redis store.
    messages = {"bell": 2, "claim": -1}

    async def counted(handle, step, proceed):
        calls[step] += messages.get(step, 1)
        return await proceed()

    for name in "abc":
        cluster.start(name, line=Line(counted))
    await asyncio.sleep(CALM_S)
    calls.clear()
    await asyncio.sleep(WATCHED_S)
    assert calls["acquire"] > WATCHED_S  # two followers try every second or so
    assert sum(calls.values()) / WATCHED_S / len(cluster.pods) < 2.1, calls


async def test_a_pod_that_was_idle_is_awake_at_once(cluster):
    cluster.use_defaults()
    cluster.start("a")
    await asyncio.sleep(CALM_S)
    began_s = cluster.now_s()
    task = await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=10)
    assert task.status == TaskStatus.SUCCESS
    assert cluster.now_s() - began_s < 0.2


async def test_a_worker_that_dies_after_a_calm_is_noticed_as_soon_as_ever(cluster):
    cluster.use_defaults()
    cluster.start("a", SCHEDULER)
    cluster.start("b", WORKER)
    await asyncio.sleep(CALM_S)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "it runs")
    await cluster.kill("b")
    killed_s = cluster.now_s()
    await cluster.until(lambda: bool(cluster.items("reaped", task="t")), "it is reaped", 60)
    assert cluster.now_s() - killed_s < 33
