"""Guards of the worker that hide behind others: each is looked at by itself.

The mutants of `tests/mutants` take them away one by one; without these tests some would live on.
"""

import asyncio

from engine_cluster import (
    NO_RETRY,
    SCHEDULER,
    WORKER,
    Line,
    only,
    seconds,
    spec,
)

from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration
from dsched.contracts.store.working import Claimed
from dsched.engine.worker.attempts import Attempt, Attempts
from dsched.engine.worker.log_reporting import LineReporter
from dsched.engine.worker.reporting import Reporter
from dsched.engine.worker.running import Runner
from dsched.model import Task, TaskStatus
from dsched_testkit.virtual_time import virtual_runtime


async def _waits(handle, step, proceed):
    await asyncio.sleep(30)
    return await proceed()


async def test_a_superseded_claim_ends_the_older_process_by_itself(cluster):
    cluster.start("lead", SCHEDULER)
    line = Line()
    cluster.start("old", WORKER, worker_id="same", line=line)
    await cluster.until(lambda: "same" in cluster.state.workers, "the registration")
    line.rule = only(_well, steps={"heartbeat"})
    await _take_over(cluster, "same")
    await cluster.until(lambda: "old" in cluster.failures, "the end of the older one", 5)


async def test_a_superseded_beat_ends_the_older_process_by_itself(cluster):
    cluster.start("lead", SCHEDULER)
    line = Line()
    cluster.start("old", WORKER, worker_id="same", line=line)
    await cluster.until(lambda: "same" in cluster.state.workers, "the registration")
    line.rule = only(_waits, steps={"claim"})
    await _take_over(cluster, "same")
    await cluster.until(lambda: "old" in cluster.failures, "the end of the older one", 5)


async def _well(handle, step, proceed):
    """A beat's answer from before the takeover."""
    return HeartbeatAnswer(outcome=Outcome.OK)


async def _take_over(cluster, worker_id):
    row = cluster.state.workers[worker_id]
    newer = Registration(
        worker_id=worker_id,
        incarnation=f"9{row.incarnation}",
        capacity=1,
        backlog=1,
        heartbeat_timeout_ms=60_000,
    )
    assert await cluster.store.register(newer) is Outcome.OK


