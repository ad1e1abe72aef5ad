"""What a worker does when its calls or its beats get no answer, or the wrong one."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import (
    NO_RETRY,
    SCHEDULER,
    WORKER,
    Line,
    first,
    lost_reply,
    never,
    only,
    seconds,
    spec,
    unreachable,
)

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import HeartbeatAnswer, Registration
from dsched.engine.observers import Announcer
from dsched.engine.worker.attempts import Attempt, Attempts
from dsched.engine.worker.claims import SupersededError
from dsched.engine.worker.heartbeat import Heartbeat, HeartbeatTimes, Verdicts
from dsched.model import Task, TaskStatus
from dsched_testkit.kernel.virtual_time import virtual_runtime


@pytest.mark.parametrize("rule", [unreachable, never], ids=["unreachable", "silent"])
async def test_a_worker_that_cannot_beat_stops_its_work_before_its_leases_end(cluster, rule):
    cluster.use_defaults()
    stopped = []
    cluster.executor.bodies["watch"] = _watching(stopped, cluster)
    cluster.start("lead", SCHEDULER)
    line = Line()
    cluster.start("a", WORKER, line=line)
    await cluster.client.submit(spec("watch", timeout=seconds(600)), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start", 60)
    line.rule = only(rule, handles={"heartbeat"})
    cut_s = cluster.now_s()
    await cluster.until(lambda: stopped, "the stop", 60)
    assert stopped[0] - cut_s < cluster.times.heartbeat.timeout_s
    assert cluster.row("t").crash_count == 0
    assert [item["reason"] for item in cluster.items("released", task="t")] == ["released"]


@pytest.mark.parametrize("rule", [unreachable, never], ids=["unreachable", "silent"])
async def test_a_worker_that_cannot_beat_claims_nothing_until_it_can(cluster, rule):
    cluster.use_defaults()
    cluster.start("lead", SCHEDULER)
    line = Line()
    cluster.start("a", WORKER, line=line)
    await cluster.until(lambda: cluster.state.workers, "the registration")
    line.rule = only(rule, handles={"heartbeat"})
    await asyncio.sleep(25)  # past the point where it stops its own, not yet gone
    await cluster.client.submit(spec("ok"), task_id="t")
    await asyncio.sleep(120)
    assert cluster.executor.starts("t") == 0
    line.heal()
    task = await cluster.client.wait("t", timeout_s=60)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)


async def test_lost_claim_replies_hand_out_the_same_tasks_and_lose_none(cluster):
    line = Line()
    line.rule = only(first(3, lost_reply), steps={"claim"})
    cluster.start("lead", SCHEDULER)
    for number in range(6):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    cluster.start("a", WORKER, capacity=6, line=line)
    for number in range(6):
        task = await cluster.client.wait(f"t{number}", timeout_s=30)
        assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)
        assert cluster.executor.starts(task.id) == 1


async def test_lost_complete_replies_end_a_task_once(cluster):
    line = Line()
    line.rule = only(first(3, lost_reply), steps={"complete"})
    cluster.start("a", line=line)
    await cluster.client.submit(spec("ok"), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert task.status == TaskStatus.SUCCESS
    await cluster.until(lambda: not len(cluster.pods["a"].worker.attempts), "the slot is free")
    assert len(cluster.items("completed", task="t")) == 1
    assert cluster.executor.starts("t") == 1


async def test_a_report_that_is_never_answered_is_sent_again(cluster):
    line = Line()
    line.rule = only(first(1, never), steps={"complete"})
    cluster.start("a", line=line)
    await cluster.client.submit(spec("ok"), task_id="t")
    task = await cluster.client.wait("t", timeout_s=60)
    assert (task.status, cluster.executor.starts("t")) == (TaskStatus.SUCCESS, 1)


async def test_a_claim_whose_answer_is_old_is_asked_again_before_anything_starts(cluster):
    cluster.use_defaults()
    line = Line()

    async def slow(handle, step, proceed):
        answer = await proceed()
        await asyncio.sleep(20)  # of a lease of 30 s
        return answer

    line.rule = only(first(1, slow), steps={"claim"})
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(spec("ok"), task_id="t")
    await cluster.until(lambda: cluster.state.ready or cluster.state.delayed, "it waits")
    cluster.start("a", WORKER, line=line)
    task = await cluster.client.wait("t", timeout_s=90)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)


async def test_a_worker_that_the_store_has_forgotten_registers_again(cluster):
    cluster.start("a")
    await cluster.until(lambda: "a-w" in cluster.state.workers, "the registration")
    del cluster.state.workers["a-w"]
    await cluster.until(lambda: "a-w" in cluster.state.workers, "the next one")
    await cluster.client.submit(spec("ok"), task_id="t")
    assert (await cluster.client.wait("t", timeout_s=20)).status == TaskStatus.SUCCESS


async def test_a_worker_that_leaves_does_not_register_again(cluster):
    cluster.times = attrs.evolve(cluster.times, drain_timeout_s=30)
    cluster.start("lead", SCHEDULER)
    pod = cluster.start("a", WORKER)
    await cluster.client.submit(spec("sleep 60", retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    pod.stop()
    await cluster.until(lambda: cluster.state.workers["a-w"].draining, "the drain")
    del cluster.state.workers["a-w"]  # an operator, or a store that lost it
    await asyncio.sleep(10)
    assert "a-w" not in cluster.state.workers
    assert cluster.row("t").status == TaskStatus.RUNNING, "its lease is renewed all the same"
    await cluster.leave("a")
    assert "a-w" not in cluster.state.workers


async def test_the_older_of_two_processes_with_one_id_stops_with_an_error(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("old", WORKER, worker_id="same")
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    cluster.start("new", WORKER, worker_id="same")
    await cluster.until(lambda: "old" in cluster.failures, "the older one stops")
    found = cluster.failures["old"]
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, SupersededError)
    cluster.pods.pop("old")
    await cluster.until(lambda: cluster.executor.starts("t") == 2, "it runs on the newer one")
    assert cluster.state.workers["same"].incarnation > ""


async def test_a_process_that_restarts_with_its_id_gets_its_tasks_back_at_once(cluster):
    cluster.use_defaults()
    cluster.start("lead", SCHEDULER)
    cluster.start("one", WORKER, worker_id="same")
    await cluster.client.submit(spec("sleep 1"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await asyncio.sleep(0.5)
    await cluster.kill("one")
    killed_s = cluster.now_s()
    await asyncio.sleep(13)  # the leader has had unbroken answers for long enough to reap
    again_s = cluster.now_s()
    cluster.start("two", WORKER, worker_id="same")
    await cluster.until(lambda: cluster.executor.starts("t") == 2, "the second attempt", 60)
    assert cluster.now_s() - again_s < 3, "no lease of 30 s is waited for"
    assert cluster.now_s() - killed_s < 30
    assert cluster.row("t").crash_count == 1


async def test_an_older_incarnation_cannot_register_over_a_live_newer_one(cluster):
    cluster.start("new", worker_id="same")
    await cluster.until(lambda: "same" in cluster.state.workers, "the registration")
    old = Registration(
        worker_id="same",
        incarnation="0000000000000-old",
        capacity=1,
        backlog=1,
        heartbeat_timeout_ms=1000,
    )
    assert await cluster.store.register(old) == Outcome.SUPERSEDED


async def test_three_wakes_close_together_are_each_heard_at_once(cluster):
    cluster.start("a", capacity=8)
    await cluster.client.submit(spec("sleep 60"), task_id="long")
    await cluster.until(lambda: cluster.executor.starts("long") == 1, "the long one runs")
    delays = []
    for number in range(4):
        began_s = cluster.now_s()
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
        await cluster.until(lambda n=number: cluster.row(f"t{n}").attempt == 1, "the claim")
        delays.append(cluster.now_s() - began_s)
    assert max(delays) < 0.1, delays


async def test_a_worker_told_to_stop_before_the_store_answers_just_leaves(cluster):
    line = Line()
    line.cut()
    pod = cluster.start("a", WORKER, line=line)
    await asyncio.sleep(5)
    pod.stop()
    async with asyncio.timeout(10):
        await cluster.running["a"]
    cluster.pods.pop("a")
    assert cluster.failures == {}


async def test_progress_reaches_the_store_even_when_one_call_is_lost(cluster):
    async def body(context, task):
        context.progress(1, 3, "begun")
        await asyncio.sleep(30)

    cluster.executor.bodies["tells"] = body
    line = Line()
    line.rule = only(first(2, unreachable), steps={"progress"})
    cluster.start("a", line=line)
    await cluster.client.submit(spec("tells"), task_id="t")
    await cluster.until(lambda: cluster.row("t").progress is not None, "the progress")
    assert cluster.row("t").progress == {"done": 1, "total": 3, "note": "begun"}


def _watching(stopped, cluster):
    async def body(context, task):
        try:
            await asyncio.sleep(500)
        finally:
            stopped.append(cluster.now_s())

    return body


@pytest.mark.parametrize(("capacity", "most"), [(40, 20), (8, 8)])
async def test_a_claim_takes_half_of_many_slots_and_all_of_few(cluster, capacity, most):
    cluster.start("a", capacity=capacity)
    ids = [f"t{number}" for number in range(100)]
    for task_id in ids:
        await cluster.client.submit(spec("sleep 1"), task_id=task_id)
    for task_id in ids:
        await cluster.client.wait(task_id, timeout_s=60)
    claims = [len(event.items) for event in cluster.events("claimed")]
    assert max(claims) == most
    assert sum(claims) == len(ids)


async def test_a_task_whose_claim_is_repeated_starts_once(cluster):
    line = Line()
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, capacity=3, line=line)
    await cluster.until(lambda: cluster.state.workers, "the registration")
    claims = 0

    async def late_then_lost(handle, step, proceed):
        # The answer is slow (so it is asked for again), and meanwhile the same claim is answered.
        nonlocal claims
        answer = await proceed()
        if answer.tasks:
            claims += 1
            if claims == 1:
                raise StoreUnavailableError("lost", maybe_applied=True)
        return answer

    line.rule = only(late_then_lost, steps={"claim"})
    await cluster.client.submit(spec("sleep 1"), task_id="t")
    assert (await cluster.client.wait("t", timeout_s=20)).attempt == 1
    assert claims == 2
    assert cluster.executor.starts("t") == 1


async def test_an_old_answer_to_a_claim_starts_nothing_before_it_is_asked_for_again(cluster):
    cluster.use_defaults()
    line, numbers, starts = Line(), [], []
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(spec("ok"), task_id="t")
    await cluster.until(lambda: cluster.state.ready or cluster.state.delayed, "it waits")

    async def slow(handle, step, proceed):
        answer = await proceed()
        if answer.tasks:
            numbers.append(answer.token)
            starts.append(cluster.executor.starts("t"))
            await asyncio.sleep(20 if len(numbers) == 1 else 0)  # of a lease of 30 s
        return answer

    line.rule = only(slow, steps={"claim"})
    cluster.start("a", WORKER, line=line)
    await cluster.client.wait("t", timeout_s=90)
    assert (len(numbers), len(set(numbers)), starts) == (2, 1, [0, 0])


async def test_what_runs_for_several_leases_is_renewed(cluster):
    cluster.start("a")
    cluster.executor.bodies["long"] = lambda context, task: asyncio.sleep(6)
    await cluster.client.submit(spec("long", retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)


def _running(number):
    """An attempt that has all the time it wants."""
    task = Task(
        id=f"t{number}",
        status=TaskStatus.RUNNING,
        worker_id="w",
        attempt=1,
        scheduled_ms=0,
        spec=spec("ok"),
    )
    return Attempt(
        task=task,
        spec=task.spec,
        worker_id="w",
        token="w.1.0.1",
        epoch=1,
        started_s=0,
        timeout_s=1e6,
        deadline_s=1e6,
    )


@asynccontextmanager
async def _beating(attempts, heartbeat):
    """A heartbeat that begins in 10 s, and when it told its worker to stop what runs."""
    worker = Registration(
        worker_id="w", incarnation="1", capacity=300, backlog=0, heartbeat_timeout_ms=30_000
    )
    loop, stops = asyncio.get_running_loop(), []
    verdicts = Verdicts(
        lost=pytest.fail,
        cancel=pytest.fail,
        superseded=pytest.fail,
        resized=pytest.fail,
        draining=pytest.fail,
        fence_off=lambda: stops.append(loop.time()),
    )
    beat = Heartbeat(
        worker,
        attempts,
        virtual_runtime(loop, 1),
        Announcer({}),
        HeartbeatTimes(interval_s=10.0, timeout_s=30.0),
        verdicts,
        lambda verdict: verdict(),
    )

    @asynccontextmanager
    async def opened():
        yield SimpleNamespace(heartbeat=heartbeat)

    running = asyncio.create_task(beat.run(opened))
    yield stops
    running.cancel()
    await asyncio.wait({running})


async def test_a_beat_lists_all_that_runs_and_counts_from_its_beginning():
    """It takes six seconds; the next one gets no answer, and the silence began with the first."""
    attempts, listed = Attempts(), []
    for number in range(2 * MAX_BATCH + 1):
        attempts.add(_running(number))

    async def heartbeat(worker_id, incarnation, held):
        if len(listed) == len(attempts):
            await asyncio.Event().wait()
        listed.extend(held)
        await asyncio.sleep(2)
        return HeartbeatAnswer(outcome=Outcome.OK)

    began_s = asyncio.get_running_loop().time()
    async with _beating(attempts, heartbeat) as stops:
        await asyncio.sleep(60)
    assert listed == attempts.held()
    assert stops[0] - began_s == pytest.approx(10 + 24)
