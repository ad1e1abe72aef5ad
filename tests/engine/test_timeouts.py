"""One timer serves the timeouts of all attempts of a worker."""

import asyncio
import logging

import pytest
from engine_cluster import NO_RETRY, seconds, spec

from dsched.contracts import TaskFailed
from dsched.engine.runtime import Runtime
from dsched.engine.worker.log_rate import LINES_A_SECOND, LogRate
from dsched.model import TaskStatus


async def test_each_attempt_is_stopped_at_its_own_timeout(cluster):
    cluster.start("a", capacity=4)
    spans = {"long": 9, "short": 2, "middle": 5}
    for name, span in spans.items():
        await cluster.client.submit(
            spec("sleep 60", timeout=seconds(span), retry=NO_RETRY), task_id=name
        )
    ran = {}
    for name in spans:
        task = await cluster.client.wait(name, timeout_s=30)
        assert (task.status, task.result.code) == (TaskStatus.FAILED, "timeout")
        ran[name] = cluster.items("completed", task=name)[0]["run"] / 1000
    assert ran == pytest.approx(spans, abs=0.3)


async def test_a_timeout_that_comes_after_many_short_tasks_still_rings(cluster):
    cluster.start("a", capacity=4)
    for number in range(20):
        await cluster.client.submit(spec("ok", timeout=seconds(3)), task_id=f"quick-{number}")
    await cluster.client.submit(spec("sleep 60", timeout=seconds(4), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert task.result.code == "timeout"


async def test_a_function_that_makes_the_best_of_its_timeout_is_a_success(cluster):
    async def salvage(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "what there was"

    cluster.executor.bodies["salvage"] = salvage
    cluster.start("a")
    await cluster.client.submit(spec("salvage", timeout=seconds(1), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert (task.status, task.result.data) == (TaskStatus.SUCCESS, "what there was")


async def test_a_function_that_fails_at_its_timeout_fails_in_its_own_words(cluster):
    async def clumsy(context, task):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TaskFailed("could not tidy up", "untidy") from None

    cluster.executor.bodies["clumsy"] = clumsy
    cluster.start("a")
    await cluster.client.submit(spec("clumsy", timeout=seconds(1), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=30)
    assert task.result.code == "untidy"


async def test_an_inner_timeout_of_a_function_is_its_own(cluster):
    async def impatient(context, task):
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(60)
        except TimeoutError:
            return "went on"

    cluster.executor.bodies["impatient"] = impatient
    cluster.start("a")
    await cluster.client.submit(spec("impatient", timeout=seconds(5)), task_id="t")
    assert (await cluster.client.wait("t", timeout_s=30)).result.data == "went on"


def _ration(seconds_read, caplog):
    return LogRate(logging.getLogger("rationed"), "tasks", Runtime(monotonic=seconds_read))


def test_a_ration_lets_so_many_lines_a_second_through_and_says_what_it_kept_back(caplog):
    caplog.set_level(logging.INFO, "rationed")
    now = [100.0]
    ration = _ration(lambda: now[0], caplog)
    allowed = [ration.allows() for _ in range(LINES_A_SECOND + 7)]
    assert allowed == [True] * LINES_A_SECOND + [False] * 7
    assert caplog.records == []
    now[0] = 101.2
    assert ration.allows()
    (record,) = caplog.records
    assert record.getMessage().startswith("7 more lines about tasks were left out")


def test_at_level_debug_nothing_is_kept_back(caplog):
    caplog.set_level(logging.DEBUG, "rationed")
    ration = _ration(lambda: 5.0, caplog)
    assert all(ration.allows() for _ in range(100))


def test_lines_that_nobody_reads_are_not_even_counted(caplog):
    caplog.set_level(logging.WARNING, "rationed")
    assert not _ration(lambda: 5.0, caplog).allows()
