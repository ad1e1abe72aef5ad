"""Named tests: lists of ended tasks between two instants."""

from typing import Any

import pytest

from dsched.contracts.store.reading import TaskQuery
from dsched.model import Home, TaskStatus
from dsched_testkit.suites.store.arrange import DAY_MS, Arranging

LISTS: tuple[dict[str, Any], ...] = ({"config_id": "c"}, {"status": TaskStatus.SUCCESS})


class WindowTests(Arranging):
    """What ended in a span of time, and nothing else."""

    async def test_a_list_of_ended_tasks_is_bounded_by_their_ends(self) -> None:
        first, names = await self._five_that_ended()
        for kind in LISTS:
            for begin in range(-1, 6):
                for end in range(-1, 7):
                    found = await self._ended_within(
                        from_ms=first + 10 * begin, before_ms=first + 10 * end, **kind
                    )
                    assert found == names[max(0, begin) : max(0, end)][::-1]

    async def test_the_end_from_which_on_is_in_the_list_and_the_one_before_which_is_not(
        self,
    ) -> None:
        first, names = await self._five_that_ended()
        for kind in LISTS:
            since = [
                await self._ended_within(from_ms=first + 20 + off, **kind) for off in (-1, 0, 1)
            ]
            assert since == [names[2:][::-1], names[2:][::-1], names[3:][::-1]]
            until = [
                await self._ended_within(before_ms=first + 20 + off, **kind) for off in (-1, 0, 1)
            ]
            assert until == [names[:2][::-1], names[:2][::-1], names[:3][::-1]]

    async def test_a_bounded_list_comes_page_by_page(self) -> None:
        first, names = await self._five_that_ended()
        for kind in LISTS:
            query = TaskQuery(from_ms=first + 10, before_ms=first + 40, **kind)
            found: list[str] = []
            cursor: str | None = None
            for _ in range(5):
                page = await self.store.list_tasks(query, cursor, 2)
                assert len(page.tasks) <= 2
                found.extend(task.id for task in page.tasks)
                cursor = page.cursor
                if cursor is None:
                    break
            assert found == names[1:4][::-1]
            assert cursor is None

    async def test_a_page_that_ends_at_the_bound_says_so(self) -> None:
        first, names = await self._five_that_ended()
        for kind in LISTS:
            query = TaskQuery(from_ms=first + 20, **kind)
            page = await self.store.list_tasks(query, None, 3)
            assert ([task.id for task in page.tasks], page.cursor) == (names[2:][::-1], None)

    async def test_tasks_that_ended_at_once_are_in_the_list_together(self) -> None:
        await self.lead()
        names = [await self.submit(f"c@manual-{index}") for index in range(3)]
        await self.store.cancel(names, by="client", reason="asked")
        await self.collected()
        now = self.clock.ms
        for kind in ({"config_id": "c"}, {"status": TaskStatus.CANCELLED}):
            assert await self._ended_within(from_ms=now, before_ms=now + 1, **kind) == names[::-1]
            assert await self._ended_within(before_ms=now, **kind) == []
            assert await self._ended_within(from_ms=now + 1, **kind) == []

    async def test_bounds_are_refused_where_a_list_is_not_in_the_order_of_ends(self) -> None:
        for query in (
            TaskQuery(home=Home.READY, from_ms=1),
            TaskQuery(home=Home.LEASE, before_ms=1),
            TaskQuery(home=Home.QUEUE, worker_id="w1", from_ms=1),
            TaskQuery(live_of="c", from_ms=1),
            TaskQuery(live_of="c", before_ms=1),
            TaskQuery(from_ms=1, before_ms=2),
        ):
            with pytest.raises(ValueError, match=r"ended|no index"):
                await self.store.list_tasks(query, None, 10)

    async def test_what_is_no_instant_is_refused(self) -> None:
        for query in (
            TaskQuery(config_id="c", from_ms=10**16),
            TaskQuery(config_id="c", before_ms=-(10**30)),
        ):
            with pytest.raises(ValueError, match="no instant"):
                await self.store.list_tasks(query, None, 10)

    async def _five_that_ended(self) -> tuple[int, list[str]]:
        """When the first of five tasks ended, and all in the order of their ends, 10 ms apart."""
        await self.lead()
        await self.worker(heartbeat_timeout_ms=DAY_MS)
        first = self.clock.ms
        names = [f"c@manual-{index}" for index in range(5)]
        for index, name in enumerate(names):
            await self.clock.advance(first + 10 * index - self.clock.ms)
            await self.ended(name)
        await self.collected()
        (oldest,) = await self.store.get([names[0]])
        assert oldest is not None
        assert oldest.end_ms == first
        return first, names

    async def _ended_within(self, **query: Any) -> list[str]:
        page = await self.store.list_tasks(TaskQuery(**query), None, 100)
        return [task.id for task in page.tasks]
