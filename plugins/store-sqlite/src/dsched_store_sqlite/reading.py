"""Reading: tasks by id and by index, the log, decisions, counts."""

from collections.abc import Sequence
from typing import Any

import attrs

from dsched.contracts.store.bounds import MAX_EVENT_PAGE
from dsched.contracts.store.checks import (
    check_batch,
    check_limit,
    check_skip,
    check_window,
    hours_between,
)
from dsched.contracts.store.events import EventPage
from dsched.contracts.store.reading import Counts, DecisionPage, Reading, TaskPage, TaskQuery
from dsched.contracts.store.statistics import EVERYTHING, Rollup
from dsched.model import Home, MemberLine, Task, TaskStatus
from dsched.model.json import dumps, loads
from dsched_store_sqlite.attempts import past_of
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.collecting import cursor_number, read_events
from dsched_store_sqlite.facts import KEPT, kept_from_ms, read_kept, read_rollups
from dsched_store_sqlite.rows import TASK, TaskRow, read_task
from dsched_store_sqlite.runs import member_lines
from dsched_store_sqlite.step import Step
from dsched_store_sqlite.tasklogs import is_past

_LEAST, _MOST = -(2**62), 2**62
_LAST_TEXT = "\U0010ffff"


@attrs.frozen
class Listing:
    """One index as a list: a statement that goes on after ``keys``, and where it begins.

    The statement takes the query's own parameter, if it has one, the keys of the last entry and a
    limit; it answers with the keys and the columns of the task.
    """

    statement: str
    keys: int
    start: tuple[int | str, ...]


LISTINGS = {
    Home.READY: Listing(
        f"SELECT place < 0, rank, scheduled_ms, id, {TASK} FROM task "  # noqa: S608
        "WHERE home = 'ready' AND (place < 0) = ? AND (rank, scheduled_ms, id) > (?, ?, ?) "
        "ORDER BY rank, scheduled_ms, id LIMIT ?",
        4,
        (0, _LEAST, _LEAST, ""),
    ),
    Home.DELAYED: Listing(
        f"SELECT at_ms, id, {TASK} FROM task WHERE home = 'delayed' "  # noqa: S608
        "AND (at_ms, id) > (?, ?) ORDER BY at_ms, id LIMIT ?",
        2,
        (_LEAST, ""),
    ),
    Home.HELD: Listing(
        f"SELECT id, {TASK} FROM task INDEXED BY task_held "  # noqa: S608
        "WHERE home = 'held' AND id > ? ORDER BY id LIMIT ?",
        1,
        ("",),
    ),
    Home.LEASE: Listing(
        f"SELECT id, {TASK} FROM task INDEXED BY task_lease_id "  # noqa: S608
        "WHERE home = 'lease' AND id > ? ORDER BY id LIMIT ?",
        1,
        ("",),
    ),
    Home.OPEN: Listing(
        f"SELECT id, {TASK} FROM task INDEXED BY run_open_id "  # noqa: S608
        "WHERE home = 'open' AND id > ? ORDER BY id LIMIT ?",
        1,
        ("",),
    ),
    Home.QUEUE: Listing(
        f"SELECT place, {TASK} FROM task WHERE home = 'queue' AND worker_id = ? "  # noqa: S608
        "AND place > ? ORDER BY place LIMIT ?",
        1,
        (_LEAST,),
    ),
    "live_of": Listing(
        f"SELECT scheduled_ms, id, {TASK} FROM task "  # noqa: S608
        "WHERE live_of IS NOT NULL AND live_of = ? AND (scheduled_ms, id) > (?, ?) "
        "ORDER BY scheduled_ms, id LIMIT ?",
        2,
        (_LEAST, ""),
    ),
    "config_id": Listing(
        f"SELECT finished.end_ms, finished.task_id, {TASK} FROM finished "  # noqa: S608
        "CROSS JOIN task ON task.id = finished.task_id WHERE finished.config_id IS NOT NULL "
        "AND finished.config_id = ? AND finished.end_ms >= ? "
        "AND (finished.end_ms, finished.task_id) < (?, ?) "
        "ORDER BY finished.end_ms DESC, finished.task_id DESC LIMIT ?",
        2,
        (_MOST, _LAST_TEXT),
    ),
    "status": Listing(
        f"SELECT finished.end_ms, finished.task_id, {TASK} FROM finished "  # noqa: S608
        "CROSS JOIN task ON task.id = finished.task_id WHERE finished.status = ? "
        "AND finished.end_ms >= ? AND (finished.end_ms, finished.task_id) < (?, ?) "
        "ORDER BY finished.end_ms DESC, finished.task_id DESC LIMIT ?",
        2,
        (_MOST, _LAST_TEXT),
    ),
}
DECISIONS = (
    f"SELECT first_ms, verdict, reason, {KEPT} FROM decision WHERE config_id = ? "  # noqa: S608
    "AND (first_ms, verdict, reason) < (?, ?, ?) "
    "ORDER BY first_ms DESC, verdict DESC, reason DESC LIMIT ?"
)
NOBODY = "SELECT nobody FROM class_count WHERE one = 1"
BODY = "SELECT spec, result FROM body WHERE seq = ?"
OLDEST_READY = (
    "SELECT min(scheduled_ms) FROM task WHERE home = 'ready' AND (place < 0) = 0 AND rank = ?"
)


