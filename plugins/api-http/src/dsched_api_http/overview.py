"""What `GET /now` answers: gathered with few calls of the store, and once for all who look."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from dsched.client import Client
from dsched.contracts import Intake
from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.reading import Counts, TaskQuery
from dsched.contracts.store.statistics import HOUR_MS, Spread, bucket_of
from dsched.model import Home, Task, TaskStatus, Worker, rfc3339_ms
from dsched_api_http.attention import LATE_AFTER_MS, Attention
from dsched_api_http.forecast import HOURS, Forecast, Forecaster
from dsched_api_http.models import task_of
from dsched_api_http.standing import (
    ConfigsNow,
    DayNow,
    HourNow,
    LeaderNow,
    NextFire,
    Now,
    RunningNow,
    TasksNow,
    WorkersNow,
)
from dsched_api_http.wire import optional_time

FRESH_S = 1.0  # many who look cost the store as much as one
SLOW_FRESH_S = 10.0  # of what needs a walk over the configs
SPREAD_FRESH_S = 120.0
MAX_CONFIGS = 2000
MAX_RUNNING = 20
NEXT = 12
PAGE = 100
DAY_HOURS = 24
TRIGGER_KEYS = ("cron_expr", "every", "fixed_delay", "at", "timezone")


@attrs.frozen(kw_only=True)
class _Slow:
    """What changes slowly, or is dear to ask for."""

    configs: tuple[StoredConfig, ...]
    complete: bool
    hours: Mapping[int, Any]
    day: Any
    forecast: Forecast
    leader_since_ms: int | None
    pods: int


class Overview:
    """The state of the cluster in one answer, kept for a moment."""

    def __init__(self, store: Store, intake: Intake) -> None:
        self._store = store
        self._intake = intake
        self._client = Client(store)
        self._asking = asyncio.Lock()
        self._forecaster = Forecaster()
        self._attention = Attention(self._client)
        self._now: tuple[float, Now] | None = None
        self._slow: tuple[float, _Slow] | None = None
        self._spreads: dict[str, tuple[float, Spread]] = {}

    async def now(self) -> Now:
        """How it is, at most a second ago."""
        async with self._asking:
            if self._now is None or time.monotonic() >= self._now[0] + FRESH_S:
                self._now = time.monotonic(), await self._gathered()
            return self._now[1]

    async def configs(self) -> tuple[tuple[StoredConfig, ...], bool]:
        """The configs as they were a moment ago, and whether these are all."""
        slow = await self._slowly((await self._store.now()).wall_ms)
        return slow.configs, slow.complete

    async def _gathered(self) -> Now:
        counts = await self._client.counts()
        workers = await self._client.workers()
        running = await self._client.list(TaskQuery(home=Home.LEASE), limit=MAX_RUNNING)
        fence = await self._store.leader()
        now_ms = counts.time.wall_ms
        slow = await self._slowly(now_ms)
        late = _late(slow.configs, now_ms)
        problems = await self._attention.problems(
            slow.configs, workers, late=late, day=slow.day, now_ms=now_ms
        )
        return Now(
            time=rfc3339_ms(now_ms),
            leader=_leader(fence, slow),
            pods=slow.pods,
            workers=_workers(workers),
            configs=_configs(counts, slow, late),
            tasks=_tasks(counts),
            day=_day(slow.day),
            hours=_hours(slow, now_ms),
            hours_complete=slow.forecast.complete and slow.complete,
            running=tuple([await self._running(one) for one in running.tasks]),
            next=self._next(slow.configs),
            problems=problems,
        )

    async def _slowly(self, now_ms: int) -> _Slow:
        if self._slow is not None and time.monotonic() < self._slow[0] + SLOW_FRESH_S:
            return self._slow[1]
        configs, complete = await self._all_configs()
        first_ms = now_ms - now_ms % HOUR_MS - (DAY_HOURS - 1) * HOUR_MS
        rollups = await self._store.stats(None, first_ms, now_ms + 1)
        terms = await self._client.terms(limit=1)
        slow = _Slow(
            configs=configs,
            complete=complete,
            hours={one.hour_ms: bucket_of(None, one.hour_ms, [one]) for one in rollups},
            day=bucket_of(None, first_ms, rollups),
            forecast=await asyncio.to_thread(self._forecaster.forecast, configs, now_ms),
            leader_since_ms=terms.terms[0].began_ms if terms.terms else None,
            pods=len(await self._client.pods()),
        )
        self._slow = time.monotonic(), slow
        return slow

    async def _all_configs(self) -> tuple[tuple[StoredConfig, ...], bool]:
        found: list[StoredConfig] = []
        cursor: str | None = None
        while len(found) < MAX_CONFIGS:
            page = await self._client.list_configs(cursor=cursor, limit=PAGE)
            found += page.configs
            cursor = page.cursor
            if cursor is None:
                return tuple(found), True
        return tuple(found), False

    async def _running(self, task: Task) -> RunningNow:
        spread = Spread() if task.config_id is None else await self.spread(task.config_id)
        return RunningNow(task=task_of(task), p50_ms=spread.p50_ms, p90_ms=spread.p90_ms)

    async def spread(self, config_id: str) -> Spread:
        """How long the runs of a config took in the last day; without an id those of all."""
        known = self._spreads.get(config_id)
        if known is not None and time.monotonic() < known[0] + SPREAD_FRESH_S:
            return known[1]
        now_ms = (await self._store.now()).wall_ms
        rollups = await self._store.stats(
            config_id or None, now_ms - DAY_HOURS * HOUR_MS, now_ms + 1
        )
        spread = bucket_of(config_id, now_ms, rollups).run
        if len(self._spreads) > MAX_CONFIGS:
            self._spreads.clear()
        self._spreads[config_id] = time.monotonic(), spread
        return spread

    def _next(self, configs: Iterable[StoredConfig]) -> tuple[NextFire, ...]:
        due = [one for one in configs if one.due_ms is not None and one.paused is None]
        first = sorted(due, key=lambda one: (one.due_ms, one.config.id))[:NEXT]
        return tuple(
            NextFire(
                config_id=one.config.id,
                due=rfc3339_ms(one.due_ms or 0),
                trigger=trigger_of(self._intake.entry(one.config)),
            )
            for one in first
        )


def trigger_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an entry that say when it fires."""
    return {key: entry[key] for key in TRIGGER_KEYS if key in entry}


