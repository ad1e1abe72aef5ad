"""The Python client on a store: submit, trigger, wait, cancel, read; and the configs' acts."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import attrs

from dsched.changing import planned_put as planned_put
from dsched.changing import planned_rearm as planned_rearm
from dsched.contracts.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.steps import (
    CancelAnswer,
    ConfigPage,
    Counts,
    DecisionPage,
    Event,
    Rearm,
    StoredConfig,
    Submission,
    TaskPage,
    TaskQuery,
)
from dsched.contracts.store import Store
from dsched.model import (
    ORPHAN,
    SkipReason,
    Task,
    TaskConfig,
    TaskSpec,
    TaskStatus,
    Worker,
    check_id,
    manual_task_id,
)

T = TypeVar("T")

TRIES = 8
FIRST_RETRY_S = 0.1
FIRST_POLL_S = 0.01
LONGEST_POLL_S = 0.5
MOVED_TRIES = 20


class ClientError(Exception):
    """Base of what the client raises about what was asked; ``code`` is the outcome's word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(ClientError):
    """There is no such task or config (any more)."""


class ConflictError(ClientError):
    """The id is taken by something else, or somebody else changed it at the same time."""


class PreconditionError(ClientError):
    """The config is not the revision that the change was meant for; nothing was changed."""


