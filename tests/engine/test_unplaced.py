"""What nobody can run is told: by the leader to its observers, and to every pod."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts import ClusterGauges
from dsched.contracts.store.dispatching import Deferral
from dsched.contracts.store.unrunnable import KEPT_MS, unrunnable_now
from dsched.engine.leader.assignment import FULL
from dsched.engine.leader.unplaced import FRESH_S, MAX_REASONS, MAX_TASKS, Unplaced
from dsched.model import TaskSpec


class Clock:
    def __init__(self):
        self.s = 100.0

    def __call__(self):
        return self.s


def put_off(task_id, reason="deferred: no worker has executor x"):
    return Deferral(task_id=task_id, delay_ms=2000, reason=reason)


def told(unplaced):
    return [(one.reason, one.tasks, one.lasted_s) for one in unplaced.now()]


def test_a_reason_is_told_with_its_tasks_and_how_long_it_has_lasted():
    clock = Clock()
    unplaced = Unplaced(clock)
    unplaced.note([put_off("a"), put_off("b"), put_off("c", "deferred: no worker")])
    clock.s += 2
    unplaced.note([put_off("a"), put_off("b")])
    assert told(unplaced) == [("no worker has executor x", 2, 2.0), ("no worker", 1, 2.0)]


def test_what_is_not_found_again_is_forgotten_and_full_workers_are_no_reason():
    clock = Clock()
    unplaced = Unplaced(clock)
    unplaced.note([put_off("a"), put_off("b"), put_off("full", FULL)])
    assert told(unplaced) == [("no worker has executor x", 2, 0.0)]
    clock.s += FRESH_S - 1
    unplaced.note([put_off("b")])
    clock.s += 2
    assert told(unplaced) == [("no worker has executor x", 1, FRESH_S + 1)]
    clock.s += FRESH_S
    assert told(unplaced) == []


def test_neither_reasons_nor_tasks_are_remembered_without_end():
    clock = Clock()
    unplaced = Unplaced(clock)
    unplaced.note([put_off(f"t{n}") for n in range(MAX_TASKS + 5)])
    unplaced.note([put_off("t", f"deferred: no worker has f={n}") for n in range(MAX_REASONS + 5)])
    found = told(unplaced)
    assert (len(found), found[0][1]) == (MAX_REASONS, MAX_TASKS)


async def test_a_leader_tells_what_nobody_can_run_and_that_it_is_over(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    await cluster.client.submit(
        TaskSpec(executor="local", payload={"function": "etl.load"}), task_id="t"
    )

    async def known():
        return await unrunnable_now(cluster.store)

    async with asyncio.timeout(30):
        while not await known():
            await asyncio.sleep(1)
    (one,) = await known()
    assert (one.reason, one.tasks) == ("no worker has function etl.load", 1)
    first = one.since_ms
    await asyncio.sleep(2 * KEPT_MS / 1000)
    (one,) = await known()
    assert one.since_ms - first < 1000, "it lasts as long as it holds, and says since when"
    await cluster.client.cancel("t")
    async with asyncio.timeout(30):
        while await known():
            await asyncio.sleep(1)


async def test_it_ends_by_itself_where_no_leader_tells_it_any_more(cluster):
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(spec("ok", required_labels={"a": "b"}), task_id="t")
    async with asyncio.timeout(30):
        while not await unrunnable_now(cluster.store):
            await asyncio.sleep(1)
    await cluster.kill("lead")
    await asyncio.sleep(KEPT_MS / 1000 + 10)
    assert await unrunnable_now(cluster.store) == ()


def test_the_picture_has_no_reason_where_none_is_given():
    picture = ClusterGauges(
        tasks_by_status={}, waiting_by_home={}, oldest_ready_age_s=0.0, workers=(), now_ms=1
    )
    assert picture.unrunnable == ()
