"""A task of higher priority waits behind no queue of lower ones in front of a worker."""

import attrs
from engine_cluster import SCHEDULER, WORKER, spec
from engine_parts import new_worker

from dsched.contracts.store.dispatching import ReadyTask
from dsched.engine.leader.assignment import Assigner
from dsched_balancers.least_tasks import LeastTasks

FULL = {"capacity": 1, "backlog": 10, "running": 1, "queued": 10}


def _assign(tasks, workers):
    ready = [ReadyTask(id=f"t{n}", priority=p, scheduled_ms=0) for n, p in enumerate(tasks)]
    return Assigner("least-tasks", LeastTasks()).assign(ready, workers, 0)


def _chosen(plan):
    return [(choice.task_id, choice.worker_id) for choice in plan.choices]


def test_a_full_worker_takes_a_task_of_higher_priority_than_its_last():
    workers = [new_worker("a", **FULL, lowest_queued=5), new_worker("b", **FULL, lowest_queued=3)]
    assert _chosen(_assign([9], workers)) == [("t0", "b")], "what is worth least gives way"
    plan = _assign([3, 2], workers)
    assert (plan.choices, plan.passed, plan.deferrals) == ((), 0, ())


def test_a_free_place_is_taken_before_anything_gives_way():
    workers = [new_worker("a", **FULL, lowest_queued=0), new_worker("b")]
    assert _chosen(_assign([9], workers)) == [("t0", "b")]


def test_no_more_give_way_on_one_page_than_wait_in_the_queue():
    workers = [new_worker("a", capacity=3, backlog=0, running=1, queued=2, lowest_queued=0)]
    assert _chosen(_assign([9, 8, 7], workers)) == [("t0", "a"), ("t1", "a")]


def test_nothing_gives_way_at_a_worker_that_stalls_drains_or_does_not_match():
    stalled = new_worker("stalled", **FULL, lowest_queued=0, stalled=True)
    draining = new_worker("draining", **FULL, lowest_queued=0, draining=True)
    other = new_worker("other", **FULL, lowest_queued=0, labels={"kind": "cpu"})
    workers = [stalled, draining, other]
    assert _chosen(_assign([9], workers[:2])) == []
    task = ReadyTask(id="t", priority=9, scheduled_ms=0, required_labels={"kind": "gpu"})
    assigner = Assigner("least-tasks", LeastTasks())
    matching = new_worker("gpu", **FULL, labels={"kind": "gpu"}, lowest_queued=9)
    assert assigner.assign([task], [*workers, matching], 0).choices == ()
    matching = attrs.evolve(matching, lowest_queued=8)
    assert _chosen(assigner.assign([task], [*workers, matching], 0)) == [("t", "gpu")]


def test_what_nothing_gives_way_to_is_not_put_to_sleep_where_nobody_has_room():
    cpu = new_worker("cpu", **FULL, lowest_queued=0, labels={"kind": "cpu"})
    gpu = new_worker("gpu", **FULL, lowest_queued=9, labels={"kind": "gpu"})
    tasks = [
        ReadyTask(id=f"t{n}", priority=5, scheduled_ms=0, required_labels={"kind": "gpu"})
        for n in range(3)
    ]
    plan = Assigner("least-tasks", LeastTasks()).assign(tasks, [cpu, gpu], 5000)
    assert (plan.choices, plan.passed, plan.deferrals) == ((), 0, ())


async def test_with_one_slot_and_a_full_queue_the_next_to_start_is_the_urgent_one(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER, capacity=1)
    for number in range(12):
        await cluster.client.submit(spec("sleep 60", priority=0), task_id=f"low{number:02d}")
    queues, workers = cluster.state.queues, cluster.state.workers
    await cluster.until(lambda: "work-w" in workers and queues["work-w"], "the queue is full")
    assert len(queues["work-w"]) == workers["work-w"].backlog
    began_s = cluster.now_s()
    await cluster.client.submit(spec("ok", priority=9), task_id="urgent")
    urgent = await cluster.client.wait("urgent", timeout_s=90)
    assert cluster.now_s() - began_s < 61, "it waits for what runs and for nothing that waits"
    assert (urgent.attempt, urgent.retry_count) == (1, 0)
    (given,) = cluster.items("recalled")
    assert given["displaced"] is True
    for number in range(12):
        task = await cluster.client.wait(f"low{number:02d}", timeout_s=900)
        assert (task.status, task.attempt) == ("success", 1)
