"""Overlap, backfill and pause of a config are about its runs, by pods in virtual time."""

import asyncio
from datetime import timedelta
from typing import Any

from dsched.model import Step, TaskConfig, TaskStatus, Workflow, from_ms


def config(payload: str, **more: Any) -> TaskConfig:
    first = Step(id="a", executor="fn", payload=payload)
    last = Step(id="b", executor="fn", payload="ok", needs=["a"])
    flow = Workflow(steps=[first, last])
    return TaskConfig(
        id="c", executor="workflow", workflow=flow, every=timedelta(minutes=1), **more
    )


def started(cluster: Any) -> list[str]:
    return [task_id for task_id, _, _ in cluster.executor.started]


async def test_a_fire_is_skipped_while_a_run_lives_though_no_member_runs_all_the_time(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("sleep 60", overlap="skip"))
    await cluster.until(lambda: len(cluster.items("run_ended")) >= 2, "two runs", timeout_s=400)
    decisions = (await cluster.client.decisions("c")).decisions
    assert any(one.verdict == "skipped" and "overlap" in one.reason for one in decisions)
    runs = [item["task"] for item in cluster.items("run_ended")]
    names = [name for name in started(cluster) if name.partition("~")[0] in runs[:2]]
    assert names == [f"{run}~{step}" for run in runs[:2] for step in ("a", "b")]


async def test_a_backfill_makes_runs_whose_members_know_the_instant_they_make_up_for(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("ok", overlap="allow"))
    await cluster.until(lambda: cluster.items("run_ended"), "a run", timeout_s=200)
    await cluster.client.pause_config("c", why="to be alone")
    stored = await cluster.client.get_config("c")
    last_ms = stored.config.created_ms + 60_000
    found = await cluster.client.backfill_config(
        "c",
        from_=from_ms(stored.config.created_ms),
        to=from_ms(last_ms),
        why="again",
        again=True,
    )
    assert len(found.tasks) == 1
    (run_id,) = found.tasks
    assert (await cluster.client.wait(run_id, timeout_s=60)).status is TaskStatus.SUCCESS
    member = await cluster.client.get(f"{run_id}~a")
    assert member.spec.member.instant_ms == found.instants[0]
    assert [name for name in started(cluster) if name.startswith(run_id)] == [
        f"{run_id}~a",
        f"{run_id}~b",
    ]
    before = len(cluster.items("run_ended"))
    await asyncio.sleep(180)
    assert len(cluster.items("run_ended")) == before
