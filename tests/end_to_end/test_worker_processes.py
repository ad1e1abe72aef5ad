"""A pod whose worker is several processes: shared work, kills, orderly and sudden ends."""

import os
import signal
from pathlib import Path

import pytest
from cluster import Cluster
from pods import PodProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PROCESSES = 2


def children(pod: PodProcess) -> dict[int, str]:
    """The worker processes of a pod: pid to command line."""
    found = {}
    for entry in Path(f"/proc/{pod.pid}/task/{pod.pid}/children").read_text().split():
        command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if "--role worker" in command:
            found[int(entry)] = command
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def start(cluster: Cluster, name: str = "pod") -> PodProcess:
    return cluster.start(name, worker={"processes": PROCESSES, "max_concurrent_tasks": 2})


async def test_a_pod_of_several_processes_shares_work_survives_kills_and_leaves_in_order(
    open_cluster,
):
    async with open_cluster() as cluster:
        pod = start(cluster)
        await cluster.workers_ready(PROCESSES)
        ids = [f"task-{at}" for at in range(2 * PROCESSES)]
        await cluster.submit(ids, "/gate/first")
        await cluster.until(lambda: len(cluster.ledger.calls) == len(ids), "all run at once")
        before = children(pod)
        assert len(before) == PROCESSES

        victim = next(iter(before))
        os.kill(victim, signal.SIGKILL)
        await cluster.until(
            lambda: len(children(pod).keys() - before.keys()) == 1, "another takes its place", 30
        )
        cluster.ledger.open("first")
        await cluster.all_succeed(ids, timeout_s=60)

        rest = children(pod)
        pod.terminate()
        assert await pod.ended() == 0
        assert [pid for pid in rest if alive(pid)] == []
        assert await cluster.client.workers() == ()  # the one killed is forgotten too


async def test_what_a_dead_worker_process_ran_runs_again_long_before_its_lease_is_over(
    open_cluster,
):
    async with open_cluster() as cluster:
        worker = {"processes": PROCESSES, "max_concurrent_tasks": 2}
        pod = cluster.start("pod", worker={**worker, "heartbeat_timeout": "10m"})
        await cluster.workers_ready(PROCESSES)
        ids = [f"task-{at}" for at in range(2 * PROCESSES)]
        await cluster.submit(ids, "/gate/first")
        await cluster.until(lambda: len(cluster.ledger.calls) == len(ids), "all run at once")

        os.kill(next(iter(children(pod))), signal.SIGKILL)
        await cluster.until(
            lambda: len(cluster.ledger.calls) == len(ids) + 2, "what it ran runs again", 20
        )
        cluster.ledger.open("first")
        await cluster.all_succeed(ids, timeout_s=60)
        tasks = [await cluster.client.get(task_id) for task_id in ids]
        assert sorted(task.crash_count for task in tasks) == [0, 0, 1, 1]
        assert not any(worker.gone for worker in await cluster.client.workers())


async def test_worker_processes_leave_when_their_pod_is_killed(open_cluster):
    async with open_cluster() as cluster:
        pod = start(cluster)
        await cluster.workers_ready(PROCESSES)
        left = children(pod)
        try:
            pod.kill()
            await cluster.until(lambda: not any(map(alive, left)), "they leave by themselves", 40)
        finally:
            for pid in filter(alive, left):
                os.kill(pid, signal.SIGKILL)
