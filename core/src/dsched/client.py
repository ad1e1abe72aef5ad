"""The Python client on a store: submit, trigger, wait, cancel, read; and the configs' acts."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs

from dsched.asking import (
    ClientError,
    ConflictError,
    NotFoundError,
    NotScheduledError,
    RefusedError,
    TaskEndedBadlyError,
)
from dsched.backfilling import Backfill
from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    CancelAnswer,
    ConfigPage,
    ConfigVersion,
    Counts,
    DecisionPage,
    Event,
    PutConfig,
    Rearm,
    StoredConfig,
    Submission,
    TaskPage,
    TaskQuery,
)
from dsched.model import (
    SkipReason,
    Task,
    TaskConfig,
    TaskSpec,
    TaskStatus,
    Worker,
    check_id,
    manual_task_id,
)
from dsched.operating import Operating, Skipped
from dsched.planning import next_due, plan_rearm

FIRST_POLL_S = 0.01
LONGEST_POLL_S = 0.5
MOVED_TRIES = 20


__all__ = [
    "Backfill",
    "Client",
    "ClientError",
    "ConflictError",
    "NotFoundError",
    "NotScheduledError",
    "RefusedError",
    "Skipped",
    "TaskEndedBadlyError",
    "planned_rearm",
]


class Client(Operating):
    """Everything a program may ask of a dsched store. ``by`` names it in the event log.

    Calls that got no answer are repeated for some seconds, then `StoreUnavailableError` is raised;
    each call may be repeated by its caller too, with the same ids.
    """

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

    async def get(self, task_id: str) -> Task:
        """The task with its spec, and its result if it has ended; `NotFoundError`."""
        (task,) = await self._answered(lambda: self._store.get([task_id], full=True))
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

    async def put_config(self, config: TaskConfig) -> StoredConfig:
        """Create or change a config; equal content changes nothing. What is stored afterwards."""
        for _ in range(MOVED_TRIES):
            now_ms = (await self._answered(self._store.now)).wall_ms
            (old,) = await self._answered(lambda: self._store.get_configs([config.id]))
            item = _planned_put(config, old, now_ms)
            (answer,) = await self._answered(lambda: self._store.put([item], by=self._by))  # noqa: B023
            if answer.stored is not None and answer.outcome in (Outcome.OK, Outcome.DUP):
                return answer.stored
        raise _moved(config.id)

    async def list_configs(self, *, cursor: str | None = None, limit: int = 100) -> ConfigPage:
        """A page of configs by ascending id."""
        return await self._answered(lambda: self._store.list_configs(cursor, limit))

    async def delete_config(self, config_id: str, *, cancel_tasks: bool = False) -> None:
        """Remove a config. Its live tasks finish, unless they are to be cancelled too."""
        await self._change(
            config_id,
            SkipReason.DELETED,
            lambda rearm: self._store.delete(config_id, rearm, by=self._by),
            rearmed=False,
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
    ) -> None:
        """Read, plan, compare-and-change; again while somebody else was faster."""
        for _ in range(MOVED_TRIES):
            now_ms = (await self._answered(self._store.now)).wall_ms
            stored = await self.get_config(config_id)
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


def planned_rearm(
    stored: StoredConfig, now_ms: int, reason: SkipReason, successor: TaskConfig | None
) -> Rearm:
    """What a change of this config owes, and when ``successor`` (None: nothing) is due next."""
    skipped = plan_rearm(
        stored.config,
        due_ms=stored.due_ms,
        paused_gap_from_ms=None if stored.paused is None else stored.paused.gap_from_ms,
        now_ms=now_ms,
        last_fired_ms=stored.last_fired_ms,
        reason=reason,
        successor=successor,
    )
    due_ms = None
    if successor is not None:
        due_ms = next_due(successor, now_ms=now_ms, last_fired_ms=stored.last_fired_ms)
    return Rearm(read=stored.version, upto_ms=now_ms, skipped=skipped, next_due_ms=due_ms)


def _planned_put(config: TaskConfig, old: StoredConfig | None, now_ms: int) -> PutConfig:
    if old is None:
        config = attrs.evolve(config, created_ms=now_ms)
        rearm = Rearm(
            read=ConfigVersion(),
            upto_ms=now_ms,
            next_due_ms=next_due(config, now_ms=now_ms),
        )
        return PutConfig(config=config, rearm=rearm)
    config = attrs.evolve(config, created_ms=old.config.created_ms)
    reason = SkipReason.EDITED if config.enabled else SkipReason.DISABLED
    return PutConfig(config=config, rearm=planned_rearm(old, now_ms, reason, config))


def _moved(config_id: str) -> ConflictError:
    return ConflictError(
        Outcome.MOVED,
        f"config {config_id} changed under our hands {MOVED_TRIES} times; try again",
    )
