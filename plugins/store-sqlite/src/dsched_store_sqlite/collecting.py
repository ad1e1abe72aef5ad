"""The collector's fenced walk over the log."""

from collections import defaultdict
from typing import Any

import attrs

from dsched.contracts.store.bounds import MAX_EVENT_PAGE
from dsched.contracts.store.checks import check_limit, check_projection
from dsched.contracts.store.collecting import Collecting, Finished, Projection, Streak
from dsched.contracts.store.events import Event, EventKind, EventPage
from dsched.contracts.store.outcomes import Outcome
from dsched.model import TaskStatus, config_of, run_of
from dsched.model.json import loads
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.configs import name_if_counted
from dsched_store_sqlite.facts import add_rollups, decide, follow, trim_decisions
from dsched_store_sqlite.recovering import count_ended
from dsched_store_sqlite.step import Step

EVENTS = (
    "SELECT cursor, kind, at_ms, author, items FROM event WHERE cursor > ? ORDER BY cursor LIMIT ?"
)

IS_COUNTED = "SELECT 1 FROM counted WHERE config_id = ?"


class SqliteCollecting(OnSqlite, Collecting):
    """Collecting."""

    async def collect(self, fence: str, limit: int) -> EventPage:
        """What the collector has not read."""
        check_limit(limit, MAX_EVENT_PAGE)

        def run(step: Step) -> EventPage:
            step.check_fence(fence)
            after = step.meta.collected
            events = read_events(step, int(after), limit)
            cursor = events[-1].cursor if events else after
            more = len(events) == limit
            return EventPage(events=events, cursor=cursor, after=after, more=more)

        return await self._step(run)

    async def project(self, fence: str, projection: Projection) -> Outcome:
        """Add what the collector made of it, and move its cursor."""
        check_projection(projection)
        finished: defaultdict[TaskStatus, list[tuple[Any, ...]]] = defaultdict(list)
        for item in projection.finished:
            finished[item.status].append(_finished_values(item))

        def run(step: Step) -> Outcome:
            step.check_fence(fence)
            if projection.after != step.meta.collected:
                return Outcome.MOVED
            upto = cursor_text(cursor_number(projection.upto))
            added = decide(step, projection.decisions)
            follow(step, projection.updates)
            for status, rows in finished.items():
                entered = step.db.executemany(
                    "INSERT OR IGNORE INTO finished VALUES (?, ?, ?, ?)", rows
                )
                count_ended(step, status, entered.rowcount)
            add_rollups(step, projection.rollups)
            for streak in projection.streaks:
                _count(step, streak)
            trim_decisions(step, added)
            step.meta.collected = upto
            return Outcome.OK

        return await self._step(run)


def _count(step: Step, streak: Streak) -> None:
    # Few configs count anything: the others are not read.
    if step.db.execute(IS_COUNTED, (streak.config_id,)).fetchone() is None:
        return
    row = step.config(streak.config_id)
    if row is None or row.config.pause_after_failures is None:
        return
    counted = row.counted
    before = 0 if streak.anew else counted.failures
    last = streak.last or ("" if streak.anew else counted.last)
    step.count(row, attrs.evolve(counted, failures=before + streak.failures, last=last))
    if not row.paused:
        name_if_counted(step, row)


def cursor_text(number: int) -> str:
    """A place in the log as callers see it: text that sorts like the number."""
    return f"{number:016d}"


def cursor_number(cursor: str) -> int:
    """The number of a cursor of this store; `ValueError` for anything else."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError(f"{cursor!r} is not a cursor of this store")
    return int(cursor)


def read_events(step: Step, after: int, limit: int) -> tuple[Event, ...]:
    """Entries of the log after a place."""
    found = step.db.execute(EVENTS, (after, limit)).fetchall()
    return tuple(_event(*columns) for columns in found)


def _event(cursor: int, kind: str, at_ms: int, author: str, items: str) -> Event:
    return Event(
        cursor=cursor_text(cursor),
        kind=EventKind(kind),
        at_ms=at_ms,
        by=author,
        items=tuple(loads(items)),
    )


def listed_under(task_id: str) -> str | None:
    """The config on whose list an ended task stands: of a run only the run itself."""
    return None if run_of(task_id) is not None else config_of(task_id)


def _finished_values(item: Finished) -> tuple[Any, ...]:
    return (item.task_id, item.end_ms, item.status.value, listed_under(item.task_id))
