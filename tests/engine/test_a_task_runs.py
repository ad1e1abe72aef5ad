"""The main path: from a config or a submission to a result."""

from datetime import timedelta
from itertools import pairwise

from dsched.contracts.store.reading import TaskQuery
from dsched.model import TaskConfig, TaskSpec, TaskStatus

REAL_TIME = True  # the main path with the heartbeat's thread, as pods run it


async def test_a_submitted_task_runs_and_keeps_its_result(cluster):
    cluster.start("a")
    task_id = await cluster.client.submit(TaskSpec(executor="fn", payload="ok"), task_id="one")
    task = await cluster.client.wait(task_id, timeout_s=10)
    assert task.status == TaskStatus.SUCCESS
    assert task.result.data == {"ran": "one"}


async def test_a_config_fires_every_second_and_each_instant_once(cluster):
    cluster.start("a")
    config = TaskConfig(id="tick", executor="fn", payload="ok", every=timedelta(seconds=1))
    await cluster.client.put_config(config)
    await cluster.until(lambda: len(cluster.executor.started) >= 3, "three fires")
    ids = [task_id for task_id, _, _ in cluster.executor.started]
    assert sorted(set(ids)) == sorted(ids)
    instants = [int(task_id.partition("@")[2]) for task_id in ids]
    assert [1000] * (len(instants) - 1) == [b - a for a, b in pairwise(instants)]


async def test_the_collector_records_a_decision_for_every_fire(cluster):
    cluster.start("a")
    config = TaskConfig(id="tick", executor="fn", payload="ok", every=timedelta(seconds=1))
    await cluster.client.put_config(config)
    await cluster.until(lambda: len(cluster.state.decisions["tick"]) >= 2, "two decisions")
    page = await cluster.client.decisions("tick")
    assert {"fired"} == {decision.verdict for decision in page.decisions}
    ended = await cluster.client.list(TaskQuery(config_id="tick"))
    assert ended.tasks
