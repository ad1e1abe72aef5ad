"""Pods that do not lead notice, on their own, that nobody fires or nobody leads."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import attrs
import pytest
from engine_cluster import SCHEDULER, Line, config, only, unreachable

from dsched.contracts import InstantsMissed, NobodyLeads
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.timing import StoreTime
from dsched.contracts.store.watching import MissedInstant, Watched
from dsched.engine.observers import Announcer
from dsched.engine.watchdog import Watchdog, WatchTimes
from dsched.explaining import Answer
from dsched.model import MissReason, Verdict, from_ms
from dsched_testkit.kernel.virtual_time import VirtualWall, virtual_runtime

MINUTE = timedelta(minutes=1)


class Notices:
    """An observer that keeps the reports of the watchdogs."""

    def __init__(self):
        self.missed = []
        self.leaderless = []

    def notify(self, notice):
        match notice:
            case InstantsMissed():
                self.missed.append(notice)
            case NobodyLeads():
                self.leaderless.append(notice)


async def lead_and_watch(cluster, **changes):
    """``a`` leads, ``b`` watches and can never lead; a config is due each minute."""
    cluster.observers["notices"] = notices = Notices()
    cluster.start("a")
    await cluster.lead_by("a")
    cluster.start("b", SCHEDULER, line=Line(only(unreachable, steps={"acquire"})))
    stored = await cluster.client.put_config(config(every=MINUTE, overlap="allow", **changes))
    await asyncio.sleep(65)
    return notices, stored.config.created_ms


def decisions_at(cluster, ms):
    return [d for d in cluster.state.decisions["tick"].values() if d.first_ms <= ms <= d.last_ms]


async def test_while_all_is_well_nothing_is_reported(cluster):
    notices, _ = await lead_and_watch(cluster)
    cluster.start("c", SCHEDULER)
    await asyncio.sleep(600)
    await cluster.kill("a")
    await cluster.until(lambda: cluster.leader() == "c", "c leads")
    await asyncio.sleep(200)
    assert cluster.events("missed", "leaderless") == []
    assert (notices.missed, notices.leaderless) == ([], [])


@pytest.mark.parametrize("runs", [True, False], ids=["late", "misfired"])
async def test_an_instant_that_nobody_fired_is_reported_once_and_remembered(cluster, runs):
    grace = timedelta(hours=1) if runs else MINUTE
    notices, created_ms = await lead_and_watch(cluster, misfire_grace=grace)
    await cluster.kill("a")
    await asyncio.sleep(400)
    missed_ms = created_ms + 120_000
    (report,) = notices.missed
    assert (report.pod, report.epoch) == ("b", 0)
    assert report.missed == (MissedInstant("tick", missed_ms),)
    assert 60_000 <= report.now_ms - missed_ms <= 71_000
    (item,) = cluster.items("missed")
    assert (item["config"], item["ms"], item["term"]) == ("tick", missed_ms, 0)
    told = await cluster.client.why_config("tick", from_ms(missed_ms))
    assert told.verdict == Answer.MISSED
    cluster.start("c")
    await cluster.until(lambda: len(cluster.fired("tick")) > 1, "it fires again")
    await asyncio.sleep(3)
    (decision,) = decisions_at(cluster, missed_ms)
    assert decision.verdict is (Verdict.FIRED if runs else Verdict.SKIPPED)
    assert decision.missed_at_ms == report.now_ms
    assert decision.reason == ("" if runs else "misfire")
    told = await cluster.client.why_config("tick", from_ms(missed_ms))
    assert told.verdict == (Answer.LATE if runs else Answer.SKIPPED)
    assert any("reported missed" in line for line in told.because)
    span = (from_ms(created_ms), from_ms(cluster.wall()))
    assert (await cluster.client.stats("tick", *span)).total.missed == 1


async def test_that_nobody_leads_is_reported_once(cluster):
    notices, _ = await lead_and_watch(cluster)
    fence = cluster.state.fence
    await cluster.kill("a")
    await asyncio.sleep(400)
    (report,) = notices.leaderless
    assert (report.pod, report.idle_s) == ("b", 61.5)
    (item,) = cluster.items("leaderless")
    assert item["epoch"] == fence_epoch(fence)
    assert 61_500 <= item["idle"] <= 80_000


async def test_a_leader_that_leads_and_does_not_fire_is_found_out_by_a_follower(cluster):
    notices, created_ms = await lead_and_watch(cluster)

    async def blind(handle, step, proceed):
        answer = await proceed()
        if step == "poll":
            return attrs.evolve(answer, due=attrs.evolve(answer.due, configs=()))
        return answer

    cluster.lines["a"].rule = blind
    await asyncio.sleep(180)
    missed_ms = created_ms + 120_000
    (report,) = notices.missed
    assert report.epoch == cluster.pods["a"].election.term.epoch
    (decision,) = decisions_at(cluster, missed_ms)
    assert (decision.verdict, decision.reason) == (Verdict.MISSED, MissReason.UNFIRED)
    told = await cluster.client.why_config("tick", from_ms(missed_ms))
    assert told.verdict == Answer.MISSED
    assert f"term {report.epoch} held the lock" in told.because[0]
    assert notices.leaderless == []
    cluster.lines["a"].heal()
    await cluster.until(lambda: len(cluster.fired("tick")) > 1, "it fires again")


async def test_a_store_that_cannot_be_reached_is_not_an_absence_of_a_leader(cluster):
    notices, _ = await lead_and_watch(cluster)
    cluster.lines["b"].cut()
    await asyncio.sleep(300)
    cluster.lines["b"].rule = only(unreachable, steps={"acquire"})
    await asyncio.sleep(300)
    assert (notices.missed, notices.leaderless) == ([], [])


TIMES = WatchTimes()


FENCE = "7:t:a"


class Seen:
    """A store with only what a watchdog asks for; each check is recorded."""

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
