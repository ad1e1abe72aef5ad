"""Reading the reference store."""

from collections.abc import Sequence
from typing import Any

from dsched.contracts.store.bounds import MAX_EVENT_PAGE
from dsched.contracts.store.checks import (
    check_batch,
    check_limit,
    check_skip,
    check_window,
    hours_between,
    number_of,
)
from dsched.contracts.store.events import EventPage
from dsched.contracts.store.reading import Counts, DecisionPage, Reading, TaskPage, TaskQuery
from dsched.contracts.store.statistics import EVERYTHING, Rollup
from dsched.model import Home, MemberLine, Task, TaskStatus, config_of, run_of
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.classes import that_nobody_can_run
from dsched_testkit.memory.state import State, TaskRow


class MemoryReading(OnState, Reading):
    """Reading."""

    async def get(self, task_ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """Tasks by id."""
        check_batch(task_ids)
        with self._state.step() as step:
            found = [self._state.tasks.get(task_id) for task_id in task_ids]
            rows = [row if row and _kept(row, self._state, step.wall_ms) else None for row in found]
            return tuple(None if row is None else row.view(full=full) for row in rows)

    async def list_tasks(self, query: TaskQuery, cursor: str | None, limit: int) -> TaskPage:
        """Tasks by one index, a page at a time; the cursor is a position."""
        check_limit(limit)
        check_window(query)
        with self._state.step():
            ids = self._ids(query)
            start = _position(cursor)
            page = ids[start : start + limit]
            return TaskPage(
                tasks=tuple(self._state.tasks[key].view() for key in page),
                cursor=str(start + limit) if len(ids) > start + limit else None,
            )

    def _ids(self, query: TaskQuery) -> list[str]:
        state = self._state
        match query:
            case TaskQuery(home=Home.QUEUE, worker_id=str(worker), config_id=None, status=None):
                return list(state.queues[worker])
            case TaskQuery(home=Home.READY, worker_id=None, config_id=None, status=None):
                return list(state.ready)
            case TaskQuery(home=Home.DELAYED, worker_id=None, config_id=None, status=None):
                return list(state.delayed)
            case TaskQuery(home=Home.HELD, worker_id=None, config_id=None, status=None):
                return sorted(key for line in state.held.values() for key in line)
            case TaskQuery(home=Home.LEASE, worker_id=None, config_id=None, status=None):
                return sorted(state.leases)
            case TaskQuery(home=Home.OPEN, worker_id=None, config_id=None, status=None):
                return sorted(state.open)
            case TaskQuery(home=None, config_id=str(config), status=None, live_of=None):
                return self._finished(
                    query, lambda key, _: config_of(key) == config and run_of(key) is None
                )
            case TaskQuery(
                home=None, config_id=None, status=TaskStatus() as status, live_of=None
            ) if status.terminal:
                return self._finished(query, lambda _, found: found is status)
            case TaskQuery(home=None, config_id=None, status=None, live_of=str(config)):
                return sorted(state.live.get(config, ()))
        raise ValueError(
            f"no index serves {query}: give home (and worker_id for queue), or config_id, "
            "or a terminal status, or live_of"
        )

    def _finished(self, query: TaskQuery, wanted: Any) -> list[str]:
        found = [
            (end_ms, key)
            for key, (end_ms, status) in self._state.finished.items()
            if wanted(key, status) and key in self._state.tasks
            if query.from_ms is None or end_ms >= query.from_ms
            if query.before_ms is None or end_ms < query.before_ms
        ]
        return [key for _, key in sorted(found, reverse=True)]

    async def run_lines(self, run_id: str, after: int, limit: int) -> tuple[MemberLine, ...] | None:
        """The lines of a run."""
        check_limit(limit, MAX_EVENT_PAGE)
        check_skip(after)
        with self._state.step() as step:
            row = self._state.tasks.get(run_id)
            if row is None or row.spec.workflow is None:
                return None
            if not _kept(row, self._state, step.wall_ms):
                return None
            return tuple(self._state.member_logs[run_id][after : after + limit])

    async def events(self, after: str | None, limit: int) -> EventPage:
        """Log entries after a cursor."""
        check_limit(limit, MAX_EVENT_PAGE)
        if after is not None and not after.isdigit():
            raise ValueError(f"{after!r} is not a cursor of this store")
        with self._state.step():
            log = self._state.log
            events = [event for event in log if after is None or event.cursor > after][:limit]
            cursor = events[-1].cursor if events else after or "0"
            more = len(events) == limit
            return EventPage(events=tuple(events), cursor=cursor, after=after or "", more=more)

    async def decisions(self, config_id: str, cursor: str | None, limit: int) -> DecisionPage:
        """A config's decisions, newest instant first."""
        check_limit(limit)
        with self._state.step() as step:
            settings = self._state.settings
            kept = self._state.decisions.get(config_id, {})
            keys = sorted(kept, reverse=True)
            start = _position(cursor)
            page = keys[start : start + limit]
            return DecisionPage(
                decisions=tuple(kept[key] for key in page),
                cursor=str(start + limit) if len(keys) > start + limit else None,
                kept_from_ms=max(
                    step.wall_ms - settings.result_ttl_ms,
                    keys[-1][0] if len(keys) >= settings.max_decisions else -(2**62),
                ),
            )

    async def stats(self, config_id: str | None, from_ms: int, to_ms: int) -> tuple[Rollup, ...]:
        """What a config, or everything, did in each hour."""
        owner = EVERYTHING if config_id is None else config_id
        first_ms, end_ms = hours_between(from_ms, to_ms)
        with self._state.step() as step:
            oldest_ms = step.wall_ms - self._state.settings.stats_ttl_ms
            hours = sorted(
                hour_ms
                for config, hour_ms in self._state.stats
                if config == owner and max(first_ms, oldest_ms + 1) <= hour_ms < end_ms
            )
            return tuple(self._rollup(owner, hour_ms) for hour_ms in hours)

    def _rollup(self, owner: str, hour_ms: int) -> Rollup:
        adds, tops = self._state.stats[owner, hour_ms]
        return Rollup(config_id=owner, hour_ms=hour_ms, adds=dict(adds), tops=dict(tops))

    async def counts(self) -> Counts:
        """How many tasks and configs there are."""
        with self._state.step() as step:
            state = self._state
            by_home = dict.fromkeys(Home, 0)
            by_status = dict.fromkeys(TaskStatus, 0)
            for task in state.tasks.values():
                if task.home is not None:
                    by_home[task.home] += 1
                    # What a run does its members do, which are counted.
                    by_status[task.status] += task.home is not Home.OPEN
            for _, status in state.finished.values():
                by_status[status] += 1
            return Counts(
                by_status=by_status,
                by_home=by_home,
                oldest_ready_ms=min(
                    (
                        state.tasks[key].scheduled_ms
                        for key in state.ready.page(0, state.open_count())
                    ),
                    default=None,
                ),
                configs=len(state.configs),
                time=step.time,
                nobody=that_nobody_can_run(state),
            )


def _kept(task: TaskRow, state: State, wall_ms: int) -> bool:
    if run_of(task.id) is not None or state.sources.has(task.id):
        return True  # for as long as its run, or the runs that it is a source of
    return task.end_ms is None or task.end_ms > wall_ms - state.settings.kept_ms(task.status)


def _position(cursor: str | None) -> int:
    return 0 if cursor is None else number_of(cursor)
