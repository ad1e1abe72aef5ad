"""Lines of tasks: rows of their own, numbered by task; one row of counts for each task's log."""

from collections.abc import Sequence
from operator import attrgetter

import attrs

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import (
    MAX_LINE_PAGE,
    LineBatch,
    LineLevel,
    LinePage,
    LogCaps,
    TaskLine,
    TaskLogs,
    check_lines,
    line_cursor,
    line_page,
    line_size,
)
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.rows import TaskRow
from dsched_store_sqlite.sources import is_source
from dsched_store_sqlite.step import Step

READ_LINES = (
    "SELECT n, at_ms, attempt, text, level FROM line WHERE task = ? AND n > ? ORDER BY n LIMIT ?"
)
OLDEST = "SELECT n, size FROM line WHERE task = ? AND n >= ? ORDER BY n"
PUT_LINE = "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)"
DROP_LINES = "DELETE FROM line WHERE task = ? AND n >= ? AND n < ?"
READ_COUNTS = "SELECT * FROM linecount WHERE task = ?"
PUT_COUNTS = "INSERT OR REPLACE INTO linecount VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ALL = -1  # SQLite: no limit


@attrs.define
class LogCounts:
    """The columns of `linecount`. ``tail`` is the number of the tail's first line.

    ``last`` is the highest number of attempt ``attempt``; ``closed``: the head takes no more.
    """

    task: int
    attempt: int = 0
    last: int = 0
    count: int = 0
    head_lines: int = 0
    head_bytes: int = 0
    closed: int = 0
    tail: int = 1
    tail_lines: int = 0
    tail_bytes: int = 0


_VALUES = attrgetter(*(field.name for field in attrs.fields(LogCounts)))


class SqliteTaskLogs(OnSqlite, TaskLogs):
    """Lines of tasks."""

    async def append_lines(self, items: Sequence[LineBatch]) -> tuple[Outcome, ...]:
        """Add lines of attempts."""
        check_batch([item.task_id for item in items])
        check_lines(items)

        def run(step: Step) -> tuple[Outcome, ...]:
            tasks = step.load([item.task_id for item in items])
            return tuple(_append(step, task, item) for task, item in zip(tasks, items, strict=True))

        return await self._step(run)

    async def task_lines(
        self, task_id: str, after: str | None, limit: int, *, attempt: int | None = None
    ) -> LinePage | None:
        """Lines after a cursor."""
        check_limit(limit, MAX_LINE_PAGE)
        number = line_cursor(after)

        def run(step: Step) -> LinePage | None:
            task = step.task(task_id)
            if task is None or is_past(step, task):
                return None
            most = limit + 1 if attempt is None else _ALL
            rows = step.db.execute(READ_LINES, (task.seq, number, most)).fetchall()
            return line_page(
                [_line(*row) for row in rows],
                after=number,
                limit=limit,
                attempt=attempt,
                ended=task.status.terminal,
            )

        return await self._step(run)


def forget_lines(step: Step, seq: int) -> None:
    """Remove the lines of a task that is removed."""
    step.db.execute("DELETE FROM line WHERE task = ?", (seq,))
    step.db.execute("DELETE FROM linecount WHERE task = ?", (seq,))


def _line(n: int, at_ms: int, attempt: int, text: str, level: str) -> TaskLine:
    return TaskLine(n=n, at_ms=at_ms, attempt=attempt, text=text, level=LineLevel(level))


def is_past(step: Step, task: TaskRow) -> bool:
    """Whether a task is past its time, removed or not: it is not shown any more."""
    if task.end_ms is None or task.end_ms > step.wall_ms - step.settings.kept_ms(task.status):
        return False
    return not (task.is_run and is_source(step, task.id))


def _append(step: Step, task: TaskRow | None, item: LineBatch) -> Outcome:
    if task is None or task.token is None or task.token != item.token or is_past(step, task):
        return Outcome.STALE
    found = step.db.execute(READ_COUNTS, (task.seq,)).fetchone()
    counts = LogCounts(task.seq) if found is None else LogCounts(*found)
    if counts.attempt != task.attempt:
        counts.attempt, counts.last = task.attempt, 0
    rows = []
    for line in item.lines:
        if line.number > counts.last:
            counts.count += line.number - counts.last
            counts.last = line.number
            size = line_size(line.text)
            _count(counts, size, step.settings.log_caps)
            at_ms = step.wall_ms - line.age_ms
            rows.append(
                (task.seq, counts.count, task.attempt, at_ms, line.level.value, size, line.text)
            )
    if rows:
        step.db.executemany(PUT_LINE, rows)
        _trim(step, counts, step.settings.log_caps)
        step.db.execute(PUT_COUNTS, _VALUES(counts))
    return Outcome.OK


def _count(counts: LogCounts, size: int, caps: LogCaps) -> None:
    """Count the newest line to the head, or to the tail."""
    fits = counts.head_lines < caps.lines // 2 and counts.head_bytes + size <= caps.bytes // 2
    if fits and not counts.closed:
        counts.head_lines += 1
        counts.head_bytes += size
        counts.tail = counts.count + 1
        return
    counts.closed = 1
    counts.tail_lines += 1
    counts.tail_bytes += size


def _trim(step: Step, counts: LogCounts, caps: LogCaps) -> None:
    """Drop the oldest lines of a tail that has outgrown its half."""
    first = counts.tail
    oldest = step.db.execute(OLDEST, (counts.task, first))
    for n, size in oldest:
        if counts.tail_lines <= caps.lines // 2 and counts.tail_bytes <= caps.bytes // 2:
            break
        counts.tail = n + 1
        counts.tail_lines -= 1
        counts.tail_bytes -= size
    oldest.close()
    if counts.tail > first:
        step.db.execute(DROP_LINES, (counts.task, first, counts.tail))