OPEN_RUNS = "SELECT open FROM run_count WHERE one = 1"


class SqliteReading(OnSqlite, Reading):
    """Reading."""

    async def get(self, task_ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """Tasks by id."""
        check_batch(task_ids)

        def run(step: Step) -> tuple[Task | None, ...]:
            return tuple(_read(step, row, full=full) for row in step.load(task_ids))

        return await self._step(run)

    async def list_tasks(self, query: TaskQuery, cursor: str | None, limit: int) -> TaskPage:
        """Tasks by one index, a page at a time; the cursor holds the keys of the last one."""
        check_limit(limit)
        check_window(query)
        listing, arguments = _listing(query)
        after = _start(query, listing) if cursor is None else _keys(cursor, listing.start)

        def run(step: Step) -> TaskPage:
            found = step.db.execute(listing.statement, (*arguments, *after, limit + 1)).fetchall()
            if query.home is Home.READY and after[0] == 0:  # behind them what waits under a class
                rest = (1, *listing.start[1:], limit + 1 - len(found))
                found += step.db.execute(listing.statement, rest).fetchall()
            page = found[:limit]
            return TaskPage(
                tasks=tuple(read_task(columns[listing.keys :]).view() for columns in page),
                cursor=dumps(page[-1][: listing.keys]) if len(found) > limit else None,
            )

        return await self._step(run)

    async def run_lines(self, run_id: str, after: int, limit: int) -> tuple[MemberLine, ...] | None:
        """The lines of a run."""
        check_limit(limit, MAX_EVENT_PAGE)
        check_skip(after)

        def run(step: Step) -> tuple[MemberLine, ...] | None:
            row = step.task(run_id)
            if row is None or not row.is_run or _read(step, row, full=False) is None:
                return None
            return member_lines(step, row, after, limit)

        return await self._step(run)

    async def events(self, after: str | None, limit: int) -> EventPage:
        """Log entries after a cursor."""
        check_limit(limit, MAX_EVENT_PAGE)
        number = 0 if after is None else cursor_number(after)

        def run(step: Step) -> EventPage:
            events = read_events(step, number, limit)
            cursor = events[-1].cursor if events else after or "0"
            more = len(events) == limit
            return EventPage(events=events, cursor=cursor, after=after or "", more=more)

        return await self._step(run)

    async def decisions(self, config_id: str, cursor: str | None, limit: int) -> DecisionPage:
        """A config's decisions, newest instant first."""
        check_limit(limit)
        start: tuple[int | str, ...] = (_MOST, _LAST_TEXT, _LAST_TEXT)
        after = start if cursor is None else _keys(cursor, start)

        def run(step: Step) -> DecisionPage:
            found = step.db.execute(DECISIONS, (config_id, *after, limit + 1)).fetchall()
            page = found[:limit]
            return DecisionPage(
                decisions=tuple(read_kept(columns[3:]) for columns in page),
                cursor=dumps(page[-1][:3]) if len(found) > limit else None,
                kept_from_ms=kept_from_ms(step, config_id),
            )

        return await self._step(run)

    async def stats(self, config_id: str | None, from_ms: int, to_ms: int) -> tuple[Rollup, ...]:
        """What a config, or everything, did in each hour."""
        owner = EVERYTHING if config_id is None else config_id
        first_ms, end_ms = hours_between(from_ms, to_ms)
        return await self._step(lambda step: read_rollups(step, owner, first_ms, end_ms))

    async def counts(self) -> Counts:
        """How many tasks and configs there are."""
        return await self._step(_counts)


def _read(step: Step, row: TaskRow | None, *, full: bool) -> Task | None:
    if row is None:
        return None
    if is_past(step, row):
        return None  # past its time, whether `prune` has removed it or not
    if not full:
        return row.view()
    spec, result = step.db.execute(BODY, (row.seq,)).fetchone()
    return row.view(spec=spec, result=result, past=past_of(step, row))


def _listing(query: TaskQuery) -> tuple[Listing, tuple[Any, ...]]:
    """The index that serves a query, and the parameters of its statement."""
    given = {name for name, value in attrs.asdict(query).items() if value is not None}
    given -= {"from_ms", "before_ms"}
    from_ms = _LEAST if query.from_ms is None else query.from_ms
    if given == {"home", "worker_id"} and query.home is Home.QUEUE:
        return LISTINGS[Home.QUEUE], (query.worker_id,)
    if given == {"home"} and query.home is not None and query.home is not Home.QUEUE:
        return LISTINGS[query.home], ()
    if given == {"config_id"}:
        return LISTINGS["config_id"], (query.config_id, from_ms)
    if given == {"live_of"}:
        return LISTINGS["live_of"], (query.live_of,)
    if given == {"status"} and query.status is not None and query.status.terminal:
        return LISTINGS["status"], (query.status.value, from_ms)
    raise ValueError(
        f"no index serves {query}: give home (and worker_id for queue), or config_id, "
        "or a terminal status, or live_of"
    )


def _start(query: TaskQuery, listing: Listing) -> tuple[int | str, ...]:
    """The keys before the first entry of a list."""
    return listing.start if query.before_ms is None else (query.before_ms, "")


def _keys(cursor: str, start: Sequence[int | str]) -> tuple[int | str, ...]:
    """The keys of a cursor, which must be of the same kinds as where the list starts."""
    try:
        keys = loads(cursor)
    except ValueError:
        keys = None
    kinds = [type(key) for key in start]
    fits = isinstance(keys, list) and [type(key) for key in keys] == kinds
    if not fits or any(isinstance(key, int) and abs(key) > _MOST for key in keys):
        raise ValueError(f"{cursor!r} is not a cursor of this list")
    found: list[int | str] = keys
    return tuple(found)


def _counts(step: Step) -> Counts:
    meta = step.meta
    waiting = meta.in_ready + meta.in_delayed + meta.in_queue + meta.in_held
    oldest = [step.db.execute(OLDEST_READY, (rank,)).fetchone()[0] for rank in range(10)]
    return Counts(
        by_status={
            TaskStatus.PENDING: waiting - meta.retrying,
            TaskStatus.RUNNING: meta.in_lease,
            TaskStatus.RETRYING: meta.retrying,
            TaskStatus.SUCCESS: meta.ended_success,
            TaskStatus.FAILED: meta.ended_failed,
            TaskStatus.CANCELLED: meta.ended_cancelled,
        },
        by_home={
            Home.DELAYED: meta.in_delayed,
            Home.READY: meta.in_ready,
            Home.QUEUE: meta.in_queue,
            Home.HELD: meta.in_held,
            Home.LEASE: meta.in_lease,
            Home.OPEN: step.db.execute(OPEN_RUNS).fetchone()[0],
        },
        oldest_ready_ms=min((at for at in oldest if at is not None), default=None),
        configs=meta.configs,
        time=step.time,
        nobody=step.db.execute(NOBODY).fetchone()[0],
    )
