"""Tasks that nobody can run now cost nobody else anything."""

import asyncio

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, seconds, spec

from dsched.contracts.store.classes import Blocked, class_text
from dsched.contracts.store.working import Submission
from dsched.model import Home, TaskStatus

MANY = 20_000


async def far(handle, step, proceed):
    """A store that takes its time: a page of a hundred tasks costs a real one as much."""
    await asyncio.sleep(0.003)
    answer = await proceed()
    await asyncio.sleep(0.003)
    return answer


async def submitted(cluster, count, prefix, **fields):
    """Many tasks, a batch at a time."""
    of_all = spec("ok", **fields)
    for first in range(0, count, 100):
        await cluster.client.submit_many(
            [
                Submission(task_id=f"{prefix}-{number:06d}", spec=of_all)
                for number in range(first, min(count, first + 100))
            ]
        )


async def with_a_busy_and_an_idle_label(cluster):
    """A leader, a worker with all that it can take, and one with nothing to do."""
    cluster.start("lead", SCHEDULER, line=Line(far))
    cluster.start("busy", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("idle", WORKER, labels={"pool": "b"}, capacity=1)
    for number in range(2):
        work = spec("sleep 60", required_labels={"pool": "a"})
        await cluster.client.submit(work, task_id=f"l{number}")
    await cluster.until(lambda: cluster.executor.starts("l0") == 1, "the label is busy")


async def seconds_until_it_ran(cluster, task_id, **fields):
    """How long a task that somebody could run has to wait."""
    began_s = cluster.now_s()
    await cluster.client.submit(spec("ok", **fields), task_id=task_id)
    ended = await cluster.client.wait(task_id, timeout_s=50)
    assert ended.status is TaskStatus.SUCCESS
    return cluster.now_s() - began_s


@pytest.mark.slow
async def test_tasks_that_wait_for_a_busy_label_do_not_stop_those_of_an_idle_one(cluster):
    await with_a_busy_and_an_idle_label(cluster)
    await submitted(cluster, MANY, "a", required_labels={"pool": "a"}, priority=9)
    for number in range(3):
        waited_s = await seconds_until_it_ran(cluster, f"b{number}", required_labels={"pool": "b"})
        assert waited_s < 0.5
    assert cluster.items("deferred") == []


@pytest.mark.slow
async def test_tasks_that_no_worker_matches_hold_nobody_up(cluster):
    await with_a_busy_and_an_idle_label(cluster)
    for number in range(10):
        labels = {"gpu": str(number)}
        await submitted(cluster, MANY // 10, f"g{number}", required_labels=labels, priority=9)
    assert await seconds_until_it_ran(cluster, "plain") < 0.5
    shut = (await cluster.store.shut_classes(None, 100)).classes
    assert {one.blocked for one in shut} == {Blocked.NOBODY}
    told = cluster.items("deferred")
    assert 10 <= len(told) <= 20, "one in a thousand of each class says so"
    assert sum(one.waiting for one in shut) == MANY


async def test_what_nobody_can_run_costs_the_leader_no_step(cluster):
    calls = []

    async def counted(handle, step, proceed):
        calls.append(step)
        return await proceed()

    cluster.start("lead", SCHEDULER, line=Line(counted))
    cluster.start("work", WORKER)
    await submitted(cluster, 500, "g", required_labels={"gpu": "1"})
    await cluster.until(lambda: cluster.state.open_count() == 0, "all of it waits under its class")
    await asyncio.sleep(5)
    calls.clear()
    await asyncio.sleep(60)
    assert "dispatch" not in calls
    assert calls.count("promote") == 0


async def test_a_worker_that_comes_gets_what_waited_for_it_the_best_first(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("other", WORKER)
    for number, priority in enumerate([1, 9, 5]):
        work = spec("ok", required_labels={"gpu": "1"}, priority=priority)
        await cluster.client.submit(work, task_id=f"p{priority}-{number}")
    rows = cluster.state.tasks.values()
    await cluster.until(lambda: all(row.under for row in rows), "all wait under their class")
    began_s = cluster.now_s()
    cluster.start("gpu", WORKER, labels={"gpu": "1"}, capacity=1)
    for task_id in ("p1-0", "p9-1", "p5-2"):
        await cluster.client.wait(task_id, timeout_s=20)
    assert cluster.now_s() - began_s < 3
    started = [task_id for task_id, _, _ in cluster.executor.started if task_id.startswith("p")]
    assert started == ["p9-1", "p5-2", "p1-0"]
    assert cluster.state.shut == {}


async def test_a_busy_label_takes_its_backlog_without_a_pause(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, labels={"pool": "a"}, capacity=2)
    cluster.start("b", WORKER, labels={"pool": "b"}, capacity=2)
    work = spec("sleep 1", required_labels={"pool": "a"})
    await cluster.client.submit_many(
        [Submission(task_id=f"t{number:02d}", spec=work) for number in range(40)]
    )
    began_s = cluster.now_s()
    for number in range(40):
        await cluster.client.wait(f"t{number:02d}", timeout_s=60)
    assert cluster.now_s() - began_s < 22, "two at a time, a second each"
    started = [task_id for task_id, _, _ in cluster.executor.started]
    assert started == sorted(started)


async def test_a_new_leader_knows_what_the_one_before_has_shut(cluster):
    cluster.start("a", SCHEDULER)
    cluster.start("work", WORKER)
    await submitted(cluster, 3, "g", required_labels={"gpu": "1"})
    await cluster.until(lambda: len(cluster.state.shut) == 1, "the class is shut")
    await cluster.kill("a")
    cluster.start("b", SCHEDULER)
    await cluster.lead_by("b")
    cluster.start("gpu", WORKER, labels={"gpu": "1"})
    ended = await cluster.client.wait("g-000002", timeout_s=20)
    assert ended.status is TaskStatus.SUCCESS


async def test_a_class_whose_workers_leave_waits_for_somebody_again(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("other", WORKER)
    cluster.start("gpu", WORKER, labels={"gpu": "1"}, capacity=1)
    text = class_text({"gpu": "1"}, "fn")
    for number in range(4):
        work = spec("sleep 60", required_labels={"gpu": "1"})
        await cluster.client.submit(work, task_id=f"t{number}")
    await cluster.until(lambda: text in cluster.state.shut, "the class is shut")
    assert cluster.state.shut[text].blocked is Blocked.FULL
    await cluster.kill("gpu")
    await cluster.until(
        lambda: cluster.state.shut[text].blocked is Blocked.NOBODY, "nobody is there", 60
    )


async def test_what_waits_under_a_class_ends_at_its_start_deadline(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    late = spec("ok", required_labels={"gpu": "1"}, start_deadline=seconds(20))
    await cluster.client.submit(late, task_id="late")
    await cluster.until(lambda: cluster.row("late").under is not None, "it waits under its class")
    assert cluster.row("late").home is Home.READY
    began_s = cluster.now_s()
    ended = await cluster.client.wait("late", timeout_s=60)
    assert (ended.status, ended.reason) == (TaskStatus.CANCELLED, "expired")
    assert cluster.now_s() - began_s < 30


async def test_a_task_that_waited_for_any_worker_says_what_those_that_came_lack(cluster):
    async def says(task_id, words):
        found = await cluster.client.get(task_id)
        return found.reason == f"deferred: {words}"

    async def until_it_says(task_id, words):
        async with asyncio.timeout(10):
            while not await says(task_id, words):
                await asyncio.sleep(0.1)

    for number in range(3):
        await cluster.client.submit(
            spec("ok", required_labels={"zone": str(number)}), task_id=f"z{number}"
        )
    cluster.start("lead", SCHEDULER)
    for number in range(3):
        await until_it_says(f"z{number}", "no worker")
    cluster.start("work", WORKER, labels={"zone": "0"})
    assert (await cluster.client.wait("z0", timeout_s=10)).status is TaskStatus.SUCCESS
    for number in (1, 2):
        await until_it_says(f"z{number}", f"no worker has zone={number}")
