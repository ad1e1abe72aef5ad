"""What `GET /now` answers: gathered with few calls of the store, and once for all callers."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from dsched.client import Client
from dsched.contracts import Event, EventKind, Intake
from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.reading import Counts, TaskQuery
from dsched.contracts.store.statistics import HOUR_MS, Spread, bucket_of
from dsched.model import Home, Task, TaskStatus, Worker, rfc3339_ms
from dsched.planning import InvalidTriggerError, config_instants
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

FRESH_S = 1.0  # so that many callers cost the store no more than one
DAY_FRESH_S = 15.0  # of what the last day was
WHO_FRESH_S = 45.0  # of who is there, unless an event tells of it
SLOW_FRESH_S = 60.0  # of what needs a walk over the configs, unless an event tells of one
SPREAD_FRESH_S = 120.0
MAX_CONFIGS = 2000
MAX_RUNNING = 20
NEXT = 12
PAGE = 100
DAY_HOURS = 24
_ABOUT_WHO = frozenset({EventKind.LEADER, EventKind.LEADERLESS, EventKind.WORKER})
TRIGGER_KEYS = ("cron_expr", "every", "fixed_delay", "at", "timezone")


@attrs.frozen(kw_only=True)
class _Slow:
    """The configs as they were at an instant."""

    at_ms: int
    configs: tuple[StoredConfig, ...]
    complete: bool


@attrs.frozen(kw_only=True)
class _Day:
    """What the last day was, by hour and in all."""

    hours: Mapping[int, Any]
    all: Any


@attrs.frozen(kw_only=True)
class _Who:
    """Who leads, works and is there."""

    workers: tuple[Worker, ...]
    fence: str | None
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
        self._day: tuple[float, _Day] | None = None
        self._who: tuple[float, _Who] | None = None
        self._spreads: dict[str, tuple[float, Spread]] = {}

    async def now(self) -> Now:
        """How it is, at most a second ago."""
        async with self._asking:
            if self._now is None or time.monotonic() >= self._now[0] + FRESH_S:
                self._now = time.monotonic(), await self._gathered()
            return self._now[1]

    def heard(self, event: Event) -> None:
        """Forget what an event says has changed."""
        if event.kind is EventKind.CONFIG:
            self._slow = None
        elif event.kind in _ABOUT_WHO:
            self._who = None

    async def configs(self) -> tuple[tuple[StoredConfig, ...], bool]:
        """The configs as they were a moment ago, and whether these are all."""
        slow = self._fresh_configs()
        if slow is None:
            slow = await self._configs_at((await self._store.now()).wall_ms)
        return slow.configs, slow.complete

    async def _gathered(self) -> Now:
        counts = await self._client.counts()
        running = await self._client.list(TaskQuery(home=Home.LEASE), limit=MAX_RUNNING)
        now_ms = counts.time.wall_ms
        slow, day, who = (
            await self._configs_at(now_ms),
            await self._day_before(now_ms),
            await self._who_is_there(),
        )
        forecast = await asyncio.to_thread(self._forecaster.forecast, slow.configs, now_ms)
        late = _late(slow)
        problems = await self._attention.problems(
            slow.configs, who.workers, late=late, day=day.all, now_ms=now_ms
        )
        return Now(
            time=rfc3339_ms(now_ms),
            leader=_leader(who),
            pods=who.pods,
            workers=_workers(who.workers),
            configs=_configs(counts, slow, late),
            tasks=_tasks(counts),
            day=_day(day.all),
            hours=_hours(day, forecast, now_ms),
            hours_complete=forecast.complete and slow.complete,
            running=tuple([await self._running(one, now_ms) for one in running.tasks]),
            next=self._next(slow.configs, now_ms),
            problems=problems,
        )

    def _fresh_configs(self) -> _Slow | None:
        if self._slow is None or time.monotonic() >= self._slow[0] + SLOW_FRESH_S:
            return None
        return self._slow[1]

    async def _configs_at(self, now_ms: int) -> _Slow:
        slow = self._fresh_configs()
        if slow is None:
            began_s = time.monotonic()
            configs, complete = await self._all_configs()
            slow = _Slow(at_ms=now_ms, configs=configs, complete=complete)
            self._slow = began_s, slow
        return slow

    async def _day_before(self, now_ms: int) -> _Day:
        if self._day is None or time.monotonic() >= self._day[0] + DAY_FRESH_S:
            first_ms = now_ms - now_ms % HOUR_MS - (DAY_HOURS - 1) * HOUR_MS
            rollups = await self._store.stats(None, first_ms, now_ms + 1)
            hours = {one.hour_ms: bucket_of(None, one.hour_ms, [one]) for one in rollups}
            day = _Day(hours=hours, all=bucket_of(None, first_ms, rollups))
            self._day = time.monotonic(), day
        return self._day[1]

    async def _who_is_there(self) -> _Who:
        if self._who is None or time.monotonic() >= self._who[0] + WHO_FRESH_S:
            terms = await self._client.terms(limit=1)
            who = _Who(
                workers=tuple(await self._client.workers()),
                fence=await self._store.leader(),
                leader_since_ms=terms.terms[0].began_ms if terms.terms else None,
                pods=len(await self._client.pods()),
            )
            self._who = time.monotonic(), who
        return self._who[1]

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

    async def _running(self, task: Task, now_ms: int) -> RunningNow:
        spread = Spread()
        if task.config_id is not None:
            spread = await self.spread(task.config_id, now_ms)
        return RunningNow(task=task_of(task), p50_ms=spread.p50_ms, p90_ms=spread.p90_ms)

    async def spread(self, config_id: str, now_ms: int | None = None) -> Spread:
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

    def _next(self, configs: Iterable[StoredConfig], now_ms: int) -> tuple[NextFire, ...]:
        due = [(_due_after(one, now_ms), one.config) for one in configs if one.paused is None]
        first = sorted((at_ms, one.id, one) for at_ms, one in due if at_ms is not None)[:NEXT]
        return tuple(
            NextFire(
                config_id=config_id,
                due=rfc3339_ms(at_ms),
                trigger=trigger_of(self._intake.entry(config)),
            )
            for at_ms, config_id, config in first
        )


def _due_after(stored: StoredConfig, now_ms: int) -> int | None:
    """When it is due next: as the store said, or where that is over by now, the instant after
    it."""
    if stored.due_ms is None or stored.due_ms >= now_ms:
        return stored.due_ms
    try:
        return config_instants(stored.config).next_after(now_ms) or stored.due_ms
    except InvalidTriggerError:
        return stored.due_ms  # stored by another version: it is told where the config is shown


def trigger_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of an entry that say when it fires."""
    return {key: entry[key] for key in TRIGGER_KEYS if key in entry}


