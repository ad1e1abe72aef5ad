"""Named tests: the lines of tasks; whose they are, in which order, and how many are kept."""

from collections.abc import Sequence

import pytest

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.tasklogs import (
    MAX_LINE_BYTES,
    MAX_LINE_PAGE,
    MAX_LINES_A_CALL,
    LineBatch,
    LineLevel,
    LinePage,
    LogCaps,
    NewLine,
    TaskLine,
)
from dsched.contracts.store.working import Release
from dsched_testkit.suites.store.arrange import HEARTBEAT_MS, Arranging

ODD = "é 😀 \\ \" ' {} % \\u0041 ..."


def new_lines(first: int, *texts: str, age_ms: int = 0) -> tuple[NewLine, ...]:
    """Lines of these texts, numbered from ``first``."""
    return tuple(
        NewLine(number=number, age_ms=age_ms, text=text) for number, text in enumerate(texts, first)
    )


def texts_of(lines: Sequence[TaskLine]) -> list[str]:
    """The texts of lines."""
    return [line.text for line in lines]


class LogArranging(Arranging):
    """What the tests of lines share."""

    async def _append(
        self, task_id: str, token: str, first: int, *texts: str, age_ms: int = 0
    ) -> Outcome:
        batch = LineBatch(
            task_id=task_id, token=token, lines=new_lines(first, *texts, age_ms=age_ms)
        )
        (outcome,) = await self.store.append_lines([batch])
        return outcome

    async def _read(
        self, task_id: str, after: str | None = None, limit: int = 100, attempt: int | None = None
    ) -> LinePage:
        page = await self.store.task_lines(task_id, after, limit, attempt=attempt)
        assert page is not None
        return page

    async def _texts(self, task_id: str) -> list[str]:
        return texts_of((await self._read(task_id, limit=MAX_LINE_PAGE)).lines)

    async def _again(self, task_id: str, token: str) -> str:
        """Fail an attempt and start the next one on w1; its token."""
        await self.fail(task_id, token, retry_delay_ms=0)
        await self.store.promote(self.fence, 10)
        return await self.start(task_id)


