"""Attempts that outlive their timeout, their cancel or their lease, and what follows them."""

import asyncio

from engine_cluster import (
    NO_RETRY,
    Line,
    only,
    seconds,
    spec,
    unreachable,
)

from dsched.contracts import ThreadOutlived
from dsched.contracts.store.workers import Held
from dsched.model import RetryPolicy, TaskStatus


async def test_an_async_function_is_stopped_at_its_timeout_and_tried_again(cluster):
    cluster.start("a")
    retry = RetryPolicy(max_retries=1, retry_delay=seconds(2), jitter=0)
    await cluster.client.submit(spec("sleep 60", timeout=seconds(3), retry=retry), task_id="t")
    task = await cluster.client.wait("t", timeout_s=60)
    assert (task.status, task.result.code, task.retry_count) == (TaskStatus.FAILED, "timeout", 1)
    assert cluster.executor.starts("t") == 2
    assert [item["run"] for item in cluster.items("completed", task="t")] == [3000, 3000]


async def test_a_function_that_swallows_its_cancellation_is_reported_after_the_grace(cluster):
    told = []
    cluster.observers["log"] = _Observer(told)
    release = asyncio.Event()
    cluster.executor.bodies["stubborn"] = _stubborn(release)
    cluster.start("a")
    await cluster.client.submit(spec("stubborn", timeout=seconds(1), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert (task.status, task.result.code) == (TaskStatus.FAILED, "timeout")
    assert 6000 <= cluster.items("completed", task="t")[0]["run"] <= 7100  # timeout + 5 s grace
    assert [notice.task_id for notice in told if isinstance(notice, ThreadOutlived)] == ["t"]
    assert len(cluster.pods["a"].worker.attempts) == 1, "its slot stays taken"
    release.set()
    await cluster.until(lambda: not len(cluster.pods["a"].worker.attempts), "the slot is free")
    assert cluster.row("t").status == TaskStatus.FAILED, "a late end changes nothing"


async def test_the_retry_of_a_function_that_did_not_stop_runs_on_the_same_worker(cluster):
    release = asyncio.Event()
    cluster.executor.bodies["once stubborn"] = _once_stubborn(release)
    cluster.start("a")
    retry = RetryPolicy(max_retries=1, retry_delay=seconds(1), jitter=0)
    await cluster.client.submit(spec("once stubborn", timeout=seconds(1), retry=retry), task_id="t")
    task = await cluster.client.wait("t", timeout_s=60)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 2, 0)
    assert task.result.data == "second attempt"
    assert cluster.executor.starts("t") == 2
    release.set()


async def test_heartbeats_list_only_the_newest_attempt_at_a_task(cluster):
    release, listed = asyncio.Event(), []
    cluster.executor.bodies["once stubborn"] = _once_stubborn(release, then_s=5)
    cluster.start("a")
    retry = RetryPolicy(max_retries=1, retry_delay=seconds(1), jitter=0)
    await cluster.client.submit(
        spec("once stubborn", timeout=seconds(10), retry=retry), task_id="t"
    )
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the first attempt")
    cluster.row("t").token = "made.over.to.another"  # as a reap and a claim elsewhere would
    await asyncio.sleep(1)
    attempts = cluster.pods["a"].worker.attempts
    listed = attempts.held()
    assert listed == [], "a lost attempt is listed no more, although it has not stopped"
    assert all(isinstance(held, Held) for held in listed)
    cluster.row("t").token = None
    release.set()
    await cluster.until(lambda: not len(attempts), "the lost one stops")


async def test_a_result_that_waits_for_the_store_is_not_turned_into_a_timeout(cluster):
    line = Line()
    cluster.start("a", line=line)
    await cluster.client.submit(spec("sleep 1", timeout=seconds(2), retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    line.rule = only(unreachable, handles={"main"}, steps={"complete"})
    await asyncio.sleep(12)  # past timeout and grace: the heartbeat's own handle gets through
    line.heal()
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.result.data) == (TaskStatus.SUCCESS, "slept")


def _stubborn(release):
    async def body(context, task):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    return body


def _once_stubborn(release, then_s=0.0):
    stubborn = _stubborn(release)

    async def body(context, task):
        if context.attempt == 1:
            return await stubborn(context, task)
        await asyncio.sleep(then_s)
        return "second attempt"

    return body


class _Observer:
    def __init__(self, told):
        self.told = told

    def notify(self, notice):
        self.told.append(notice)


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
