"""Pods notice that the past which they have seen is gone from the store, say so once, and go on."""

import asyncio
import logging

import pytest
from engine_cluster import SCHEDULER, Line, config, first, lost_reply, only, seconds, spec

from dsched.client import NotFoundError
from dsched.contracts import HistoryBroken, LogEntry, StoreEmptiedError
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.history import Loss, Lost
from dsched.contracts.store.leadership import fence_epoch
from dsched.engine.history_watch import IDLE_LOOK_EVERY_S
from dsched.model import TaskStatus, from_ms
from dsched_testkit.simulation.copies import copy_of, nothing_stored, put_back

SOON_S = IDLE_LOOK_EVERY_S + 1


class Notices:
    """An observer that keeps what is told of breaks."""

    def __init__(self):
        self.broken = []
        self.entries = []

    def notify(self, notice):
        match notice:
            case HistoryBroken():
                self.broken.append(notice)
            case LogEntry(event=event) if event.kind == EventKind.HISTORY:
                self.entries.append(event)


async def two_pods(cluster, **lines):
    """``a`` leads, ``b`` follows; each has seen the store."""
    notices = cluster.observers["notices"] = Notices()
    cluster.start("a")
    await cluster.lead_by("a")
    cluster.start("b", SCHEDULER, line=lines.get("b"))
    await asyncio.sleep(SOON_S)
    return notices


async def work(cluster, task_id):
    await cluster.client.submit(spec(), task_id=task_id)
    return await cluster.client.wait(task_id, timeout_s=10)


def breaks_in(cluster):
    return [event for event in cluster.state.log if event.kind is EventKind.HISTORY]


async def test_a_store_that_goes_on_is_never_called_broken(cluster):
    notices = await two_pods(cluster)
    await work(cluster, "t")
    await cluster.kill("a")
    await asyncio.sleep(600)
    assert (notices.broken, breaks_in(cluster), cluster.state.generation) == ([], [], 0)


async def test_an_older_copy_in_the_stores_place_is_recorded_once_and_told(cluster, caplog):
    notices = await two_pods(cluster)
    await work(cluster, "kept")
    await asyncio.sleep(SOON_S)
    copied_ms, copy = cluster.state.log[-1].at_ms, copy_of(cluster.state)
    await asyncio.sleep(30)
    await work(cluster, "forgotten")
    await asyncio.sleep(SOON_S)
    with caplog.at_level(logging.ERROR, "dsched.history"):
        put_back(cluster.state, copy)
        await asyncio.sleep(60)
    (event,) = breaks_in(cluster)
    (item,) = event.items
    assert dict(item) == {"generation": 1, "loss": "restored", "from": copied_ms}
    (notice,) = notices.broken
    assert (notice.loss, notice.generation, notice.from_ms) == (Loss.RESTORED, 1, copied_ms)
    assert [one.cursor for one in notices.entries] == [event.cursor]
    said = [r.getMessage() for r in caplog.records if "history of the store" in r.getMessage()]
    assert len(said) == 2  # each pod, once
    with pytest.raises(NotFoundError, match=r"history is broken.*forgotten"):
        await cluster.client.why_task("forgotten")
    assert (await work(cluster, "later")).status == TaskStatus.SUCCESS


async def test_why_of_a_fire_within_the_break_says_that_it_may_be_the_second(cluster):
    await two_pods(cluster)
    stored = await cluster.client.put_config(config(every=seconds(20)))
    await asyncio.sleep(SOON_S)
    copy = copy_of(cluster.state)
    at_ms = stored.due_ms
    await cluster.until(lambda: cluster.executor.starts(f"tick@{at_ms}") == 1, "it fires", 90)
    await asyncio.sleep(SOON_S)
    put_back(cluster.state, copy)
    await cluster.until(lambda: cluster.executor.starts(f"tick@{at_ms}") == 2, "again", 90)
    await cluster.until(lambda: cluster.state.generation == 1, "the break is recorded")
    await asyncio.sleep(1)
    told = " ".join((await cluster.client.why_config("tick", from_ms(at_ms))).because)
    assert "history is broken" in told
    assert "may have been fired before" in told
    told = " ".join((await cluster.client.why_task(f"tick@{at_ms}")).because)
    assert "it may have run before" in told
    later_ms = cluster.wall() + 60_000
    told = " ".join((await cluster.client.why_config("tick", from_ms(later_ms))).because)
    assert "history" not in told


async def test_another_store_in_its_place_is_told_apart_from_an_older_copy(cluster):
    notices = await two_pods(cluster)
    await work(cluster, "t")
    await asyncio.sleep(SOON_S)
    put_back(cluster.state, nothing_stored(cluster.state))
    await asyncio.sleep(SOON_S)
    (notice,) = notices.broken
    assert (notice.loss, notice.from_ms) == (Loss.REPLACED, None)
    assert len(breaks_in(cluster)) == 1


