"""Named tests: the collector's fenced walk over the log, and what it projects."""

import pytest

from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.collecting import Projection
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.model import Decision, Home, TaskStatus, Verdict
from dsched_testkit.suites.store.arrange import DAY_MS, HOUR_MS, Arranging, kinds_of


def a_decision(config_id: str = "c", first_ms: int = 1000, **fields: object) -> Decision:
    """A decision about one instant."""
    defaults = {
        "config_id": config_id,
        "verdict": Verdict.FIRED,
        "first_ms": first_ms,
        "last_ms": first_ms,
    }
    return Decision(**(defaults | fields))  # type: ignore[arg-type]


class CollectTests(Arranging):
    """Reading on from the cursor, and moving it."""

    async def test_collecting_reads_the_log_from_its_beginning(self) -> None:
        await self.lead()
        await self.submit("a")
        page = await self.store.collect(self.fence, 100)
        assert (await self.store.events(None, 100)).events == page.events
        assert page.events[-1].cursor == page.cursor

    async def test_collecting_alone_moves_nothing(self) -> None:
        await self.lead()
        first = await self.store.collect(self.fence, 100)
        assert first == await self.store.collect(self.fence, 100)

    async def test_a_projection_moves_the_cursor(self) -> None:
        await self.lead()
        await self.submit("a")
        await self.submit("b")
        page = await self.store.collect(self.fence, 2)
        assert kinds_of(page.events) == [EventKind.LEADER, EventKind.SUBMITTED]
        assert await self._project(page.after, page.cursor) == Outcome.OK
        rest = await self.store.collect(self.fence, 10)
        assert [dict(item) for item in rest.events[0].items] == [{"task": "b"}]
        assert page.cursor == rest.after
        await self._project(rest.after, rest.cursor)
        empty = await self.store.collect(self.fence, 10)
        assert ((), rest.cursor, rest.cursor) == (empty.events, empty.cursor, empty.after)

    async def test_a_repeated_projection_is_moved_and_adds_nothing(self) -> None:
        await self.lead()
        page = await self.store.collect(self.fence, 100)
        await self._project(page.after, page.cursor, a_decision())
        again = await self._project(page.after, page.cursor, a_decision(first_ms=2000))
        assert again == Outcome.MOVED
        assert [d.first_ms for d in (await self._decisions())] == [1000]

    async def test_a_new_leader_reads_on_where_the_old_one_stopped(self) -> None:
        await self.lead("pod1")
        page = await self.store.collect(self.fence, 100)
        await self._project(page.after, page.cursor)
        await self.store.resign(self.fence)
        await self.lead("pod2")
        rest = await self.store.collect(self.fence, 100)
        assert kinds_of(rest.events) == [EventKind.LEADER, EventKind.LEADER]
        assert page.cursor == rest.after

    async def test_a_projection_writes_nothing_into_the_log(self) -> None:
        await self.lead()
        page = await self.store.collect(self.fence, 100)
        await self.news()
        await self._project(page.after, page.cursor, a_decision())
        assert await self.news() == []

    async def test_limits_outside_the_bounds_are_refused(self) -> None:
        await self.lead()
        for limit in (0, MAX_EVENT_PAGE + 1):
            with pytest.raises(ValueError, match=r"."):
                await self.store.collect(self.fence, limit)
        page = await self.store.collect(self.fence, MAX_EVENT_PAGE)
        many = [a_decision(first_ms=index) for index in range(10 * MAX_BATCH + 1)]
        with pytest.raises(ValueError, match=r"."):
            await self._project(page.after, page.cursor, *many)

    async def _project(self, after: str, upto: str, *decisions: Decision) -> Outcome:
        projection = Projection(after=after, upto=upto, decisions=decisions)
        return await self.store.project(self.fence, projection)

    async def _decisions(self) -> tuple[Decision, ...]:
        return (await self.store.decisions("c", None, 100)).decisions


