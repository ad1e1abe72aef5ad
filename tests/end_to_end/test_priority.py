"""A full queue in front of a worker, and a task that is worth more than what waits there: S03."""

import pytest

from dsched.contracts.store.events import EventKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_an_urgent_task_starts_next_though_ten_others_wait_in_front_of_the_only_slot(
    open_cluster,
):
    worker = {"max_concurrent_tasks": 1, "backlog": 10}
    async with open_cluster(worker=worker) as cluster:
        cluster.start("pod")
        await cluster.workers_ready(1)
        low = [f"low-{at:02d}" for at in range(13)]
        await cluster.submit(low, "/gate/low", priority=0)

        async def full() -> bool:
            (only,) = await cluster.client.workers()
            return (only.running, only.queued) == (1, 10)

        await cluster.until_store(full, "the queue is full")
        await cluster.submit(["urgent"], priority=9)

        async def queued() -> bool:
            return (await cluster.client.get("urgent")).worker_id is not None

        await cluster.until_store(queued, "the urgent task has a place")
        cluster.ledger.open("low")
        tasks = await cluster.all_succeed([*low, "urgent"])
        order = [call.task_id for call in cluster.ledger.calls]
        assert (order[0] in low, order[1]) == (True, "urgent"), order
        assert {(task.attempt, task.retry_count) for task in tasks.values()} == {(1, 0)}
        assert set(cluster.ledger.counted().values()) == {1}
        given = [
            item
            for event in await cluster.events()
            if event.kind is EventKind.RECALLED
            for item in event.items
        ]
        assert [item["displaced"] for item in given] == [True]
        assert {0} == set((await cluster.stop_all()).values())
