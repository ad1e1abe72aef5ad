"""A worker's ordinary life: slots, cancels, crashes, retries, releases, drain."""

import asyncio
import itertools
from datetime import timedelta

import attrs
import pytest
from engine_cluster import NO_RETRY, SCHEDULER, WORKER, seconds, spec

from dsched.contracts import TaskFailed
from dsched.contracts.store.outcomes import Outcome
from dsched.model import OnCrash, RetryPolicy, TaskStatus, from_ms
from dsched_testkit.checker import History


async def test_a_worker_never_runs_more_than_its_capacity(cluster):
    now = most = 0

    async def body(context, task):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.3)
        now -= 1

    cluster.executor.bodies["count"] = body
    cluster.start("a", capacity=3)
    for number in range(30):
        await cluster.client.submit(spec("count"), task_id=f"t{number}")
    for number in range(30):
        await cluster.client.wait(f"t{number}", timeout_s=30)
    assert most == 3


async def test_tasks_are_claimed_in_batches(cluster):
    cluster.start("lead", SCHEDULER)
    for number in range(60):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    cluster.start("a", WORKER, capacity=30)
    for number in range(60):
        await cluster.client.wait(f"t{number}", timeout_s=30)
    assert max(len(event.items) for event in cluster.events("claimed")) >= 10
    assert len(cluster.events("claimed")) <= 20


async def test_cancelling_a_waiting_task_ends_it_at_once_and_it_never_runs(cluster):
    cluster.start("a", capacity=1)
    await cluster.client.submit(spec("sleep 60"), task_id="runs")
    await cluster.until(lambda: cluster.executor.starts("runs") == 1, "the slot is taken")
    await cluster.client.submit(spec("ok"), task_id="queued")
    await cluster.client.submit(spec("ok"), task_id="delayed", delay_s=30)
    for task_id in ("queued", "delayed"):
        answer = await cluster.client.cancel(task_id)
        assert (answer.outcome, answer.status) == (Outcome.OK, TaskStatus.CANCELLED)
    await asyncio.sleep(90)
    assert cluster.executor.starts("queued") == cluster.executor.starts("delayed") == 0


async def test_cancelling_a_running_task_stops_it_within_a_second(cluster):
    cluster.use_defaults()  # beats every 10 s: the wake-up must bring the news
    cluster.start("a")
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    answer = await cluster.client.cancel("t", reason="enough")
    assert answer.outcome == Outcome.REQUESTED
    began_s = cluster.now_s()
    task = await cluster.client.wait("t", timeout_s=20)
    assert cluster.now_s() - began_s < 1
    assert (task.status, task.reason) == (TaskStatus.CANCELLED, "enough")
    assert (await cluster.client.cancel("t")).outcome == Outcome.ALREADY


