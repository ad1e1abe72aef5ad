"""The latest tasks of all: those that run, then those that ended, the latest end first.

Made of four lists that each have an index. A cursor says of each list where its page began, and how
many of that page have been told.
"""

from collections.abc import Awaitable, Callable

import attrs

from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Home, JsonValue, Task, TaskStatus
from dsched.model.json import dumps, loads
from dsched.selecting import ALWAYS, Window

Read = Callable[[TaskQuery, str | None], Awaitable[TaskPage]]

RUNNING = TaskQuery(home=Home.LEASE)
ENDED = tuple(TaskQuery(status=status) for status in TaskStatus if status.terminal)


@attrs.define
class _List:
    """One list as it is walked. ``told`` of its page have been; no page is read before it is
    needed."""

    query: TaskQuery
    began: str | None = None
    told: int = 0
    over: bool = False
    _page: TaskPage | None = None

    async def first(self, read: Read) -> Task | None:
        """The next task of the list; None at its end."""
        while not self.over:
            if self._page is None:
                self._page = await read(self.query, self.began)
            if self.told < len(self._page.tasks):
                return self._page.tasks[self.told]
            self.began, self.told = self._page.cursor, 0
            self.over, self._page = self.began is None, None
        return None

    def state(self) -> JsonValue:
        return None if self.over else [self.began, self.told]

    def restore(self, state: JsonValue) -> None:
        match state:
            case None:
                self.over = True
            case [None | str() as began, int() as told] if told >= 0:
                self.began, self.told = began, told
            case _:
                raise ValueError("a cursor of another list")


async def latest(
    read: Read, cursor: str | None, limit: int, window: Window = ALWAYS
) -> tuple[list[Task], str | None]:
    """A page of the latest tasks, and a cursor for the next; ``read`` reads a page of one list.

    Of a ``window`` only what ended in it; what runs lies in each that has no end. ``ValueError``
    for a cursor of another list.
    """
    ended = (attrs.evolve(one, **attrs.asdict(window)) for one in ENDED)
    lists = [_List(query) for query in ended]
    if window.before_ms is None:
        lists.insert(0, _List(RUNNING))
    if cursor is not None:
        states = loads(cursor)
        if not isinstance(states, list) or len(states) != len(lists):
            raise ValueError("a cursor of another list")
        for one, state in zip(lists, states, strict=True):
            one.restore(state)
    found: dict[str, Task] = {}  # what ends meanwhile would be told twice
    while len(found) < limit:
        best = await _next(read, lists)
        if best is None:
            break
        which, task = best
        which.told += 1
        found.setdefault(task.id, task)
    more = await _next(read, lists) is not None
    return list(found.values()), dumps([one.state() for one in lists]) if more else None


async def _next(read: Read, lists: list[_List]) -> tuple[_List, Task] | None:
    """What comes next, and of which list it is."""
    running = lists[0] if lists[0].query == RUNNING else None
    task = None if running is None else await running.first(read)
    if running is not None and task is not None:
        return running, task
    ended = lists if running is None else lists[1:]
    firsts = [(one, await one.first(read)) for one in ended]
    found = [(one, task) for one, task in firsts if task is not None]
    return max(found, key=lambda pair: (pair[1].end_ms or 0, pair[1].id), default=None)
