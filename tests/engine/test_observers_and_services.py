"""Observers and services of any quality leave the engine alone."""

import asyncio
import itertools

from engine_cluster import Line, config, first, lost_reply, only, spec

from dsched.contracts import LogEntry, ObserverTrouble, TermChanged
from dsched.engine import observers as announcer
from dsched.model import TaskStatus


class _Notes:
    def __init__(self):
        self.notices = []

    def notify(self, notice):
        self.notices.append(notice)

    def of(self, kind):
        return [notice for notice in self.notices if isinstance(notice, kind)]


class _Raises:
    def notify(self, notice):
        raise RuntimeError("broken observer")


async def test_an_observer_that_raises_stops_neither_the_engine_nor_the_others(cluster):
    notes = _Notes()
    cluster.observers.update(bad=_Raises(), good=notes)
    cluster.start("a")
    await cluster.client.submit(spec("ok"), task_id="t")
    assert (await cluster.client.wait("t", timeout_s=20)).status == TaskStatus.SUCCESS
    await asyncio.sleep(12)
    troubles = notes.of(ObserverTrouble)
    assert {"bad"} == {trouble.observer for trouble in troubles}
    assert sum(trouble.failed for trouble in troubles) > 5


async def test_an_observer_that_lags_loses_the_oldest_notices_and_others_are_told(
    cluster, monkeypatch
):
    monkeypatch.setattr(announcer, "QUEUE_SIZE", 50)
    notes = _Notes()
    lane = announcer._Lane("slow", _Notes())
    for number in range(80):
        lane.put(number)
    assert (lane.dropped, len(lane._queue)) == (30, 50)
    assert lane.trouble() == ObserverTrouble(observer="slow", dropped=30, failed=0)
    assert lane.trouble() is None
    lane._observer = notes
    lane.flush()
    assert notes.notices == list(range(30, 80)), "in order, the oldest gone"


async def test_a_slow_observer_gives_the_loop_back_after_each_notice(cluster):
    order = []

    class Slow:
        def notify(self, notice):
            order.append("notice")

    told = announcer.Announcer({"slow": Slow()})
    running = cluster.group.create_task(told.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(20):
        told.tell(number)
    for _ in range(20):
        order.append("engine")
        await asyncio.sleep(0)
    running.cancel()
    runs = "".join("n" if word == "notice" else "e" for word in order)
    assert "nnn" not in runs, runs


async def test_every_entry_of_the_log_is_told_even_when_replies_are_lost(cluster):
    notes = _Notes()
    cluster.observers["notes"] = notes
    line = Line()
    cluster.start("a", line=line)
    for number in range(10):
        line.rule = only(first(1, lost_reply), steps={"project"})
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
        await cluster.client.wait(f"t{number}", timeout_s=20)
        await asyncio.sleep(1.2)
    await asyncio.sleep(3)
    told = [notice.event.cursor for notice in notes.of(LogEntry)]
    assert told == sorted(set(told)), "in the log's order, and once in a term"
    assert {event.cursor for event in cluster.state.log} <= set(told)


async def test_changes_of_leadership_are_told_with_their_reason(cluster):
    notes = _Notes()
    cluster.observers["notes"] = notes
    cluster.start("a")
    await cluster.lead_by("a")
    cluster.state.fence = None
    await cluster.until(lambda: len(notes.of(TermChanged)) >= 3, "it leads again")
    first_term, over, second = notes.of(TermChanged)[:3]
    assert (first_term.leading, over.leading, second.leading) == (True, False, True)
    assert over.reason != ""
    assert second.epoch > first_term.epoch


async def test_a_service_that_fails_is_restarted_with_growing_delays(cluster):
    begun = []

    class Fails:
        async def run(self, pod):
            begun.append(cluster.now_s())
            if len(begun) < 5:
                raise RuntimeError("the port is taken")
            await asyncio.sleep(10_000)

    cluster.services["page"] = Fails()
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow"))
    await asyncio.sleep(60)
    gaps = [after - before for before, after in itertools.pairwise(begun)]
    assert [round(gap) for gap in gaps] == [1, 2, 4, 8]
    assert len(cluster.fired("tick")) >= 58


async def test_a_pod_leaves_although_its_service_fails_as_it_ends(cluster):
    begun = []

    class FailsToCleanUp:
        async def run(self, pod):
            begun.append(cluster.now_s())
            try:
                await asyncio.sleep(10_000)
            finally:
                raise RuntimeError("the socket is gone already")

    cluster.services["page"] = FailsToCleanUp()
    cluster.start("a")
    await cluster.until(lambda: begun, "it runs")
    async with asyncio.timeout(60):
        await cluster.leave("a")
    assert len(begun) == 1


async def test_a_service_sees_the_pod_and_its_store(cluster):
    seen = []

    class Looks:
        async def run(self, pod):
            await asyncio.sleep(3)
            counts = await pod.store.counts()
            seen.append((pod.status(), counts.configs))
            await asyncio.sleep(10_000)

    cluster.services["page"] = Looks()
    cluster.start("a")
    await cluster.until(lambda: seen, "it looked")
    status, configs = seen[0]
    assert (status.name, status.ready, status.leading, configs) == ("a", True, True, 0)
