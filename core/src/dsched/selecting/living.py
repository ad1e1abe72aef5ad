"""Tasks that wait or run, of the configs that are meant: config by config."""

import asyncio
from collections.abc import AsyncIterator, Collection

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Task, TaskStatus
from dsched.model.json import dumps, loads
from dsched.selecting.selection import AT_ONCE, ConfigSelection, config_page

# How many lists of configs one page reads, and how many pages of configs.
MAX_LISTS = 100
MAX_CONFIG_PAGES = 10


@attrs.frozen
class _Stand:
    """Where a walk stands: before a page of configs, or behind some tasks of one of them."""

    configs: str | None = None
    config_id: str = ""
    tasks: str | None = None

    def cursor(self) -> str:
        return dumps([self.configs, self.config_id, self.tasks])


async def living_page(
    store: Store,
    selection: ConfigSelection,
    *,
    statuses: Collection[TaskStatus] = (),
    cursor: str | None = None,
    limit: int = MAX_BATCH,
) -> TaskPage:
    """A page of the live tasks of the configs that are meant, by ascending config id, and of one
    config in the order of its list; with ``statuses`` only those of one of these.

    Live tasks are those that fires made: what somebody triggered has no list of its config until it
    ends. A page reads at most `MAX_LISTS` lists of at most ``limit`` (<= `MAX_BATCH`) tasks, and
    `MAX_CONFIG_PAGES` pages of configs; so it may be short, or empty, while its cursor is not None.
    `ValueError` for a cursor of another list.
    """
    stand = _Stand() if cursor is None else _read(cursor)
    found: list[Task] = []
    lists = 0
    for _ in range(MAX_CONFIG_PAGES):
        ids, after = await _config_ids(store, selection, stand)
        async for config_id, first in _with_first_pages(store, ids, limit):
            inner = stand.tasks if config_id == stand.config_id else None
            while True:
                stand = _Stand(stand.configs, config_id, inner)
                left = limit - len(found)
                if lists == MAX_LISTS or left == 0:
                    return TaskPage(tasks=tuple(found), cursor=stand.cursor())
                page = first
                if inner is not None or len(first.tasks) > left:
                    page = await store.list_tasks(TaskQuery(live_of=config_id), inner, left)
                lists += 1
                found += (one for one in page.tasks if not statuses or one.status in statuses)
                inner = page.cursor
                if inner is None:
                    break
        if after is None:
            return TaskPage(tasks=tuple(found), cursor=None)
        stand = _Stand(after)
    return TaskPage(tasks=tuple(found), cursor=stand.cursor())


async def _config_ids(
    store: Store, selection: ConfigSelection, stand: _Stand
) -> tuple[list[str], str | None]:
    """The ids that are meant, of a page, from where a walk stands; one that is named need not be
    there any more."""
    if selection.only_id is not None and selection.by_id:
        return [selection.only_id], None
    page = await config_page(store, selection, stand.configs, MAX_BATCH)
    ids = (one.config.id for one in page.configs)
    return [one for one in ids if one >= stand.config_id], page.cursor


async def _with_first_pages(
    store: Store, config_ids: list[str], limit: int
) -> AsyncIterator[tuple[str, TaskPage]]:
    """Each config with the first page of its list."""
    for place in range(0, len(config_ids), AT_ONCE):
        some = config_ids[place : place + AT_ONCE]
        queries = (TaskQuery(live_of=one) for one in some)
        pages = await asyncio.gather(*(store.list_tasks(one, None, limit) for one in queries))
        for config_id, page in zip(some, pages, strict=True):
            yield config_id, page


def _read(cursor: str) -> _Stand:
    """Where a cursor stands; anybody may send one."""
    match loads(cursor):
        case [None | str() as configs, str() as config_id, None | str() as tasks]:
            return _Stand(configs, config_id, tasks)
    raise ValueError(f"{cursor[:60]!r} is not a cursor of this list")
