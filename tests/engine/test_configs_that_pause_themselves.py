"""Configs that pause themselves: after so many failures in a row, or after so many fires."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from engine_cluster import NO_RETRY, Line, config, seconds, unreachable

from dsched.explaining.explanation import Answer
from dsched.model import (
    BY_ITSELF,
    InvalidConfigError,
    RetryPolicy,
    Step,
    TaskConfig,
    TaskStatus,
    Workflow,
    from_ms,
)
from dsched_testkit.checker import History


def _acts(cluster: Any, act: str) -> list[Any]:
    return [item for item in cluster.items("config", config="tick") if item["act"] == act]


def _gaps(cluster: Any) -> list[Any]:
    return [item for item in cluster.items("skipped", config="tick") if item["reason"] == "paused"]


async def _paused(cluster: Any) -> Any:
    """The pause of the config, once it is paused."""
    await cluster.until(lambda: bool(_acts(cluster, "paused")), "it pauses itself", timeout_s=200)
    return (await cluster.client.get_config("tick")).paused


def _ends(cluster: Any, *ends: str) -> None:
    """The runs of the config end like this, in turn; the last one for ever."""
    left: Iterator[str] = iter(ends)
    last = ends[-1]

    async def body(context: Any, task: Any) -> object:
        how = next(left, last)
        if how == "fail":
            raise RuntimeError("no luck")
        if how == "sleep":
            await asyncio.sleep(60)
        return None

    cluster.executor.bodies = {**cluster.executor.bodies, "turns": body}


def _failing(**fields: Any) -> Any:
    given = {"overlap": "allow", "retry": NO_RETRY, "pause_after_failures": 3}
    name = fields.pop("name", "fail")
    return config("tick", name, **(given | fields))


async def test_a_config_pauses_itself_after_so_many_failures_in_a_row(cluster):
    cluster.start("a")
    await cluster.client.put_config(_failing(every=seconds(10)))
    pause = await _paused(cluster)
    fired = cluster.fired("tick")
    assert len(fired) == 3
    assert (pause.who, pause.until_ms) == (BY_ITSELF, None)
    assert pause.why == f"3 failures in a row: last tick@{fired[-1]}: RuntimeError"
    assert pause.since_ms - fired[-1] < 1500, "it is paused at once, and not when it is due again"
    await asyncio.sleep(60)
    assert cluster.fired("tick") == fired
    (paused,) = _acts(cluster, "paused")
    assert (paused["who"], paused["why"]) == (BY_ITSELF, pause.why)
    assert History(cluster.state).problems() == []


async def test_what_comes_in_the_pause_is_skipped_with_the_reason(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(_failing(every=seconds(10)))
    pause = await _paused(cluster)
    await asyncio.sleep(35)
    await cluster.client.resume_config("tick")
    (gap,) = _gaps(cluster)
    assert (gap["count"], gap["who"], gap["why"]) == (3, BY_ITSELF, pause.why)
    await cluster.until(lambda: len(cluster.fired("tick")) == 4, "it fires again", timeout_s=60)
    owed = range(stored.due_ms, cluster.fired("tick")[-1] + 1, 10_000)
    assert History(cluster.state).unaccounted("tick", owed) == []


async def test_a_success_begins_anew(cluster):
    _ends(cluster, "fail", "fail", "ok", "fail", "fail", "fail")
    cluster.start("a")
    await cluster.client.put_config(_failing(name="turns", every=seconds(10)))
    pause = await _paused(cluster)
    fired = cluster.fired("tick")
    assert len(fired) == 6
    assert pause.why == f"3 failures in a row: last tick@{fired[-1]}: RuntimeError"


async def test_a_cancelled_task_counts_neither_way(cluster):
    _ends(cluster, "fail", "sleep", "fail")
    cluster.start("a")
    await cluster.client.put_config(
        _failing(name="turns", every=timedelta(hours=1), pause_after_failures=2)
    )
    ended = []
    for _ in range(3):
        task = await cluster.client.trigger("tick")
        if len(ended) == 1:
            await cluster.until(lambda: len(cluster.executor.started) == 2, "it runs")
            await cluster.client.cancel(task.id)
        ended.append((await cluster.client.wait(task.id, timeout_s=90)).status)
    assert ended == [TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.FAILED]
    pause = await _paused(cluster)
    assert pause.why.startswith("2 failures in a row: ")


async def test_only_a_final_end_counts(cluster):
    cluster.start("a")
    retry = RetryPolicy(max_retries=2, retry_delay=seconds(1), jitter=0)
    await cluster.client.put_config(
        _failing(every=seconds(60), retry=retry, pause_after_failures=1)
    )
    pause = await _paused(cluster)
    (task_id,) = {task_id for task_id, _, _ in cluster.executor.started}
    assert cluster.executor.starts(task_id) == 3
    assert pause.why == f"1 failure: last {task_id}: RuntimeError"


async def test_a_run_of_many_tasks_counts_once(cluster):
    cluster.start("a")
    steps = [
        Step(id=name, executor="fn", payload="fail", retry=NO_RETRY) for name in ("x", "y", "z")
    ]
    flow = TaskConfig(
        id="tick",
        executor="workflow",
        workflow=Workflow(steps=steps),
        every=seconds(20),
        pause_after_failures=2,
    )
    await cluster.client.put_config(flow)
    pause = await _paused(cluster)
    fired = cluster.fired("tick")
    assert len(fired) == 2
    assert pause.why.startswith(f"2 failures in a row: last tick@{fired[-1]}: ")


async def test_what_somebody_triggers_counts_as_its_run(cluster):
    cluster.start("a")
    await cluster.client.put_config(_failing(every=timedelta(hours=1), pause_after_failures=2))
    for _ in range(2):
        task = await cluster.client.trigger("tick")
        assert (await cluster.client.wait(task.id, timeout_s=30)).status is TaskStatus.FAILED
    pause = await _paused(cluster)
    assert pause.why.startswith("2 failures in a row: last tick@manual-")
    assert cluster.fired("tick") == []


async def test_a_resume_begins_anew(cluster):
    cluster.start("a")
    await cluster.client.put_config(_failing(every=seconds(10)))
    await _paused(cluster)
    await cluster.client.resume_config("tick")
    assert (await cluster.client.get_config("tick")).counted.failures == 0
    await cluster.until(
        lambda: len(_acts(cluster, "paused")) == 2, "it pauses again", timeout_s=200
    )
    assert len(cluster.fired("tick")) == 6


async def test_a_task_that_was_fired_before_goes_on(cluster):
    _ends(cluster, "fail")
    cluster.start("a")
    await cluster.client.put_config(
        _failing(every=seconds(1), name="sleep 60", pause_after_failures=1)
    )
    await cluster.until(lambda: len(cluster.executor.started) == 1, "one runs")
    await cluster.client.put_config(
        _failing(every=seconds(1), name="turns", pause_after_failures=1)
    )
    await _paused(cluster)
    slept = cluster.executor.started[0][0]
    assert (await cluster.client.wait(slept, timeout_s=90)).status is TaskStatus.SUCCESS


@pytest.mark.parametrize("when", ["counted", "about to pause", "paused"])
async def test_a_leader_that_dies_on_the_way_neither_loses_it_nor_does_it_twice(cluster, when):
    line = Line()

    async def dies(handle: str, step: str, proceed: Any) -> Any:
        """Its line is cut once the store has counted, before it is asked to pause, or after."""
        row = cluster.state.configs.get("tick")
        counted = row is not None and row.counted.failures == 1
        if when == "about to pause" and step == "fire" and counted:
            line.cut()
            return await unreachable(handle, step, proceed)
        answer = await proceed()
        row = cluster.state.configs.get("tick")
        done = row is not None and (row.counted.failures if when == "counted" else row.paused)
        if done and step in ("project", "fire") and when != "about to pause":
            line.cut()
            return await unreachable(handle, step, proceed)
        return answer

    line.rule = dies
    cluster.start("a", line=line)
    await cluster.client.put_config(_failing(every=seconds(100), pause_after_failures=1))
    await cluster.client.trigger("tick")
    await cluster.until(lambda: line.rule is unreachable, "the leader is cut off", timeout_s=60)
    await cluster.kill("a")
    assert (await cluster.client.get_config("tick")).counted.failures == 1
    cluster.start("b")
    await _paused(cluster)
    await asyncio.sleep(60)
    assert len(_acts(cluster, "paused")) == 1
    assert (await cluster.client.get_config("tick")).counted.failures == 1
    assert History(cluster.state).problems() == []


async def test_what_failed_while_nobody_led_is_counted_by_the_next_leader(cluster):
    cluster.start("a", frozenset({"scheduler"}))
    cluster.start("w", frozenset({"worker"}))

    async def slow(context: Any, task: Any) -> object:
        await asyncio.sleep(20)
        raise RuntimeError("no luck")

    cluster.executor.bodies = {**cluster.executor.bodies, "slow": slow}
    await cluster.client.put_config(
        _failing(every=seconds(300), name="slow", pause_after_failures=1)
    )
    await cluster.client.trigger("tick")
    await cluster.until(lambda: len(cluster.executor.started) == 1, "it runs")
    await cluster.kill("a")
    await asyncio.sleep(60)
    assert (await cluster.client.get_config("tick")).paused is None
    cluster.start("b", frozenset({"scheduler"}))
    await _paused(cluster)
    assert cluster.fired("tick") == []


# --- max_runs ----------------------------------------------------------------------


async def test_a_config_pauses_itself_after_so_many_fires(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow", max_runs=3))
    pause = await _paused(cluster)
    fired = cluster.fired("tick")
    assert len(fired) == 3
    assert (pause.who, pause.why) == (BY_ITSELF, "max_runs: it has fired 3 of 3 times")
    assert pause.since_ms - fired[-1] < 1000, "it is paused at once"
    await asyncio.sleep(30)
    assert cluster.fired("tick") == fired
    await cluster.client.resume_config("tick")
    await cluster.until(
        lambda: len(_acts(cluster, "paused")) == 2, "it pauses again", timeout_s=200
    )
    assert len(cluster.fired("tick")) == 6
    assert History(cluster.state).problems() == []


async def test_one_fire_is_one_shot_and_what_is_triggered_is_not_counted(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(every=seconds(10), max_runs=1))
    await cluster.client.trigger("tick")
    await _paused(cluster)
    assert len(cluster.fired("tick")) == 1
    await cluster.client.trigger("tick")  # a paused config can be triggered
    assert len(cluster.executor.started) >= 2


async def test_each_instant_that_is_made_up_for_counts(cluster):
    entry = config(overlap="allow", misfire="fire_all", misfire_grace=seconds(1), max_runs=4)
    stored = await cluster.client.put_config(entry)
    await asyncio.sleep(30)  # nobody leads
    cluster.start("a")
    await _paused(cluster)
    fired = cluster.fired("tick")
    assert len(fired) == 4
    (gap,) = _gaps(cluster)
    assert (gap["who"], gap["why"]) == (BY_ITSELF, "max_runs: it has fired 4 of 4 times")
    owed = range(stored.due_ms, gap["last"] + 1, 1000)
    assert History(cluster.state).unaccounted("tick", owed) == []


async def test_a_fixed_delay_is_paused_when_it_would_be_due_again(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(fixed_delay=seconds(5), name="sleep 1", max_runs=2))
    await _paused(cluster)
    assert len(cluster.fired("tick")) == 2


async def test_why_and_the_plan_say_so(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(every=seconds(60), overlap="allow", max_runs=1))
    pause = await _paused(cluster)
    after = await cluster.client.why_config("tick", from_ms(stored.due_ms + 60_000))
    assert after.verdict is Answer.PENDING
    assert after.summary.startswith("tick is paused;")
    assert f"by {BY_ITSELF}: {pause.why}." in after.because[0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"pause_after_failures": 0}, "pause_after_failures"),
        ({"pause_after_failures": 1001}, "pause_after_failures"),
        ({"pause_after_failures": True}, "pause_after_failures"),
        ({"max_runs": 0}, "max_runs"),
        ({"max_runs": 1.0}, "max_runs"),
        ({"max_runs": 2, "at": from_ms(0)}, "max_runs"),
    ],
)
async def test_numbers_that_cannot_be_counted_up_to_are_refused(fields, field):
    with pytest.raises(InvalidConfigError) as refused:
        config(**fields)
    assert refused.value.field == field
