"""A pod that was killed and starts again on its host, and a worker that falls silent beside
others."""

import time

import pytest
from cluster import Cluster, Settings

from dsched.contracts.store.events import EventKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# As nobody configures them: a lease lasts far longer than a restart takes.
LONG_LEASES: Settings = {
    "schedule": {"dispatch_timeout": "15s"},
    "worker": {"heartbeat_interval": "10s", "heartbeat_timeout": "30s"},
}
LEADER_S = 3 + 2  # the lock of the leader that was killed
STARTS_S = 3


async def test_a_config_whose_run_was_on_a_killed_pod_goes_on_as_soon_as_the_pod_is_back(
    open_cluster,
):
    async with open_cluster(**LONG_LEASES) as cluster:
        url = cluster.ledger.url("/gate/shut")
        tick = {"id": "tick", "every": "1s", "executor": "http", "payload": {"url": url}}
        file = cluster.tasks_file([tick])
        pod = cluster.start("pod", "--tasks", file)
        await cluster.until(lambda: cluster.ledger.calls, "it runs")
        pod.kill()
        cluster.ledger.open("shut")
        killed_s = time.time()
        cluster.start("pod", "--tasks", file)

        await cluster.until(lambda: len(cluster.ledger.counted()) > 2, "later fires run", 60)
        took_s = time.time() - killed_s
        assert took_s <= LEADER_S + STARTS_S + 4, took_s
        (first, *_) = cluster.ledger.calls
        again = [call for call in cluster.ledger.calls if call.task_id == first.task_id]
        assert len(again) == 2
        workers = await cluster.until_store(lambda: the_living(cluster, 1), "one worker is left")
        assert workers[0].running <= 1


async def the_living(cluster: Cluster, count: int) -> list | None:
    workers = await cluster.client.workers()
    return list(workers) if len(workers) == count else None


async def test_what_waited_at_a_killed_pod_is_taken_up_as_soon_as_it_is_back(open_cluster):
    async with open_cluster(**LONG_LEASES) as cluster:
        slots = {"worker": {"max_concurrent_tasks": 1, "backlog": 3}}
        cluster.start("lead", "--role", "scheduler")
        pod = cluster.start("pod", "--role", "worker", **slots)
        await cluster.workers_ready(1)
        ids = ["ran", "waited-1", "waited-2"]
        await cluster.submit(ids, "/gate/shut")

        async def full() -> bool:
            (worker,) = await cluster.client.workers()
            return (worker.running, worker.queued) == (1, 2)

        await cluster.until_store(full, "one runs, two wait")
        pod.kill()
        cluster.ledger.open("shut")
        cluster.start("pod", "--role", "worker", **slots)

        tasks = await cluster.all_succeed(ids, STARTS_S + 5)
        crashes = sorted(task.crash_count for task in tasks.values())
        assert crashes == [0, 0, 1]


async def test_a_neighbour_that_lives_keeps_its_work_when_a_pod_starts(open_sqlite_cluster):
    async with open_sqlite_cluster(**LONG_LEASES) as cluster:
        cluster.start("lead", "--role", "scheduler")
        cluster.start("pod", "--role", "worker")
        await cluster.workers_ready(1)
        await cluster.submit(["long"], "/gate/shut")
        await cluster.until(lambda: cluster.ledger.calls, "it runs")
        cluster.start("pod", "--role", "worker")  # of the same name, beside it
        await cluster.workers_ready(2)
        cluster.ledger.open("shut")
        task = (await cluster.all_succeed(["long"]))["long"]
        assert (task.attempt, task.crash_count) == (1, 0)


async def test_nothing_is_given_to_a_worker_that_missed_a_beat_beside_one_that_did_not(
    open_sqlite_cluster,
):
    beats = {"worker": {"heartbeat_interval": "2s", "heartbeat_timeout": "6s"}}
    async with open_sqlite_cluster(**beats) as cluster:
        cluster.start("lead", "--role", "scheduler")
        cluster.start("living", "--role", "worker")
        await cluster.workers_ready(1)
        # It starts last: a pod that starts lets go what an ended process of this host held.
        dead = cluster.start("dead", "--role", "worker")
        await cluster.workers_ready(2)
        dead.kill()

        async def missed_a_beat() -> str | None:
            now_ms = (await cluster.store.now()).now_ms
            for worker in await cluster.client.workers():
                if worker.id.startswith("dead") and now_ms - worker.last_heartbeat_ms > 3100:
                    return worker.id
            return None

        silent = await cluster.until_store(missed_a_beat, "a beat is missing")
        ids = [f"task-{at}" for at in range(8)]
        await cluster.submit(ids)
        await cluster.all_succeed(ids)
        given = [
            item["worker"]
            for event in await cluster.events()
            if event.kind is EventKind.DISPATCHED
            for item in event.items
        ]
        assert silent not in given
        assert len(given) == len(ids)
