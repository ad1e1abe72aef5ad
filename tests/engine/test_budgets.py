"""What the engine asks of a store, counted in calls and in kept objects: no clock is involved."""

import asyncio
import gc
import sys
from collections import Counter

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, config, open_cluster, seconds, spec

from dsched.contracts.store.settings import Kept, StoreSettings
from dsched.contracts.store.working import Submission
from dsched.model import Misfire, TaskStatus, from_ms

YEAR_S = 365 * 24 * 3600
OF_A_TICK = {"poll", "due", "fire", "promote", "ready", "dispatch"}
OF_A_WORKER = {"claim", "complete"}


class Calls(Counter):
    """Counts what goes over a line, by step."""

    def line(self) -> Line:
        async def counted(handle, step, proceed):
            self[step] += 1
            return await proceed()

        return Line(counted)

    def of(self, steps: set[str]) -> dict[str, int]:
        return {step: self[step] for step in sorted(steps) if self[step]}


async def _scheduler_and_worker(cluster, capacity=4):
    cluster.use_defaults()
    leader, worker = Calls(), Calls()
    cluster.start("a", SCHEDULER, line=leader.line())
    cluster.start("b", WORKER, line=worker.line(), capacity=capacity)
    await asyncio.sleep(22)  # between two polls of an idle leader
    leader.clear()
    worker.clear()
    return leader, worker


async def test_a_tick_that_finds_nothing_is_one_call(cluster):
    leader, _ = await _scheduler_and_worker(cluster)
    await asyncio.sleep(100)
    assert leader.of(OF_A_TICK) == {"poll": 20}  # every `scan_interval`


async def test_one_task_from_submit_to_end_takes_the_leader_three_calls(cluster):
    leader, worker = await _scheduler_and_worker(cluster)
    await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=1)
    calls = leader.of(OF_A_TICK)
    # Seen, dispatched, and once more because the end of the task woke the leader for freed room.
    assert calls["dispatch"] == 1
    assert sum(calls.values()) <= 3, calls
    assert worker.of(OF_A_WORKER)["complete"] == 1
    assert worker["claim"] <= 3


@pytest.mark.parametrize(("count", "fires"), [(1, 1), (40, 1), (100, 3)])
async def test_a_batch_of_fires_takes_the_calls_of_one(cluster, count, fires):
    leader, worker = await _scheduler_and_worker(cluster, capacity=100)
    at_ms = cluster.wall() + 2_000
    for number in range(count):
        one = config(f"c{number}", every=seconds(3600), start_at=from_ms(at_ms))
        await cluster.client.put_config(one)
    await asyncio.sleep(1.1)  # after the idle worker's claim, which is due each whole second
    leader.clear()
    worker.clear()
    await asyncio.sleep(1.8)
    calls = leader.of(OF_A_TICK)
    assert len(cluster.executor.started) == count
    assert calls["fire"] == fires
    assert calls["dispatch"] <= 2
    assert sum(calls.values()) <= 7 + fires, calls
    # The first of them waited for the wake-up, in one message with its wait.
    assert worker.of(OF_A_WORKER)["claim"] <= 5
    assert worker.of(OF_A_WORKER)["complete"] <= 2


@pytest.mark.parametrize(
    ("misfire", "most_runs"), [(Misfire.FIRE_ONCE, 1), (Misfire.SKIP, 0), (Misfire.FIRE_ALL, 100)]
)
async def test_a_year_without_a_leader_is_caught_up_with_in_a_few_calls(
    cluster, misfire, most_runs
):
    cluster.use_defaults()
    one = config("tick", every=seconds(1), misfire=misfire, overlap="allow")
    await cluster.client.put_config(one)
    cluster.wall.step(YEAR_S * 1000)
    leader = Calls()
    cluster.start("b", WORKER, capacity=100)
    cluster.start("a", SCHEDULER, line=leader.line())
    await cluster.lead_by("a")
    await asyncio.sleep(0.5)
    # What is within `misfire_grace` is only late, and runs whatever the policy.
    runs = len(cluster.fired("tick"))
    assert runs <= most_runs + 62
    assert leader["fire"] <= 5
    assert sum(leader.of(OF_A_TICK).values()) <= 20, leader
    skipped = sum(item["count"] for item in cluster.items("skipped", config="tick"))
    assert skipped + runs >= YEAR_S
    assert len(cluster.items("skipped", config="tick")) <= 5


@pytest.mark.long
@pytest.mark.slow
async def test_a_hundred_thousand_tasks_leave_nothing_behind_in_the_engine():
    """The store forgets what has ended; what then grows with the tasks is the engine's."""
    settings = StoreSettings(
        retention={status: Kept(count=100) for status in TaskStatus if status.terminal},
        max_events=100,
    )
    async with open_cluster(settings) as cluster:
        cluster.use_defaults()
        cluster.start("a", capacity=100)
        await cluster.lead_by("a")
        await _run(cluster, 0, 20_000)
        before = await _blocks(cluster)
        await _run(cluster, 20_000, 120_000)
        grown = await _blocks(cluster) - before
    # One object kept of every tenth task would be seen.
    assert grown < 10_000, grown


async def _run(cluster, first: int, end: int) -> None:
    one = spec()
    for start in range(first, end, 100):
        items = [Submission(task_id=f"t{n}", spec=one) for n in range(start, start + 100)]
        await cluster.store.submit(items, by="me")
        while len(cluster.executor.started) < 100:
            await asyncio.sleep(0.01)
        cluster.executor.started.clear()
        if start % 2_000 == 0:
            await asyncio.sleep(40)  # pruning has its turn


async def _blocks(cluster) -> int:
    """Blocks of memory in use, once the leader has collected and pruned what has ended."""
    await asyncio.sleep(600)
    state = cluster.state
    assert len(state.tasks) <= 300, len(state.tasks)
    assert len(state.log) <= 200, len(state.log)
    gc.collect()
    return sys.getallocatedblocks()