def _late(slow: _Slow) -> tuple[StoredConfig, ...]:
    limit_ms = slow.at_ms - LATE_AFTER_MS
    return tuple(
        one
        for one in slow.configs
        if one.due_ms is not None and one.paused is None and one.due_ms < limit_ms
    )


def _leader(who: _Who) -> LeaderNow | None:
    if who.fence is None:
        return None
    epoch, _, pod = who.fence.split(":", 2)
    return LeaderNow(pod=pod, epoch=int(epoch), since=optional_time(who.leader_since_ms))


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


def _hours(day: _Day, forecast: Forecast, now_ms: int) -> tuple[HourNow, ...]:
    """Twelve hours that were, this one the last of them, and what is due in as many from now on."""
    this_ms = now_ms - now_ms % HOUR_MS
    found = []
    for number in range(1 - HOURS, HOURS):
        start_ms = this_ms + number * HOUR_MS
        past = day.hours.get(start_ms)
        found.append(
            HourNow(
                start=rfc3339_ms(start_ms),
                success=0 if past is None else past.success,
                failed=0 if past is None else past.failed,
                cancelled=0 if past is None else past.cancelled,
                missed=0 if past is None else past.missed,
                due=forecast.hours[number] if number >= 0 else 0,
            )
        )
    return tuple(found)
