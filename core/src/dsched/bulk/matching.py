"""Which tasks an operation is about: found page by page in the lists of its configs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import attrs

from dsched.bulk.operation import BulkAct, BulkOperation
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.reading import TaskQuery
from dsched.model import Task, TaskStatus
from dsched.selecting import EndedWalk
from dsched.selecting.selection import AT_ONCE

# An estimate counts so many and no more, and reads so many pages.
MAX_COUNTED = 10_000
MAX_PAGES = 200
MAX_FIRST = 10
MAX_NAMED = 20
# How many lists of live tasks one step reads, and how many pages of one of them.
MAX_LISTS = 100
MAX_LIVING_PAGES = 200


class TooManyError(Exception):
    """A list is too long to be read again and again; the message says which."""


@attrs.frozen(kw_only=True)
class Matches:
    """Some tasks, perhaps none, and where to go on; ``over``: there are no more."""

    ids: tuple[str, ...] = ()
    cursor: str | None = None
    over: bool = False


class Walk(Protocol):
    """Goes through what an operation is about."""

    async def next(self, limit: int) -> Matches:
        """The next tasks, at most ``limit``."""
        ...


def walk_of(store: Store, operation: BulkOperation) -> Walk:
    """A walk that goes on where the operation stands."""
    if operation.act is BulkAct.RETRY:
        return _Ended(store, operation)
    return _Living(store, operation)


class _Ended:
    """What ended before the operation was made, the latest first. What is made meanwhile ends later
    than that, and moves nothing."""

    def __init__(self, store: Store, operation: BulkOperation) -> None:
        self._walk = EndedWalk(
            store,
            operation.config_ids,
            operation.window,
            status=operation.status,
            cursor=operation.cursor,
        )

    async def next(self, limit: int) -> Matches:
        """The next tasks, at most ``limit``."""
        page = await self._walk.page(limit)
        ids = tuple(one.id for one in page.tasks)
        return Matches(ids=ids, cursor=page.cursor, over=page.cursor is None)


class _Living:
    """What waits or runs, config by config; the cursor is the place of a config among the ids.

    What is cancelled leaves its list, or says that it is to stop, and a list that moves may hide a
    task. So a list is read from its beginning until it has nothing more to be cancelled.
    """

    def __init__(self, store: Store, operation: BulkOperation) -> None:
        self._store = store
        self._operation = operation
        self._place = int(operation.cursor or 0)
        self._given: set[str] = set(operation.in_hand)

    async def next(self, limit: int) -> Matches:
        """The next tasks, at most ``limit``."""
        ids, found, place = self._operation.config_ids, list[str](), self._place
        stays: int | None = None  # the first config that had something
        last = min(len(ids), place + MAX_LISTS)
        while place < last and len(found) < limit:
            some = ids[place : min(place + AT_ONCE, last)]
            lists = await asyncio.gather(*(self._first(one, limit) for one in some))
            for tasks in lists:
                if tasks and stays is None:
                    stays = place
                found += tasks[: limit - len(found)]
                place += 1
                if len(found) == limit:
                    break
        self._place = place if stays is None else stays
        self._given.update(found)
        over = stays is None and place >= len(ids)
        return Matches(ids=tuple(found), cursor=str(self._place), over=over)

    async def _first(self, config_id: str, limit: int) -> list[str]:
        found: list[str] = []
        async for tasks in _living(self._store, config_id):
            meant = (one.id for one in tasks if is_meant(self._operation, one))
            found += (one for one in meant if one not in self._given)
            if len(found) >= limit:
                break
        return found


async def _living(store: Store, config_id: str) -> AsyncIterator[Sequence[Task]]:
    """The live tasks of a config, page by page."""
    query, cursor = TaskQuery(live_of=config_id), None
    for _ in range(MAX_LIVING_PAGES):
        page = await store.list_tasks(query, cursor, MAX_BATCH)
        yield page.tasks
        cursor = page.cursor
        if cursor is None:
            return
    raise TooManyError(
        f"config {config_id} has more than {MAX_LIVING_PAGES * MAX_BATCH} tasks that wait or run, "
        "and what is to be cancelled is not among the first of them"
    )


def is_meant(operation: BulkOperation, task: Task) -> bool:
    """Whether a live task is to be cancelled: of the status, due when the operation was made, and
    not asked to stop already. What runs had begun then: room that one leaves is taken by another,
    which is not to follow it."""
    if task.cancel_requested or task.scheduled_ms > operation.made_ms:
        return False
    if operation.status is TaskStatus.RUNNING:
        begun = task.start_ms is not None and task.start_ms <= operation.made_ms
        return task.status is TaskStatus.RUNNING and begun
    return operation.status in (None, task.status)


@attrs.frozen(kw_only=True)
class Estimate:
    """How many tasks are meant, at least so many unless ``all_``; of which configs (the most
    first, at most `MAX_NAMED`), and the first of them."""

    found: int
    all_: bool
    by_config: Mapping[str, int]
    first: tuple[str, ...]


async def estimated(store: Store, operation: BulkOperation) -> Estimate:
    """Count what an operation is about, up to `MAX_COUNTED`. What ends or begins meanwhile may be
    counted or not."""
    counted: Counter[str] = Counter()
    first: list[str] = []
    every = True
    pages = _ended_pages if operation.act is BulkAct.RETRY else _living_pages
    read = 0
    async for tasks in pages(store, operation):
        read += 1
        counted.update(one.config_id or "" for one in tasks)
        first += [one.id for one in tasks[: MAX_FIRST - len(first)]]
        if counted.total() >= MAX_COUNTED or read >= MAX_PAGES:
            every = False
            break
    return Estimate(
        found=counted.total(),
        all_=every,
        by_config=dict(counted.most_common(MAX_NAMED)),
        first=tuple(first),
    )


async def _ended_pages(store: Store, operation: BulkOperation) -> AsyncIterator[Sequence[Task]]:
    walk = EndedWalk(store, operation.config_ids, operation.window, status=operation.status)
    while True:
        page = await walk.page(MAX_BATCH)
        yield page.tasks
        if page.cursor is None:
            return


async def _living_pages(store: Store, operation: BulkOperation) -> AsyncIterator[Sequence[Task]]:
    ids = operation.config_ids
    for place in range(0, len(ids), AT_ONCE):
        some = ids[place : place + AT_ONCE]
        lists = await asyncio.gather(*(_meant_of(store, operation, one) for one in some))
        for tasks in lists:
            yield tasks


async def _meant_of(store: Store, operation: BulkOperation, config_id: str) -> list[Task]:
    found: list[Task] = []
    async for tasks in _living(store, config_id):
        found += (one for one in tasks if is_meant(operation, one))
        if len(found) >= MAX_COUNTED:
            break
    return found
