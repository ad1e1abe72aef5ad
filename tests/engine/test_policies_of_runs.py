"""What a config says of its fires holds of its runs: each from its first member to its last."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from engine_cluster import seconds

from dsched.model import Step, TaskConfig, TaskStatus, Workflow
from dsched.planning.jitter import jitter_ms

SUCCESS, FAILED, CANCELLED = TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED


def config(first: str = "ok", last: str = "ok", **more: Any) -> TaskConfig:
    """A config of two steps, one after the other."""
    steps = [
        Step(id="a", executor="fn", payload=first, retry={"max_retries": 0}),
        Step(id="b", executor="fn", payload=last, needs=["a"]),
    ]
    if not more.keys() & {"every", "fixed_delay"}:
        more["every"] = timedelta(minutes=1)
    return TaskConfig(id="c", executor="workflow", workflow=Workflow(steps=steps), **more)


def ended(cluster: Any) -> list[str]:
    """The runs that have ended, in that order."""
    return [item["task"] for item in cluster.items("run_ended")]


async def runs_of(cluster: Any, ids: list[str]) -> list[Any]:
    return [await cluster.client.get(one) for one in ids]


def begun(cluster: Any) -> list[str]:
    return [task_id for task_id, _, _ in cluster.executor.started]


@pytest.fixture(autouse=True)
def _bodies(cluster: Any) -> None:
    """`sleep N` takes so many seconds."""

    def sleep(number: int) -> Any:
        async def body(context: Any, task: Any) -> object:
            await asyncio.sleep(number)
            return None

        return body

    cluster.executor.bodies = {
        **cluster.executor.bodies,
        **{f"sleep {number}": sleep(number) for number in (5, 20, 30, 70, 80, 500)},
    }


async def test_queue_one_holds_a_run_until_the_one_before_it_has_ended_and_skips_others(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("sleep 70", "sleep 80", overlap="queue_one"))
    await cluster.until(lambda: len(ended(cluster)) >= 2, "two runs", timeout_s=900)
    first_ms = cluster.fired("c")[0]
    first, second = await runs_of(cluster, ended(cluster)[:2])
    assert (first.status, second.status) == (SUCCESS, SUCCESS)
    assert (first.nominal_ms, second.nominal_ms) == (first_ms, first_ms + 60_000)
    assert second.start_ms >= first.end_ms
    # One waits, so that the fire of the minute after it is none.
    left = [item["first"] for item in cluster.items("skipped", config="c", reason="overlap")]
    assert left[0] == first_ms + 120_000


async def test_cancel_previous_stops_the_members_of_the_run_before(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("ok", "sleep 500", overlap="cancel_previous"))
    await cluster.until(lambda: len(ended(cluster)) >= 2, "two runs were stopped", timeout_s=400)
    first, second = await runs_of(cluster, ended(cluster)[:2])
    assert (first.status, second.status) == (CANCELLED, CANCELLED)
    member = await cluster.client.get(f"{first.id}~b")
    assert member.status is CANCELLED
    assert first.end_ms >= member.end_ms
    # The next run goes on once the members of this one have ended.
    assert (await cluster.client.get(f"{second.id}~a")).start_ms >= member.end_ms


async def test_a_fixed_delay_counts_from_the_end_of_the_run(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("sleep 20", "sleep 30", fixed_delay=seconds(60)))
    await cluster.until(lambda: len(ended(cluster)) >= 3, "three runs", timeout_s=600)
    first, second, third = await runs_of(cluster, ended(cluster)[:3])
    assert first.end_ms - first.start_ms >= 50_000
    for before, after in ((first, second), (second, third)):
        assert 60_000 <= after.nominal_ms - before.end_ms < 61_000
        assert after.start_ms - after.nominal_ms < 1_000


async def test_jitter_moves_the_beginning_of_a_run_and_so_all_of_its_members(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(jitter=seconds(30), overlap="allow"))
    await cluster.until(lambda: len(ended(cluster)) >= 4, "four runs", timeout_s=600)
    moved = set()
    for run in await runs_of(cluster, ended(cluster)[:4]):
        by_ms = jitter_ms("c", run.nominal_ms, stored.config.jitter)
        moved.add(by_ms)
        member = await cluster.client.get(f"{run.id}~a")
        begins_ms = run.nominal_ms + by_ms
        assert begins_ms <= run.start_ms <= member.start_ms < begins_ms + 2_000
    assert len(moved) > 1


async def test_runs_that_were_missed_are_made_up_for_one_after_the_other(cluster):
    stored = await cluster.client.put_config(
        config("sleep 5", "sleep 5", misfire="fire_all", overlap="queue_all")
    )
    await asyncio.sleep(5 * 60 + 30)  # nobody is there
    cluster.start("a")
    await cluster.until(lambda: len(ended(cluster)) >= 5, "five runs", timeout_s=300)
    runs = await runs_of(cluster, ended(cluster)[:5])
    due_ms = stored.due_ms
    assert [run.nominal_ms for run in runs] == [due_ms + 60_000 * at for at in range(5)]
    assert {run.status for run in runs} == {SUCCESS}
    for before, after in pairwise(runs):
        assert after.start_ms >= before.end_ms


async def test_of_runs_that_were_missed_fire_once_makes_up_for_the_latest(cluster):
    stored = await cluster.client.put_config(config(misfire="fire_once", overlap="skip"))
    await asyncio.sleep(5 * 60 + 30)
    cluster.start("a")
    await cluster.until(lambda: ended(cluster), "a run", timeout_s=60)
    (run,) = await runs_of(cluster, ended(cluster)[:1])
    assert run.nominal_ms == stored.due_ms + 4 * 60_000
    (left,) = cluster.items("skipped", config="c", reason="misfire")
    assert left["count"] == 4


async def test_a_config_pauses_itself_after_failed_runs_not_after_failed_members(cluster):
    cluster.start("a")
    await cluster.client.put_config(config("fail", pause_after_failures=2))
    await cluster.until(
        lambda: [one for one in cluster.items("config", config="c") if one["act"] == "paused"],
        "it pauses",
        timeout_s=400,
    )
    runs = await runs_of(cluster, ended(cluster))
    assert [run.status for run in runs] == [FAILED, FAILED]
    await asyncio.sleep(200)
    assert len(cluster.fired("c")) == 2


async def test_a_run_that_waits_for_another_beyond_its_start_deadline_begins_nothing(cluster):
    cluster.start("a")
    await cluster.client.put_config(
        config("sleep 70", "sleep 80", overlap="queue_one", start_deadline=seconds(30))
    )
    await cluster.until(lambda: len(ended(cluster)) >= 2, "two runs", timeout_s=900)
    first, second = await runs_of(cluster, ended(cluster)[:2])
    assert (first.status, second.status) == (SUCCESS, CANCELLED)
    assert second.reason == "expired"
    assert not [name for name in begun(cluster) if name.startswith(second.id)]
    told = await cluster.client.why_task(second.id)
    assert told.because[0] == (
        "It had waited longer than its start_deadline of 30 s before any of its members was made."
    )
