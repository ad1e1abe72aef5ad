"""Failure modes of other schedulers that no other test of ours is about: F08, F16, F28, F49, F62,
F64."""

import asyncio

import attrs
from engine_cluster import Line, config, only, seconds, spec

from dsched.contracts import StoreUnavailableError
from dsched.contracts.store.leadership import fence_epoch
from dsched.engine.store_calls import LONGEST_WAIT_S, Patience
from dsched.engine.worker.heartbeat import HeartbeatTimes
from dsched_testkit.checker import History
from dsched_testkit.kernel.virtual_time import virtual_runtime


async def test_a_delay_and_a_run_of_many_leases_are_one_run(cluster):
    """F08: nothing is handed out again because it takes long to come, or to end."""
    cluster.times = attrs.evolve(
        cluster.times, heartbeat=HeartbeatTimes(interval_s=1.0, timeout_s=5.0)
    )
    cluster.start("a")
    cluster.start("b")
    task_id = await cluster.client.submit(spec("sleep 60", timeout=seconds(300)), delay_s=60)
    task = await cluster.client.wait(task_id, timeout_s=200)
    assert (task.status, task.attempt, cluster.executor.starts(task_id)) == ("success", 1, 1)
    (submitted,) = cluster.events("submitted")
    assert task.start_ms - submitted.at_ms >= 60_000


async def test_slow_renewals_cost_no_leadership(cluster):
    """F16: each answer to a renewal takes one to three seconds, for five minutes."""
    cluster.use_defaults()
    chance = virtual_runtime(asyncio.get_running_loop(), 5)

    async def slow(handle, step, proceed):
        answer = await proceed()
        await asyncio.sleep(1 + 2 * chance.uniform())
        return answer

    cluster.start("a", line=Line(only(slow, steps={"renew"})))
    await cluster.lead_by("a")
    cluster.start("b")
    await asyncio.sleep(300)
    assert cluster.leader() == "a"
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_pods_whose_clocks_are_hours_apart_work_together(cluster):
    """F28: no step takes a client's time, so no lease and no lock depends on one."""
    loop = asyncio.get_running_loop()
    for number, name in enumerate("abc"):
        runtime = virtual_runtime(loop, number)
        shift_s = (number - 1) * 7200
        cluster.start(
            name, runtime=attrs.evolve(runtime, monotonic=lambda s=shift_s: loop.time() + s)
        )
    await cluster.client.put_config(config(overlap="allow"))
    await asyncio.sleep(60)
    await cluster.kill(cluster.leader())
    await asyncio.sleep(60)
    created_ms = (await cluster.client.get_config("tick")).config.created_ms
    owed = list(range(created_ms + 1000, cluster.wall() - 1000, 1000))
    late = [ms for ms in cluster.fired("tick") if ms > owed[-1]]
    history = History(cluster.state)
    assert history.problems() == []
    assert history.unaccounted("tick", owed + late) == []
    assert len(cluster.items("leader", act="acquired")) == 2


async def test_a_store_that_lost_its_newest_writes_gives_no_epoch_again(cluster):
    """F49: what counts is the clock, and the token, not a counter that a failover may lose."""
    state, store = cluster.state, cluster.store
    first = (await store.acquire("a", "t1", 10_000)).fence
    await store.resign(first)
    kept = (state.epoch, state.lock_until_ms)
    await asyncio.sleep(1)
    lost = (await store.acquire("b", "t2", 10_000)).fence
    state.epoch, state.lock_until_ms = kept
    state.fence = None
    await asyncio.sleep(1)
    after = (await store.acquire("c", "t3", 10_000)).fence
    assert fence_epoch(first) < fence_epoch(lost) < fence_epoch(after)
    assert await store.renew(lost, 10_000) == "FENCED"


async def test_clients_of_a_store_that_is_gone_come_back_spread_out(cluster):
    """F62: waits grow to a bound, and no two pods retry at the same times."""
    loop = asyncio.get_running_loop()
    waits = []
    for seed in range(50):
        patience = Patience(virtual_runtime(loop, seed), "test")
        for _ in range(8):
            began_s = loop.time()
            await patience.wait(StoreUnavailableError("gone", maybe_applied=False))
            last_s = loop.time() - began_s
        waits.append(last_s)
    assert all(LONGEST_WAIT_S / 2 <= wait_s <= LONGEST_WAIT_S for wait_s in waits)
    assert len({round(wait_s, 1) for wait_s in waits}) > 10


async def test_without_any_wakeup_everything_goes_on_within_a_second_or_two(cluster):
    """F64: wake-ups are hints; only a poll tells the truth."""

    async def unheard(handle, step, proceed):
        await asyncio.sleep(1)
        return False

    cluster.use_defaults()
    for name in "ab":
        cluster.start(name, line=Line(only(unheard, steps={"wakeup"})))
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    for number in range(20):
        began_ms = cluster.wall()
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
        await cluster.client.wait(f"t{number}", timeout_s=20)
        assert cluster.wall() - began_ms < 3500