async def test_a_killed_workers_task_runs_elsewhere_and_counts_a_crash(cluster):
    cluster.use_defaults()
    cluster.start("lead", SCHEDULER)
    cluster.start("dies", WORKER)
    await cluster.client.submit(spec("sleep 1"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await cluster.kill("dies")
    killed_s = cluster.now_s()
    cluster.start("lives", WORKER)
    await cluster.until(lambda: cluster.executor.starts("t") == 2, "the second attempt", 60)
    assert cluster.now_s() - killed_s <= 33
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.attempt, task.crash_count, task.retry_count) == (2, 1, 0)


async def test_a_worker_that_was_cut_off_and_came_back_did_not_die(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("w", WORKER)
    retry = RetryPolicy(retry_delay=seconds(1), backoff_rate=1)
    await cluster.client.submit(spec("sleep 60", max_crashes=1, retry=retry), task_id="t")
    for number in range(1, 5):
        await cluster.until(lambda n=number: cluster.executor.starts("t") == n, "a start", 60)
        cluster.lines["w"].cut()
        await cluster.until(lambda n=number: cluster.row("t").crash_count == n, "a crash", 60)
        cluster.lines["w"].heal()
    await cluster.until(lambda: cluster.executor.starts("t") == 5, "it runs once more", 60)
    task = await cluster.client.get("t")
    assert (task.status, task.crash_count) == (TaskStatus.RUNNING, 4)
    assert "3 of 4 that did so were cut off, and came back" in task.error


async def test_a_task_that_kills_every_worker_ends_as_poison_after_max_crashes(cluster):
    cluster.start("lead", SCHEDULER)
    await cluster.client.submit(
        spec("sleep 60", max_crashes=3, retry=RetryPolicy(retry_delay=seconds(1))), task_id="t"
    )
    for number in range(1, 5):
        cluster.start(f"w{number}", WORKER)
        await cluster.until(lambda n=number: cluster.executor.starts("t") == n, "a start", 60)
        await cluster.kill(f"w{number}")
    await cluster.until(lambda: cluster.row("t").status.terminal, "the end", 60)
    task = await cluster.client.get("t")
    assert (task.status, task.reason, task.crash_count) == (TaskStatus.FAILED, "poison", 4)
    delays = [item.get("delay") for item in cluster.items("reaped", task="t")]
    assert delays[0] is None, "the first crash runs again at once"
    assert 1000 <= delays[1] <= 1250
    assert 2000 <= delays[2] <= 2500


async def test_a_task_that_must_not_run_twice_fails_at_its_first_crash(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("dies", WORKER)
    await cluster.client.submit(
        spec("sleep 60", on_crash=OnCrash.FAIL, retry=NO_RETRY), task_id="t"
    )
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await cluster.kill("dies")
    cluster.start("lives", WORKER)
    await cluster.until(lambda: cluster.row("t").status.terminal, "the end", 60)
    task = await cluster.client.get("t")
    assert (task.status, task.reason) == (TaskStatus.FAILED, "crashed")
    assert cluster.executor.starts("t") == 1


async def test_a_task_that_must_not_run_twice_fails_when_it_is_released(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER)
    await cluster.client.submit(
        spec("sleep 60", on_crash=OnCrash.FAIL, retry=NO_RETRY), task_id="t"
    )
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await cluster.stop("a")
    task = await cluster.client.get("t")
    assert (task.status, task.reason) == (TaskStatus.FAILED, "released")


async def test_a_drain_lets_what_runs_finish_and_hands_back_the_queue(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, capacity=1)
    await cluster.client.submit(spec("sleep 1"), task_id="runs")
    await cluster.client.submit(spec("ok"), task_id="waits")
    await cluster.until(lambda: cluster.state.queues["a-w"] == ["waits"], "one runs, one waits")
    pod = cluster.pods["a"]
    pod.stop()
    assert not pod.status().ready
    await cluster.until(lambda: cluster.row("waits").worker_id is None, "it is handed back", 0.5)
    await cluster.leave("a")
    assert cluster.row("runs").status == TaskStatus.SUCCESS
    assert "a-w" not in cluster.state.workers
    cluster.start("b", WORKER)
    assert (await cluster.client.wait("waits", timeout_s=20)).worker_id == "b-w"


async def test_what_does_not_finish_within_the_drain_timeout_is_released_without_a_crash(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    began_s = cluster.now_s()
    await cluster.leave("a")
    assert (
        cluster.times.drain_timeout_s
        <= cluster.now_s() - began_s
        < cluster.times.drain_timeout_s + 1
    )
    task = await cluster.client.get("t")
    assert (task.status, task.crash_count) == (TaskStatus.PENDING, 0)
    assert [item["reason"] for item in cluster.items("released", task="t")] == ["released"]


async def test_a_hurried_drain_waits_for_nothing(cluster):
    cluster.times = attrs.evolve(cluster.times, drain_timeout_s=1000)
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    cluster.pods["a"].stop()
    await asyncio.sleep(2)
    began_s = cluster.now_s()
    await cluster.stop("a")
    assert cluster.now_s() - began_s < 0.5
    assert cluster.row("t").crash_count == 0


async def test_a_hurried_drain_does_not_wait_for_a_store_that_is_silent(cluster):
    cluster.times = attrs.evolve(cluster.times, drain_timeout_s=1000)
    cluster.start("a")
    await cluster.until(lambda: "a-w" in cluster.state.workers, "the registration")
    cluster.lines["a"].cut()
    await asyncio.sleep(3)
    began_s = cluster.now_s()
    pod, running = cluster.pods.pop("a"), cluster.running.pop("a")
    pod.hurry()
    await running
    assert cluster.now_s() - began_s < 15


@pytest.mark.parametrize("seed", range(3))
async def test_retries_come_never_earlier_than_asked(cluster, seed):
    cluster.start(f"pod{seed}")
    retry = RetryPolicy(max_retries=5, retry_delay=seconds(2), max_delay=seconds(20))
    await cluster.client.submit(spec("fail", retry=retry), task_id="t")
    task = await cluster.client.wait("t", timeout_s=200)
    assert (task.status, task.retry_count, task.reason) == (
        TaskStatus.FAILED,
        5,
        "retries exhausted",
    )
    starts = [event.at_ms for event in cluster.events("claimed")]
    waits = [after - before for before, after in itertools.pairwise(starts)]
    asked = [2000, 4000, 8000, 16000, 20000]
    assert all(a <= w <= 1.25 * a + 50 for a, w in zip(asked, waits, strict=True)), waits


async def test_retry_after_is_honoured_within_the_policys_longest_delay(cluster):
    async def body(context, task):
        raise TaskFailed("later", "503", retry_after=5.0 if context.attempt == 1 else 1e9)

    cluster.executor.bodies["later"] = body
    cluster.start("a")
    retry = RetryPolicy(max_retries=2, retry_delay=seconds(1), max_delay=seconds(30))
    await cluster.client.submit(spec("later", retry=retry), task_id="t")
    await cluster.client.wait("t", timeout_s=200)
    delays = [item.get("delay") for item in cluster.items("completed", task="t")]
    assert delays == [5000, 30_000, None]


async def test_a_failure_that_is_not_retryable_ends_the_task(cluster):
    async def body(context, task):
        raise TaskFailed("no such thing", "404", retryable=False, data={"seen": 1})

    cluster.executor.bodies["gone"] = body
    cluster.start("a")
    await cluster.client.submit(spec("gone"), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.attempt, task.reason) == (TaskStatus.FAILED, 1, "not retryable")
    assert (task.result.code, task.result.data) == ("404", {"seen": 1})


async def test_an_unknown_executor_is_a_failure_that_names_those_there_are(cluster):
    cluster.start("a")
    from dsched.model import TaskSpec

    await cluster.client.submit(TaskSpec(executor="nope!", retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.result.code) == (TaskStatus.FAILED, "no_executor")
    assert "'nope!'" in task.error
    assert "fn" in task.error


async def test_an_attempt_knows_its_facts(cluster):
    seen = []

    async def body(context, task):
        seen.append((context, context.remaining(), context.deadline))
        if context.attempt == 1:
            raise RuntimeError("again")

    cluster.executor.bodies["facts"] = body
    cluster.start("a")
    retry = RetryPolicy(retry_delay=timedelta(0))
    await cluster.client.submit(spec("facts", timeout=seconds(7), retry=retry), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert [context.attempt for context, _, _ in seen] == [1, 2]
    context, remaining, deadline = seen[1]
    assert (context.idempotency_key, context.worker_id) == ("t", "a-w")
    assert context.epoch == cluster.state.epoch
    assert deadline == from_ms(task.start_ms) + seconds(7)
    assert 6.9 < remaining <= 7
    assert context.logger.extra == {"task_id": "t", "attempt": 2, "worker_id": "a-w"}


async def test_a_worker_that_scales_in_while_running_loses_nothing(cluster):
    cluster.start("lead", SCHEDULER)
    for name in ("w1", "w2", "w3"):
        cluster.start(name, WORKER)
    ids = [f"t{number}" for number in range(60)]
    for task_id in ids:
        await cluster.client.submit(spec("sleep 1"), task_id=task_id)
    await asyncio.sleep(1.5)
    await cluster.leave("w1")
    await cluster.kill("w2")
    for task_id in ids:
        assert (await cluster.client.wait(task_id, timeout_s=60)).status == TaskStatus.SUCCESS
    history = History(cluster.state)
    assert history.problems() + history.lost(ids) == []
