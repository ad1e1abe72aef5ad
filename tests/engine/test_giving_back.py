"""A drain that gives back what runs: others begin it again, but what must not be begun twice."""

import asyncio
from datetime import timedelta

import pytest
from engine_cluster import NO_RETRY, SCHEDULER, WORKER, Line, only, spec, unreachable

from dsched.model import OnCrash


async def _registered(cluster, name):
    await cluster.until(lambda: cluster.pods[name].worker.registered.is_set(), "it is registered")


async def _two_run(cluster):
    """A worker that runs a task that may be begun again, and one that must not."""
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    await cluster.client.submit(spec("sleep 60"), task_id="again")
    await cluster.client.submit(spec("sleep 60", on_crash=OnCrash.FAIL), task_id="once")
    await cluster.until(lambda: len(cluster.executor.started) == 2, "both run")


async def _beats(cluster):
    beat_ms = cluster.state.workers["w"].last_beat_ms
    await cluster.until(lambda: cluster.state.workers["w"].last_beat_ms > beat_ms, "it beats")


def _worker_of(cluster, task_id):
    return cluster.row(task_id).worker_id


async def test_others_begin_what_a_drained_worker_gives_back_and_no_retry_is_spent(cluster):
    await _two_run(cluster)
    cluster.start("b", WORKER, worker_id="other")
    await _registered(cluster, "b")
    await cluster.client.drain_worker("w", give_back=True)
    await cluster.until(lambda: _worker_of(cluster, "again") == "other", "another one runs it")
    row = cluster.row("again")
    assert (row.attempt, row.retry_count, row.crash_count) == (2, 0, 0)
    assert (_worker_of(cluster, "once"), cluster.row("once").status) == ("w", "running")
    await cluster.until(lambda: cluster.row("once").status == "success", "it runs to its end", 70)
    assert cluster.executor.starts("once") == 1


async def test_a_plain_drain_lets_everything_run_on_until_it_is_asked_to_give_back(cluster):
    await _two_run(cluster)
    await cluster.client.drain_worker("w")
    await cluster.until(lambda: cluster.state.workers["w"].draining, "it drains")
    for _ in range(3):  # what it is told by one beat is done by the next
        await _beats(cluster)
    assert cluster.row("again").status == "running"
    await cluster.client.drain_worker("w", give_back=True)
    await cluster.until(lambda: cluster.row("again").status == "pending", "it is given back")
    assert cluster.row("once").status == "running"


async def _cleans_up(context, task):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(3)
        raise


async def _one_is_late(cluster):
    """A worker whose only task has run out of time, and cleans up for some seconds."""
    cluster.executor.bodies["cleans up"] = _cleans_up
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    late = spec("cleans up", timeout=timedelta(seconds=1), retry=NO_RETRY)
    await cluster.client.submit(late, task_id="late")
    role = cluster.pods["a"].worker
    await cluster.until(lambda: any(one.timed_out for one in role.attempts.all()), "it is late")


async def test_what_has_run_out_of_time_is_not_begun_again_by_being_given_back(cluster):
    await _one_is_late(cluster)
    await cluster.client.drain_worker("w", give_back=True)
    await cluster.until(lambda: cluster.row("late").status != "running", "it has stopped")
    assert (cluster.row("late").status, cluster.row("late").reason) == ("failed", "timeout")


@pytest.mark.parametrize("step", ["get_document", "release"])
async def test_a_worker_that_dies_while_it_gives_back_loses_nothing(cluster, step):
    cluster.start("lead", SCHEDULER)
    line = Line()
    cluster.start("a", WORKER, worker_id="w", line=line)
    await _registered(cluster, "a")
    await cluster.client.submit(spec("sleep 1"), task_id="again")
    await cluster.until(lambda: len(cluster.executor.started) == 1, "it runs")
    line.rule = only(unreachable, steps={step, "complete"})
    await cluster.client.drain_worker("w", give_back=True)
    for _ in range(2):  # it is told, and about to read or to report
        await _beats(cluster)
    await cluster.kill("a")
    cluster.start("b", WORKER, worker_id="other")
    await cluster.until(lambda: cluster.row("again").status == "success", "another one runs it", 60)
    row = cluster.row("again")
    assert (row.worker_id, row.attempt, row.retry_count) == ("other", 2, 0)


async def test_a_worker_that_is_called_back_keeps_what_it_runs_then(cluster):
    await _two_run(cluster)
    await cluster.client.drain_worker("w", give_back=True)
    await cluster.until(lambda: cluster.row("again").status == "pending", "it is given back")
    await cluster.client.resume_worker("w")
    await cluster.until(lambda: cluster.executor.starts("again") == 2, "it runs here again")
    await cluster.until(lambda: cluster.row("again").status == "success", "to its end", 70)
    assert cluster.executor.starts("again") == 2


async def test_what_has_run_out_of_time_has_failed_also_when_a_hurried_stop_cuts_it_off(cluster):
    await _one_is_late(cluster)
    began_s = cluster.now_s()
    cluster.pods["a"].stop()
    await cluster.stop("a")
    assert cluster.now_s() - began_s < 1, "its cleaning up is not waited for"
    assert (cluster.row("late").status, cluster.row("late").reason) == ("failed", "timeout")
