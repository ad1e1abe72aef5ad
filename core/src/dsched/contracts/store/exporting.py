"""A source made of a store's own readers, for stores whose readers can see all that there is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import TypeVar

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_EVENT_PAGE
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import MovedDocument, MovedTask, Part, Source
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.statistics import HOUR_MS, MAX_STATS_HOURS
from dsched.contracts.store.tasklogs import MAX_LINE_PAGE, LineLevel, TaskLine
from dsched.model import Home, MemberLine, MemberStep, Task, TaskStatus, member_id

T = TypeVar("T")


class Listed(StrEnum):
    """What the readers of a store do not list."""

    ENDED = "ended"  # ids of ended tasks, also of those that no index has yet
    QUEUED = "queued"  # ids of tasks on workers' queues
    DECIDED = "decided"  # ids of configs that decisions are kept of
    KINDS = "kinds"  # kinds of documents


class Inventory(ABC):
    """What a source needs to know beside a store's readers."""

    @abstractmethod
    def listed(self, what: Listed) -> AsyncIterator[Sequence[str]]:
        """All of these, some at a time, each once."""

    @abstractmethod
    async def waits_ms(self, task_ids: Sequence[str]) -> Sequence[int]:
        """How long these delayed tasks have still to wait."""

    @abstractmethod
    async def collected(self) -> str | None:
        """The cursor up to which the collector has read; None if it has not begun."""


