"""What the client does to tasks: submit, trigger, wait, cancel, read what they wrote."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from dsched.client.asking import ConflictError, NotFoundError, TaskEndedBadlyError
from dsched.client.judging import reader
from dsched.client.limits import Limits, first_wrong, unknown_limits
from dsched.client.listing import asked, page_of
from dsched.client.resuming import resuming
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.contracts.store.tasklogs import LinePage, TaskLine
from dsched.contracts.store.working import CancelAnswer, Submission
from dsched.functions.handles import TaskHandle
from dsched.model import (
    Home,
    InvalidConfigError,
    InvalidDurationError,
    Task,
    TaskSpec,
    TaskStatus,
    Wait,
    Workflow,
    check_id,
    given,
    manual_task_id,
    run_of,
    run_spec,
    seconds_of,
    to_ms,
    whole_ms,
)
from dsched.model.params import NO_PARAMS, bound
from dsched.planning.again import again

FIRST_POLL_S = 0.01
LONGEST_POLL_S = 0.5
FOLLOW_PAGE = 500


class Tasks(Limits):
    """The acts on tasks."""

    async def submit(
        self,
        spec: TaskSpec | Workflow | Mapping[str, Any],
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
        delay_s: float = 0.0,
        params: Mapping[str, Any] | None = None,
    ) -> TaskHandle[Any]:
        """Create a task of a `TaskSpec`, or of a mapping with the keys of a task file; or a run of
        a `Workflow`.

        It does not start before ``delay``, or the instant ``at`` (one that has passed: now). The
        same id and spec again is the same task, another spec a `ConflictError`; without
        ``task_id`` a new one is made. ``params`` are of those that it declares.
        `InvalidConfigError` if they are not, or if no installed executor takes it.
        ``delay_s`` is ``delay`` in seconds. The handle is the task's id as well.
        """
        task_id = check_id(secrets.token_hex(12) if task_id is None else task_id, "task id")
        spec = self._taken(spec, params)
        await self._check_specs([spec])
        delay_ms, at_ms = _start(delay_s if delay is None else delay, at)
        outcome = await self._submit(
            Submission(task_id=task_id, spec=spec, delay_ms=delay_ms, at_ms=at_ms)
        )
        if outcome is Outcome.CONFLICT:
            raise ConflictError(outcome, f"task id {task_id} is taken by a task with another spec")
        return TaskHandle(task_id, self)

    def _taken(
        self,
        spec: TaskSpec | Workflow | Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
    ) -> TaskSpec:
        if isinstance(spec, Mapping):
            given = {} if params is None else {"param_values": params}
            return reader(self._judge).spec({**spec, **given})
        if isinstance(spec, Workflow):
            spec = run_spec(spec, params)
        elif params is not None:
            declared = NO_PARAMS if spec.workflow is None else spec.workflow.params
            spec = attrs.evolve(spec, param_values=bound(declared, params))
        return self._defaults.fill(spec if self._judge is None else self._judge.judged(spec))

    async def submit_many(self, submissions: Sequence[Submission]) -> tuple[Outcome, ...]:
        """Create up to `MAX_BATCH` tasks in one step; one outcome each, as `Working.submit`."""
        for item in submissions:
            if not isinstance(item, Submission):
                raise TypeError(
                    f"submit_many takes Submission(task_id=..., spec=...), which names each task "
                    f"so that it may be repeated, not {type(item).__name__}"
                )
            check_id(item.task_id, "task id")
        filled = [attrs.evolve(one, spec=self._taken(one.spec)) for one in submissions]
        await self._check_specs([one.spec for one in filled])
        return await self._answered(lambda: self._store.submit(filled, by=self._by))

    async def _check_specs(self, specs: Sequence[TaskSpec]) -> None:
        await self._check_format(specs)
        named = [name for one in specs for name in one.limits]
        wrong = first_wrong(named, await unknown_limits(self._store, named))
        if wrong is not None:
            raise wrong

    async def trigger(
        self,
        config_id: str,
        *,
        key: str | None = None,
        reason: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> TaskHandle[Any]:
        """Run a config's task now, beside its schedule; its handle. ``reason`` is for the log.

        Works for paused and disabled configs too. The same ``key`` again gives the same task.
        ``params`` are of those that the config declares, else `InvalidConfigError`.
        """
        stored = await self.get_config(config_id)
        unique = secrets.token_hex(8) if key is None else check_id(key, "key")
        task_id = manual_task_id(config_id, unique)
        # A conflict can only be this key's task, made before the config was edited.
        spec = stored.config.spec_with(params)
        await self._submit(Submission(task_id=task_id, spec=spec, why=reason))
        return TaskHandle(task_id, self)

    async def _submit(self, item: Submission) -> Outcome:
        (outcome,) = await self._answered(lambda: self._store.submit([item], by=self._by))
        return outcome

    async def retry(
        self, task_id: str, *, key: str | None = None, reason: str = "", failed: bool = False
    ) -> TaskHandle[Any]:
        """Run an ended task once more, as a new task with the same snapshot; its handle.

        A config's task becomes a manual one of that config. The same ``key`` again gives the same
        new task. ``failed``, of a run of many tasks: only what did not succeed, and what comes
        after that; the new run takes over the rest, and is for the same instant.
        `NotFoundError`; `ConflictError` with the code ``not_ended`` while it lives, with ``member``
        for a member of a run, which is run once more with its run only, and with ``failed`` with
        ``no_run``, and with ``nothing_failed`` if it succeeded.
        """
        run_id = run_of(task_id)
        if run_id is not None:
            raise ConflictError(
                "member", f"task {task_id} is a member of a run; run {run_id} once more instead"
            )
        task = await self.get(task_id)
        if not task.status.terminal:
            raise ConflictError(
                "not_ended", f"task {task_id} is {task.status}; only an ended task is run once more"
            )
        if task.spec is None:
            raise NotFoundError("UNKNOWN", f"what task {task_id} ran is not kept any more")
        unique = secrets.token_hex(12) if key is None else check_id(key, "key")
        new_id = unique if task.config_id is None else manual_task_id(task.config_id, unique)
        spec = again(task.spec, task.nominal_ms)
        if failed:
            spec = await resuming(self._store, self._answered, task, task.spec)
        outcome = await self._submit(Submission(task_id=new_id, spec=spec, why=reason))
        if outcome is Outcome.UNKNOWN:
            raise NotFoundError(
                outcome,
                f"some of what run {task_id} would leave to another is not kept any more; retry "
                "it without asking for what failed only",
            )
        return TaskHandle(new_id, self)

    async def get(self, task_id: str, *, full: bool = True) -> Task:
        """The task, ``full``: with its spec, and its result if it has ended; `NotFoundError`."""
        (task,) = await self._answered(lambda: self._store.get([task_id], full=full))
        if task is None:
            raise NotFoundError("UNKNOWN", f"there is no task {task_id} (any more)")
        return task

    async def wait(
        self, task_id: str, *, timeout: Wait | None = None, timeout_s: float | None = None
    ) -> Task:
        """Wait until the task has ended, and answer with it; `TimeoutError`, `NotFoundError`.

        ``timeout_s`` is ``timeout`` in seconds.
        """
        timeout_s = timeout_s if timeout is None else _seconds("timeout", timeout)
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await self._ended(task_id)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(await self._still(task_id, timeout_s)) from None

    async def _still(self, task_id: str, timeout_s: float | None) -> str:
        """Where a task is that did not end in time."""
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

    async def result(
        self, task_id: str, *, timeout: Wait | None = None, timeout_s: float | None = None
    ) -> Any:
        """Wait for the task and answer with its result's data; `TaskEndedBadlyError` if it
        failed."""
        task = await self.wait(task_id, timeout=timeout, timeout_s=timeout_s)
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
        self,
        query: TaskQuery | None = None,
        *,
        home: Home | str | None = None,
        worker_id: str | None = None,
        config_id: str | None = None,
        status: TaskStatus | str | None = None,
        live_of: str | None = None,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> TaskPage:
        """A page of tasks by one index, by its name or as a `TaskQuery`; or of several configs.

        Those are meant by ``config_id`` (what ended) or ``live_of`` (what waits or runs), which
        may be the beginning of ids and a star, by ``labels`` and ``owner``; ``status`` narrows
        either. Such a page may be short, or empty, while its cursor is not None. ``since`` and
        ``until`` bound what ended.
        """
        wanted = query or asked(
            home=home,
            worker_id=worker_id,
            config_id=config_id,
            status=status,
            live_of=live_of,
            labels=labels,
            owner=owner,
            since=since,
            until=until,
        )
        return await self._answered(lambda: page_of(self._store, wanted, cursor, limit))


def _start(delay: Wait, at: datetime | str | None) -> tuple[int, int | None]:
    """The delay (ms), or the instant (wall ms), before which a task may not start."""
    if at is None:
        return max(0, round(_seconds("delay", delay) * 1000)), None
    if delay:
        raise InvalidConfigError("at", "cannot be given together with delay; keep one of them")
    instant = given.instant_or_none(at)
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise InvalidConfigError(
            "at",
            f"needs to be an instant with a UTC offset, such as 2026-01-31T09:00:00Z; got {at!r}",
        )
    return 0, to_ms(whole_ms(instant))


def _seconds(name: str, value: Wait) -> float:
    try:
        return seconds_of(value)
    except InvalidDurationError as error:
        raise InvalidConfigError(name, str(error)) from None
