"""Pods that cannot run everything: one without a plugin, one without `--app`, and a rolling
deploy."""

import textwrap

import pytest

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.unrunnable import unrunnable_now
from dsched.model import RetryPolicy, TaskSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NEVER = RetryPolicy(max_retries=0)
APP = """
    import dsched

    @dsched.task("etl.load")
    def load() -> str:
        return "loaded"
"""
NEW_APP = (
    APP
    + """
    @dsched.task("etl.store")
    def store() -> str:
        return "stored"
"""
)


def _app(cluster, text, name):
    (cluster.folder / f"{name}.py").write_text(textwrap.dedent(text))
    return name


def _load(function="etl.load"):
    return TaskSpec(executor="local", payload={"function": function}, retry=NEVER)


async def test_of_two_pods_neither_of_which_can_run_everything_each_gets_what_it_can(open_cluster):
    async with open_cluster() as cluster:
        app = _app(cluster, APP, "ability_app")
        executors = cluster.settings.pop("executors")
        cluster.start("functions", "--app", app, plugins={"disabled": ["dsched-executor-http"]})
        cluster.start("requests", executors=executors)
        await cluster.workers_ready(2)
        loads = [f"load-{at:02d}" for at in range(20)]
        calls = [f"call-{at:02d}" for at in range(20)]
        for one, other in zip(loads, calls, strict=True):
            await cluster.client.submit(_load(), task_id=one)
            await cluster.submit([other], retry=NEVER)
        tasks = await cluster.all_succeed([*loads, *calls])
        assert {(task.attempt, task.crash_count) for task in tasks.values()} == {(1, 0)}
        where = {cluster.pod_of(str(tasks[name].worker_id)).name for name in loads}
        assert where == {"functions"}
        where = {cluster.pod_of(str(tasks[name].worker_id)).name for name in calls}
        assert where == {"requests"}
        assert {0} == set((await cluster.stop_all()).values())


async def test_what_nobody_can_run_waits_says_why_and_runs_as_soon_as_somebody_can(open_cluster):
    async with open_cluster() as cluster:
        app = _app(cluster, APP, "ability_app")
        cluster.start("old", "--app", app)
        await cluster.workers_ready(1)
        await cluster.client.submit(_load("etl.store"), task_id="new")
        await cluster.client.submit(_load(), task_id="known")
        await cluster.all_succeed(["known"])
        reason = "deferred: no worker has function etl.store"

        async def waits() -> bool:
            return (await cluster.client.get("new")).reason == reason

        await cluster.until_store(waits, "it says what it waits for")
        why = await cluster.client.why_task("new")
        assert "No worker has function etl.store" in " ".join(why.because)

        async def told() -> bool:
            found = await unrunnable_now(cluster.store)
            return [(one.reason, one.tasks) for one in found] == [
                ("no worker has function etl.store", 1)
            ]

        await cluster.until_store(told, "the leader tells every pod", 30)
        said = [
            item["reason"]
            for event in await cluster.events()
            if event.kind is EventKind.DEFERRED
            for item in event.items
        ]
        assert set(said) == {reason}
        # The deploy: pod by pod, the new one first beside the old one, which leaves then.
        cluster.start("new", "--app", _app(cluster, NEW_APP, "new_app"))
        tasks = await cluster.all_succeed(["new"])
        task = tasks["new"]
        assert (task.attempt, task.retry_count, task.crash_count) == (1, 0, 0)
        assert cluster.pod_of(str(task.worker_id)).name == "new"
        cluster.pods["old"].terminate()
        assert await cluster.pods["old"].ended() == 0
        await cluster.client.submit(_load(), task_id="after")
        await cluster.all_succeed(["after"])
        assert {0} == set((await cluster.stop_all()).values())


async def test_a_rolling_deploy_that_brings_a_function_loses_and_fails_nothing(open_redis_cluster):
    async with open_redis_cluster() as cluster:
        apps = {"old": _app(cluster, APP, "ability_app"), "new": _app(cluster, NEW_APP, "new_app")}
        worker = {"max_concurrent_tasks": 4}
        for name in ("a", "b"):
            cluster.start(f"old-{name}", "--app", apps["old"], worker=worker)
        await cluster.workers_ready(2)
        ids = []
        for name in ("a", "b"):
            cluster.start(f"new-{name}", "--app", apps["new"], worker=worker)
            for at in range(20):
                ids += [f"{name}-load-{at:02d}", f"{name}-store-{at:02d}"]
                await cluster.client.submit(_load(), task_id=ids[-2])
                await cluster.client.submit(_load("etl.store"), task_id=ids[-1])
            old = cluster.pods[f"old-{name}"]
            await cluster.until(lambda old=old: old.heeds_sigterm, f"{old.name} is up")
            old.terminate()
            assert await old.ended() == 0
        tasks = await cluster.all_succeed(ids, 60)
        assert {(task.retry_count, task.crash_count) for task in tasks.values()} == {(0, 0)}
        stores = {cluster.pod_of(str(tasks[i].worker_id)).name for i in ids if "store" in i}
        assert stores <= {"new-a", "new-b"}
        assert {0} == set((await cluster.stop_all()).values())