def _late(configs: Iterable[StoredConfig], now_ms: int) -> tuple[StoredConfig, ...]:
    return tuple(
        one
        for one in configs
        if one.due_ms is not None and one.paused is None and one.due_ms < now_ms - LATE_AFTER_MS
    )


def _leader(fence: str | None, slow: _Slow) -> LeaderNow | None:
    if fence is None:
        return None
    epoch, _, pod = fence.split(":", 2)
    return LeaderNow(pod=pod, epoch=int(epoch), since=optional_time(slow.leader_since_ms))


def _workers(workers: Iterable[Worker]) -> WorkersNow:
    present = [one for one in workers if not one.gone]
    return WorkersNow(
        count=len(list(workers)),
        present=len(present),
        capacity=sum(one.capacity for one in present),
        running=sum(one.running for one in present),
    )


def _configs(counts: Counts, slow: _Slow, late: tuple[StoredConfig, ...]) -> ConfigsNow:
    return ConfigsNow(
        total=counts.configs,
        paused=sum(one.paused is not None for one in slow.configs),
        disabled=sum(not one.config.enabled for one in slow.configs),
        late=len(late),
    )


def _tasks(counts: Counts) -> TasksNow:
    status = counts.by_status
    return TasksNow(
        running=status.get(TaskStatus.RUNNING, 0),
        waiting=status.get(TaskStatus.PENDING, 0) + status.get(TaskStatus.RETRYING, 0),
        retrying=status.get(TaskStatus.RETRYING, 0),
        held=counts.by_home.get(Home.HELD, 0),
        oldest_waiting=optional_time(counts.oldest_ready_ms),
    )


def _day(day: Any) -> DayNow:
    return DayNow(
        success=day.success,
        failed=day.failed,
        cancelled=day.cancelled,
        retries=day.retries,
        fires=day.fires,
        skipped=day.skipped,
        missed=day.missed,
        wait_p99_ms=day.wait.p99_ms,
    )


def _hours(slow: _Slow, now_ms: int) -> tuple[HourNow, ...]:
    """Twelve hours that were, this one the last of them, and what is due in as many from now on."""
    this_ms = now_ms - now_ms % HOUR_MS
    found = []
    for number in range(1 - HOURS, HOURS):
        start_ms = this_ms + number * HOUR_MS
        past = slow.hours.get(start_ms)
        found.append(
            HourNow(
                start=rfc3339_ms(start_ms),
                success=0 if past is None else past.success,
                failed=0 if past is None else past.failed,
                cancelled=0 if past is None else past.cancelled,
                missed=0 if past is None else past.missed,
                due=slow.forecast.hours[number] if number >= 0 else 0,
            )
        )
    return tuple(found)
