"""Backfill: past instants of a config run as tasks of their own, a page at a time."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

import attrs

from dsched.client.asking import RefusedError
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.working import Submission
from dsched.model import (
    Overlap,
    Task,
    TaskConfig,
    TaskSpec,
    backfill_task_id,
    check_id,
    fire_task_id,
    from_ms,
)
from dsched.planning import Instants, config_instants

MAX_BACKFILL = 1000  # instants looked at in one call
MAX_KEY = 40  # so that every id stays short enough for every store
LOWEST_PRIORITY = 0

T = TypeVar("T")


class Answered(Protocol):
    """Repeats a call that got no answer."""

    async def __call__(self, call: Callable[[], Awaitable[T]], /) -> T:
        """The call's answer."""
        ...


@attrs.define(kw_only=True)
class Backfill:
    """What one call did. Instants are wall ms, ascending.

    ``instants`` were looked at; of them ``fired`` were left out because their fire made a task,
    and ``known`` have a task of this backfill already. ``tasks`` were made by this call. Unless
    ``done`` there is more, from ``next_from`` on; ``waits_for`` is the task that must end first.
    """

    instants: list[int] = attrs.field(factory=list)
    fired: list[int] = attrs.field(factory=list)
    known: list[int] = attrs.field(factory=list)
    tasks: list[str] = attrs.field(factory=list)
    done: bool = False
    next_from: datetime | None = None
    waits_for: str | None = None


class Backfiller:
    """One request to backfill a config."""

    def __init__(
        self,
        store: Store,
        config: TaskConfig,
        *,
        spec: TaskSpec,
        key: str,
        again: bool,
        dry_run: bool,
    ) -> None:
        if key and len(check_id(key, "key")) > MAX_KEY:
            raise ValueError(f"key has {len(key)} characters; at most {MAX_KEY} are allowed")
        if config.fixed_delay is not None:
            raise RefusedError("INVALID", f"{config.id} has a fixed delay: it has no past instants")
        self._store = store
        self._config = config
        self._spec = attrs.evolve(spec, priority=LOWEST_PRIORITY, start_deadline=None)
        self._key = key
        self._again = again
        self._dry_run = dry_run
        self._one_by_one = config.overlap is not Overlap.ALLOW and not dry_run

    async def run(
        self, answered: Answered, first_ms: int, last_ms: int, *, limit: int, by: str, why: str
    ) -> Backfill:
        """Look at the instants of ``[first_ms, last_ms]``, and make the tasks that are missing."""
        if not 1 <= limit <= MAX_BACKFILL:
            raise ValueError(f"limit must be 1 to {MAX_BACKFILL}, got {limit}")
        instants = config_instants(self._config)
        if self._config.every is not None and self._config.start_at is None:
            # Its period is counted from its creation, which is itself no instant.
            first_ms = max(first_ms, self._config.created_ms + 1)
        said = Backfill()
        next_ms = instants.next_after(first_ms - 1)
        while next_ms is not None and next_ms <= last_ms and len(said.instants) < limit:
            page = _page(instants, next_ms, last_ms, min(MAX_BATCH, limit - len(said.instants)))
            stopped_ms = await self._page(answered, said, page, by=by, why=why)
            next_ms = instants.next_after((stopped_ms or page[-1] + 1) - 1)
            if stopped_ms is not None:
                break
        said.done = next_ms is None or next_ms > last_ms
        if not said.done and next_ms is not None:
            said.next_from = from_ms(next_ms)
            if self._one_by_one and said.tasks:
                # The next call first checks whether the run just made has ended.
                said.next_from, said.waits_for = from_ms(said.instants[-1]), said.tasks[-1]
        return said

    async def _page(
        self, answered: Answered, said: Backfill, page: list[int], *, by: str, why: str
    ) -> int | None:
        """One page of instants; from where to go on if this call must stop here."""
        fires = await answered(
            lambda: self._store.get([fire_task_id(self._config.id, at_ms) for at_ms in page])
        )
        tasks = await answered(lambda: self._store.get([self._id(at_ms) for at_ms in page]))
        missing: list[int] = []
        for at_ms, fire, task in zip(page, fires, tasks, strict=True):
            if self._one_by_one and _lives(task):
                said.waits_for = self._id(at_ms)
                return at_ms
            if fire is not None and not self._again:
                said.fired.append(at_ms)
            elif task is not None:
                said.known.append(at_ms)
            elif self._one_by_one:
                said.waits_for = await self._live(answered)
                if said.waits_for is not None:
                    return at_ms
                await self._make(answered, said, [at_ms], by=by, why=why)
                said.instants.append(at_ms)
                return at_ms + 1
            else:
                missing.append(at_ms)
            said.instants.append(at_ms)
        await self._make(answered, said, missing, by=by, why=why)
        return None

    async def _live(self, answered: Answered) -> str | None:
        """A task of the config's own fires that has not ended."""
        query = TaskQuery(live_of=self._config.id)
        page = await answered(lambda: self._store.list_tasks(query, None, 1))
        return page.tasks[0].id if page.tasks else None

    async def _make(
        self, answered: Answered, said: Backfill, missing: list[int], *, by: str, why: str
    ) -> None:
        items = [Submission(task_id=self._id(at), spec=self._spec, why=why) for at in missing]
        if items and not self._dry_run:
            # A conflict can only be this instant's task, made before the config was edited.
            await answered(lambda: self._store.submit(items, by=by))
        said.tasks += [item.task_id for item in items]

    def _id(self, at_ms: int) -> str:
        return backfill_task_id(self._config.id, at_ms, self._key)


def _page(instants: Instants, first_ms: int, last_ms: int, size: int) -> list[int]:
    page = [first_ms]
    while len(page) < size:
        at_ms = instants.next_after(page[-1])
        if at_ms is None or at_ms > last_ms:
            break
        page.append(at_ms)
    return page


def _lives(task: Task | None) -> bool:
    return task is not None and not task.status.terminal
