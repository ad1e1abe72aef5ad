"""Named tests: what readers of the lines of tasks get."""

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import MAX_LINE_PAGE, LineLevel, LogCaps
from dsched_testkit.suites.store.arrange import CLIENT, DAY_MS, HOUR_MS
from dsched_testkit.suites.store.tasklogs import LogArranging, texts_of


class ReadLinesTests(LogArranging):
    """What readers get."""

    async def test_a_cursor_leads_from_the_first_line_to_the_last(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, *"abcde")
        found, cursor = [], None
        for _ in range(3):
            page = await self._read("a", cursor, 2)
            found += texts_of(page.lines)
            cursor = page.cursor
        assert "".join(found) == "abcde"
        page = await self._read("a", cursor)
        assert (page.lines, page.cursor) == ((), cursor)
        await self._append("a", token, 6, "f")
        assert texts_of((await self._read("a", cursor)).lines) == ["f"]

    async def test_it_says_when_the_task_has_ended_and_all_is_read(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, *"abc")
        assert not (await self._read("a")).complete
        await self.finish("a", token)
        assert not (await self._read("a", None, 2)).complete
        assert (await self._read("a", None, 3)).complete
        assert (await self._read("a", "3")).complete

    async def test_a_task_without_lines_is_complete_when_it_has_ended(self) -> None:
        await self.lead()
        await self.submit("a")
        page = await self._read("a")
        assert (page.lines, page.complete) == ((), False)
        await self.store.cancel(["a"], by=CLIENT, reason="x")
        page = await self._read("a")
        assert (page.lines, page.complete) == ((), True)

    async def test_one_attempts_lines_can_be_read_alone(self) -> None:
        await self.lead()
        await self.worker()
        first = await self.running("a")
        await self._append("a", first, 1, "1", "2")
        second = await self._again("a", first)
        await self._append("a", second, 1, "3", "4")
        await self.finish("a", second)
        assert texts_of((await self._read("a", attempt=1)).lines) == ["1", "2"]
        page = await self._read("a", limit=1, attempt=2)
        assert (texts_of(page.lines), page.complete) == (["3"], False)
        page = await self._read("a", page.cursor, attempt=2)
        assert (texts_of(page.lines), page.complete) == (["4"], True)
        page = await self._read("a", attempt=3)
        assert (page.lines, page.complete) == ((), True)

    async def test_a_reader_that_is_overtaken_learns_how_many_lines_it_missed(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=4))
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, *"abcd")
        page = await self._read("a", None, 3)
        assert texts_of(page.lines) == ["a", "b", "c"]
        await self._append("a", token, 5, *"efgh")
        page = await self._read("a", page.cursor, 1)
        (mark,) = page.lines
        assert (mark.n, mark.level, mark.text.split()[0]) == (6, LineLevel.DROPPED, "3")
        page = await self._read("a", page.cursor)
        assert (texts_of(page.lines), page.complete) == (["g", "h"], False)

    async def test_unknown_tasks_have_no_lines_and_foreign_cursors_are_refused(self) -> None:
        await self.lead()
        await self.submit("a")
        assert await self.store.task_lines("unknown", None, 10) is None
        for cursor in ("x", "-1", "1-0", "", "9" * 30):
            with pytest.raises(ValueError):
                await self.store.task_lines("a", cursor, 10)
        for limit in (0, MAX_LINE_PAGE + 1):
            with pytest.raises(ValueError):
                await self.store.task_lines("a", None, limit)

    async def test_lines_go_with_their_task(self) -> None:
        await self.fresh(result_ttl_ms=DAY_MS)
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, "old")
        await self.finish("a", token)
        await self.collected()
        await self.clock.advance(DAY_MS - 1)
        assert await self._texts("a") == ["old"]
        await self.clock.advance(1)
        assert await self.store.task_lines("a", None, 10) is None
        assert await self._append("a", token, 2, "too late") == Outcome.STALE
        await self.clock.advance(HOUR_MS)
        await self.store.prune(self.fence, 40)
        await self.worker()
        token = await self.running("a")
        assert await self._texts("a") == []
        await self._append("a", token, 1, "new")
        assert [(line.n, line.text) for line in (await self._read("a")).lines] == [(1, "new")]
