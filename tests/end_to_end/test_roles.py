"""Pods of one role, labels, workers that come and go while tasks run, and what listens: S03."""

import socket
import time
from pathlib import Path

import pytest
from cluster import Cluster
from pods import PodProcess

from dsched.model import TaskStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LISTENING = "0A"


def listening(pod: PodProcess) -> list[str]:
    """The local addresses, as the kernel writes them, on which this process listens."""
    inodes = set()
    for entry in Path(f"/proc/{pod.pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pod.pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                found.append(fields[1])
    return found


async def workers_by_pod(cluster: Cluster) -> dict[str, str]:
    """The names of the pods that work, with their workers' ids."""
    workers = await cluster.client.workers()
    return {cluster.pod_of(worker.id).name: worker.id for worker in workers}


async def test_schedulers_never_work_workers_never_lead_and_a_worker_listens_nowhere(
    open_redis_cluster,
):
    async with open_redis_cluster() as cluster:
        for name in ("lead-a", "lead-b"):
            cluster.start(name, "--role", "scheduler")
        for name in ("work-a", "work-b"):
            cluster.start(name, "--role", "worker")
        watched = cluster.start("metrics", "--role", "worker,metrics")
        await cluster.workers_ready(3)
        fence = await cluster.leader()
        assert cluster.pod_of(fence).name in {"lead-a", "lead-b"}
        assert set(await workers_by_pod(cluster)) == {"work-a", "work-b", "metrics"}

        ids = [f"task-{at}" for at in range(9)]
        await cluster.submit(ids, "/gate/first")
        await cluster.until(lambda: len(cluster.ledger.calls) == 9, "all tasks run")
        # Nine requests are open and the metrics page is up: nothing else may listen.
        await cluster.until(lambda: listening(watched), "the metrics page listens")
        assert [row.partition(":")[0] for row in listening(watched)] == [_loopback()]
        for name in ("work-a", "work-b", "lead-a", "lead-b"):
            assert listening(cluster.pods[name]) == [], name
        cluster.ledger.open("first")
        tasks = await cluster.all_succeed(ids)
        places = {cluster.pod_of(str(task.worker_id)).name for task in tasks.values()}
        assert places == {"work-a", "work-b", "metrics"}

        cluster.pod_of(fence).kill()
        other = cluster.pod_of(await cluster.leader(other_than=fence))
        assert other.name in {"lead-a", "lead-b"}
        await cluster.submit(["after"])
        await cluster.all_succeed(["after"])
        assert {0} == set((await cluster.stop_all()).values())


def _loopback() -> str:
    """127.0.0.1 as the kernel's tables write it on this machine."""
    return socket.inet_aton("127.0.0.1")[::-1].hex().upper()


async def test_workers_join_and_leave_while_tasks_run_and_none_is_lost_or_run_twice(
    open_redis_cluster,
):
    async with open_redis_cluster(worker={"max_concurrent_tasks": 4, "backlog": 2}) as cluster:
        cluster.start("lead", "--role", "scheduler")
        cluster.start("work-a", "--role", "worker")
        await cluster.workers_ready(1)
        ids = [f"task-{at:03d}" for at in range(240)]
        await cluster.submit(ids, "/slow/100")
        await cluster.until(lambda: len(cluster.ledger.calls) >= 12, "the first worker works")

        for name in ("work-b", "work-c"):
            cluster.start(name, "--role", "worker")
        await cluster.workers_ready(3)
        joined = set((await workers_by_pod(cluster)).values())

        async def all_have_run() -> bool:
            ended = await cluster.get_all(ids)
            return joined <= {t.worker_id for t in ended.values() if t.status.terminal}

        await cluster.until_store(all_have_run, "the new workers have run tasks")
        cluster.pods["work-a"].terminate()
        assert await cluster.pods["work-a"].ended() == 0
        tasks = await cluster.all_succeed(ids)
        assert {(1, 0)} == {(task.attempt, task.crash_count) for task in tasks.values()}
        assert set(cluster.ledger.counted().values()) == {1}
        assert set(await workers_by_pod(cluster)) == {"work-b", "work-c"}
        assert {0} == set((await cluster.stop_all()).values())


async def test_a_task_runs_only_where_its_labels_are_and_waits_until_such_a_worker_comes(
    open_sqlite_cluster,
):
    async with open_sqlite_cluster() as cluster:
        cluster.start("lead", "--role", "scheduler")
        cluster.start("plain", "--role", "worker")
        cluster.start("gpu-a", "--role", "worker", worker={"labels": {"gpu": "yes", "zone": "a"}})
        await cluster.workers_ready(2)
        await cluster.submit([f"gpu-{at}" for at in range(8)], required_labels={"gpu": "yes"})
        nowhere = {"gpu": "yes", "zone": "b"}
        await cluster.submit(["nowhere"], required_labels=nowhere)
        await cluster.submit([f"any-{at}" for at in range(8)])
        gpu = await cluster.all_succeed([f"gpu-{at}" for at in range(8)])
        assert {cluster.pod_of(str(task.worker_id)).name for task in gpu.values()} == {"gpu-a"}
        await cluster.all_succeed([f"any-{at}" for at in range(8)])

        async def deferred() -> bool:
            (task,) = (await cluster.get_all(["nowhere"])).values()
            return task.status is TaskStatus.PENDING and task.reason.startswith("deferred")

        await cluster.until_store(deferred, "the task that nobody can run says why it waits")
        (task,) = (await cluster.get_all(["nowhere"])).values()
        assert task.reason == "deferred: no worker has gpu=yes, zone=b"

        came_s = time.time()
        cluster.start("gpu-b", "--role", "worker", worker={"labels": nowhere})
        task = (await cluster.all_succeed(["nowhere"]))["nowhere"]
        assert cluster.pod_of(str(task.worker_id)).name == "gpu-b"
        assert cluster.ledger.of("nowhere")[0].received_s > came_s
