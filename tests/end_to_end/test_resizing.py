"""A worker is made larger while it runs, and stays so when it starts again."""

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_a_worker_of_one_slot_runs_four_at_once_when_told_to_and_after_a_restart(
    open_cluster,
):
    worker: dict[str, Any] = {"max_concurrent_tasks": 1, "backlog": 10, "id": "w"}
    async with open_cluster() as cluster:
        pod = cluster.start("pod", worker=worker)
        await cluster.workers_ready(1)

        async def has(running: int, queued: int) -> bool:
            found = await cluster.client.workers()
            return [(one.running, one.queued) for one in found] == [(running, queued)]

        first = [f"first-{at}" for at in range(8)]
        await cluster.submit(first, "/gate/first")
        await cluster.until_store(lambda: has(1, 7), "its one slot is taken")
        await cluster.client.resize_worker("w", 4)
        await cluster.until_store(lambda: has(4, 4), "four run at once")
        await cluster.until(lambda: len(cluster.ledger.counted()) == 4, "four were called")
        cluster.ledger.open("first")
        await cluster.all_succeed(first)
        pod.terminate()
        assert await pod.ended() == 0
        cluster.start("pod", worker=worker)
        second = [f"second-{at}" for at in range(8)]
        await cluster.submit(second, "/gate/second")
        await cluster.until_store(lambda: has(4, 4), "four run at once again")
        cluster.ledger.open("second")
        tasks = await cluster.all_succeed(second)
        assert {task.attempt for task in tasks.values()} == {1}
        assert set(cluster.ledger.counted().values()) == {1}
        assert {0} == set((await cluster.stop_all()).values())
