"""What a worker loses, or leaves behind: none of it goes on, is reported, or is given up too
early."""

import asyncio

from engine_cluster import (
    NO_RETRY,
    SCHEDULER,
    WORKER,
    Line,
    only,
    spec,
)

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import HeartbeatAnswer, Held, Registration
from dsched.model import TaskStatus


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
    await asyncio.sleep(cluster.times.drain_timeout_s + 10)
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
