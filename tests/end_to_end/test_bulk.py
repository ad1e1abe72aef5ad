"""A bulk retry outlives the pod that leads: killed in the middle, nothing is lost or doubled."""

from collections import Counter

import pytest
from cluster import Cluster

from dsched.bulk import BulkOperation, retried_id
from dsched.bulk.keeping import open_operations
from dsched.client import Client
from dsched.contracts.store.events import EventKind
from dsched.model import Overlap, RetryPolicy, TaskConfig, TaskStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

SOURCES = 60
KILLS = 2


async def failed_tasks(cluster: Cluster) -> list[str]:
    """Failed tasks of three configs, that their lists have."""
    client = cluster.client
    ids: list[str] = []
    for name in ("etl-a", "etl-b", "etl-c"):
        config = TaskConfig(
            id=name,
            executor="http",
            payload={"url": cluster.ledger.url("/nothing-is-here"), "method": "POST"},
            cron_expr="0 0 1 1 *",
            overlap=Overlap.ALLOW,
            retry=RetryPolicy(max_retries=0),
        )
        await client.put_config(config)
        for number in range(SOURCES // 3):
            ids.append(str(await client.trigger(name, key=f"t{number}")))  # noqa: PERF401

    async def listed() -> bool:
        found: set[str] = set()
        for name in ("etl-a", "etl-b", "etl-c"):
            page = await client.list(config_id=name, status="failed")
            found |= {one.id for one in page.tasks}
        return found >= set(ids)

    await cluster.until_store(listed, "all have failed and are listed", 60)
    return ids


async def over(cluster: Cluster, client: Client, operation_id: str) -> BulkOperation:
    async def ended() -> BulkOperation | None:
        found = await client.bulk_operation(operation_id)
        gone = found.state.ended and not await open_operations(cluster.store)
        return found if gone else None

    return await cluster.until_store(ended, "the operation ends", 60)


async def test_each_failed_task_is_run_once_more_exactly_once_while_leaders_are_killed(
    open_cluster,
):
    async with open_cluster() as cluster:
        await cluster.start_three()
        ids = await failed_tasks(cluster)
        client = cluster.client
        made = await client.bulk("retry", config_id="etl-*", reason="it is back", rate="8/s")
        assert made.estimate.found == SOURCES
        for kill in range(KILLS):

            async def under_way(kill: int = kill) -> bool:
                found = await client.bulk_operation(made.operation.id)
                return found.done >= (kill + 1) * SOURCES // 5

            await cluster.until_store(under_way, "it is under way", 60)
            fence = await cluster.leader()
            cluster.pod_of(fence).kill()
            await cluster.leader(other_than=fence, timeout_s=20)
        done = await over(cluster, client, made.operation.id)
        assert (done.done, done.skipped, done.failed) == (SOURCES, 0, 0)
        submitted = Counter(
            item["task"]
            for event in await cluster.events()
            if event.kind is EventKind.SUBMITTED
            for item in event.items
        )
        assert {submitted[retried_id(one)] for one in ids} == {1}
        assert len(submitted) == 2 * SOURCES
        await cluster.stop_all()


async def test_each_waiting_task_is_cancelled_while_the_leader_is_killed(open_cluster):
    async with open_cluster(worker={"max_concurrent_tasks": 1}) as cluster:
        await cluster.start_three()
        client = cluster.client
        for number in range(4):
            await client.put_config(
                TaskConfig(
                    id=f"busy-{number}",
                    executor="http",
                    payload={"url": cluster.ledger.url("/gate/shut"), "method": "POST"},
                    cron_expr="* * * * * *",
                    overlap=Overlap.ALLOW,
                )
            )

        async def waiting() -> list[str] | None:
            page = await client.list(live_of="busy-*", limit=100)
            return [one.id for one in page.tasks] if len(page.tasks) >= 40 else None

        await cluster.until_store(waiting, "forty wait", 60)
        for number in range(4):
            await client.pause_config(f"busy-{number}")
        page = await client.list(live_of="busy-*", limit=100)
        made = await client.bulk("cancel", config_id="busy-*", reason="no more", rate="10/s")

        async def under_way() -> bool:
            return (await client.bulk_operation(made.operation.id)).done >= 10

        await cluster.until_store(under_way, "it is under way", 60)
        fence = await cluster.leader()
        cluster.pod_of(fence).kill()
        await cluster.leader(other_than=fence, timeout_s=20)
        done = await over(cluster, client, made.operation.id)
        cluster.ledger.open("shut")
        assert done.failed == 0
        assert done.done + done.skipped == len(page.tasks)

        async def all_cancelled() -> bool:
            tasks = await cluster.get_all([one.id for one in page.tasks])
            return all(one.status is TaskStatus.CANCELLED for one in tasks.values())

        await cluster.until_store(all_cancelled, "all are cancelled", 60)
        await cluster.stop_all()
