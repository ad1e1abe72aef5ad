"""A leader is awake when something is due, whatever its clock, its waits and its store do."""

import asyncio

import attrs
from engine_cluster import (
    SCHEDULER,
    Line,
    config,
    only,
    seconds,
    spec,
)

from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.timing import LEADER_WAKEUP, WAIT_SLACK_S
from dsched.engine.leader.replanning import replanned
from dsched.engine.runtime import Runtime


async def test_a_leader_wakes_up_earlier_by_what_the_stores_reading_leaves_out(cluster):
    looks = []

    async def noted(handle, step, proceed):
        looks.append(cluster.now_s())
        await asyncio.sleep(0.01)
        look = await proceed()
        time = attrs.evolve(look.due.time, fraction_ms=400.0)  # a clock of very long milliseconds
        return attrs.evolve(look, due=attrs.evolve(look.due, time=time))

    cluster.start("a", SCHEDULER, line=Line(only(noted, steps={"poll"})))
    await cluster.lead_by("a")
    await cluster.client.submit(spec("ok"), task_id="t", delay_s=10)
    asked_s = cluster.now_s()
    await asyncio.sleep(12)
    assert any(abs(at_s - asked_s - 9.6) < 0.05 for at_s in looks)


async def test_a_store_whose_waits_end_late_makes_no_fire_late(cluster, monkeypatch):
    async def late(self, fence, limit, timeout_s):
        await self.wakeup(LEADER_WAKEUP, timeout_s + WAIT_SLACK_S - 0.3)
        look = await self.poll(fence, limit)
        await asyncio.sleep(0.1)  # its answer was on its way for so long
        return look

    monkeypatch.setattr(Store, "poll_when_woken", late)
    cluster.use_defaults()
    cluster.start("a")
    await cluster.lead_by("a")
    asked_s = cluster.now_s()
    for number in range(9):
        delay_s = 3 + 0.3 * number
        await cluster.client.submit(spec("ok"), task_id=f"{delay_s:g}", delay_s=delay_s)
    for number in range(9):
        delay_s = 3 + 0.3 * number
        await cluster.until(lambda at_s=delay_s: cluster.executor.starts(f"{at_s:g}"), "it runs")
        assert cluster.now_s() - asked_s - delay_s < 0.05


async def test_a_wait_that_fails_for_no_known_reason_costs_no_pod_its_life(cluster, monkeypatch):
    waits = 0

    async def broken(self, fence, limit, timeout_s):
        nonlocal waits
        waits += 1
        raise ValueError("nobody knows why")

    monkeypatch.setattr(Store, "poll_when_woken", broken)
    cluster.use_defaults()
    cluster.start("a")
    await cluster.lead_by("a")
    epoch = cluster.pods["a"].election.term.fence
    await asyncio.sleep(20)
    assert 15 < waits < 25  # about once a second
    await cluster.client.wait(await cluster.client.submit(spec("ok")), timeout_s=2)
    assert cluster.pods["a"].election.term.fence == epoch
    assert cluster.failures == {}


async def test_a_sleep_until_an_instant_waits_the_loops_rounding_out():
    now_s, asked = 100.0, []

    async def sleep(seconds):
        nonlocal now_s
        asked.append(round(seconds, 6))
        now_s += seconds + 0.0003  # what a turn of the loop takes

    runtime = Runtime(monotonic=lambda: now_s, sleep=sleep)
    await runtime.sleep_until(105.0)
    assert asked[0] == 4.999
    assert set(asked[1:]) == {0.0}
    assert 0 <= now_s - 105.0 < 0.0003


def _replanned(last_fired_ms: int | None, due_ms: int, wall_ms: int) -> object:
    every = config("every", every=seconds(10), created_ms=0, revision=3)
    return replanned(
        StoredConfig(config=every, due_ms=due_ms, last_fired_ms=last_fired_ms), wall_ms
    )


def test_due_and_last_fired_move_back_with_the_clock():
    moved = _replanned(100_000, 110_000, 55_000)
    assert (moved.due_ms, moved.next_due_ms, moved.last_fired_ms) == (110_000, 60_000, 55_000)
    assert _replanned(50_000, 60_000, 55_000) is None