class AppendLinesTests(LogArranging):
    """Whose lines are taken."""

    async def test_lines_are_kept_in_their_order_with_time_attempt_and_level(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.news()
        lines = (
            NewLine(number=1, age_ms=1500, text="begun"),
            NewLine(number=2, age_ms=0, text=ODD, level=LineLevel.ERROR),
            NewLine(number=3, age_ms=0, text="", level=LineLevel.STDOUT),
        )
        batch = LineBatch(task_id="a", token=token, lines=lines)
        assert await self.store.append_lines([batch]) == (Outcome.OK,)
        page = await self._read("a")
        now_ms = self.clock.ms
        assert page.lines == (
            TaskLine(n=1, at_ms=now_ms - 1500, attempt=1, text="begun"),
            TaskLine(n=2, at_ms=now_ms, attempt=1, text=ODD, level=LineLevel.ERROR),
            TaskLine(n=3, at_ms=now_ms, attempt=1, text="", level=LineLevel.STDOUT),
        )
        assert await self.news() == []

    async def test_lines_that_never_came_are_counted_and_marked(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 3, "three")
        await self._append("a", token, 10, "ten", "eleven")
        lines = (await self._read("a")).lines
        found = [(line.n, line.attempt, line.level) for line in lines]
        info, dropped = LineLevel.INFO, LineLevel.DROPPED
        assert found == [
            (2, 0, dropped),
            (3, 1, info),
            (9, 0, dropped),
            (10, 1, info),
            (11, 1, info),
        ]
        assert [line.text.split()[0] for line in lines] == ["2", "three", "6", "ten", "eleven"]
        second = await self._again("a", token)
        await self._append("a", second, 2, "two of the next")
        assert [line.n for line in (await self._read("a", "11")).lines] == [12, 13]

    async def test_every_level_comes_back_as_it_was(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        lines = tuple(
            NewLine(number=number, age_ms=0, text=level.value, level=level)
            for number, level in enumerate(LineLevel, 1)
        )
        await self.store.append_lines([LineBatch(task_id="a", token=token, lines=lines)])
        assert [line.level for line in (await self._read("a")).lines] == list(LineLevel)

    async def test_a_repeat_adds_nothing(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, "one", "two")
        before = await self._read("a")
        await self.clock.advance(500)
        assert await self._append("a", token, 1, "one", "two") == Outcome.OK
        assert before == await self._read("a")

    async def test_a_repeat_with_more_adds_what_is_new(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, "one", "two")
        assert await self._append("a", token, 2, "two", "three") == Outcome.OK
        assert await self._append("a", token, 1, "one") == Outcome.OK
        assert await self._texts("a") == ["one", "two", "three"]

    async def test_lines_with_another_token_or_of_what_never_ran_are_stale(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.submit("ready")
        for task_id, other in (("a", token + "0"), ("a", ""), ("ready", token), ("ready", "")):
            assert await self._append(task_id, other, 1, "x") == Outcome.STALE
        assert await self._append("unknown", token, 1, "x") == Outcome.STALE
        assert await self._texts("a") == await self._texts("ready") == []

    async def test_the_last_lines_may_come_after_the_completion(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, "before")
        await self.finish("a", token)
        assert await self._append("a", token, 2, "after") == Outcome.OK
        assert await self._texts("a") == ["before", "after"]

    async def test_the_first_lines_may_come_after_the_completion(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self.finish("a", token)
        assert await self._append("a", token, 1, "late") == Outcome.OK
        assert await self._texts("a") == ["late"]

    async def test_the_last_lines_of_a_failed_attempt_may_come_until_the_next_claim(self) -> None:
        await self.lead()
        await self.worker()
        old = await self.running("a")
        await self.fail("a", old, retry_delay_ms=0)
        assert await self._append("a", old, 1, "after the failure") == Outcome.OK
        await self.store.promote(self.fence, 10)
        assert await self._append("a", old, 2, "ready again") == Outcome.OK
        new = await self.start("a")
        assert await self._append("a", old, 3, "too late") == Outcome.STALE
        assert await self._append("a", new, 1, "the next one") == Outcome.OK
        lines = (await self._read("a")).lines
        assert [(line.n, line.attempt, line.text) for line in lines] == [
            (1, 1, "after the failure"),
            (2, 1, "ready again"),
            (3, 2, "the next one"),
        ]

    async def test_an_attempt_that_was_taken_away_adds_nothing(self) -> None:
        await self.lead()
        await self.worker()
        reaped, released = await self.running("a"), await self.running("b")
        await self.clock.advance(HEARTBEAT_MS + 1)
        await self.store.reap(self.fence, [Reap(task_id="a", token=reaped)])
        release = Release(task_id="b", token=released, reason="drain")
        await self.store.release([release], by="w1")
        assert await self._append("a", reaped, 1, "late") == Outcome.STALE
        assert await self._append("b", released, 1, "late") == Outcome.STALE

    async def test_each_item_has_its_own_outcome(self) -> None:
        await self.lead()
        await self.worker()
        await self.submit("a")
        await self.submit("b")
        token = await self.start("a", "b")
        items = [
            LineBatch(task_id=task_id, token=given, lines=new_lines(1, f"of {task_id}"))
            for task_id, given in (("a", token), ("gone", token), ("b", token))
        ]
        outcomes = await self.store.append_lines(items)
        assert outcomes == (Outcome.OK, Outcome.STALE, Outcome.OK)
        assert await self._texts("a") == ["of a"]
        assert await self._texts("b") == ["of b"]
        assert await self.store.append_lines([]) == ()

    async def test_what_no_line_can_be_is_a_callers_mistake(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        wrong = [
            new_lines(1, "a\nb"),
            new_lines(1, "\x1b[31m"),
            new_lines(1, "x" * (MAX_LINE_BYTES + 1)),
            new_lines(1, "é" * (MAX_LINE_BYTES // 2 + 1)),
            new_lines(0, "zero"),
            (*new_lines(2, "two"), *new_lines(2, "twice")),
            new_lines(1, "of the future", age_ms=-1),
            new_lines(1, *["x"] * (MAX_LINES_A_CALL + 1)),
        ]
        for lines in wrong:
            with pytest.raises(ValueError):
                await self.store.append_lines([LineBatch(task_id="a", token=token, lines=lines)])
        batch = LineBatch(task_id="a", token=token, lines=new_lines(1, "x"))
        for items in ([batch] * 2, [batch] * (MAX_BATCH + 1)):
            with pytest.raises(ValueError):
                await self.store.append_lines(items)
        assert await self._texts("a") == []


class LogCapTests(LogArranging):
    """How much is kept."""

    async def test_the_first_half_and_the_newest_lines_are_kept(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=6))
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, *(f"line {n}" for n in range(1, 6)))
        assert len((await self._read("a")).lines) == 5
        await self._append("a", token, 6, *(f"line {n}" for n in range(6, 21)))
        lines = (await self._read("a")).lines
        assert [line.n for line in lines] == [1, 2, 3, 17, 18, 19, 20]
        assert texts_of(lines)[:3] == ["line 1", "line 2", "line 3"]
        assert texts_of(lines)[4:] == ["line 18", "line 19", "line 20"]
        mark = lines[3]
        assert (mark.level, mark.attempt, mark.text.split()[0]) == (LineLevel.DROPPED, 0, "14")
        assert mark.at_ms == lines[4].at_ms

    async def test_a_repeat_of_what_was_dropped_adds_nothing(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=4))
        await self.lead()
        await self.worker()
        token = await self.running("a")
        texts = [f"line {n}" for n in range(1, 11)]
        await self._append("a", token, 1, *texts)
        before = await self._read("a")
        await self._append("a", token, 1, *texts)
        assert before == await self._read("a")

    async def test_bytes_are_bounded_too(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=1000, bytes=8 * MAX_LINE_BYTES))
        await self.lead()
        await self.worker()
        token = await self.running("a")
        large = "é" * (MAX_LINE_BYTES // 2)
        for number in range(1, 21):
            await self._append("a", token, number, large)
        assert [line.n for line in (await self._read("a")).lines] == [
            1,
            2,
            3,
            4,
            16,
            17,
            18,
            19,
            20,
        ]
        # Once the head is closed, it takes not even a small line.
        await self._append("a", token, 21, "small")
        numbers = [line.n for line in (await self._read("a")).lines]
        assert numbers == [1, 2, 3, 4, 17, 18, 19, 20, 21]

    async def test_the_head_is_closed_by_the_first_line_that_does_not_fit(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=1000, bytes=2 * MAX_LINE_BYTES))
        await self.lead()
        await self.worker()
        token = await self.running("a")
        large = "x" * (MAX_LINE_BYTES - 5)
        await self._append("a", token, 1, "1234567890", large, "abc", large)
        # 3 would have fitted into the head, and 2 does not fit beside 4 into the tail.
        lines = (await self._read("a")).lines
        assert [(line.n, line.attempt) for line in lines] == [(1, 1), (2, 0), (3, 1), (4, 1)]

    async def test_the_caps_are_the_tasks_not_the_attempts(self) -> None:
        await self.fresh(log_caps=LogCaps(lines=4))
        await self.lead()
        await self.worker()
        first = await self.running("a")
        await self._append("a", first, 1, "1", "2", "3", "4", "5")
        second = await self._again("a", first)
        await self._append("a", second, 1, "6", "7")
        lines = (await self._read("a")).lines
        assert [(line.n, line.attempt) for line in lines] == [
            (1, 1),
            (2, 1),
            (5, 0),
            (6, 2),
            (7, 2),
        ]

    async def test_a_flood_in_one_call_keeps_how_it_began_and_how_it_ended(self) -> None:
        await self.lead()
        await self.worker()
        token = await self.running("a")
        await self._append("a", token, 1, *(f"line {n}" for n in range(1, MAX_LINES_A_CALL + 1)))
        page = await self._read("a", limit=MAX_LINE_PAGE)
        rest = await self._read("a", page.cursor)
        lines = page.lines + rest.lines
        assert len(lines) == LogCaps().lines + 1
        assert texts_of(lines)[:500] == [f"line {n}" for n in range(1, 501)]
        assert texts_of(lines)[501:] == [f"line {n}" for n in range(1501, 2001)]
