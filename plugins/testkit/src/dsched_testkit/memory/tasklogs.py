"""Lines of tasks in the reference store."""

from collections.abc import Sequence

from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import (
    MAX_LINE_PAGE,
    LineBatch,
    LinePage,
    TaskLine,
    TaskLogs,
    check_lines,
    line_cursor,
    line_page,
)
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.lines import LogRow
from dsched_testkit.memory.state import Step, TaskRow


class MemoryTaskLogs(OnState, TaskLogs):
    """Lines of tasks."""

    async def append_lines(self, items: Sequence[LineBatch]) -> tuple[Outcome, ...]:
        """Add lines of attempts."""
        check_batch([item.task_id for item in items])
        check_lines(items)
        with self._state.step() as step:
            return tuple(self._append(step, item) for item in items)

    def _append(self, step: Step, item: LineBatch) -> Outcome:
        task = self._kept(step, item.task_id)
        if task is None or task.token is None or task.token != item.token:
            return Outcome.STALE
        log = self._state.logs.setdefault(task.id, LogRow())
        if log.attempt != task.attempt:
            log.attempt, log.last = task.attempt, 0
        for line in item.lines:
            if line.number > log.last:
                log.count += line.number - log.last
                log.last = line.number
                kept = TaskLine(
                    n=log.count,
                    at_ms=step.wall_ms - line.age_ms,
                    attempt=task.attempt,
                    text=line.text,
                    level=line.level,
                )
                log.add(kept, self._state.settings.log_caps)
        return Outcome.OK

    async def task_lines(
        self, task_id: str, after: str | None, limit: int, *, attempt: int | None = None
    ) -> LinePage | None:
        """Lines after a cursor."""
        check_limit(limit, MAX_LINE_PAGE)
        number = line_cursor(after)
        with self._state.step() as step:
            task = self._kept(step, task_id)
            if task is None:
                return None
            log = self._state.logs.get(task_id, LogRow())
            return line_page(
                [line for line in (*log.head, *log.tail) if line.n > number],
                after=number,
                limit=limit,
                attempt=attempt,
                ended=task.status.terminal,
            )

    def _kept(self, step: Step, task_id: str) -> TaskRow | None:
        task = self._state.tasks.get(task_id)
        if task is None or task.end_ms is None:
            return task
        kept_ms = self._state.settings.kept_ms(task.status)
        return None if task.end_ms <= step.wall_ms - kept_ms else task
