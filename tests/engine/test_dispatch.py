"""Which worker gets what: labels, full workers, wedged workers, drains, strange balancers."""

import asyncio

from engine_cluster import SCHEDULER, WORKER, Line, first, never, only, seconds, spec

from dsched.contracts.store.working import Submission
from dsched.model import Home, TaskStatus


async def test_a_task_runs_only_where_its_labels_match(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("cpu", WORKER, labels={"kind": "cpu"})
    cluster.start("gpu", WORKER, labels={"kind": "gpu"})
    for number in range(12):
        await cluster.client.submit(
            spec("ok", required_labels={"kind": "gpu"}), task_id=f"t{number}"
        )
    for number in range(12):
        task = await cluster.client.wait(f"t{number}", timeout_s=30)
        assert task.worker_id == "gpu-w"


async def test_a_task_that_nobody_matches_is_deferred_and_says_why_where_there_are_no_classes(
    cluster,
):
    cluster.state.format = 3
    cluster.start("a", labels={"kind": "cpu"})
    await cluster.client.submit(spec("ok", required_labels={"kind": "gpu"}), task_id="t")
    await cluster.until(lambda: cluster.row("t").home == Home.DELAYED, "the deferral")
    task = await cluster.client.get("t")
    assert (task.status, task.reason) == (TaskStatus.PENDING, "deferred: no worker has kind=gpu")
    assert cluster.items("deferred", task="t")[0]["delay"] == 2000


async def test_a_worker_added_later_gets_what_waited_for_it(cluster):
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(spec("ok", required_labels={"kind": "gpu"}), task_id="t")
    await asyncio.sleep(30)
    cluster.start("gpu", WORKER, labels={"kind": "gpu"})
    began_s = cluster.now_s()
    await cluster.client.wait("t", timeout_s=30)
    assert cluster.now_s() - began_s < 3


async def test_tasks_behind_many_that_wait_for_full_workers_are_reached(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("cpu", WORKER, labels={"kind": "cpu"}, capacity=1)
    cluster.start("gpu", WORKER, labels={"kind": "gpu"}, capacity=1)
    for number in range(400):
        await cluster.client.submit(
            spec("sleep 60", required_labels={"kind": "cpu"}), task_id=f"a{number:03d}"
        )
    await cluster.until(lambda: len(cluster.state.ready) == 398, "the cpu worker is full")
    await asyncio.sleep(1)
    began_s = cluster.now_s()
    for number in range(3):
        await cluster.client.submit(
            spec("ok", required_labels={"kind": "gpu"}), task_id=f"z{number}"
        )
    for number in range(3):
        await cluster.client.wait(f"z{number}", timeout_s=10)
    assert cluster.now_s() - began_s < 2
    deferred = {item["task"] for item in cluster.items("deferred")}
    assert not any(task_id.startswith("a") for task_id in deferred), "full is no reason to defer"


async def test_beyond_a_thousand_passed_over_tasks_the_rest_is_deferred_in_a_store_of_before(
    cluster,
):
    cluster.state.format = 3
    cluster.start("lead", SCHEDULER)
    cluster.start("cpu", WORKER, labels={"kind": "cpu"}, capacity=1)
    cluster.start("gpu", WORKER, labels={"kind": "gpu"}, capacity=1)
    for number in range(1200):
        await cluster.client.submit(
            spec("sleep 60", required_labels={"kind": "cpu"}), task_id=f"a{number:04d}"
        )
    await cluster.client.submit(spec("ok", required_labels={"kind": "gpu"}), task_id="z")
    await cluster.client.wait("z", timeout_s=20)
    reasons = {item["reason"] for item in cluster.items("deferred")}
    assert reasons == {"deferred: all matching workers are full"}
    assert {1000} == {item["delay"] for item in cluster.items("deferred")}


async def test_a_backlog_of_busy_workers_is_never_put_to_sleep(cluster):
    async def far(handle, step, proceed):
        await asyncio.sleep(0.0005)
        answer = await proceed()
        await asyncio.sleep(0.0005)
        return answer

    for name in "ab":
        cluster.start(name, WORKER, capacity=30, line=Line(far))
    await cluster.until(lambda: len(cluster.state.workers) == 2, "the workers are there")
    many = [Submission(task_id=f"t{n:04d}", spec=spec("ok")) for n in range(6000)]
    for first_of in range(0, len(many), 100):
        await cluster.store.submit(many[first_of : first_of + 100], by="me")
    cluster.start("lead", SCHEDULER, line=Line(far))
    await cluster.until(lambda: cluster.executor.starts("t5999") == 1, "all of it runs", 60)
    assert list(cluster.items("deferred")) == []


async def test_a_wedged_worker_loses_its_queue_and_is_marked_stalled(cluster):
    cluster.start("lead", SCHEDULER)
    line = Line()
    line.rule = only(never, steps={"claim"})
    cluster.start("wedged", WORKER, line=line)
    await cluster.until(lambda: "wedged-w" in cluster.state.workers, "the registration")
    await cluster.client.submit(spec("ok"), task_id="t")
    await cluster.until(lambda: cluster.state.workers["wedged-w"].stalled, "the mark")
    assert [item.get("stalled") for item in cluster.items("recalled", task="t")] == [True]
    for _ in range(50):
        await asyncio.sleep(0.1)
        assert cluster.state.queues["wedged-w"] == [], "a stalled worker gets nothing"
    cluster.start("well", WORKER)
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.worker_id, task.attempt) == ("well-w", 1)


async def test_a_stalled_worker_that_claims_again_gets_work_again(cluster):
    cluster.start("lead", SCHEDULER)
    line = Line()
    line.rule = only(never, steps={"claim"})
    cluster.start("a", WORKER, line=line)
    await cluster.client.submit(spec("ok"), task_id="t")
    await cluster.until(
        lambda: "a-w" in cluster.state.workers and cluster.state.workers["a-w"].stalled, "the mark"
    )
    line.heal()
    task = await cluster.client.wait("t", timeout_s=60)  # the hung claim is given up after 30 s
    assert task.status == TaskStatus.SUCCESS


async def test_the_queue_of_a_killed_worker_moves_elsewhere(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("dies", WORKER, capacity=2)
    for number in range(4):
        await cluster.client.submit(spec("sleep 1"), task_id=f"t{number}")
    await cluster.until(lambda: len(cluster.state.queues["dies-w"]) == 2, "two run, two wait")
    await cluster.kill("dies")
    cluster.start("lives", WORKER)
    for number in range(4):
        task = await cluster.client.wait(f"t{number}", timeout_s=60)
        assert (task.status, task.worker_id) == (TaskStatus.SUCCESS, "lives-w")


async def test_the_queue_of_a_worker_drained_by_an_operator_moves_at_once(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, capacity=1)
    for number in range(2):
        await cluster.client.submit(spec("sleep 60"), task_id=f"t{number}")
    await cluster.until(lambda: len(cluster.state.queues["a-w"]) == 1, "one runs, one waits")
    cluster.start("b", WORKER, capacity=1)
    await cluster.until(lambda: "b-w" in cluster.state.workers, "b is there")
    began_s = cluster.now_s()
    await cluster.client.drain_worker("a-w")
    await cluster.until(lambda: len(cluster.state.running["b-w"]) == 1, "it runs on b")
    assert cluster.now_s() - began_s < 1
    assert len(cluster.state.running["a-w"]) == 1, "what ran there runs on"


async def test_many_old_entries_that_must_wait_do_not_hide_one_that_need_not(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("busy", WORKER, capacity=110, labels={"kind": "busy"})
    for number in range(220):
        await cluster.client.submit(
            spec("sleep 60", required_labels={"kind": "busy"}), task_id=f"b{number:03d}"
        )
    await cluster.until(lambda: len(cluster.state.queues["busy-w"]) == 110, "its queue is full", 30)
    line = Line()
    line.rule = only(never, steps={"claim"})
    cluster.start("wedged", WORKER, labels={"kind": "odd"}, line=line)
    await cluster.until(lambda: "wedged-w" in cluster.state.workers, "it registers")
    await cluster.client.submit(spec("ok", required_labels={"kind": "odd"}), task_id="t")
    await cluster.until(lambda: cluster.items("recalled", task="t"), "the recall", 15)


async def test_a_balancer_that_raises_or_answers_nonsense_is_replaced_by_the_least_loaded(cluster):
    class Broken:
        answers = 0

        def choose(self, task, workers, turn):
            Broken.answers += 1
            match Broken.answers % 3:
                case 0:
                    raise RuntimeError("broken")
                case 1:
                    return "a-w"  # a name is no worker
                case _:
                    return type(workers[0])(id="elsewhere", incarnation="", capacity=1, backlog=1)

    cluster.balancer = Broken()
    cluster.start("a")
    for number in range(9):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    for number in range(9):
        task = await cluster.client.wait(f"t{number}", timeout_s=20)
        assert task.status == TaskStatus.SUCCESS
    assert Broken.answers >= 9
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_a_balancer_that_declines_leaves_the_task_ready(cluster):
    class Declines:
        willing = False

        def choose(self, task, workers, turn):
            return workers[0] if self.willing else None

    cluster.balancer = balancer = Declines()
    cluster.start("a")
    await cluster.client.submit(spec("ok"), task_id="t")
    await asyncio.sleep(5)
    assert cluster.row("t").home == Home.READY
    balancer.willing = True
    assert (await cluster.client.wait("t", timeout_s=20)).status == TaskStatus.SUCCESS


async def test_a_lost_dispatch_reply_dispatches_once(cluster):
    from engine_cluster import lost_reply

    line = Line()
    line.rule = only(first(2, lost_reply), steps={"dispatch"})
    cluster.start("a", line=line)
    await cluster.client.submit(spec("ok"), task_id="t")
    assert (await cluster.client.wait("t", timeout_s=20)).attempt == 1
    assert len(cluster.items("dispatched", task="t")) == 1


async def test_priority_goes_before_time_and_time_before_id(cluster):
    order = []

    async def body(context, task):
        order.append(task.id)

    cluster.executor.bodies["note"] = body
    for task_id, priority in (("c", 5), ("a", 1), ("d", 9), ("b", 5)):
        await cluster.client.submit(spec("note", priority=priority), task_id=task_id)
        await asyncio.sleep(0.01)
    cluster.start("a", capacity=1)
    for task_id in "abcd":
        await cluster.client.wait(task_id, timeout_s=30)
    assert order == ["d", "c", "b", "a"]


async def test_a_task_past_its_start_deadline_is_cancelled_and_never_runs(cluster):
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(spec("ok", start_deadline=seconds(5)), task_id="late")
    await asyncio.sleep(8)
    cluster.start("a", WORKER)
    task = await cluster.client.wait("late", timeout_s=20)
    assert (task.status, task.reason, task.attempt) == (TaskStatus.CANCELLED, "expired", 0)
    assert cluster.executor.starts("late") == 0
