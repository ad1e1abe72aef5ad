"""An operator's drain is of a worker's id, so it outlives restarts, until an operator ends it."""

import pytest
from engine_cluster import SCHEDULER, WORKER, spec

from dsched.client import NotFoundError


async def _drained(cluster):
    (worker,) = await cluster.client.workers()
    return worker.draining


async def _registered(cluster, name):
    await cluster.until(lambda: cluster.pods[name].worker.registered.is_set(), "it is registered")


@pytest.mark.parametrize("ends", ["leave", "kill"])
async def test_a_worker_that_starts_again_under_its_id_stays_drained(cluster, ends):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    await cluster.client.drain_worker("w")
    await getattr(cluster, ends)("a")
    cluster.start("b", WORKER, worker_id="w")
    await _registered(cluster, "b")
    assert await _drained(cluster)
    await cluster.client.submit(spec(), task_id="t")
    cluster.start("c", WORKER, worker_id="other")
    await cluster.until(lambda: cluster.row("t").status == "success", "another one runs it")
    assert [worker for _, _, worker in cluster.executor.started] == ["other"]


async def test_the_end_of_a_drain_holds_for_the_id_too(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    await cluster.client.drain_worker("w")
    await cluster.leave("a")
    await cluster.client.resume_worker("w")  # it is not there, and is not to be drained
    cluster.start("b", WORKER, worker_id="w")
    await _registered(cluster, "b")
    assert not await _drained(cluster)
    await cluster.client.submit(spec(), task_id="t")
    await cluster.until(lambda: cluster.row("t").status == "success", "it takes tasks")


async def test_a_worker_that_leaves_by_itself_starts_undrained(cluster):
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    await cluster.leave("a")
    cluster.start("b", WORKER, worker_id="w")
    await _registered(cluster, "b")
    assert not await _drained(cluster)


async def test_a_worker_that_nobody_knows_cannot_be_drained_or_called_back(cluster):
    with pytest.raises(NotFoundError, match="there is no worker w"):
        await cluster.client.drain_worker("w")
    with pytest.raises(NotFoundError, match="there is no worker w"):
        await cluster.client.resume_worker("w")
    cluster.start("a", WORKER, worker_id="w")
    await _registered(cluster, "a")
    assert not await _drained(cluster)