async def test_a_second_restore_of_the_same_copy_is_another_break(cluster):
    notices = await two_pods(cluster)
    copy = copy_of(cluster.state)
    for generation in (1, 2):
        await work(cluster, f"t{generation}")
        await asyncio.sleep(SOON_S)
        put_back(cluster.state, copy)
        copy = copy_of(cluster.state)
        await asyncio.sleep(SOON_S)
        assert cluster.state.generation == generation
    assert [one.generation for one in notices.broken] == [1, 2]


async def test_a_lost_answer_costs_no_second_record_and_no_notice(cluster):
    line = Line(only(first(1, lost_reply), steps={"raise_break"}))
    notices = cluster.observers["notices"] = Notices()
    cluster.start("a", line=line)
    await cluster.lead_by("a")
    await asyncio.sleep(SOON_S)
    copy = copy_of(cluster.state)
    await work(cluster, "t")
    await asyncio.sleep(SOON_S)
    put_back(cluster.state, copy)
    await asyncio.sleep(2 * SOON_S)
    assert [one.generation for one in notices.broken] == [1]
    assert len(breaks_in(cluster)) == 1


async def test_a_leader_after_a_restore_has_a_higher_epoch_than_any_that_was_seen(cluster):
    """Though the clock of the store went back with it."""
    await two_pods(cluster)
    copy = copy_of(cluster.state)
    await cluster.kill("a")
    await cluster.lead_by("b")
    await cluster.client.step_down(why="a test")
    await cluster.lead_by("b")
    await asyncio.sleep(SOON_S)
    seen = cluster.state.epoch
    cluster.state.epoch += 1000 * 3600  # as if terms of an hour ahead had been given
    cluster.state.fence = None
    await cluster.until(lambda: cluster.state.epoch > seen + 3_600_000, "a term of then")
    seen = cluster.state.epoch
    await asyncio.sleep(SOON_S)
    put_back(cluster.state, copy)
    await cluster.until(
        lambda: cluster.state.fence is not None and fence_epoch(cluster.state.fence) > seen,
        "a term above all that was seen",
        timeout_s=60,
    )


async def test_a_pod_that_has_not_seen_the_past_learns_the_floor_from_one_that_has(cluster):
    """A term of a new pod that began too low ends as soon as the break is recorded."""
    await two_pods(cluster)
    cluster.start("c", SCHEDULER)
    await asyncio.sleep(SOON_S)
    low = await cluster.store.leader()
    await cluster.store.raise_break(
        0,
        Lost(loss=Loss.RESTORED, identity="x", epoch=fence_epoch(low) + 10**9),
        by="elsewhere",
    )
    await cluster.until(
        lambda: (
            cluster.state.fence is not None
            and fence_epoch(cluster.state.fence) > fence_epoch(low) + 10**9
        ),
        "a higher term",
    )


async def test_an_emptied_store_is_told_at_once_though_it_can_be_recorded_nowhere(cluster, caplog):
    notices = await two_pods(cluster)
    await cluster.kill("b")

    async def gone(handle, step, proceed):
        await asyncio.sleep(0)
        raise StoreEmptiedError("it was emptied", maybe_applied=False)

    with caplog.at_level(logging.ERROR, "dsched.history"):
        cluster.lines["a"].rule = gone
        await asyncio.sleep(60)
    assert [one.loss for one in notices.broken] == [Loss.EMPTIED]
    assert sum("is gone" in record.getMessage() for record in caplog.records) == 1
    cluster.lines["a"].heal()
    assert (await work(cluster, "t")).status == TaskStatus.SUCCESS


async def test_an_operators_word_is_a_break_too(cluster):
    await work_without_pods(cluster)
    end_ms = cluster.state.log[-1].at_ms
    told = await cluster.client.declare_restored(why="the disk broke", by="ann")
    assert (told.loss, told.from_ms, told.by) == (Loss.DECLARED, end_ms, "ann")
    with pytest.raises(NotFoundError, match=r"backup was put.*ann: the disk broke"):
        await cluster.client.why_task("gone")
    since = from_ms(end_ms - 5000)
    assert (await cluster.client.declare_restored(why="again", since=since)).generation == 2
    with pytest.raises(ValueError, match="why"):
        await cluster.client.declare_restored(why="")


async def work_without_pods(cluster):
    await cluster.client.submit(spec(), task_id="kept")
    await asyncio.sleep(10)


async def test_entries_of_a_later_version_are_passed_over(cluster):
    """The collector goes on behind them, and observers may see them."""
    seen = []

    class Observer:
        def notify(self, notice):
            if isinstance(notice, LogEntry):
                seen.append(notice.event.kind)

    cluster.observers["all"] = Observer()
    cluster.start("a")
    await cluster.lead_by("a")
    unknown = EventKind("of a later version")
    assert unknown == "of a later version"
    assert unknown not in set(EventKind)
    cluster.state.append(unknown, cluster.wall(), "x", [{"task": "t", "status": "odd"}])
    assert (await work(cluster, "t")).status == TaskStatus.SUCCESS
    await cluster.until(lambda: EventKind.COMPLETED in seen, "what came after it is collected")
    assert "of a later version" in seen
    events = [event async for event in cluster.client.events()]
    assert any(isinstance(event, Event) and event.kind == unknown for event in events)
