"""What happens to the work of a worker that dies, stands still, does not claim, or leaves.

F06, F35, F36, F37, F38, F39, F41.
"""

import asyncio
import textwrap
import time

import pytest
from cluster import Cluster

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion
from dsched.model import RetryPolicy, TaskResult, TaskSpec, TaskStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TWO_SLOTS = {"worker": {"max_concurrent_tasks": 2, "backlog": 3}}
HEARTBEAT_TIMEOUT_S = 3.0


async def fill_three_workers(cluster: Cluster) -> list[str]:
    """Two tasks run on each worker and wait for the gate; three more wait in each queue."""
    await cluster.start_three()
    ids = [f"task-{at:02d}" for at in range(15)]
    await cluster.submit(ids, "/gate/first")

    async def full() -> bool:
        workers = await cluster.client.workers()
        return [(worker.running, worker.queued) for worker in workers] == [(2, 3)] * 3

    await cluster.until_store(full, "two tasks run on each worker, three wait in each queue")
    await cluster.until(lambda: len(cluster.ledger.calls) == 6, "six tasks call the ledger")
    return ids


async def follower(cluster: Cluster) -> str:
    """The name of a pod that does not lead."""
    leading = cluster.pod_of(await cluster.leader()).name
    return next(name for name in cluster.pods if name != leading)


async def events_of(cluster: Cluster, task_id: str, kind: EventKind) -> list[Event]:
    return [
        event
        for event in await cluster.events()
        if event.kind is kind and any(item.get("task") == task_id for item in event.items)
    ]


async def test_what_ran_and_waited_on_a_killed_worker_runs_elsewhere_within_its_timeout_and_5_s(
    open_cluster,
):
    async with open_cluster(**TWO_SLOTS) as cluster:
        ids = await fill_three_workers(cluster)
        dead = cluster.pods[await follower(cluster)]
        before = await cluster.get_all(ids)
        lost = [i for i in ids if cluster.pod_of(str(before[i].worker_id)) is dead]
        ran = [i for i in lost if before[i].status is TaskStatus.RUNNING]
        assert (len(lost), len(ran)) == (5, 2)

        killed_s = time.time()
        dead.kill()
        cluster.ledger.open("first")
        tasks = await cluster.all_succeed(ids)

        last = {task_id: cluster.ledger.of(task_id)[-1] for task_id in lost}
        late = {i: c.received_s - killed_s for i, c in last.items()}
        assert max(late.values()) <= HEARTBEAT_TIMEOUT_S + 5, (late, await cluster.history(lost))
        for task_id in ids:
            runs = 2 if task_id in ran else 1
            task = tasks[task_id]
            facts = (task.attempt, task.crash_count, len(cluster.ledger.of(task_id)))
            assert (runs, runs - 1, runs) == facts, task_id
            assert {"attempt": runs} == task.result.data["body"]
        assert {0} == set((await cluster.stop_all()).values())


async def test_the_late_result_of_a_worker_that_stood_still_is_refused(open_cluster):
    async with open_cluster() as cluster:
        await cluster.start_three()
        await cluster.submit(["slow"], "/gate/slow")
        await cluster.until(lambda: cluster.ledger.of("slow"), "the task runs")
        (claimed,) = await events_of(cluster, "slow", EventKind.CLAIMED)
        before = (await cluster.get_all(["slow"]))["slow"]
        still = cluster.pod_of(str(before.worker_id))

        await cluster.pause(still)
        await cluster.until(lambda: len(cluster.ledger.of("slow")) == 2, "it runs elsewhere")
        # The old attempt's answer now lies in the socket of the process that stands still.
        late = Completion(
            task_id="slow", token=claimed.by, success=True, result=TaskResult(code="late")
        )
        assert await cluster.store.complete([late], by="test") == (Outcome.STALE,)
        cluster.ledger.open("slow")
        task = (await cluster.all_succeed(["slow"]))["slow"]
        still.resume()
        await cluster.until(
            lambda: (
                still.said("result of a superseded attempt was refused")
                or still.said("the attempt is another worker's now")
            ),
            "the worker that stood still has learnt that the attempt is not its own",
        )
        await cluster.workers_ready(3)

        assert (task.attempt, task.crash_count) == (2, 1)
        assert task == (await cluster.get_all(["slow"]))["slow"]
        assert task.result.data["body"] == {"attempt": 2}
        (completed,) = await events_of(cluster, "slow", EventKind.COMPLETED)
        assert task.worker_id == completed.by != before.worker_id
        await cluster.submit([f"after-{at}" for at in range(6)])
        after = await cluster.all_succeed([f"after-{at}" for at in range(6)])
        assert len({task.worker_id for task in after.values()}) == 3, "it takes work again"
        assert {0} == set((await cluster.stop_all()).values())