class ReadSource(Source):
    """Reads a store that nobody writes to meanwhile."""

    def __init__(self, store: Store, inventory: Inventory) -> None:
        self._store = store
        self._inventory = inventory

    async def head(self) -> History:
        """Where its history stands."""
        return await self._store.history(None)

    async def parts(self) -> AsyncIterator[Part]:
        """All that it holds."""
        config_ids: set[str] = set()
        async for part in self._configs():
            config_ids.update(one.config.id for one in part.configs)
            yield part
        async for ids in self._inventory.listed(Listed.DECIDED):
            config_ids.update(ids)
        readers: list[Callable[[], AsyncIterator[Part]]] = [
            self._limits,
            self._living,
            self._ended,
            self._documents,
            self._terms,
            self._events,
        ]
        for read in readers:
            async for part in read():
                yield part
        async for part in self._facts([None, *sorted(config_ids)]):
            yield part

    async def _configs(self) -> AsyncIterator[Part]:
        cursor: str | None = None
        while True:
            page = await self._store.list_configs(cursor, MAX_BATCH)
            yield Part(configs=page.configs)
            cursor = page.cursor
            if cursor is None:
                return

    async def _limits(self) -> AsyncIterator[Part]:
        cursor: str | None = None
        while True:
            page = await self._store.list_limits(cursor, MAX_BATCH)
            if page.limits:
                yield Part(limits=page.limits)
            cursor = page.cursor
            if cursor is None:
                return

    async def _living(self) -> AsyncIterator[Part]:
        for home in (Home.READY, Home.DELAYED, Home.HELD, Home.LEASE, Home.OPEN):
            cursor: str | None = None
            while True:
                page = await self._store.list_tasks(TaskQuery(home=home), cursor, MAX_BATCH)
                async for part in self._with_members([task.id for task in page.tasks]):
                    yield part
                cursor = page.cursor
                if cursor is None:
                    break
        async for ids in self._inventory.listed(Listed.QUEUED):
            for chunk in _chunks(ids):
                yield await self._tasks(chunk)

    async def _ended(self) -> AsyncIterator[Part]:
        async for ids in self._inventory.listed(Listed.ENDED):
            for chunk in _chunks(ids):
                async for part in self._with_members(chunk):
                    yield part

    async def _with_members(self, ids: Sequence[str]) -> AsyncIterator[Part]:
        """Tasks, and of those that are runs the members that have ended: no list has these."""
        part = await self._tasks(ids)
        yield part
        ended = [
            member_id(moved.task.id, line.name)
            for moved in part.tasks
            for line in moved.members
            if line.what is MemberStep.ENDED
        ]
        for chunk in _chunks(ended):
            yield await self._tasks(chunk)

    async def _member_log(self, task: Task) -> tuple[MemberLine, ...]:
        if task.spec is None or task.spec.workflow is None:
            return ()
        kept: list[MemberLine] = []
        while page := await self._store.run_lines(task.id, len(kept), MAX_EVENT_PAGE):
            kept += page
        return tuple(kept)

    async def _tasks(self, ids: Sequence[str]) -> Part:
        found = [task for task in await self._store.get(ids, full=True) if task is not None]
        delayed = [task.id for task in found if _waits(task)]
        waits = dict(zip(delayed, await self._inventory.waits_ms(delayed), strict=True))
        return Part(
            tasks=tuple(
                [
                    MovedTask(
                        task=_at_rest(task),
                        wait_ms=waits.get(task.id, 0),
                        lines=await self._lines(task) if task.attempt else (),
                        members=await self._member_log(task),
                    )
                    for task in found
                ]
            )
        )

    async def _lines(self, task: Task) -> tuple[TaskLine, ...]:
        kept: list[TaskLine] = []
        cursor: str | None = None
        while True:
            page = await self._store.task_lines(task.id, cursor, MAX_LINE_PAGE)
            if page is None or not page.lines:
                return tuple(kept)
            # What stands for lines that are gone is not kept by any store.
            kept += [one for one in page.lines if one.attempt or one.level is not LineLevel.DROPPED]
            cursor = page.cursor

    async def _documents(self) -> AsyncIterator[Part]:
        now_ms = (await self._store.now()).now_ms
        async for kinds in self._inventory.listed(Listed.KINDS):
            for kind in kinds:
                cursor: str | None = None
                while True:
                    page = await self._store.list_documents(kind, cursor, MAX_BATCH)
                    yield Part(
                        documents=tuple(
                            MovedDocument(
                                kind=kind,
                                id=one.id,
                                version=one.version,
                                value=one.value,
                                ttl_ms=_left(one.expires_ms, now_ms),
                            )
                            for one in page.documents
                        )
                    )
                    cursor = page.cursor
                    if cursor is None:
                        break

    async def _terms(self) -> AsyncIterator[Part]:
        cursor: str | None = None
        while True:
            page = await self._store.terms(cursor, MAX_BATCH)
            yield Part(terms=page.terms)
            cursor = page.cursor
            if cursor is None:
                return

    async def _events(self) -> AsyncIterator[Part]:
        upto = await self._inventory.collected()
        collected = upto is not None
        cursor: str | None = None
        while True:
            page = await self._store.events(cursor, min(MAX_BATCH, MAX_EVENT_PAGE))
            at = next((n for n, one in enumerate(page.events) if one.cursor == upto), None)
            if at is not None:
                yield Part(events=page.events[: at + 1], collected=True)
                yield Part(events=page.events[at + 1 :], collected=False)
                collected = False
            else:
                yield Part(events=page.events, collected=collected)
            cursor = page.cursor
            if not page.more:
                return

    async def _facts(self, config_ids: Sequence[str | None]) -> AsyncIterator[Part]:
        now_ms = (await self._store.now()).wall_ms
        for config_id in config_ids:
            cursor: str | None = None
            while config_id is not None:
                page = await self._store.decisions(config_id, cursor, MAX_BATCH)
                yield Part(decisions=page.decisions)
                cursor = page.cursor
                if cursor is None:
                    break
            async for part in self._rollups(config_id, now_ms):
                yield part

    async def _rollups(self, config_id: str | None, now_ms: int) -> AsyncIterator[Part]:
        # Statistics are kept for as long as the settings say; a span without any costs one call.
        end_ms, quiet = now_ms + HOUR_MS, 0
        while quiet < 3 and end_ms > 0:
            start_ms = max(0, end_ms - (MAX_STATS_HOURS - 1) * HOUR_MS)
            found = await self._store.stats(config_id, start_ms, end_ms)
            for chunk in _chunks(found):
                yield Part(rollups=tuple(chunk))
            quiet = 0 if found else quiet + 1
            end_ms = start_ms - start_ms % HOUR_MS


def _waits(task: Task) -> bool:
    """Whether it waits for an instant."""
    opening = task.home is Home.OPEN and task.status is TaskStatus.PENDING
    return opening or task.home is Home.DELAYED


def _at_rest(task: Task) -> Task:
    """As it is when no worker has it."""
    if task.home is Home.QUEUE:
        return attrs.evolve(task, home=Home.READY, worker_id=None)
    return task


def _left(expires_ms: int | None, now_ms: int) -> int | None:
    return None if expires_ms is None else max(1, expires_ms - now_ms)


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[at : at + MAX_BATCH] for at in range(0, len(items), MAX_BATCH)]
