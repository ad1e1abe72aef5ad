"""What the client does to tasks: submit, trigger, wait, cancel, read what they wrote."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

import attrs

from dsched.client.asking import Asking, ConflictError, NotFoundError, TaskEndedBadlyError
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.contracts.store.tasklogs import LinePage, TaskLine
from dsched.contracts.store.working import CancelAnswer, Submission
from dsched.model import Task, TaskSpec, TaskStatus, check_id, manual_task_id

FIRST_POLL_S = 0.01
LONGEST_POLL_S = 0.5
FOLLOW_PAGE = 500


class Tasks(Asking):
    """The acts on tasks."""

    async def submit(
        self, spec: TaskSpec, *, task_id: str | None = None, delay_s: float = 0.0
    ) -> str:
        """Create a task; its id. The same id and spec again is the same task.

        Another spec under a taken id raises `ConflictError`. Without ``task_id`` a new one is made.
        """
        task_id = check_id(secrets.token_hex(12) if task_id is None else task_id, "task id")
        spec = self._defaults.fill(spec)
        outcome = await self._submit(task_id, spec, delay_s)
        if outcome is Outcome.CONFLICT:
            raise ConflictError(outcome, f"task id {task_id} is taken by a task with another spec")
        return task_id

    async def submit_many(self, submissions: Sequence[Submission]) -> tuple[Outcome, ...]:
        """Create up to `MAX_BATCH` tasks in one step; one outcome each, as `Working.submit`."""
        for item in submissions:
            check_id(item.task_id, "task id")
        filled = [attrs.evolve(one, spec=self._defaults.fill(one.spec)) for one in submissions]
        return await self._answered(lambda: self._store.submit(filled, by=self._by))

    async def trigger(self, config_id: str, *, key: str | None = None) -> str:
        """Run a config's task now, beside its schedule; the task id.

        Works for paused and disabled configs too. The same ``key`` again gives the same task.
        """
        stored = await self.get_config(config_id)
        unique = secrets.token_hex(8) if key is None else check_id(key, "key")
        task_id = manual_task_id(config_id, unique)
        # A conflict can only be this key's task, made before the config was edited.
        await self._submit(task_id, stored.config.spec, 0.0)
        return task_id

    async def _submit(self, task_id: str, spec: TaskSpec, delay_s: float) -> Outcome:
        item = Submission(task_id=task_id, spec=spec, delay_ms=max(0, round(delay_s * 1000)))
        (outcome,) = await self._answered(lambda: self._store.submit([item], by=self._by))
        return outcome

    async def retry(self, task_id: str, *, key: str | None = None) -> str:
        """Run an ended task once more, as a new task with the same snapshot; the new task's id.

        A config's task becomes a manual one of that config. The same ``key`` again gives the same
        new task. `NotFoundError`; `ConflictError` with the code ``not_ended`` while it lives.
        """
        task = await self.get(task_id)
        if not task.status.terminal:
            raise ConflictError(
                "not_ended", f"task {task_id} is {task.status}; only an ended task is run once more"
            )
        if task.spec is None:
            raise NotFoundError("UNKNOWN", f"what task {task_id} ran is not kept any more")
        unique = secrets.token_hex(12) if key is None else check_id(key, "key")
        new_id = unique if task.config_id is None else manual_task_id(task.config_id, unique)
        await self._submit(new_id, task.spec, 0.0)
        return new_id

    async def get(self, task_id: str, *, full: bool = True) -> Task:
        """The task, ``full``: with its spec, and its result if it has ended; `NotFoundError`."""
        (task,) = await self._answered(lambda: self._store.get([task_id], full=full))
        if task is None:
            raise NotFoundError("UNKNOWN", f"there is no task {task_id} (any more)")
        return task

    async def wait(self, task_id: str, *, timeout_s: float | None = None) -> Task:
        """Wait until the task has ended, and answer with it; `TimeoutError`, `NotFoundError`."""
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await self._ended(task_id)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(await self._still(task_id, timeout_s)) from None

    async def _still(self, task_id: str, timeout_s: float | None) -> str:
        """Where a task is that was waited for in vain."""
        (task,) = await self._store.get([task_id])
        if task is None:
            return f"there is no task {task_id} after {timeout_s:g} s"
        why = "; ".join(text for text in (task.reason, task.error.strip()[-300:]) if text)
        return f"task {task_id} is {task.status} after {timeout_s:g} s" + (why and f": {why}")

    async def _ended(self, task_id: str) -> Task:
        poll_s = FIRST_POLL_S
        while True:
            (task,) = await self._answered(lambda: self._store.get([task_id]))
            if task is None:
                raise NotFoundError("UNKNOWN", f"there is no task {task_id} (any more)")
            if task.status.terminal:
                return await self.get(task_id)
            await asyncio.sleep(poll_s)
            poll_s = min(LONGEST_POLL_S, poll_s * 1.5)

    async def result(self, task_id: str, *, timeout_s: float | None = None) -> object:
        """Wait for the task and answer with its result's data; `TaskEndedBadlyError` if it failed."""
        task = await self.wait(task_id, timeout_s=timeout_s)
        if task.status is not TaskStatus.SUCCESS:
            raise TaskEndedBadlyError(task)
        return None if task.result is None else task.result.data

    async def cancel(self, task_id: str, *, reason: str = "cancelled by a client") -> CancelAnswer:
        """Cancel: ``OK``, ``REQUESTED``, ``ALREADY`` or ``TOO_LATE``; `NotFoundError`."""
        (answer,) = await self._answered(
            lambda: self._store.cancel([task_id], by=self._by, reason=reason)
        )
        if answer.outcome is Outcome.UNKNOWN:
            raise NotFoundError(answer.outcome, f"there is no task {task_id} (any more)")
        return answer

    async def task_lines(
        self,
        task_id: str,
        *,
        after: str | None = None,
        limit: int = 100,
        attempt: int | None = None,
    ) -> LinePage:
        """A page of a task's lines, from the first one or after a cursor; `NotFoundError`."""
        page = await self._answered(
            lambda: self._store.task_lines(task_id, after, limit, attempt=attempt)
        )
        if page is None:
            raise NotFoundError("UNKNOWN", f"there is no task {task_id} (any more)")
        return page

    async def follow_lines(
        self,
        task_id: str,
        *,
        after: str | None = None,
        attempt: int | None = None,
        poll_s: float = 0.5,
    ) -> AsyncIterator[TaskLine]:
        """Every line of a task as it comes, from the first one or after a cursor, until the task
        has ended and all is read; `NotFoundError`."""
        while True:
            page = await self.task_lines(task_id, after=after, limit=FOLLOW_PAGE, attempt=attempt)
            for line in page.lines:
                yield line
            if page.complete:
                return
            if len(page.lines) < FOLLOW_PAGE:
                await asyncio.sleep(poll_s)
            after = page.cursor

    async def list(
        self, query: TaskQuery, *, cursor: str | None = None, limit: int = 100
    ) -> TaskPage:
        """A page of tasks by one index; see `TaskQuery`."""
        return await self._answered(lambda: self._store.list_tasks(query, cursor, limit))
