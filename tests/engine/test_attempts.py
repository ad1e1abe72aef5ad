"""What runs on a worker: begun once, stopped for one reason, holding its slot until its end is
being reported."""

import asyncio
from types import SimpleNamespace

import pytest
from engine_cluster import (
    SCHEDULER,
    WORKER,
    Line,
    only,
    spec,
)
from engine_parts import new_runtime

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Claimed, Completion
from dsched.engine.worker.attempts import Attempt, Attempts, StopReason
from dsched.engine.worker.log_reporting import LineReporter
from dsched.engine.worker.reporting import Reporter
from dsched.engine.worker.running import Runner
from dsched.model import Task, TaskResult, TaskStatus
from dsched_testkit.kernel.virtual_time import virtual_runtime


async def _none():
    return None


def _task(task_id="t", body="body"):
    return Task(
        id=task_id,
        status=TaskStatus.RUNNING,
        worker_id="w",
        attempt=1,
        scheduled_ms=0,
        spec=spec(body),
    )


def _attempt(task_id="t", token="w.1.0.1"):
    task = _task(task_id)
    times = {"started_s": 0, "timeout_s": 5, "deadline_s": 10}
    return Attempt(task=task, spec=task.spec, worker_id="w", token=token, epoch=1, **times)


def test_an_end_that_waits_for_the_report_before_it_takes_its_slot():
    attempts = Attempts()
    for number in range(4):
        attempt = _attempt(f"t{number}")
        attempts.add(attempt)
        attempt.ended = number < 3
    assert attempts.slots_taken == 4
    attempts.reporting = 2  # the report under way has two of the three
    assert attempts.slots_taken == 2


class Parts:
    """A runner and what it reports to, without a worker around."""

    def __init__(self, cluster, body):
        self.attempts, runtime = Attempts(), new_runtime()
        lines = LineReporter(cluster.store, runtime)
        self.reporter = Reporter(cluster.store, runtime, "w", self.attempts, lambda: None, lines)
        executors = {"fn": type(cluster.executor)({"body": body})}
        self.runner = Runner("w", executors, runtime, self.attempts, self.reporter)

    def start(self, token="w.1.0.1"):
        claimed = Claimed(outcome=Outcome.OK, tasks=(_task(),), token=token, epoch=1)
        self.runner.start(claimed, asyncio.get_running_loop().time())
        return self.attempts.get("t", token)


async def test_an_attempt_that_is_stopped_before_its_first_step_runs_nothing(cluster):
    ran = []

    async def body(context, task):
        ran.append(task.id)

    parts = Parts(cluster, body)
    async with parts.runner:
        parts.runner.stop(parts.start(), StopReason.LOST)
    assert ran == []
    assert len(parts.attempts) == 0


async def test_the_first_reason_to_stop_stands_and_a_newer_attempt_stops_the_older(cluster):
    async def body(context, task):
        await asyncio.sleep(60)

    parts = Parts(cluster, body)
    async with parts.runner:
        older = parts.start("w.1.0.1")
        await asyncio.sleep(1)
        newer = parts.start("w.1.0.2")
        assert older.stop is StopReason.LOST
        parts.runner.stop(older, StopReason.RELEASE)
        assert older.stop is StopReason.LOST
        parts.runner.stop(newer, StopReason.CANCEL)


async def test_a_worker_that_is_torn_down_cancels_each_attempt_once_and_waits_for_it(cluster):
    cancels = []

    async def stubborn(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancels.append(task.id)
            await asyncio.sleep(5)
            cancels.append("its clean-up went on to its end")
            raise

    parts = Parts(cluster, stubborn)

    async def worker():
        async with parts.runner:
            parts.start()
            await asyncio.sleep(1)
            parts.runner.tear_down()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await worker()
    assert cancels == ["t", "its clean-up went on to its end"]


async def test_waiting_for_attempts_is_cancelled_together_with_them(cluster):
    parts = Parts(cluster, lambda context, task: asyncio.sleep(60))
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2), parts.runner:
            parts.start()
    assert asyncio.get_running_loop().time() - began_s == 2


async def test_what_no_attempt_may_raise_ends_the_worker(cluster, monkeypatch):
    def defective(attempt, completion):
        raise ZeroDivisionError("a defect")

    parts = Parts(cluster, _none)
    monkeypatch.setattr(parts.reporter, "report", defective)
    async with parts.runner:
        parts.start()
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await parts.runner.raise_when_broken()


async def test_a_call_names_a_task_once_and_progress_is_told_of_what_is_listed():
    calls, told = [], []

    async def complete(ends, *, by):
        calls.append([end.token for end in ends])
        return tuple(Outcome.OK for _ in ends)

    async def progress(items):
        told.extend(items)

    store = SimpleNamespace(complete=complete, progress=progress)
    attempts, runtime = Attempts(), new_runtime()
    lines = LineReporter(store, runtime)
    reporter = Reporter(store, runtime, "w", attempts, lambda: None, lines)
    async with asyncio.TaskGroup() as group:
        for token in ("w.1.0.1", "w.1.0.2"):
            attempt = _attempt(token=token)
            attempts.add(attempt)
            attempt.progress, attempt.progress_changed = "half", True
            end = Completion(task_id="t", token=token, success=True, result=TaskResult())
            reporter.report(attempt, end)
        telling = group.create_task(reporter.report_progress())
        await asyncio.sleep(1.5)
        reporting = group.create_task(reporter.run())
        await reporter.settled()
        for each in (telling, reporting):
            each.cancel()
    assert [(item.task_id, item.token) for item in told] == [("t", "w.1.0.2")]
    assert calls == [["w.1.0.1"], ["w.1.0.2"]]


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