async def test_a_worker_that_beats_and_never_claims_keeps_no_task(open_redis_cluster):
    async with open_redis_cluster() as cluster:
        await cluster.start_three()
        time_now = await cluster.store.now()
        wedged = Registration(
            worker_id="wedged",
            incarnation=f"{time_now.now_ms:013d}-test",
            capacity=100,
            backlog=100,
            heartbeat_timeout_ms=3000,
        )
        assert await cluster.store.register(wedged) == Outcome.OK

        async def beat() -> None:
            while True:
                await cluster.store.heartbeat("wedged", wedged.incarnation, [])
                await asyncio.sleep(0.5)

        beating = asyncio.create_task(beat())
        try:
            ids = [f"task-{at}" for at in range(40)]
            submitted_s = time.time()
            await cluster.submit(ids)
            await cluster.all_succeed(ids)
        finally:
            beating.cancel()
        # dispatch_timeout is 3 s; looking every second, and one more round through dispatch.
        assert max(call.received_s for call in cluster.ledger.calls) - submitted_s <= 3 + 3
        recalled = [
            item
            for event in await cluster.events()
            if event.kind is EventKind.RECALLED
            for item in event.items
        ]
        assert {"wedged"} == {item["worker"] for item in recalled}
        assert set(cluster.ledger.counted().values()) == {1}


async def test_a_worker_restarted_with_its_id_takes_its_tasks_over_at_once(open_sqlite_cluster):
    named = {"worker": {"id": "fixed", "heartbeat_interval": "5s", "heartbeat_timeout": "30s"}}
    async with open_sqlite_cluster() as cluster:
        cluster.start("lead", "--role", "scheduler")
        first = cluster.start("first", "--role", "worker", **named)
        await cluster.workers_ready(1)
        await cluster.submit(["a", "b"], "/gate/shut")
        await cluster.until(lambda: len(cluster.ledger.calls) == 2, "both run")

        second = cluster.start("second", "--role", "worker", **named)
        assert await first.ended(10) == 1
        assert first.said("another process registered as worker fixed") or first.said(
            "a newer process took over the worker id fixed"
        )
        await cluster.until(lambda: len(cluster.ledger.calls) == 4, "both run again", 12)

        second.kill()
        cluster.start("third", "--role", "worker", **named)
        await cluster.until(lambda: len(cluster.ledger.calls) == 6, "both run a third time", 12)
        cluster.ledger.open("shut")
        tasks = await cluster.all_succeed(["a", "b"])
        assert {(3, 2)} == {(task.attempt, task.crash_count) for task in tasks.values()}


async def test_sigterm_during_long_tasks_gives_them_back_without_counting_a_crash(
    open_sqlite_cluster,
):
    async with open_sqlite_cluster(
        worker={"drain_timeout": "1s", "max_concurrent_tasks": 2, "backlog": 3}
    ) as cluster:
        ids = await fill_three_workers(cluster)
        leaving = cluster.pods[await follower(cluster)]
        before = await cluster.get_all(ids)
        had = [i for i in ids if cluster.pod_of(str(before[i].worker_id)) is leaving]
        ran = [i for i in had if before[i].status is TaskStatus.RUNNING]

        leaving.terminate()
        assert await leaving.ended(10) == 0
        left_s = time.time()
        given_back = await cluster.get_all(had)
        assert {TaskStatus.PENDING} == {task.status for task in given_back.values()}
        cluster.ledger.open("first")
        tasks = await cluster.all_succeed(ids)

        assert {0} == {task.crash_count for task in tasks.values()}
        late = {i: cluster.ledger.of(i)[-1].received_s - left_s for i in had}
        assert max(late.values()) <= 5, (late, await cluster.history(had))
        assert {2} == {tasks[task_id].attempt for task_id in ran}
        assert {1} == {tasks[task_id].attempt for task_id in set(ids) - set(ran)}
        assert {0} == set((await cluster.stop_all()).values())


POISON = """
    import os
    import signal

    import dsched


    @dsched.task("poison")
    def poison() -> None:
        os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_task_that_kills_its_worker_costs_four_workers_at_most_and_others_survive(
    open_redis_cluster,
):
    quick = {"worker": {"heartbeat_interval": "300ms", "heartbeat_timeout": "1s"}}
    async with open_redis_cluster(**quick) as cluster:
        (cluster.folder / "poison_app.py").write_text(textwrap.dedent(POISON))
        cluster.start("lead", "--role", "scheduler")
        argv = ("--role", "worker", "--app", "poison_app")
        for name in ("one", "two"):
            cluster.start(name, *argv)
        await cluster.workers_ready(2)
        others = [f"other-{at}" for at in range(30)]
        # Not the delay of the others: they must be able to part from it.
        retry = RetryPolicy(retry_delay=RetryPolicy().retry_delay / 50, backoff_rate=1.0)
        poison = TaskSpec(executor="local", payload={"function": "poison"}, retry=retry)
        await cluster.submit(others[:10], "/slow/500")
        await cluster.client.submit(poison, task_id="poison")
        await cluster.submit(others[10:], "/slow/500")

        deaths = 0

        async def ended_with_workers_restarted() -> bool:
            """As an orchestrator does: what has died is started again."""
            nonlocal deaths
            for name in ("one", "two"):
                if cluster.pods[name].code is not None:
                    assert cluster.pods[name].code == -9
                    deaths += 1
                    cluster.start(name, *argv)
            (task,) = (await cluster.get_all(["poison"])).values()
            return task.status.terminal

        await cluster.until_store(ended_with_workers_restarted, "the poison task ends", 60)
        task = (await cluster.get_all(["poison"]))["poison"]
        assert (task.status, task.reason, task.crash_count) == (TaskStatus.FAILED, "poison", 4)
        assert deaths == 4
        await cluster.all_succeed(others)
