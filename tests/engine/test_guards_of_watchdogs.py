"""Guards of the watchdog, each looked at by itself: the store has guards of its own behind them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.timing import StoreTime
from dsched.contracts.store.watching import Watched
from dsched.engine.observers import Announcer
from dsched.engine.watchdog import Watchdog, WatchTimes
from dsched_testkit.virtual_time import VirtualWall, virtual_runtime

TIMES = WatchTimes()
FENCE = "7:t:a"


class Seen:
    """A store in which nothing is but what a watchdog asks for; each look is written down."""

    def __init__(self):
        self.wall = VirtualWall(asyncio.get_running_loop())
        self.fence = None
        self.trouble = None
        self.leads = False
        self.overdue = 0
        self.asked = 0
        self.looks = []
        self.reports = 0

    async def now(self):
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self._time()

    async def raise_missed(self, late_ms, skip, limit, *, by):
        self.looks.append(skip)
        looked = max(0, min(limit, self.overdue - skip))
        return Watched(time=self._time(), fence=self.fence, looked=looked, missed=())

    async def raise_leaderless(self, idle_ms, *, by):
        self.reports += 1
        return Outcome.EARLY

    def _time(self):
        ms = self.wall()
        return StoreTime(wall_ms=ms, now_ms=ms, clock_gen=0)


@asynccontextmanager
async def watched():
    seen = Seen()
    runtime = virtual_runtime(asyncio.get_running_loop(), 1)
    dog = Watchdog("b", seen, seen, runtime, Announcer({}), TIMES, lambda: seen.leads)
    running = asyncio.create_task(dog.run())
    yield seen
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


async def test_what_a_jump_of_the_clock_made_due_is_not_missed_yet():
    async with watched() as seen:
        await asyncio.sleep(3 * TIMES.look_every_s)
        asked, looks = seen.asked, len(seen.looks)
        seen.wall.step(600_000)
        while seen.asked == asked:
            await asyncio.sleep(0.1)
        assert len(seen.looks) == looks
        await asyncio.sleep(TIMES.look_every_s)
        assert len(seen.looks) > looks


async def test_a_leader_does_not_watch_itself():
    async with watched() as seen:
        seen.leads = True
        await asyncio.sleep(5 * TIMES.look_every_s)
        assert seen.looks == []
        seen.leads = False
        await asyncio.sleep(2 * TIMES.look_every_s)
        assert seen.looks != []


async def test_more_than_a_page_of_what_is_overdue_is_looked_at_each_time():
    async with watched() as seen:
        seen.overdue = 2 * MAX_BATCH + 30
        await asyncio.sleep(3 * TIMES.look_every_s)
    pages = [0, MAX_BATCH, 2 * MAX_BATCH]
    looks = len(seen.looks) // len(pages)
    assert looks >= 3
    assert seen.looks == pages * looks


async def test_a_look_that_fails_is_followed_by_another():
    async with watched() as seen:
        seen.trouble = ValueError("a defect")
        await asyncio.sleep(2 * TIMES.look_every_s)
        assert seen.looks == []
        seen.trouble = None
        await asyncio.sleep(2 * TIMES.look_every_s)
        assert seen.looks != []


async def test_that_nobody_leads_is_reported_when_it_has_lasted():
    async with watched() as seen:
        await asyncio.sleep(TIMES.leaderless_after_s - 1)
        assert seen.reports == 0
        await asyncio.sleep(2 * TIMES.look_every_s + 1)
        assert seen.reports > 0


async def _another_leads(seen):
    seen.fence = FENCE
    await asyncio.sleep(2 * TIMES.look_every_s)
    seen.fence = None


async def _this_one_leads(seen):
    seen.leads = True
    await asyncio.sleep(2 * TIMES.look_every_s)
    seen.leads = False


async def _store_is_silent(seen):
    seen.trouble = StoreUnavailableError("silent", maybe_applied=False)
    await asyncio.sleep(2 * TIMES.look_every_s)
    seen.trouble = None


async def _clock_jumps(seen):
    seen.wall.step(600_000)
    await asyncio.sleep(2 * TIMES.look_every_s)


@pytest.mark.parametrize(
    "interrupt", [_another_leads, _this_one_leads, _store_is_silent, _clock_jumps]
)
async def test_the_time_without_a_leader_counts_anew_after_whatever_interrupts_it(interrupt):
    async with watched() as seen:
        await asyncio.sleep(TIMES.leaderless_after_s - 2 * TIMES.look_every_s)
        await interrupt(seen)
        await asyncio.sleep(TIMES.leaderless_after_s - 2 * TIMES.look_every_s)
        assert seen.reports == 0
        await asyncio.sleep(4 * TIMES.look_every_s)
        assert seen.reports > 0
