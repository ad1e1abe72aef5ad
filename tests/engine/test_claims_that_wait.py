"""An idle worker's claim waits in the store for its wake-up: what it brings, and how it ends."""

import asyncio

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, first, never, only, spec, unreachable

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Claimed, Submission
from dsched.engine.worker.attempts import Attempt, Attempts
from dsched.engine.worker.claiming import Claimer
from dsched.engine.worker.claims import Claims
from dsched.engine.worker.wakeups import Wakeups
from dsched.model import Task, TaskStatus
from dsched_testkit.kernel.virtual_time import virtual_runtime

IDLE_S = 20


async def _idle(cluster, line=None, **settings):
    """``a`` leads, ``b`` works, and nothing happens for a while."""
    cluster.start("a", SCHEDULER)
    cluster.start("b", WORKER, line=line, **settings)
    await asyncio.sleep(IDLE_S)


async def _submit(cluster, count, name="ok"):
    """Tasks that are dispatched at once, so that there is one wake-up."""
    known = len(cluster.state.tasks)
    ids = [f"t{number}" for number in range(known, known + count)]
    items = [Submission(task_id=one, spec=spec(name)) for one in ids]
    assert set(await cluster.client.submit_many(items)) == {Outcome.OK}
    return ids


async def _all_end(cluster, task_ids):
    await cluster.until(
        lambda: all(cluster.row(one).status is TaskStatus.SUCCESS for one in task_ids), "the end"
    )


async def _cancelled_after_s(cluster, task_id):
    """How long a running task goes on after its cancel was asked for."""
    assert (await cluster.client.cancel(task_id, reason="enough")).outcome is Outcome.REQUESTED
    began_s = cluster.now_s()
    await cluster.client.wait(task_id, timeout_s=20)
    return cluster.now_s() - began_s


async def test_a_worker_whose_claim_waits_leaves_at_once(cluster):
    cluster.use_defaults()
    await _idle(cluster)
    began_s = cluster.now_s()
    await cluster.leave("b")
    assert cluster.now_s() - began_s < 0.2
    assert cluster.state.workers == {}


async def test_a_worker_whose_claim_waits_leaves_a_silent_store_in_seconds(cluster):
    cluster.use_defaults()
    line = Line()
    await _idle(cluster, line)
    line.rule = never
    began_s = cluster.now_s()
    pod, running = cluster.pods.pop("b"), cluster.running.pop("b")
    pod.stop()
    await running
    assert cluster.now_s() - began_s < 6


async def test_what_a_claim_brings_as_its_worker_is_told_to_stop_is_not_lost(cluster):
    cluster.use_defaults()
    claimed, tokens = asyncio.Event(), []

    async def slow(handle, step, proceed):
        answer = await proceed()
        if answer.tasks:
            tokens.append(answer.token)
            claimed.set()
            await asyncio.sleep(0.5 if len(tokens) == 1 else 0)
        return answer

    await _idle(cluster, Line(only(slow, steps={"claim"})))
    await cluster.client.submit(spec("ok"), task_id="t")
    await claimed.wait()
    await cluster.leave("b")
    task = await cluster.client.wait("t", timeout_s=1)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)
    assert (len(tokens), len(set(tokens))) == (2, 1)