class TaskEndedBadlyError(ClientError):
    """The task ended ``failed`` or ``cancelled``; ``task`` tells how."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            task.status, f"task {task.id} ended {task.status}: {task.error or task.reason}"
        )
        self.task = task


class Client:
    """Everything a program may ask of a dsched store. ``by`` names it in the event log.

    Calls that got no answer are repeated for some seconds, then `StoreUnavailableError` is raised;
    each call may be repeated by its caller too, with the same ids.
    """

    def __init__(self, store: Store, *, by: str = "client") -> None:
        self._store = store
        self._by = by

    # --- tasks ---

    async def submit(
        self, spec: TaskSpec, *, task_id: str | None = None, delay_s: float = 0.0
    ) -> str:
        """Create a task; its id. The same id and spec again is the same task.

        Another spec under a taken id raises `ConflictError`. Without ``task_id`` a new one is made.
        """
        task_id = check_id(secrets.token_hex(12) if task_id is None else task_id, "task id")
        outcome = await self._submit(task_id, spec, delay_s)
        if outcome is Outcome.CONFLICT:
            raise ConflictError(outcome, f"task id {task_id} is taken by a task with another spec")
        return task_id

    async def submit_many(self, submissions: Sequence[Submission]) -> tuple[Outcome, ...]:
        """Create up to `MAX_BATCH` tasks in one step; one outcome each, as `Working.submit`."""
        for item in submissions:
            check_id(item.task_id, "task id")
        return await self._answered(lambda: self._store.submit(submissions, by=self._by))

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

    async def list(
        self, query: TaskQuery, *, cursor: str | None = None, limit: int = 100
    ) -> TaskPage:
        """A page of tasks by one index; see `TaskQuery`."""
        return await self._answered(lambda: self._store.list_tasks(query, cursor, limit))

    async def events(
        self, *, after: str | None = None, follow: bool = False, poll_s: float = 0.5
    ) -> AsyncIterator[Event]:
        """The event log from a cursor on, to its end, or ``follow``ing it for ever."""
        cursor = after
        while True:
            page = await self._answered(lambda: self._store.events(cursor, 1000))  # noqa: B023
            cursor = page.cursor
            for event in page.events:
                yield event
            if not page.events:
                if not follow:
                    return
                await asyncio.sleep(poll_s)

    async def decisions(
        self, config_id: str, *, cursor: str | None = None, limit: int = 100
    ) -> DecisionPage:
        """What happened to a config's fires, newest first."""
        return await self._answered(lambda: self._store.decisions(config_id, cursor, limit))

    async def counts(self) -> Counts:
        """How many tasks there are, by status and by home."""
        return await self._answered(self._store.counts)

    async def workers(self) -> tuple[Worker, ...]:
        """All registered workers."""
        return await self._answered(self._store.workers)

    async def drain_worker(self, worker_id: str) -> None:
        """Let a worker take no more tasks and hand back its queue; `NotFoundError`."""
        outcome = Outcome.OK
        while outcome is Outcome.OK:
            outcome = await self._answered(lambda: self._store.drain(worker_id, None))
        if outcome is Outcome.NO_WORKER:
            raise NotFoundError(outcome, f"there is no worker {worker_id}")

    # --- configs ---

    async def put_config(
        self, config: TaskConfig, *, adopt: bool = False, expected_revision: int | None = None
    ) -> StoredConfig:
        """Create or change a config; equal content changes nothing. What is stored afterwards.

        One that another origin declares raises `ConflictError` with the code ``origin_conflict``,
        unless it is to be ``adopt``ed: then it is of ``config.origin`` from now on. With
        ``expected_revision`` (0: there must be none) only if that is what is stored, else
        `PreconditionError`.
        """
        for _ in range(MOVED_TRIES):
            now_ms = (await self._answered(self._store.now)).wall_ms
            (old,) = await self._answered(lambda: self._store.get_configs([config.id]))
            _check_revision(config.id, old, expected_revision)
            if not adopt:
                check_origin(old, config.origin)
            item = planned_put(config, old, now_ms)
            (answer,) = await self._answered(lambda: self._store.put([item], by=self._by))  # noqa: B023
            if answer.stored is not None and answer.outcome in (Outcome.OK, Outcome.DUP):
                return answer.stored
        raise _moved(config.id)

    async def get_config(self, config_id: str) -> StoredConfig:
        """A config with what the store knows of it; `NotFoundError`."""
        (stored,) = await self._answered(lambda: self._store.get_configs([config_id]))
        if stored is None:
            raise NotFoundError("UNKNOWN", f"there is no config {config_id}")
        return stored

    async def list_configs(
        self, *, cursor: str | None = None, limit: int = 100, origin: str | None = None
    ) -> ConfigPage:
        """A page of configs by ascending id; of those, the ones of ``origin`` if one is given."""
        page = await self._answered(lambda: self._store.list_configs(cursor, limit))
        kept = (one for one in page.configs if origin in (None, one.config.origin))
        return attrs.evolve(page, configs=tuple(kept))

    async def delete_config(
        self, config_id: str, *, cancel_tasks: bool = False, origin: str | None = None
    ) -> None:
        """Remove a config, with ``origin`` only one of this. Its live tasks finish, unless they are
        to be cancelled too."""
        await self._change(
            config_id,
            SkipReason.DELETED,
            lambda rearm: self._store.delete(config_id, rearm, by=self._by),
            rearmed=False,
            origin=origin,
        )
        if cancel_tasks:
            await self._cancel_live(config_id)

    async def pause_config(self, config_id: str, *, why: str = "") -> None:
        """Pause a config: nothing fires until it is resumed. Pausing again changes nothing."""
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.pause(config_id, rearm, by=self._by, why=why),
            rearmed=False,
        )

    async def orphan_config(self, config_id: str, *, origin: str) -> None:
        """Pause as `ORPHAN` what its ``origin`` no longer declares; ``origin_conflict``."""
        why = f"{origin} no longer declares it, says {self._by}"
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.pause(config_id, rearm, by=ORPHAN, why=why),
            rearmed=False,
            origin=origin,
        )

    async def resume_config(self, config_id: str) -> None:
        """End a pause; the instants of its gap are recorded as skipped."""
        await self._change(
            config_id,
            SkipReason.PAUSED,
            lambda rearm: self._store.resume(config_id, rearm, by=self._by),
            rearmed=True,
        )

    async def _change(
        self,
        config_id: str,
        reason: SkipReason,
        step: Callable[[Rearm], Awaitable[Outcome]],
        *,
        rearmed: bool,
        origin: str | None = None,
    ) -> None:
        """Read, plan, compare-and-change; again while somebody else was faster."""
        for _ in range(MOVED_TRIES):
            now_ms = (await self._answered(self._store.now)).wall_ms
            stored = await self.get_config(config_id)
            if origin is not None:
                check_origin(stored, origin)
            rearm = planned_rearm(stored, now_ms, reason, stored.config if rearmed else None)
            outcome = await self._answered(lambda: step(rearm))  # noqa: B023
            if outcome in (Outcome.OK, Outcome.ALREADY):
                return
            if outcome is Outcome.UNKNOWN:
                if reason is SkipReason.DELETED:
                    return  # it was there a moment ago: gone by this call, or by another
                raise NotFoundError(outcome, f"there is no config {config_id}")
        raise _moved(config_id)

    async def _cancel_live(self, config_id: str) -> None:
        cursor: str | None = None
        while True:
            page = await self.list(TaskQuery(live_of=config_id), cursor=cursor)
            ids = [task.id for task in page.tasks]
            if ids:
                await self._answered(
                    lambda: self._store.cancel(ids, by=self._by, reason="config deleted")  # noqa: B023
                )
            cursor = page.cursor
            if cursor is None:
                return

    async def _answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat an unanswered call a few times; every step may be repeated unchanged."""
        wait_s = FIRST_RETRY_S
        for _ in range(TRIES - 1):
            try:
                return await call()
            except StoreUnavailableError:
                await asyncio.sleep(wait_s)
                wait_s = min(2.0, wait_s * 2)
        return await call()


def check_origin(stored: StoredConfig | None, origin: str) -> None:
    """Raise `ConflictError` (``origin_conflict``) if another origin declares what is stored."""
    if stored is not None and stored.config.origin != origin:
        raise ConflictError(
            "origin_conflict",
            f"config {stored.config.id} is declared by {stored.config.origin}, not by {origin}; "
            "change it there, or take it over: adopt=True of put_config, ?adopt=true of the HTTP "
            "API, --adopt of dsched-run and dsched apply",
        )


def _check_revision(config_id: str, stored: StoredConfig | None, expected: int | None) -> None:
    found = 0 if stored is None else stored.config.revision
    if expected is not None and expected != found:
        there = f"is at revision {found}" if found else "does not exist"
        meant = f"revision {expected}" if expected else "a new one"
        raise PreconditionError(
            "precondition_failed",
            f"config {config_id} {there}, the change was meant for {meant}; read it again",
        )


def _moved(config_id: str) -> ConflictError:
    return ConflictError(
        Outcome.MOVED,
        f"config {config_id} changed under our hands {MOVED_TRIES} times; try again",
    )
