"""Named tests: reading tasks and the log; several handles on one store."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.configs import PutConfig
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.timing import LEADER_WAKEUP
from dsched.contracts.store.working import Submission
from dsched.model import Home, Overlap, TaskStatus
from dsched_testkit.suites.store.arrange import (
    AUTHOR,
    CLIENT,
    MINUTE_MS,
    READY,
    RUNNING,
    WAKEUP_S,
    Arranging,
    a_config,
    a_spec,
    kinds_of,
)

# What might be taken for a number, a place of a stream, or keys.
FORGED = (
    "", "-1", "x", "1-1", "-", "9" * 15, "9" * 20, "-" + "9" * 20, "9" * 400, "\u0665",
    "\u0665-\u0665",
    "9" * 20 + "-1", "1-" + "9" * 20, "1_000", " 5", "1e9", "nan", "[]", "[1]", "[1,2,3]",
    '["a","b"]',
    "[" + "9" * 20 + ',"a"]', "[" + "9" * 20 + ',"a","b"]', "[1e999]", '{"a":1}', "\x00", "\ud800",
    "a" * 600,
    '[1,"\\ud800"]',
)  # fmt: skip


class ReadTests(Arranging):
    """Tasks and lists."""

    async def test_tasks_are_read_in_the_order_asked_for(self) -> None:
        await self.submit("a")
        await self.submit("b")
        b, nothing, a = await self.store.get(["b", "x", "a"])
        assert (b and b.id, nothing, a and a.id) == ("b", None, "a")

    async def test_a_task_in_full_has_its_snapshot_and_else_not(self) -> None:
        await self.lead()
        await self.worker()
        await self.ended("a")
        (brief,) = await self.store.get(["a"])
        (full,) = await self.store.get(["a"], full=True)
        assert brief is not None
        assert full is not None
        assert (brief.spec, brief.result) == (None, None)
        assert full.spec is not None
        assert full.result is not None

    async def test_reading_writes_nothing_into_the_log(self) -> None:
        await self.submit("a")
        await self.news()
        await self.store.get(["a"], full=True)
        await self.store.counts()
        await self.store.now()
        await self.store.workers()
        await self.store.list_tasks(TaskQuery(home=Home.READY), None, 10)
        assert await self.news() == []

    async def test_tasks_are_listed_by_home_in_its_order(self) -> None:
        await self.lead()
        await self.worker()
        for name in ("l2", "l1"):
            await self.running(name)
            await self.clock.advance(1)
        for name in ("q2", "q1"):
            await self.queued(name)
        await self.submit("d2", delay_ms=2000)
        await self.submit("d1", delay_ms=1000)
        await self.submit("r2")
        await self.submit("r1", priority=9)
        assert await self._ids(home=Home.READY) == ["r1", "r2"]
        assert await self._ids(home=Home.DELAYED) == ["d1", "d2"]
        assert await self._ids(home=Home.QUEUE, worker_id="w1") == ["q2", "q1"]
        assert sorted(await self._ids(home=Home.LEASE)) == ["l1", "l2"]
        assert await self._ids(home=Home.QUEUE, worker_id="who") == []
        assert await self._ids(home=Home.HELD) == []

    async def test_held_and_live_tasks_are_listed(self) -> None:
        await self.lead()
        await self.config(due_in_ms=-MINUTE_MS, overlap=Overlap.QUEUE_ONE)
        first, second = self.clock.ms - MINUTE_MS, self.clock.ms
        await self.fired("c", first, second)
        assert [f"c@{second}"] == await self._ids(home=Home.HELD)
        assert {f"c@{first}", f"c@{second}"} == set(await self._ids(live_of="c"))
        await self.store.cancel([f"c@{first}"], by="client", reason="asked")
        assert [f"c@{second}"] == await self._ids(live_of="c")

    async def test_lists_come_page_by_page_without_snapshots(self) -> None:
        await self.lead()
        names = [f"t{index}" for index in range(5)]
        for name in names:
            await self.submit(name)
        found: list[str] = []
        cursor: str | None = None
        for _ in range(5):
            page = await self.store.list_tasks(TaskQuery(home=Home.READY), cursor, 2)
            assert len(page.tasks) <= 2
            assert all(task.spec is None for task in page.tasks)
            found.extend(task.id for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                break
        assert names == found

    async def test_a_page_that_ends_the_list_says_so(self) -> None:
        await self.submit("a")
        await self.submit("b")
        page = await self.store.list_tasks(TaskQuery(home=Home.READY), None, 2)
        assert (len(page.tasks), page.cursor) == (2, None)

    async def test_a_query_that_no_index_serves_is_refused(self) -> None:
        for query in (
            TaskQuery(),
            TaskQuery(home=Home.QUEUE),
            TaskQuery(home=Home.READY, config_id="c"),
            TaskQuery(config_id="c", status=TaskStatus.FAILED),
            TaskQuery(live_of="c", status=TaskStatus.FAILED),
            TaskQuery(status=TaskStatus.RUNNING),
        ):
            with pytest.raises(ValueError, match=r"."):
                await self.store.list_tasks(query, None, 10)

    async def test_limits_and_batches_outside_the_bounds_are_refused(self) -> None:
        names = [f"t{index}" for index in range(MAX_BATCH + 1)]
        ready = TaskQuery(home=Home.READY)
        for call in (
            lambda: self.store.get(names),
            lambda: self.store.get_configs(names),
            lambda: self.store.list_tasks(ready, None, MAX_BATCH + 1),
            lambda: self.store.list_tasks(ready, None, 0),
            lambda: self.store.list_configs(None, MAX_BATCH + 1),
            lambda: self.store.list_configs(None, MAX_BATCH + 1, origin="file:a"),
            lambda: self.store.decisions("c", None, 0),
            lambda: self.store.events(None, MAX_EVENT_PAGE + 1),
        ):
            with pytest.raises(ValueError, match=r"."):
                await call()

    async def test_an_empty_store_has_nothing(self) -> None:
        counts = await self.store.counts()
        assert {0} == set(counts.by_home.values()) | set(counts.by_status.values())
        assert (set(Home), set(TaskStatus)) == (set(counts.by_home), set(counts.by_status))
        assert (counts.oldest_ready_ms, counts.configs) == (None, 0)
        assert (await self.store.events(None, 10)).events == ()

    async def _ids(self, **query: object) -> list[str]:
        page = await self.store.list_tasks(TaskQuery(**query), None, 100)  # type: ignore[arg-type]
        return [task.id for task in page.tasks]


class EventTests(Arranging):
    """The one ordered log."""

    async def test_cursors_grow_and_reading_goes_on_after_one(self) -> None:
        for index in range(5):
            await self.submit(f"t{index}")
        page = await self.store.events(None, 3)
        rest = await self.store.events(page.cursor, 10)
        assert (len(page.events), len(rest.events)) == (3, 2)
        cursors = [event.cursor for event in page.events + rest.events]
        assert len(set(cursors)) == 5
        assert cursors[2] == page.cursor
        whole = await self.store.events(None, 10)
        assert page.events + rest.events == whole.events
        assert (page.more, rest.more, whole.more) == (True, False, False)

    async def test_a_page_of_large_entries_may_end_early_but_says_that_there_is_more(self) -> None:
        for entry in range(30):
            names = [f"{entry}-{item}".rjust(150, "x") for item in range(MAX_BATCH)]
            submissions = [Submission(task_id=name, spec=a_spec(), delay_ms=0) for name in names]
            await self.store.submit(submissions, by=CLIENT)
        cursor, read = None, 0
        while read < 30:
            page = await self.store.events(cursor, MAX_EVENT_PAGE)
            assert page.events
            cursor, read = page.cursor, read + len(page.events)
            assert page.more or read == 30

    async def test_reading_at_the_end_gives_nothing_and_the_cursor_as_given(self) -> None:
        await self.submit("a")
        page = await self.store.events(None, 10)
        end = await self.store.events(page.cursor, 10)
        assert ((), page.cursor) == (end.events, end.cursor)
        await self.submit("b")
        (event,) = (await self.store.events(end.cursor, 10)).events
        assert [dict(item) for item in event.items] == [{"task": "b"}]

    async def test_a_cursor_that_no_page_gave_is_a_value_error_or_some_place_of_the_list(
        self,
    ) -> None:
        """Anybody may send such a cursor, so no other error may result."""
        await self.submit("a")
        await self.put(a_config(), next_due_ms=None)
        lists: tuple[Callable[[str], Awaitable[object]], ...] = (
            lambda cursor: self.store.list_tasks(TaskQuery(home=Home.READY), cursor, 10),
            lambda cursor: self.store.list_tasks(TaskQuery(config_id="c"), cursor, 10),
            lambda cursor: self.store.list_tasks(TaskQuery(status=TaskStatus.FAILED), cursor, 10),
            lambda cursor: self.store.list_tasks(TaskQuery(live_of="c"), cursor, 10),
            lambda cursor: self.store.decisions("c", cursor, 10),
            lambda cursor: self.store.terms(cursor, 10),
            lambda cursor: self.store.events(cursor, 10),
            lambda cursor: self.store.list_configs(cursor, 10),
            lambda cursor: self.store.list_documents("kind", cursor, 10),
        )
        for forged in FORGED:
            for page_of in lists:
                with contextlib.suppress(ValueError):
                    await page_of(forged)

    async def test_entries_are_in_the_order_of_the_steps(self) -> None:
        await self.lead()
        await self.worker()
        await self.ended("a")
        assert kinds_of(await self.news()) == [
            EventKind.LEADER,
            EventKind.WORKER,
            EventKind.SUBMITTED,
            EventKind.DISPATCHED,
            EventKind.CLAIMED,
            EventKind.COMPLETED,
        ]

    async def test_many_entries_keep_their_order(self) -> None:
        for index in range(120):
            await self.submit(f"t{index}")
        events = await self.news()
        assert [f"t{index}" for index in range(120)] == [event.items[0]["task"] for event in events]
        assert all(first.at_ms <= second.at_ms for first, second in pairwise(events))


class HandleTests(Arranging):
    """Several handles on one store, and its wake-ups."""

    async def test_a_second_handle_sees_the_same_store(self) -> None:
        other = await self.another_handle()
        await self.lead()
        await self.worker()
        await self.config()
        token = await self.running("a")
        assert await self.store.get(["a"], full=True) == await other.get(["a"], full=True)
        assert await self.store.workers() == await other.workers()
        assert await self.store.get_configs(["c"]) == await other.get_configs(["c"])
        assert self.fence == await other.leader()
        assert (await self.store.acquire("p2", "t2", 10)).fence == self.fence
        self.store = other
        assert await self.finish("a", token) == Outcome.OK

    async def test_a_wakeup_reaches_who_waits_on_another_handle(self) -> None:
        other = await self.another_handle()
        await self.hush(LEADER_WAKEUP)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(other.wakeup(LEADER_WAKEUP, WAKEUP_S))
            await asyncio.sleep(0)
            await self.submit("a")
        assert waiting.result()

    async def test_a_wakeup_while_nobody_waits_is_remembered(self) -> None:
        await self.hush(LEADER_WAKEUP)
        await self.submit("a")
        await self.submit("b")
        assert await self.store.wakeup(LEADER_WAKEUP, WAKEUP_S)

    async def test_waiting_for_a_wakeup_ends_at_the_timeout(self) -> None:
        await self.hush("nobody")
        assert not await self.store.wakeup("nobody", 0.05)

    async def test_waiting_for_a_wakeup_can_be_cancelled(self) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(self.store.wakeup("w1", 60))
            await asyncio.sleep(0.02)
            waiting.cancel()
        assert waiting.cancelled()
        await self.submit("a")
        assert await self.state("a") == READY

    async def test_a_handle_in_another_thread_works_on_the_same_store(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")

        async def elsewhere() -> Outcome:
            async with self.open_store(self.clock, self.settings) as store:
                tasks = await store.get(["a"])
                assert tasks[0] is not None
                assert (tasks[0].status, tasks[0].home) == RUNNING
                return (await store.heartbeat("w1", "0100-a", [])).outcome

        beat = await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert beat == Outcome.OK
        assert await self.finish("a", token) == Outcome.OK

    async def test_claims_at_the_same_time_never_share_a_task(self) -> None:
        await self.lead()
        await self.worker(capacity=50)
        other = await self.another_handle()
        names = {f"t{index:02}" for index in range(40)}
        for name in sorted(names):
            await self.queued(name)
        claims = await asyncio.gather(
            *(
                (self.store if lane % 2 else other).claim("w1", "0100-a", lane, 1, 10)
                for lane in range(6)
            )
        )
        claimed = [task.id for claim in claims for task in claim.tasks]
        assert sorted(names) == sorted(claimed)

    async def test_of_many_who_want_to_lead_at_the_same_time_one_does(self) -> None:
        other = await self.another_handle()
        answers = await asyncio.gather(
            *(
                (self.store if index % 2 else other).acquire(f"pod{index}", f"tok{index}", 10_000)
                for index in range(8)
            )
        )
        assert [answer.outcome for answer in answers].count(Outcome.OK) == 1
        assert len({answer.fence for answer in answers}) == 1

    async def test_a_config_put_by_many_at_the_same_time_is_stored_once(self) -> None:
        other = await self.another_handle()
        put = PutConfig(config=a_config(), rearm=self.rearm(None))
        handles = [self.store, other] * 3
        answers = await asyncio.gather(*(store.put([put], by=AUTHOR) for store in handles))
        outcomes = [answer.outcome for (answer,) in answers]
        assert (outcomes.count(Outcome.OK), outcomes.count(Outcome.DUP)) == (1, 5)
        assert len(await self.news()) == 1
