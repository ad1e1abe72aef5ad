"""Tasks that ended: of one config page by page, or of many merged, the latest end first."""

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Task, TaskStatus
from dsched.model.json import dumps, loads
from dsched.selecting.selection import AT_ONCE, SelectionError

# How many tasks one page of several lists reads beyond the first few of each.
MAX_READ = 1000


@attrs.frozen(kw_only=True)
class Window:
    """A span of time by its first instant and the one behind it (wall ms; None: without bound).

    What ended in it, lies in it. What has not ended yet ends later than any instant: it lies in
    each window that has no end. `SelectionError` where it is empty.
    """

    from_ms: int | None = None
    before_ms: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a window in which nothing can lie."""
        if self.from_ms is None or self.before_ms is None:
            return
        if self.from_ms >= self.before_ms:
            raise SelectionError("until", "must be later than since: nothing ends between them")

    def of_config(self, config_id: str) -> TaskQuery:
        """The list of what ended in it of a config."""
        return TaskQuery(config_id=config_id, from_ms=self.from_ms, before_ms=self.before_ms)

    def of_status(self, status: TaskStatus) -> TaskQuery:
        """The list of what ended in it with a status."""
        return TaskQuery(status=status, from_ms=self.from_ms, before_ms=self.before_ms)


ALWAYS = Window()


async def ended_page(
    store: Store,
    config_id: str,
    window: Window,
    *,
    status: TaskStatus | None,
    cursor: str | None,
    limit: int,
) -> TaskPage:
    """A page of what ended of one config, the latest first; of ``status`` only, if one is given.

    It is of one read of ``limit`` tasks (<= `MAX_BATCH`), so that it may be short, or empty, while
    its cursor is not None.
    """
    page = await store.list_tasks(window.of_config(config_id), cursor, limit)
    if status is None:
        return page
    return attrs.evolve(page, tasks=tuple(one for one in page.tasks if one.status is status))


@attrs.define
class _List:
    """The list of one config as it is walked; ``place`` is that of its next task, or of the last
    one where the next is not read yet."""

    query: TaskQuery
    place: tuple[int, str] = (0, "")
    ahead: deque[Task] = attrs.field(factory=deque)
    cursor: str | None = None
    over: bool = False

    async def read_on(self, store: Store, count: int, after: tuple[int, str] | None = None) -> None:
        """Read the next ``count`` tasks, of which those up to the place ``after`` are known."""
        page = await store.list_tasks(self.query, self.cursor, count)
        self.ahead.extend(one for one in page.tasks if after is None or _place(one) < after)
        self.cursor, self.over = page.cursor, page.cursor is None
        if self.ahead:
            self.place = _place(self.ahead[0])

    def take(self) -> Task:
        """The next task, which must be there."""
        task = self.ahead.popleft()
        if self.ahead:
            self.place = _place(self.ahead[0])
        return task

    def __lt__(self, other: "_List") -> bool:
        """Whether its next task comes first."""
        return self.place > other.place


def _place(task: Task) -> tuple[int, str]:
    """Where an ended task stands in the order of ends."""
    return task.end_ms or 0, task.id


class EndedWalk:
    """What ended of several configs, merged: the latest end first, and of one end the greater id.

    A cursor is the place of the last task that was looked at, so that what ends meanwhile moves
    nothing. A walk reads the first few of each list, and then at most `MAX_READ` tasks a page; so a
    page may be short, or empty, while its cursor is not None. One walk gives page after page;
    ``cursor`` begins where another one stopped. `ValueError` for what is no such cursor.
    """

    def __init__(
        self,
        store: Store,
        config_ids: Sequence[str],
        window: Window,
        *,
        status: TaskStatus | None = None,
        cursor: str | None = None,
    ) -> None:
        self._store = store
        self._status = status
        self._seen = None if cursor is None else _read(cursor)
        self._todo = [_List(_rest(window.of_config(one), self._seen)) for one in config_ids]
        self._lists: list[_List] = []

    async def page(self, limit: int) -> TaskPage:
        """The next ``limit`` tasks at most, and a cursor for those behind them."""
        await self._begin(limit)
        lists, left, found = self._lists, MAX_READ, list[Task]()
        while lists and len(found) < limit:
            first = lists[0]
            if first.ahead:
                task = first.take()
                self._seen = _place(task)
                if self._status in (None, task.status):
                    found.append(task)
            elif not first.over:
                if left <= 0:
                    break
                await first.read_on(self._store, MAX_BATCH)
                left -= MAX_BATCH
            if first.ahead or not first.over:
                heapq.heapreplace(lists, first)
            else:
                heapq.heappop(lists)
        more = self._seen is not None and lists
        return TaskPage(tasks=tuple(found), cursor=dumps(list(self._seen or ())) if more else None)

    async def _begin(self, limit: int) -> None:
        """Read the first few tasks of each list that are not known yet."""
        todo, self._todo = self._todo, []
        count = min(MAX_BATCH, 1 + limit // max(1, len(todo)))
        for at in range(0, len(todo), AT_ONCE):
            some = todo[at : at + AT_ONCE]
            await asyncio.gather(*(self._first(one, count) for one in some))
        self._lists += (one for one in todo if one.ahead)
        heapq.heapify(self._lists)

    async def _first(self, one: _List, count: int) -> None:
        """Read up to the first task of a list that is not known yet."""
        while not (one.ahead or one.over):
            await one.read_on(self._store, count, self._seen)


def _rest(query: TaskQuery, seen: tuple[int, str] | None) -> TaskQuery:
    """The list from the end of the last known task on, with which others may have ended."""
    if seen is None:
        return query
    before_ms = seen[0] + 1
    if query.before_ms is not None:
        before_ms = min(before_ms, query.before_ms)
    return attrs.evolve(query, before_ms=before_ms)


def _read(cursor: str) -> tuple[int, str]:
    """The place that a cursor is; anybody may send one."""
    match loads(cursor):
        case [int() as end_ms, str() as task_id] if not isinstance(end_ms, bool):
            return end_ms, task_id
    raise ValueError(f"{cursor[:60]!r} is not a cursor of this list")
