"""A worker runs as many tasks at once as an operator says, which holds for its id, until an
operator takes it back."""

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, first, only, spec

from dsched.client import Client, NotFoundError
from dsched.contracts.store.sizes import SIZES, Size, remember_size, size_of


async def _registered(cluster, name):
    await cluster.until(lambda: cluster.pods[name].worker.registered.is_set(), "it is registered")


def _capacity(cluster):
    return cluster.state.workers["w"].capacity


def _running(cluster):
    return sum(row.status == "running" for row in cluster.state.tasks.values())


async def _blocked(cluster, count):
    """A worker of one slot, and tasks that hold each slot that there is."""
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    for number in range(count):
        await cluster.client.submit(spec("sleep 60"), task_id=f"t{number}")
    await cluster.until(lambda: _running(cluster) == 1, "its one slot is taken")


async def test_a_worker_that_is_made_larger_runs_more_at_once(cluster):
    await _blocked(cluster, 6)
    await cluster.client.resize_worker("w", 4)
    await cluster.until(lambda: len(cluster.executor.started) == 4, "four run")
    assert _running(cluster) == 4


async def test_a_worker_that_is_made_smaller_finishes_what_runs_and_begins_less(cluster):
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER, worker_id="w", capacity=4)
    await _registered(cluster, "a")
    for number in range(6):
        await cluster.client.submit(spec("sleep 60"), task_id=f"t{number}")
    await cluster.until(lambda: _running(cluster) == 4, "its slots are taken")
    await cluster.client.resize_worker("w", 1)
    await cluster.until(lambda: _running(cluster) == 1, "one runs", timeout_s=70)
    rows = cluster.state.tasks.values()
    assert sum(row.status == "success" for row in rows) == 4
    await cluster.until(lambda: len(cluster.executor.started) == 6, "the last begins", 70)
    assert _running(cluster) == 1
    assert all(row.attempt == 1 for row in rows)


@pytest.mark.parametrize("ends", ["leave", "kill"])
async def test_a_worker_that_starts_again_under_its_id_keeps_the_size(cluster, ends):
    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.client.resize_worker("w", 3)
    await getattr(cluster, ends)("a")
    cluster.start("b", WORKER, worker_id="w", capacity=2)
    await _registered(cluster, "b")
    assert _capacity(cluster) == 3
    size = (await cluster.client.worker_sizes())["w"]
    assert (size.capacity, size.own) == (3, 2)


async def test_a_worker_gets_its_own_again(cluster):
    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.client.resize_worker("w", 3)
    await cluster.client.resize_worker("w", 5)
    for _ in range(2):
        await cluster.client.resize_worker("w", None)
        assert (_capacity(cluster), await cluster.client.worker_sizes()) == (1, {})
    await cluster.leave("a")
    cluster.start("b", WORKER, worker_id="w", capacity=2)
    await _registered(cluster, "b")
    assert _capacity(cluster) == 2


async def test_two_who_resize_at_once_leave_what_the_worker_is_configured_to_have(cluster):
    await remember_size(cluster.store, "w", Size(capacity=3, own=1, by="eve"))
    # The second one read the worker between the first one's note and its resize, or after both.
    await remember_size(cluster.store, "w", Size(capacity=5, own=3, by="adam"))
    assert await size_of(cluster.store, "w") == Size(capacity=5, own=1, by="adam")


async def test_a_size_is_taken_back_from_a_worker_that_is_not_there(cluster):
    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.client.resize_worker("w", 3)
    await cluster.leave("a")
    await cluster.client.resize_worker("w", None)
    cluster.start("b", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "b")
    assert _capacity(cluster) == 1


@pytest.mark.parametrize("step", ["resize", "drop_document"])
async def test_a_worker_that_starts_while_its_size_is_taken_back_has_its_own(cluster, step):
    async def in_between(handle, called, proceed):
        await cluster.kill("a")
        cluster.start("b", WORKER, worker_id="w", capacity=2)
        await _registered(cluster, "b")
        return await proceed()

    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.client.resize_worker("w", 3)
    line = Line(only(first(1, in_between), steps={step}))
    await Client(line.over(cluster.store, "client")).resize_worker("w", None)
    assert (_capacity(cluster), await cluster.client.worker_sizes()) == (2, {})


async def test_a_size_that_is_given_while_another_is_taken_back_is_taken_back_too(cluster):
    async def in_between(handle, called, proceed):
        answer = await proceed()
        await cluster.client.resize_worker("w", 5)
        return answer

    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.client.resize_worker("w", 3)
    line = Line(only(first(1, in_between), steps={"resize"}))
    await Client(line.over(cluster.store, "client")).resize_worker("w", None)
    assert (_capacity(cluster), await cluster.client.worker_sizes()) == (1, {})


async def test_a_size_that_is_given_while_it_registers_is_not_missed(cluster):
    async def in_between(handle, step, proceed):
        await cluster.client.resize_worker("w", 3)
        return await proceed()

    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    await cluster.kill("a")
    line = Line(only(first(1, in_between), steps={"register"}))
    cluster.start("b", WORKER, worker_id="w", capacity=1, line=line)
    await _registered(cluster, "b")
    assert _capacity(cluster) == 3


async def test_a_worker_that_presents_itself_again_says_its_new_size(cluster):
    await _blocked(cluster, 3)
    await cluster.client.resize_worker("w", 3)
    await cluster.until(lambda: len(cluster.executor.started) == 3, "three run")
    del cluster.state.workers["w"]
    await cluster.until(lambda: "w" in cluster.state.workers, "it is registered again")
    assert _capacity(cluster) == 3


async def test_what_cannot_be_is_refused_and_leaves_nothing(cluster):
    with pytest.raises(NotFoundError, match="there is no worker w"):
        await cluster.client.resize_worker("w", 3)
    with pytest.raises(NotFoundError, match="there is no worker w"):
        await cluster.client.resize_worker("w", None)
    cluster.start("a", WORKER, worker_id="w", capacity=1)
    await _registered(cluster, "a")
    for capacity in (0, -1, 10**9):
        with pytest.raises(ValueError, match=f"1 to 10000 attempts at once, not {capacity}"):
            await cluster.client.resize_worker("w", capacity)
    assert _capacity(cluster) == 1
    assert (await cluster.store.list_documents(SIZES, None, 10)).documents == ()