async def test_an_old_answer_to_a_claim_that_waited_is_asked_for_again(cluster):
    line, tokens, starts = Line(), [], []

    async def slow(handle, step, proceed):
        answer = await proceed()
        if answer.tasks:
            tokens.append(answer.token)
            starts.append(cluster.executor.starts("t"))
            await asyncio.sleep(0.7 if len(tokens) == 1 else 0)  # of a lease of 1 s
        return answer

    line.rule = only(slow, steps={"claim"})
    await _idle(cluster, line)
    await cluster.client.submit(spec("ok"), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert (len(tokens), len(set(tokens)), starts) == (2, 1, [0, 0])
    assert (task.attempt, task.crash_count) == (1, 0)


async def test_more_than_one_claim_brings_is_claimed_without_another_wakeup(cluster):
    cluster.use_defaults()
    wakeups = 0

    async def rings_once(handle, step, proceed):
        nonlocal wakeups
        wakeups += await proceed()
        if wakeups > 1:
            await asyncio.sleep(1)
        return wakeups == 1

    await _idle(cluster, Line(only(rings_once, steps={"wakeup"})), capacity=40)
    began_s = cluster.now_s()
    await _all_end(cluster, await _submit(cluster, 30))
    assert cluster.now_s() - began_s < 0.2
    assert [len(event.items) for event in cluster.events("claimed")] == [10, 20]


async def test_a_worker_without_room_hears_of_a_cancel(cluster):
    cluster.use_defaults()
    await _idle(cluster, capacity=1)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await asyncio.sleep(0.1)
    assert await _cancelled_after_s(cluster, "t") < 0.3


@pytest.mark.parametrize("capacity", [1, 4])
async def test_a_worker_that_drains_hears_of_a_cancel(cluster, capacity):
    cluster.use_defaults()
    await _idle(cluster, capacity=capacity)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    leaving = asyncio.create_task(cluster.leave("b"))
    await asyncio.sleep(1)
    assert await _cancelled_after_s(cluster, "t") < 0.6
    await leaving


async def test_many_attempts_are_given_back_by_a_worker_that_leaves(cluster):
    cluster.use_defaults()
    await _idle(cluster, capacity=100)
    ids = await _submit(cluster, 90, "sleep 60")
    await cluster.until(lambda: len(cluster.items("claimed")) == 90, "all run")
    await cluster.leave("b")
    assert len(cluster.items("released")) == 90
    assert {cluster.row(one).status for one in ids} == {TaskStatus.PENDING}


async def test_a_wakeup_whose_claim_has_no_answer_is_heard_all_the_same(cluster):
    cluster.use_defaults()
    line = Line()
    await _idle(cluster, line)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    line.rule = only(first(1, unreachable), steps={"claim"})
    assert await _cancelled_after_s(cluster, "t") < 0.6


async def test_a_wakeup_is_heard_while_a_claim_has_no_answer(cluster):
    cluster.use_defaults()
    line = Line()
    await _idle(cluster, line)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    line.rule = only(never, steps={"claim"})
    await asyncio.sleep(6)
    assert await _cancelled_after_s(cluster, "t") < 0.6


def _running(task_id) -> Task:
    return Task(id=task_id, status=TaskStatus.RUNNING, scheduled_ms=0, attempt=1)


class Inexhaustible:
    """A store that always has as much as is asked for, and that wakes its caller after a second."""

    def __init__(self) -> None:
        self.claims = 0

    async def claim(self, worker_id, incarnation, lane, number, limit) -> Claimed:
        self.claims += 1
        await asyncio.sleep(0.005)
        tasks = tuple(_running(f"t{number}-{one}") for one in range(limit))
        return Claimed(outcome=Outcome.OK, tasks=tasks, token=f"{number}", epoch=1)

    async def wakeup(self, who, timeout_s) -> bool:
        await asyncio.sleep(1)
        return True


async def test_a_worker_that_claims_without_a_rest_hears_its_wakeups():
    runtime = virtual_runtime(asyncio.get_running_loop(), 1)
    registration = Registration(
        worker_id="w", incarnation="1-a", capacity=9, backlog=9, heartbeat_timeout_ms=30_000
    )
    store, attempts, beats = Inexhaustible(), Attempts(), asyncio.Event()
    attempts.add(
        Attempt(
            task=_running("long"),
            spec=spec(),
            worker_id="w",
            token="w.1-a.0.0",
            epoch=1,
            started_s=0,
            timeout_s=100,
            deadline_s=100,
        )
    )
    wakeups = Wakeups(store, "w", runtime, running=lambda: len(attempts) > 0, beat_now=beats.set)
    claims = Claims(store, registration, runtime, start=lambda *_: None, woken=wakeups.woken)
    claimer = Claimer(claims, wakeups, attempts, capacity=9)
    loops = [
        asyncio.create_task(loop)
        for loop in (claimer.run(), wakeups.listen(claimer.wake), wakeups.beat_when_woken())
    ]
    async with asyncio.timeout(3):
        await beats.wait()
    assert store.claims > 100
    for loop in loops:
        loop.cancel()
