"""Very many tasks that nobody can run, ready before anybody leads: they are shut away in pieces."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, Line, spec

from dsched.contracts.store.working import Submission
from dsched.engine.leader.assignment import SHUTS_A_STEP
from dsched.model import TaskStatus

MANY = 31_000
CLASSES = 130


async def submitted(cluster, count, labels_of):
    for first in range(0, count, 100):
        await cluster.client.submit_many(
            [
                Submission(
                    task_id=f"t{number:06d}",
                    spec=spec("sleep 60", required_labels=labels_of(number), priority=9),
                )
                for number in range(first, min(count, first + 100))
            ]
        )


async def test_more_of_a_busy_label_than_a_tick_shuts_away_do_not_make_the_leader_rest(
    cluster, monkeypatch
):
    # With a smaller sweep the same takes as many ticks with fewer tasks.
    monkeypatch.setattr("dsched_testkit.memory.classes.SWEPT", 250)
    cluster.use_defaults()
    await submitted(cluster, MANY, lambda _: {"pool": "a"})
    await cluster.client.submit(spec("ok", required_labels={"pool": "b"}), task_id="other")
    cluster.start("busy", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("idle", WORKER, labels={"pool": "b"}, capacity=1)
    await asyncio.sleep(5)
    began_s = cluster.now_s()
    cluster.start("lead", SCHEDULER)
    ended = await cluster.client.wait("other", timeout_s=60)
    assert ended.status is TaskStatus.SUCCESS
    assert cluster.now_s() - began_s < 2


async def test_a_step_shuts_few_classes_and_all_of_them_are_shut_at_once(cluster):
    shuts = []

    async def noted(handle, step, proceed):
        before = len(cluster.state.shut)
        answer = await proceed()
        shuts.append(len(cluster.state.shut) - before)
        return answer

    await submitted(cluster, CLASSES, lambda number: {"gpu": str(number)})
    cluster.start("work", WORKER)
    await asyncio.sleep(5)
    cluster.start("lead", SCHEDULER, line=Line(noted))
    await cluster.until(lambda: len(cluster.state.shut) == CLASSES, "all are shut", 5)
    assert 0 < max(shuts) <= SHUTS_A_STEP
    assert len(cluster.items("deferred")) == CLASSES, "one of each class, when it is shut"


async def test_a_full_class_that_nothing_gives_way_to_costs_the_leader_no_step(cluster):
    calls = []

    async def counted(handle, step, proceed):
        calls.append(step)
        return await proceed()

    cluster.start("busy", WORKER, labels={"pool": "a"}, capacity=1)
    cluster.start("idle", WORKER, labels={"pool": "b"}, capacity=1)
    cluster.start("lead", SCHEDULER, line=Line(counted))
    for number in range(6):
        work = spec("sleep 60", required_labels={"pool": "a"}, priority=9)
        await cluster.client.submit(work, task_id=f"t{number}")
    await cluster.until(lambda: len(cluster.state.shut) == 1, "the class is shut")
    await asyncio.sleep(8)
    calls.clear()
    await asyncio.sleep(30)
    assert "dispatch" not in calls
    assert calls.count("poll") + calls.count("poll_when_woken") > 2
