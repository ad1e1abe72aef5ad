"""An idle pod slows down, and is awake at once when it has to be: each of its parts by itself."""

import asyncio
from collections import Counter

from engine_cluster import SCHEDULER, WORKER, Line, only, spec, unreachable

from dsched.engine.leader.activity import ACTIVE_EVERY_S, IDLE_EVERY_S, Activity
from dsched_testkit.kernel.virtual_time import virtual_runtime

IDLE_S = 20


class Counted(Line):
    """A line that counts the calls of a pod; ``broken`` is a rule beneath."""

    def __init__(self, broken=None):
        self.calls = Counter()
        self.broken = broken
        super().__init__(self._counted)

    async def _counted(self, handle, step, proceed):
        self.calls[step] += 1
        if self.broken is not None:
            return await self.broken(handle, step, proceed)
        return await proceed()

    async def within(self, seconds, step):
        """How often it is called from now on, for so long."""
        before = self.calls[step]
        await asyncio.sleep(seconds)
        return self.calls[step] - before


async def _paused_s(activity):
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await activity.pause()
    return round(loop.time() - began_s, 6)


async def test_an_idle_cluster_is_asked_less_often_until_something_happens():
    loop = asyncio.get_running_loop()
    activity = Activity(virtual_runtime(loop, 1))
    slowing = [ACTIVE_EVERY_S] * 5 + [IDLE_EVERY_S] * 2
    assert [await _paused_s(activity) for _ in slowing] == slowing
    for _ in range(2):
        loop.call_later(2, activity.note)
        assert await _paused_s(activity) == 2
        assert [await _paused_s(activity) for _ in slowing] == slowing


async def test_the_gauges_of_an_idle_cluster_are_read_half_as_often(cluster):
    cluster.use_defaults()
    line = Counted()
    cluster.start("a", line=line)
    assert await line.within(5, "counts") in {1, 2}
    await asyncio.sleep(IDLE_S + 1)  # so that no reading falls on an end of what is counted
    assert await line.within(60, "counts") == 6
    await asyncio.sleep(3)  # between two readings
    await cluster.client.submit(spec("sleep 60"))
    assert await line.within(0.1, "counts") == 1
    assert await line.within(50, "counts") == 10


async def test_a_leader_that_finds_work_looks_at_once_at_what_comes_of_it(cluster):
    cluster.use_defaults()
    line = Counted()
    cluster.start("a", line=line)
    await asyncio.sleep(IDLE_S)
    looks = line.calls["collect"]
    await cluster.until(lambda: line.calls["collect"] > looks, "a poll while idle")
    await cluster.client.submit(spec())
    assert await line.within(0.5, "collect") >= 1


async def test_a_leader_looks_every_second_while_something_runs(cluster):
    cluster.use_defaults()
    line = Counted()
    cluster.start("a", line=line)
    await cluster.client.submit(spec("sleep 60"))
    await asyncio.sleep(IDLE_S)
    assert await line.within(10, "overdue") >= 9


async def _working(cluster, broken=None):
    """``a`` leads, ``b`` works, and nothing happens for a while."""
    cluster.use_defaults()
    cluster.start("a", SCHEDULER)
    line = Counted(broken)
    cluster.start("b", WORKER, line=line)
    await asyncio.sleep(IDLE_S)
    return line


async def test_an_idle_worker_looks_every_few_seconds_as_long_as_its_wakeup_works(cluster):
    line = await _working(cluster)
    assert 14 <= await line.within(60, "claim") <= 16


async def test_a_worker_that_has_been_woken_looks_again_soon(cluster):
    line = await _working(cluster)
    await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=10)
    await asyncio.sleep(0.5)
    assert await line.within(1, "claim") >= 1


async def test_a_worker_whose_wakeup_fails_looks_every_second_until_it_wakes_again(cluster):
    line = await _working(cluster, only(unreachable, steps={"wakeup"}))
    assert await line.within(10, "claim") >= 9
    line.broken = None
    await asyncio.sleep(2)
    await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=10)
    await asyncio.sleep(IDLE_S)
    assert await line.within(20, "claim") <= 6


async def test_a_worker_whose_wakeup_fails_while_busy_looks_every_second(cluster):
    line = await _working(cluster)
    ids = [await cluster.client.submit(spec("sleep 1")) for _ in range(4)]
    await cluster.until(lambda: len(cluster.items("claimed")) == 4, "all slots are taken")
    line.broken = only(unreachable, steps={"wakeup"})
    for one in ids:
        await cluster.client.wait(one, timeout_s=10)
    await asyncio.sleep(IDLE_S)
    assert await line.within(10, "claim") >= 9


async def test_a_worker_that_finds_what_no_wakeup_announced_looks_every_second(cluster):
    async def mute(handle, step, proceed):
        answer = await proceed()
        return False if step == "wakeup" else answer

    line = await _working(cluster, mute)
    assert await line.within(12, "claim") <= 4
    await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=10)
    await asyncio.sleep(IDLE_S)
    assert await line.within(10, "claim") >= 9


async def test_a_follower_whose_wakeup_failed_hears_of_a_resignation_again(cluster):
    cluster.use_defaults()
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    line = Counted(only(unreachable, steps={"wakeup"}))
    cluster.start("b", SCHEDULER, line=line)
    assert await line.within(5, "wakeup") >= 3
    line.broken = None
    await asyncio.sleep(5)
    began_s = cluster.now_s()
    cluster.pods["a"].stop()
    await cluster.lead_by("b")
    assert cluster.now_s() - began_s < 0.1