async def test_a_lost_attempt_is_stopped_and_reports_nothing(cluster):
    cluster.start("a")
    stopped = []

    async def body(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(cluster.now_s())
            raise

    cluster.executor.bodies["watch"] = body
    reports = []
    cluster.lines["a"].rule = only(_noted(reports), steps={"complete", "release"})
    await cluster.client.submit(spec("watch", retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    cluster.row("t").token = "another worker's"
    await cluster.until(lambda: stopped, "the stop", 3)
    await cluster.until(lambda: not len(cluster.pods["a"].worker.attempts), "the free slot")
    assert reports == []
    await cluster.store.heartbeat("a-w", "none", [Held("t", "another worker's")])
    await cluster.client.cancel("t")


def _noted(reports):
    async def rule(handle, step, proceed):
        reports.append(step)
        return await proceed()

    return rule


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


async def test_an_answer_about_what_runs_already_starts_nothing(cluster):
    """As a repeat of a claim does whose first answer came after all."""
    started, attempts = [], Attempts()
    runtime = virtual_runtime(asyncio.get_running_loop(), 1)
    lines = LineReporter(cluster.store, runtime)
    reporter = Reporter(cluster.store, runtime, "w", attempts, lambda: None, lines)

    async def body(context, task):
        started.append(task.id)

    executors = {"fn": type(cluster.executor)({"body": body})}
    task = Task(
        id="t",
        status=TaskStatus.RUNNING,
        worker_id="w",
        attempt=1,
        scheduled_ms=0,
        spec=spec("body"),
    )
    claimed = Claimed(outcome=Outcome.OK, tasks=(task,), token="w.1.0.1", epoch=1)
    async with Runner("w", executors, runtime, attempts, reporter) as runner:
        runner.start(claimed, runtime.monotonic())
        runner.start(claimed, runtime.monotonic())
    assert started == ["t"]
    assert len(attempts) == 1


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


def test_only_the_newest_attempt_at_a_task_is_listed():
    attempts = Attempts()
    for token in ("older", "newer"):
        snapshot = spec("ok")
        task = Task(id="t", status=TaskStatus.RUNNING, attempt=1, scheduled_ms=0, spec=snapshot)
        attempts.add(
            Attempt(
                task=task,
                spec=snapshot,
                worker_id="w",
                token=token,
                epoch=1,
                started_s=0,
                timeout_s=5,
                deadline_s=10,
            )
        )
    assert attempts.held() == [Held("t", "newer")]
    assert len(attempts) == 2, "both hold a slot"


async def test_an_attempt_may_take_its_grace_to_stop_after_its_timeout(cluster):
    cluster.start("a")

    async def body(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(3)  # tidies up, within the grace of 5 s
            raise

    cluster.executor.bodies["tidy"] = body
    began_s = cluster.now_s()
    await cluster.client.submit(spec("tidy", timeout=seconds(1), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert task.reason == "timeout"
    assert cluster.now_s() - began_s >= 4


def _stubborn(cluster, seconds_more):
    """A function that goes on for so long after it was told to stop."""

    async def body(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(seconds_more)

    cluster.executor.bodies["stubborn"] = body


async def test_what_is_lost_is_listed_no_more_although_it_has_not_stopped(cluster):
    cluster.start("a")
    _stubborn(cluster, 5)
    await cluster.client.submit(spec("stubborn", retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    attempts = cluster.pods["a"].worker.attempts
    token, cluster.row("t").token = cluster.row("t").token, "another worker's"
    await cluster.until(lambda: attempts.get("t", token).stop is not None, "it is told", 3)
    assert (attempts.held(), len(attempts)) == ([], 1)
    await cluster.store.heartbeat("a-w", "none", [Held("t", "another worker's")])
    await cluster.client.cancel("t")


async def test_a_worker_on_which_something_still_runs_stays_registered(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("b", WORKER)
    _stubborn(cluster, 20)
    await cluster.client.submit(spec("stubborn", retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    leaving = asyncio.create_task(cluster.leave("b"))
    await asyncio.sleep(cluster.drain_timeout_s + 10)
    assert "b-w" in cluster.state.workers
    await cluster.client.cancel("t")
    await leaving


async def test_a_drain_waits_for_the_claim_in_flight(cluster):
    claimed = asyncio.Event()

    async def slow(handle, step, proceed):
        answer = await proceed()
        if answer.tasks:
            claimed.set()
            await asyncio.sleep(0.4)
        return answer

    cluster.start("lead", SCHEDULER)
    cluster.start("b", WORKER, line=Line(only(slow, steps={"claim"})))
    await cluster.client.submit(spec("ok"), task_id="t")
    await claimed.wait()
    await cluster.leave("b")
    task = await cluster.client.wait("t", timeout_s=1)
    assert (task.status, task.crash_count) == (TaskStatus.SUCCESS, 0)


async def test_a_slot_is_free_while_the_end_that_left_it_is_being_reported(cluster):
    running, most = 0, 0
    line, answer = Line(), asyncio.Event()

    async def work(context, task):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1

    async def slow(handle, step, proceed):
        await answer.wait()
        return await proceed()

    cluster.executor.bodies["work"] = work
    line.rule = only(slow, steps={"complete"})
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, line=line, capacity=2)
    for number in range(10):
        await cluster.client.submit(spec("work"), task_id=f"t{number}")
    # The first two are being reported, and the next two wait for that. No more is dispatched then.
    await asyncio.sleep(10)
    assert sum(cluster.executor.starts(f"t{number}") for number in range(10)) == 4
    answer.set()
    for number in range(10):
        await cluster.client.wait(f"t{number}", timeout_s=20)
    assert most == 2
