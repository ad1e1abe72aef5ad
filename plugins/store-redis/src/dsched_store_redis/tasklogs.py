"""Lines of tasks."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import (
    MAX_LINE_PAGE,
    LineBatch,
    LineLevel,
    LinePage,
    NewLine,
    TaskLine,
    TaskLogs,
    check_lines,
    line_cursor,
    line_page,
    line_size,
)
from dsched_store_redis.base import OnRedis
from dsched_store_redis.wire import decode, known, lines, outcomes, text, untext


class RedisTaskLogs(OnRedis, TaskLogs):
    """Lines of tasks."""

    async def append_lines(self, items: Sequence[LineBatch]) -> tuple[Outcome, ...]:
        """Add lines of attempts."""
        check_batch([item.task_id for item in items])
        check_lines(items)
        if not items:
            return ()
        caps = self._footing.settings.log_caps
        answer = await self._step(
            "append_lines",
            lines(map(_batch_row, items)),
            lines(_line_row(line) for item in items for line in item.lines),
            caps.lines // 2,
            caps.bytes // 2,
            self._ttl,
        )
        return outcomes(answer[1])

    async def task_lines(
        self, task_id: str, after: str | None, limit: int, *, attempt: int | None = None
    ) -> LinePage | None:
        """Lines after a cursor."""
        check_limit(limit, MAX_LINE_PAGE)
        number = line_cursor(after)
        # One attempt's lines are picked here, from all that there are.
        most = limit + 1 if attempt is None else self._footing.settings.log_caps.lines
        answer = await self._step("task_lines", known(task_id), number, most, self._ttl)
        if answer[0] == b"UNKNOWN":
            return None
        _, ended, found = answer
        return line_page(
            map(_read, found), after=number, limit=limit, attempt=attempt, ended=ended == 1
        )


def _batch_row(item: LineBatch) -> str:
    return f"{known(item.task_id)}\t{item.token}\t{len(item.lines)}"


def _line_row(line: NewLine) -> str:
    size = line_size(line.text)
    return f"{line.number}\t{line.age_ms}\t{size}\t{line.level.value}\t{text(line.text)}"


def _read(row: bytes) -> TaskLine:
    n, attempt, at_ms, _, level, kept = decode(row).split("\t")
    return TaskLine(
        n=int(n),
        at_ms=int(at_ms),
        attempt=int(attempt),
        level=LineLevel(level),
        text=untext(kept),
    )
