"""How much of the log the collector reads at once: its step by itself, over a log of its own."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import (
    Line,
    first,
    only,
    spec,
    unreachable,
)

from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.events import Event, EventKind, EventPage
from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.engine.assertions import Assertions, AttemptWatch
from dsched.engine.leader.collecting import MAX_PROJECTED, PAGE_ITEMS, WEIGHT_OF_FIRES, CollectStep
from dsched.engine.leader.term import Term
from dsched.engine.observers import Announcer
from dsched_testkit.kernel.virtual_time import virtual_runtime


class Log:
    """A store of entries with so many items each, and what was asked of it."""

    def __init__(self, *sizes: int) -> None:
        self.events = [
            Event(
                cursor=str(number),
                kind=EventKind.SUBMITTED,
                at_ms=1_000_000,
                by="me",
                items=tuple({"task": f"t{number}-{item}"} for item in range(size)),
            )
            for number, size in enumerate(sizes, 1)
        ]
        self.at = 0
        self.pages: list[list[int]] = []
        self.to_fail: set[str] = set()

    async def collect(self, fence: str, limit: int) -> EventPage:
        assert 1 <= limit <= MAX_EVENT_PAGE
        page = tuple(self.events[self.at : self.at + limit])
        if page:
            self.pages.append([len(event.items) for event in page])
        return EventPage(events=page, cursor="", after=str(self.at), more=len(page) == limit)

    async def project(self, fence: str, projection) -> Outcome:
        assert projection.after == str(self.at)
        if projection.upto in self.to_fail:
            self.to_fail.remove(projection.upto)
            raise StoreUnavailableError("no answer", maybe_applied=False)
        self.at = int(projection.upto)
        return Outcome.OK


class Heard:
    def __init__(self) -> None:
        self.cursors: list[str] = []

    def notify(self, notice) -> None:
        self.cursors.append(notice.event.cursor)


def _step(log: Log, announcer: Announcer) -> CollectStep:
    runtime = virtual_runtime(asyncio.get_running_loop(), 1)
    term = Term("7:t:a", 60, asyncio.get_running_loop().time(), runtime)
    return CollectStep(log, term, announcer, AttemptWatch(Assertions(announcer)))  # type: ignore[arg-type]


async def test_a_page_of_large_entries_has_few_of_them():
    log = Log(*[MAX_BATCH] * 300)
    await _step(log, Announcer({})).collect()
    assert log.at == 300
    assert max(map(sum, log.pages)) == PAGE_ITEMS


@pytest.mark.parametrize(
    ("kind", "task", "most"),
    [
        (EventKind.COMPLETED, "t", MAX_PROJECTED),
        (EventKind.COMPLETED, "c@1000", MAX_PROJECTED // WEIGHT_OF_FIRES),
        (EventKind.FIRED, "c@1000", MAX_PROJECTED // WEIGHT_OF_FIRES),
    ],
)
async def test_a_projection_has_fewer_fires_than_tasks_without_a_config(kind, task, most):
    facts = {"status": "retrying", "run": 1, "attempt": 1, "config": "c", "ms": 0, "late": 0}
    log = Log(*[10] * 400)
    log.events = [
        attrs.evolve(event, kind=kind, items=tuple(facts | {"task": task} for _ in event.items))
        for event in log.events
    ]
    sizes, before = [], 0

    async def project(fence, projection, plain=log.project):
        nonlocal before
        sizes.append(10 * (int(projection.upto) - before))
        before = int(projection.upto)
        return await plain(fence, projection)

    log.project = project  # type: ignore[method-assign]
    await _step(log, Announcer({})).collect()
    assert sum(sizes) == 4_000
    assert max(sizes) == most - most % 10


async def test_many_small_entries_take_few_pages():
    log = Log(*[1] * 5_000)
    step = _step(log, Announcer({}))
    await step.collect()
    assert log.at == 5_000
    assert len(log.pages) <= 10, list(map(len, log.pages))
    assert max(map(len, log.pages)) == MAX_EVENT_PAGE


async def test_a_tick_that_found_as_much_as_the_last_one_is_one_page():
    log = Log(*[1] * 3_000)
    everything, log.events = log.events, []
    step = _step(log, Announcer({}))
    for end in range(300, 3_001, 300):
        log.events = everything[:end]
        log.pages.clear()
        await step.collect()
        assert log.at == end
        assert end == 300 or len(log.pages) == 1, list(map(len, log.pages))


async def test_pages_are_small_again_after_an_idle_time():
    log = Log(*[1] * 2_000, *[MAX_BATCH] * 300)
    everything, log.events = log.events, log.events[:2_000]
    step = _step(log, Announcer({}))
    for _ in range(2):  # to the end of the log, and a look that finds nothing
        await step.collect()
    log.pages.clear()
    log.events = everything
    await step.collect()
    assert log.at == 2_300
    assert max(map(sum, log.pages)) == PAGE_ITEMS


async def test_a_tick_reads_no_more_than_its_share_and_the_next_goes_on():
    log = Log(*[1] * 12_000)
    step = _step(log, Announcer({}))
    assert await step.collect()
    assert 10_000 <= log.at < 12_000
    assert await step.collect()
    assert log.at == 12_000
    assert not await step.collect()


async def test_what_a_failure_makes_it_read_again_is_not_told_again():
    sizes = [1] * 160 + [MAX_BATCH] * 80 + [1] * 300
    log = Log(*sizes)
    everything, log.events = log.events, log.events[:150]
    told: list[str] = []
    observers = type("All", (), {"tell": lambda self, notice: told.append(notice.event.cursor)})()
    step = _step(log, observers)
    await step.collect()
    log.events = everything
    log.to_fail = {str(len(sizes))}  # the last part of a page whose entries are large on average
    with pytest.raises(StoreUnavailableError):
        await step.collect()
    while await step.collect():
        pass
    assert log.at == len(sizes)
    assert told == [event.cursor for event in log.events]


async def test_observers_that_keep_up_have_never_more_than_two_projections_before_them():
    heard = Heard()
    announcer = Announcer({"all": heard})
    running = asyncio.create_task(announcer.run())
    await asyncio.sleep(0)
    log = Log(*[MAX_BATCH] * 300)
    waiting: list[int] = []

    async def project(fence, projection, plain=log.project):
        waiting.append(int(projection.upto) - len(heard.cursors))
        return await plain(fence, projection)

    log.project = project  # type: ignore[method-assign]
    await _step(log, announcer).collect()
    assert max(waiting) <= 2 * MAX_PROJECTED // MAX_BATCH, waiting
    running.cancel()
    await asyncio.wait([running])
    assert len(heard.cursors) == 300


def _leading(store, fence, announcer):
    loop = asyncio.get_running_loop()
    term = Term(fence, 60, loop.time(), virtual_runtime(loop, 1))
    return CollectStep(store, term, announcer, AttemptWatch(Assertions(announcer)))


async def test_a_second_projection_of_a_page_goes_on_where_the_first_ended(cluster, monkeypatch):
    monkeypatch.setattr("dsched.engine.leader.collecting.MAX_PROJECTED", 2)
    for number in range(5):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    won = await cluster.store.acquire("a", "t", 60_000)
    await _leading(cluster.store, won.fence, Announcer({})).collect()
    assert int(cluster.state.collected) == cluster.state.last_cursor


async def test_observers_hear_of_each_entry_once_and_before_the_cursor_moves(cluster):
    for number in range(3):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    won = await cluster.store.acquire("a", "t", 60_000)
    line, told = Line(only(first(1, unreachable), steps={"project"})), []
    observers = SimpleNamespace(tell=lambda notice: told.append(notice.event.cursor))
    step = _leading(line.over(cluster.store, "main"), won.fence, observers)
    with pytest.raises(StoreUnavailableError):
        await step.collect()
    assert len(told) == len(cluster.state.log)
    await step.collect()
    assert told == [event.cursor for event in cluster.state.log]
