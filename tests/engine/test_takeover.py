"""A parent that sees a worker's process end tells the store, and nobody waits for its leases."""

import asyncio

import attrs
from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.engine.takeover import take_over_from_dead
from dsched.model import TaskStatus
from dsched_testkit.kernel.virtual_time import virtual_runtime
from dsched_testkit.memory import MemoryStore


def runtime():
    return virtual_runtime(asyncio.get_running_loop(), 7)


async def test_what_a_dead_worker_ran_and_what_waited_for_it_runs_elsewhere_at_once(cluster):
    cluster.use_defaults()
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    await asyncio.sleep(15)  # a leader reaps when it has seen the store answer for a while
    cluster.start("dies", WORKER, capacity=1)
    for name in ("t", "u"):
        await cluster.client.submit(spec("sleep 60"), task_id=name)
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "t runs")
    await cluster.kill("dies")
    cluster.start("b", WORKER)
    began_s = cluster.now_s()
    assert await take_over_from_dead(cluster.store, "dies-w", runtime())
    await cluster.until(
        lambda: (cluster.executor.starts("t"), cluster.executor.starts("u")) == (2, 1), "both run"
    )
    assert cluster.now_s() - began_s < 3
    assert [worker.id for worker in await cluster.client.workers()] == ["b-w"]
    assert cluster.row("t").crash_count == 1
    task = await cluster.client.wait("t", timeout_s=100)
    assert task.status is TaskStatus.SUCCESS


async def test_of_a_worker_that_is_not_known_nothing_is_written(cluster):
    assert not await take_over_from_dead(cluster.store, "nobody", runtime())
    assert list(cluster.events("worker")) == []


class _Slow(MemoryStore):
    """A store that a successor reaches first."""

    async def workers(self):
        found = await super().workers()
        now = await self.now()
        await self.register(_registration(f"{now.now_ms:013d}-successor"))
        return found


def _registration(incarnation):
    return Registration(
        worker_id="w",
        incarnation=incarnation,
        capacity=3,
        backlog=3,
        heartbeat_timeout_ms=30_000,
    )


async def test_a_successor_that_has_come_meanwhile_is_left_alone(cluster):
    now = await cluster.store.now()
    await cluster.store.register(_registration(f"{now.now_ms:013d}-dead"))
    await asyncio.sleep(1)
    store = _Slow(cluster.state)
    early = attrs.evolve(runtime(), token=lambda: "a")  # of the same millisecond, and less
    assert not await take_over_from_dead(store, "w", early)
    (worker,) = await cluster.store.workers()
    assert worker.capacity == 3
    assert await cluster.store.deregister("w", f"{now.now_ms + 1000:013d}-successor") is Outcome.OK
