"""One member on each worker, of real pods on each store: fires, kills, and who comes later."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cluster import Cluster

from dsched.contracts.store.events import EventKind
from dsched.model import MemberStep, RetryPolicy, Step, TaskConfig, TaskSpec, TaskStatus, Workflow
from dsched.planning.runs.progress import WORKER_LEFT, WORKER_LOST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED
NEVER = RetryPolicy(max_retries=0)
SCHEDULER, WORKER = ("--role", "scheduler"), ("--role", "worker")


async def start_workers(cluster: Cluster, *names: str, **worker: Any) -> None:
    """One scheduler, and a pod with a worker of each of these names."""
    cluster.start("lead", *SCHEDULER)
    for name in names:
        cluster.start(name, *WORKER, worker={"id": name, **worker})
    await cluster.workers_ready(len(names))
    await cluster.leader()


def everywhere(cluster: Cluster, path: str, **more: Any) -> TaskSpec:
    """A run with one member for each worker, and a step after that."""
    call = {"url": cluster.ledger.url(path)}
    last = {"url": cluster.ledger.url("/run")}
    flow = Workflow(
        steps=[
            Step(id="all", executor="http", payload=call, shards="each_worker", **more),
            Step(id="last", executor="http", payload=last, needs=["all"]),
        ]
    )
    return TaskSpec(executor="workflow", workflow=flow, retry=NEVER)


async def claims(cluster: Cluster) -> Counter[tuple[str, str]]:
    """How often each task was claimed by which worker."""
    return Counter(
        (item["task"], event.by.rsplit(".", 3)[0])
        for event in await cluster.events()
        if event.kind is EventKind.CLAIMED
        for item in event.items
    )


async def members(cluster: Cluster, run_id: str) -> dict[str | None, str]:
    """Of each worker what became of its member."""
    run = await cluster.client.get_run(run_id)
    return {one.worker: one.state for one in run.steps[0].members}


async def workers_told(cluster: Cluster, run_id: str) -> list[tuple[str, ...]]:
    lines = await cluster.client.run_log(run_id)
    return [one.workers for one in lines if one.what is MemberStep.WORKERS]


async def test_a_fire_runs_once_on_each_worker_and_not_on_one_that_comes_later(open_cluster):
    async with open_cluster() as cluster:
        await start_workers(cluster, "w-a", "w-b", "w-c")
        config = TaskConfig(
            id="clear", executor="http", payload={"url": cluster.ledger.url("/gate/first")},
            at=datetime.now(UTC) + timedelta(seconds=1), retry=NEVER,
            workflow=Workflow(shards="each_worker"),
        )  # fmt: skip
        await cluster.client.put_config(config)
        await cluster.until(lambda: len(cluster.ledger.calls) == 3, "each worker runs its member")
        cluster.start("w-d", *WORKER, worker={"id": "w-d"})
        await cluster.workers_ready(4)
        cluster.ledger.open("first")
        (run,) = await cluster.client.config_runs("clear")
        done = (await cluster.all_succeed([run.task.id]))[run.task.id]
        assert done.reason == ""
        assert await workers_told(cluster, done.id) == [("w-a", "w-b", "w-c")]
        once = {(f"{done.id}~{at}", name): 1 for at, name in enumerate(("w-a", "w-b", "w-c"))}
        assert await claims(cluster) == once
        assert set(cluster.ledger.counted().values()) == {1}
        assert {0} == set((await cluster.stop_all()).values())


async def test_what_a_killed_worker_had_begun_is_given_up_and_the_run_ends(open_cluster):
    async with open_cluster() as cluster:
        await start_workers(cluster, "w-a", "w-b", "w-c")
        await cluster.client.submit(everywhere(cluster, "/gate/first"), task_id="r")
        await cluster.until(lambda: len(cluster.ledger.calls) == 3, "all run")
        cluster.pods["w-b"].kill()
        cluster.ledger.open("first")
        run = (await cluster.all_end(["r", "r~all~1"]))["r"]
        assert (run.status, run.reason) == (FAILED, "all failed")
        assert await members(cluster, "r") == {
            "w-a": "success", "w-b": "cancelled", "w-c": "success",
        }  # fmt: skip
        lost = (await cluster.get_all(["r~all~1"]))["r~all~1"]
        assert (lost.reason, lost.attempt) == (WORKER_LOST, 1)
        assert {name for task, name in await claims(cluster) if task == "r~all~1"} == {"w-b"}

        again = str(await cluster.client.retry("r", failed=True))
        await cluster.all_succeed([again])
        assert await members(cluster, again) == {"w-a": "success", "w-c": "success"}


async def test_what_a_killed_worker_had_not_begun_is_let_off_and_the_run_succeeds(open_cluster):
    async with open_cluster() as cluster:
        await start_workers(cluster, "w-a", "w-b")
        cluster.start(
            "w-c", *WORKER,
            worker={"id": "w-c", "labels": {"only": "c"}, "max_concurrent_tasks": 1},
        )  # fmt: skip
        await cluster.workers_ready(3)
        await cluster.submit(["holds"], "/gate/holds", required_labels={"only": "c"})
        await cluster.until(lambda: len(cluster.ledger.of("holds")) == 1, "the one slot is taken")
        await cluster.client.submit(everywhere(cluster, "/run"), task_id="r")
        await cluster.until(lambda: len(cluster.ledger.calls) == 3, "the other two run theirs")
        await cluster.all_succeed(["r~all~0", "r~all~1"])
        why = await cluster.client.why_task("r~all~2")
        assert "w-c" in why.summary
        assert (await cluster.client.get("r")).status is TaskStatus.RUNNING, "it waits for w-c"
        cluster.pods["w-c"].kill()
        await cluster.all_succeed(["r"])
        assert len(cluster.ledger.of("r~last")) == 1, "what comes after it runs"
        assert await members(cluster, "r") == {
            "w-a": "success", "w-b": "success", "w-c": "skipped",
        }  # fmt: skip
        off = (await cluster.get_all(["r~all~2"]))["r~all~2"]
        assert (off.status, off.reason, off.attempt) == (CANCELLED, WORKER_LEFT, 0)
        told = (await cluster.client.why_task("r")).because[0]
        assert told.endswith("2 of 3 workers well; let off, as they left or drained: w-c.")


async def test_a_worker_that_starts_again_under_its_id_runs_its_member_again(open_cluster):
    async with open_cluster() as cluster:
        await start_workers(cluster, "w-a", "w-b")
        await cluster.client.submit(everywhere(cluster, "/gate/first"), task_id="r")
        await cluster.until(lambda: len(cluster.ledger.calls) == 2, "both run")
        cluster.pods["w-b"].kill()
        cluster.start("w-b", *WORKER, worker={"id": "w-b"})
        await cluster.until(lambda: len(cluster.ledger.of("r~all~1")) == 2, "it runs again", 30)
        cluster.ledger.open("first")
        await cluster.all_succeed(["r"])
        assert (await claims(cluster))[("r~all~1", "w-b")] == 2
        assert await members(cluster, "r") == {"w-a": "success", "w-b": "success"}


async def test_a_new_leader_goes_on_with_the_workers_that_the_dead_one_wrote_down(open_cluster):
    async with open_cluster() as cluster:
        await start_workers(cluster, "w-a", "w-b", "w-c")
        fence = await cluster.leader()
        spec = everywhere(cluster, "/gate/first", max_parallel=1)
        await cluster.client.submit(spec, task_id="r")
        await cluster.until(lambda: len(cluster.ledger.calls) == 1, "the first runs")
        cluster.pods["lead"].kill()
        cluster.start("next", *SCHEDULER)
        await cluster.leader(other_than=fence)
        cluster.start("w-d", *WORKER, worker={"id": "w-d"})
        await cluster.workers_ready(4)
        cluster.ledger.open("first")
        await cluster.all_succeed(["r"])
        assert await workers_told(cluster, "r") == [("w-a", "w-b", "w-c")]
        found = await claims(cluster)
        assert found.pop(("r~last", next(name for task, name in found if task == "r~last"))) == 1
        assert found == {(f"r~all~{at}", f"w-{name}"): 1 for at, name in enumerate("abc")}
