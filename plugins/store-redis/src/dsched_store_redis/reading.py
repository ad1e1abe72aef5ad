"""Reading, from indexes only."""

import re
from collections.abc import Sequence

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
from dsched.contracts.store.runs import read_line
from dsched.contracts.store.statistics import EVERYTHING, Rollup
from dsched.model import Home, MemberLine, Task, TaskStatus
from dsched_store_redis.base import OnRedis, store_time
from dsched_store_redis.collecting import read_decisions, read_rollup
from dsched_store_redis.rows import read_event, read_task, read_tasks
from dsched_store_redis.wire import ids, is_id, number, optional

# 19 digits are less than the 64 bits that a server reads.
_CURSOR = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_START = "0-0"


class RedisReading(OnRedis, Reading):
    """Reading."""

    async def get(self, task_ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """Tasks by id."""
        check_batch(task_ids)
        answer = await self._step("get", ids(task_ids), int(full), self._ttl)
        return tuple(map(read_task, answer[1]))

    async def list_tasks(self, query: TaskQuery, cursor: str | None, limit: int) -> TaskPage:
        """Tasks by one index, a page at a time; the cursor is a position."""
        check_limit(limit)
        check_window(query)
        kind, key = index_of(query)
        start = position(cursor)
        bounds = (number(query.from_ms), number(query.before_ms))
        answer = await self._step("list_tasks", kind, key, start, limit, self._ttl, *bounds)
        more = str(start + limit) if answer[2] == 1 else None
        return TaskPage(tasks=read_tasks(answer[1]), cursor=more)

    async def run_lines(self, run_id: str, after: int, limit: int) -> tuple[MemberLine, ...] | None:
        """The lines of a run."""
        check_limit(limit, MAX_EVENT_PAGE)
        check_skip(after)
        if not is_id(run_id):
            return None
        answer = await self._step("run_lines", run_id, after, limit, self._ttl)
        return tuple(map(read_line, answer[2])) if answer[1] == 1 else None

    async def events(self, after: str | None, limit: int) -> EventPage:
        """Log entries after a cursor."""
        check_limit(limit, MAX_EVENT_PAGE)
        if after is not None and not _CURSOR.fullmatch(after):
            raise ValueError(f"{after!r} is not a cursor of this store")
        answer = await self._step("events", after or "", limit)
        events = tuple(map(read_event, answer[1]))
        cursor = events[-1].cursor if events else after or _START
        more = answer[2] == 1
        return EventPage(events=events, cursor=cursor, after=after or "", more=more)

    async def decisions(self, config_id: str, cursor: str | None, limit: int) -> DecisionPage:
        """A config's decisions, newest instant first."""
        check_limit(limit)
        start = position(cursor)
        settings = self._footing.settings
        answer = await self._step(
            "decisions", config_id, start, limit, settings.result_ttl_ms, settings.max_decisions
        )
        return DecisionPage(
            decisions=read_decisions(answer[1], answer[2]),
            cursor=str(start + limit) if answer[3] == 1 else None,
            kept_from_ms=int(answer[4]),
        )

    async def stats(self, config_id: str | None, from_ms: int, to_ms: int) -> tuple[Rollup, ...]:
        """What a config, or everything, did in each hour."""
        owner = EVERYTHING if config_id is None else config_id
        first_ms, end_ms = hours_between(from_ms, to_ms)
        kept_ms = self._footing.settings.stats_ttl_ms
        answer = await self._step("stats", owner, first_ms, end_ms, kept_ms)
        return tuple(read_rollup(owner, hour, flat) for hour, flat in answer[1])

    async def counts(self) -> Counts:
        """How many tasks and configs there are."""
        answer = await self._step("counts")
        ready, delayed, held, success, failed, cancelled, configs, opened = answer[2]
        lease, queued, retrying = answer[3:6]
        return Counts(
            by_status={
                TaskStatus.PENDING: ready + delayed + queued + held - retrying,
                TaskStatus.RUNNING: lease,
                TaskStatus.RETRYING: retrying,
                TaskStatus.SUCCESS: success,
                TaskStatus.FAILED: failed,
                TaskStatus.CANCELLED: cancelled,
            },
            by_home={
                Home.DELAYED: delayed,
                Home.READY: ready,
                Home.QUEUE: queued,
                Home.HELD: held,
                Home.LEASE: lease,
                Home.OPEN: opened,
            },
            oldest_ready_ms=optional(answer[6]),
            configs=configs,
            time=store_time(answer[1]),
            nobody=max(0, min(answer[7], ready)),
        )


_HOMES = {
    Home.READY: "task:ready",
    Home.DELAYED: "task:delayed",
    Home.LEASE: "task:lease",
    Home.HELD: "task:held",
    Home.OPEN: "run:open",
}


def index_of(query: TaskQuery) -> tuple[str, str]:
    """The kind and key of the one index that serves a query, or ValueError."""
    given = [query.home, query.config_id, query.status, query.live_of]
    if sum(value is not None for value in given) == 1:
        match query:
            case TaskQuery(home=Home.QUEUE, worker_id=str(worker)):
                return "list", f"task:queue:{worker}"
            case TaskQuery(home=Home() as home, worker_id=None) if home is not Home.QUEUE:
                return "range", _HOMES[home]
            case TaskQuery(config_id=str(config), worker_id=None):
                return "newest", f"finished:config:{config}"
            case TaskQuery(status=TaskStatus() as status, worker_id=None) if status.terminal:
                return "newest", f"finished:status:{status.value}"
            case TaskQuery(live_of=str(config), worker_id=None):
                return "range", f"task:live:{config}"
    raise ValueError(
        f"no index serves {query}: give home (and worker_id for queue), or config_id, "
        "or a terminal status, or live_of"
    )


def position(cursor: str | None) -> int:
    """A position from a cursor."""
    return 0 if cursor is None else number_of(cursor)