class ProjectedTests(Arranging):
    """Decisions and the index of ended tasks."""

    async def test_decisions_read_back_newest_instant_first_page_by_page(self) -> None:
        await self.lead()
        decisions = [
            a_decision(first_ms=first_ms, detail="é", late_ms=3, at_ms=9, term=7, task_id="c@1")
            for first_ms in (3000, 1000, 2000)
        ]
        await self.collected(decisions=decisions)
        first = await self.store.decisions("c", None, 2)
        second = await self.store.decisions("c", first.cursor, 2)
        assert [decisions[0], decisions[2]] == list(first.decisions)
        assert ((decisions[1],), None) == (second.decisions, second.cursor)

    async def test_decisions_are_kept_by_their_own_config(self) -> None:
        await self.lead()
        await self.collected(decisions=[a_decision("c"), a_decision("c.1"), a_decision("c:1")])
        assert [d.config_id for d in (await self.store.decisions("c", None, 9)).decisions] == ["c"]
        assert (
            (await self.store.decisions("x", None, 9)).decisions,
            (await self.store.decisions("x", None, 9)).cursor,
        ) == ((), None)

    async def test_a_fire_and_a_skip_of_one_instant_are_two_decisions(self) -> None:
        await self.lead()
        skip = a_decision(verdict=Verdict.SKIPPED, last_ms=5000, count=5, reason="misfire")
        await self.collected(decisions=[a_decision(), skip])
        found = (await self.store.decisions("c", None, 9)).decisions
        assert {Verdict.FIRED, Verdict.SKIPPED} == {decision.verdict for decision in found}

    async def test_adding_what_is_there_changes_nothing(self) -> None:
        await self.lead()
        await self.collected(decisions=[a_decision()])
        await self.collected(decisions=[a_decision()])
        assert len((await self.store.decisions("c", None, 9)).decisions) == 1

    async def test_decisions_are_removed_after_their_ttl(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        now = self.clock.ms
        old, young = a_decision(first_ms=1, at_ms=now), a_decision(first_ms=2, at_ms=now + 10)
        await self.collected(decisions=[old, young])
        await self.clock.advance(HOUR_MS + 5)
        assert (await self.store.prune(self.fence, 40)).count == 1
        assert (young,) == (await self.store.decisions("c", None, 9)).decisions

    async def test_ended_tasks_are_listed_by_config_and_by_status_newest_end_first(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=DAY_MS)
        for name in ("c@manual-1", "c@manual-2", "d@manual-1"):
            await self.ended(name)
            await self.clock.advance(10)
        token = await self.running("c@manual-3")
        await self.fail("c@manual-3", token)
        await self.collected()
        assert await self._ended_ids(config_id="c") == ["c@manual-3", "c@manual-2", "c@manual-1"]
        assert await self._ended_ids(status=TaskStatus.SUCCESS) == [
            "d@manual-1",
            "c@manual-2",
            "c@manual-1",
        ]
        assert await self._ended_ids(status=TaskStatus.FAILED) == ["c@manual-3"]
        assert await self._ended_ids(status=TaskStatus.CANCELLED) == []

    async def test_ended_tasks_are_listed_page_by_page(self) -> None:
        await self.lead()
        await self.worker(heartbeat_timeout_ms=DAY_MS)
        names = [f"c@manual-{index}" for index in range(5)]
        for name in names:
            await self.ended(name)
            await self.clock.advance(10)
        await self.collected()
        found: list[str] = []
        cursor: str | None = None
        for _ in range(5):
            page = await self.store.list_tasks(TaskQuery(config_id="c"), cursor, 2)
            found.extend(task.id for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                break
        assert names[::-1] == found

    async def test_the_index_forgets_a_task_when_it_is_removed(self) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        await self.ended("c@manual-1")
        await self.collected()
        assert (await self.store.counts()).by_status[TaskStatus.SUCCESS] == 1
        await self.clock.advance(HOUR_MS + 1)
        await self.store.prune(self.fence, 40)
        assert await self._ended_ids(config_id="c") == []
        assert (await self.store.counts()).by_status[TaskStatus.SUCCESS] == 0

    async def test_an_index_entry_made_after_its_task_was_removed_goes_with_the_next_prune(
        self,
    ) -> None:
        await self.fresh(result_ttl_ms=HOUR_MS)
        await self.lead()
        await self.worker()
        await self.ended("c@manual-1")
        await self.clock.advance(HOUR_MS + 1)
        await self.store.prune(self.fence, 40)
        await self.collected()
        await self.store.prune(self.fence, 40)
        assert await self._ended_ids(config_id="c") == []
        assert (await self.store.counts()).by_status[TaskStatus.SUCCESS] == 0

    async def test_counts_say_how_many_there_are_of_what(self) -> None:
        await self.lead()
        await self.worker()
        await self.config()
        await self.ended("ended")
        await self.running("running")
        await self.queued("queued")
        await self.clock.advance(5)
        await self.submit("ready")
        await self.submit("delayed", delay_ms=10)
        await self.collected()
        counts = await self.store.counts()
        homes = {home: count for home, count in counts.by_home.items() if count}
        assert homes == {Home.LEASE: 1, Home.QUEUE: 1, Home.READY: 1, Home.DELAYED: 1}
        statuses = {status: count for status, count in counts.by_status.items() if count}
        assert statuses == {TaskStatus.SUCCESS: 1, TaskStatus.RUNNING: 1, TaskStatus.PENDING: 3}
        assert (self.clock.ms, 1) == (counts.oldest_ready_ms, counts.configs)
        assert self.clock.ms == counts.time.wall_ms

    async def _ended_ids(self, **query: object) -> list[str]:
        page = await self.store.list_tasks(TaskQuery(**query), None, 100)  # type: ignore[arg-type]
        return [task.id for task in page.tasks]
