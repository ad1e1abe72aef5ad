"""Timetables: what configs did and will do by cell of time, and the load that makes of it all.

What is over is read from the store once and remembered; what is due is counted from the triggers in
a thread. Many who look cost as much as one.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import ceil

import attrs

from dsched.client import Client
from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.statistics import BIN_TOPS_MS, HOUR_MS, RUN, Rollup
from dsched.model import Home, Task, TaskStatus, Verdict, rfc3339_ms
from dsched_api_http.occupancy import Cell, Due, Span, all_due, due_of, fires, load_of, peaks_of
from dsched_api_http.overview import Overview
from dsched_api_http.spreading import FiringConfig, hour_of, minute_of
from dsched_api_http.timetable_models import (
    AtOnce,
    Crowd,
    LoadCell,
    LoadView,
    Mark,
    TimetableRow,
)

PAGE = 100
MAX_ENDED = 300  # ended tasks of a config, or of a status, that are looked at
MAX_REMEMBERED = 200  # configs
MAX_MEASURED = 200  # configs whose durations are asked for; the others take what all take
FRESH_S = 15.0
LATE_AFTER_MS = 60_000
NOTHING_KNOWN = LoadCell(fires=None, slots=None)
UNKNOWN_MS = 1_000  # how long a task takes of which nothing is known
WORST = ("failed", "missed", "late", "cancelled", "skipped", "running", "success", "due")


@attrs.frozen(kw_only=True)
class Ran:
    """A task in short."""

    id: str
    due_ms: int
    start_ms: int | None
    end_ms: int | None
    status: TaskStatus

    @property
    def kind(self) -> str:
        """What is told of it in one word."""
        if self.end_ms is None:
            return "running"
        late = self.start_ms is not None and self.start_ms - self.due_ms > LATE_AFTER_MS
        return "late" if late and self.status is TaskStatus.SUCCESS else self.status.value


@attrs.frozen(kw_only=True)
class Ended:
    """The newest ended tasks, the newest first: from ``reach_ms`` on none is missing."""

    ran: tuple[Ran, ...] = ()
    reach_ms: int = 0

    def good_for(self, from_ms: int) -> bool:
        """Whether there is no need to read further back: it reaches there, or is as long as may
        be."""
        return self.reach_ms <= from_ms or len(self.ran) >= MAX_ENDED


class Timetable:
    """Gathers timetables and loads, for all who look."""

    def __init__(self, store: Store, overview: Overview) -> None:
        self._store = store
        self._client = Client(store)
        self._overview = overview
        self._asking = asyncio.Lock()
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._loads: OrderedDict[Span, tuple[float, LoadView]] = OrderedDict()

    async def load(self, span: Span) -> LoadView:
        """What is expected of a span, and what was measured of the part that is over."""
        async with self._asking:
            known = self._loads.get(span)
            if known is not None and time.monotonic() < known[0] + FRESH_S:
                return known[1]
            found = await self._loaded(span)
            self._loads[span] = time.monotonic(), found
            if len(self._loads) > PAGE:
                self._loads.popitem(last=False)
            return found

    async def minute(self, at_ms: int) -> Crowd:
        """Who fires in the minute that an instant lies in, and what `H` would do."""
        async with self._asking:
            configs, complete = await self._overview.configs()
            found = await asyncio.to_thread(minute_of, configs, at_ms)
            took_ms = await self.durations([one.config_id for one in found.due])
            hour = hour_of(at_ms)
            now, then = [
                await asyncio.to_thread(load_of, due, took_ms, hour)
                for due in (found.due, found.due_spread)
            ]
            state = await self._overview.now()
        return Crowd(
            minute=rfc3339_ms(at_ms - at_ms % 60_000),
            capacity=state.workers.capacity,
            configs=tuple(map(_at_once, found.firing)),
            hour=tuple(LoadCell(fires=one.fires, slots=one.slots) for one in now),
            hour_spread=tuple(LoadCell(fires=one.fires, slots=one.slots) for one in then),
            complete=complete and found.complete,
        )

    async def _loaded(self, span: Span) -> LoadView:
        now = await self._overview.now()
        configs, complete = await self._overview.configs()
        now_ms = (await self._store.now()).wall_ms
        due: Sequence[Due] = ()
        cells: Sequence[Cell] = (Cell(fires=0, slots=0),) * span.cells
        if span.to_ms > now_ms:
            due = await asyncio.to_thread(all_due, configs, span, after_ms=now_ms)
            took_ms = await self.durations([one.config_id for one in due])
            cells = await asyncio.to_thread(load_of, due, took_ms, span)
        was = await self._was(span, now_ms) if span.from_ms < now_ms else {}
        this = span.cell_of(now_ms) if span.to_ms > now_ms else span.cells
        return LoadView(
            time=rfc3339_ms(now_ms),
            start=rfc3339_ms(span.from_ms),
            cell_s=span.cell_ms // 1000,
            capacity=now.workers.capacity,
            cells=tuple(
                was.get(number, NOTHING_KNOWN)
                if number < this
                else LoadCell(fires=cell.fires, slots=max(cell.slots, _slots(was.get(number))))
                for number, cell in enumerate(cells)
            ),
            complete=complete and all(one.complete for one in due),
        )

    async def durations(self, config_ids: Sequence[str]) -> Mapping[str, int]:
        """How long a run of each took, but for 5 of 100."""
        default = (await self._overview.spread("")).p95_ms or UNKNOWN_MS
        found = dict.fromkeys(config_ids, default)
        for config_id in config_ids[:MAX_MEASURED]:
            took = (await self._overview.spread(config_id)).p95_ms
            found[config_id] = default if took is None else took
        return found

    async def _was(self, span: Span, now_ms: int) -> Mapping[int, LoadCell]:
        """The most tasks at one time in the cells for which the newest ended tasks tell of all, and
        what they were on average in the hours before."""
        edges: list[tuple[int, int]] = []
        reach_ms = span.from_ms
        for status in (TaskStatus.SUCCESS, TaskStatus.FAILED):
            ended = await self._newest(status.value, TaskQuery(status=status), span.from_ms)
            reach_ms = max(reach_ms, ended.reach_ms)
            edges += _edges(ended.ran, now_ms)
        live = await self._client.list(TaskQuery(home=Home.LEASE), limit=PAGE)
        edges += _edges([_ran(one) for one in live.tasks], now_ms)
        peaks = peaks_of(edges, span)
        first = span.cell_of(reach_ms) + (1 if reach_ms > span.from_ms else 0)
        last = span.cell_of(now_ms) if span.to_ms > now_ms else span.cells - 1
        exact = {cell: LoadCell(fires=None, slots=peaks[cell]) for cell in range(first, last + 1)}
        hours = await self._store.stats(None, span.from_ms, min(now_ms, span.to_ms))
        return _averages(hours, span, first) | exact

    async def rows(self, stored: Sequence[StoredConfig], span: Span) -> tuple[TimetableRow, ...]:
        """A row of each config."""
        async with self._asking:
            now_ms = (await self._store.now()).wall_ms
            live = await self._client.list(TaskQuery(home=Home.LEASE), limit=PAGE)
            running: dict[str, list[Ran]] = {}
            for task in live.tasks:
                running.setdefault(task.config_id or "", []).append(_ran(task))
            found = [
                await self._row(one, span, now_ms, running.get(one.config.id, [])) for one in stored
            ]
            return tuple(found)

    async def _row(
        self, stored: StoredConfig, span: Span, now_ms: int, running: Sequence[Ran]
    ) -> TimetableRow:
        marks: list[Mark] = []
        complete = True
        if span.from_ms < now_ms:
            marks += await self._past(stored.config.id, span, now_ms, running)
        if span.to_ms > now_ms and fires(stored):
            due = due_of(stored.config, span, after_ms=now_ms)
            complete = due.complete
            took = await self.durations([stored.config.id]) if due.instants else {}
            marks += _to_come(due, span, took.get(stored.config.id, UNKNOWN_MS))
        return TimetableRow(
            id=stored.config.id,
            count=sum(one.count for one in marks),
            marks=tuple(sorted(marks, key=lambda one: one.cell)),
            complete=complete,
        )

    async def _past(
        self, config_id: str, span: Span, now_ms: int, running: Sequence[Ran]
    ) -> list[Mark]:
        upto_ms = min(now_ms, span.to_ms)
        hours = await self._store.stats(config_id, span.from_ms - span.from_ms % HOUR_MS, upto_ms)
        if not hours and not running:
            return []
        query = TaskQuery(config_id=config_id)
        ended = await self._newest(f"config {config_id}", query, span.from_ms)
        low_ms = max(span.from_ms, ended.reach_ms)
        tasks = [one for one in (*ended.ran, *running) if low_ms <= one.due_ms < span.to_ms]
        marks = _ran_marks(tasks, span, now_ms)
        if low_ms > span.from_ms:
            marks += _coarse(hours, span, low_ms)
        if any(one.adds.get("missed") or one.adds.get("skipped") for one in hours):
            marks += await self._not_fired(config_id, span)
        return marks

    async def _not_fired(self, config_id: str, span: Span) -> list[Mark]:
        page = await self._client.decisions(config_id, limit=PAGE)
        found: dict[tuple[int, str], int] = {}
        for one in page.decisions:
            inside = one.last_ms >= span.from_ms and one.first_ms < span.to_ms
            if inside and one.verdict is not Verdict.FIRED and one.count:
                key = span.cell_of(one.first_ms), one.verdict.value
                found[key] = found.get(key, 0) + one.count
        return [Mark(cell=cell, kind=kind, count=count) for (cell, kind), count in found.items()]

    async def _newest(self, key: str, query: TaskQuery, from_ms: int) -> Ended:
        """Ended tasks from ``from_ms`` on: those remembered, and what has ended since."""
        known = self._ended.pop(key, Ended())
        if not known.good_for(from_ms):
            known = Ended()
        ids = {one.id for one in known.ran}
        found: list[Ran] = []
        cursor: str | None = None
        reach_ms: int | None = None
        while reach_ms is None and len(found) < MAX_ENDED:
            page = await self._client.list(query, cursor=cursor, limit=PAGE)
            cursor = page.cursor
            for task in page.tasks:
                if task.id in ids:
                    found += known.ran
                    reach_ms = known.reach_ms
                    break
                found.append(_ran(task))
            past = bool(found) and (found[-1].end_ms or 0) < from_ms
            if reach_ms is None and (cursor is None or past):
                reach_ms = from_ms
        ended = _bounded(found, reach_ms)
        self._ended[key] = ended
        if len(self._ended) > MAX_REMEMBERED:
            self._ended.popitem(last=False)
        return ended


def _bounded(found: Sequence[Ran], reach_ms: int | None) -> Ended:
    """As many as are kept; what is cut off is not reached."""
    kept = tuple(found[:MAX_ENDED])
    if reach_ms is None or len(found) > MAX_ENDED:
        reach_ms = max((kept[-1].end_ms or 0) if kept else 0, reach_ms or 0)
    return Ended(ran=kept, reach_ms=reach_ms)


def _slots(cell: LoadCell | None) -> int:
    return 0 if cell is None else cell.slots or 0


def _averages(hours: Sequence[Rollup], span: Span, before: int) -> dict[int, LoadCell]:
    """The slots that were taken on average in the hours of these cells, from how long runs were."""
    found: dict[int, LoadCell] = {}
    for hour in hours:
        took_ms = sum(
            BIN_TOPS_MS[int(name[1:])] * count
            for name, count in hour.adds.items()
            if name[0] == RUN and name[1:].isdigit()
        )
        slots = ceil(took_ms / HOUR_MS)
        first = span.cell_of(hour.hour_ms)
        for cell in range(first, min(before, span.cell_of(hour.hour_ms + HOUR_MS - 1) + 1)):
            found[cell] = LoadCell(fires=None, slots=slots, coarse=True)
    return found


def _ran(task: Task) -> Ran:
    return Ran(
        id=task.id,
        due_ms=task.scheduled_ms,
        start_ms=task.start_ms,
        end_ms=task.end_ms,
        status=task.status,
    )


def _edges(ran: Sequence[Ran], now_ms: int) -> list[tuple[int, int]]:
    found = []
    for one in ran:
        if one.start_ms is not None:
            end_ms = now_ms if one.end_ms is None else one.end_ms
            found += [(one.start_ms, 1), (max(end_ms, one.start_ms + 1), -1)]
    return found


def _ran_marks(ran: Sequence[Ran], span: Span, now_ms: int) -> list[Mark]:
    """Tasks by the cell they were due in and what became of them."""
    counts: dict[tuple[int, str], int] = {}
    lasted: dict[tuple[int, str], int] = {}
    for one in ran:
        key = span.cell_of(one.due_ms), one.kind
        end_ms = now_ms if one.end_ms is None else one.end_ms
        more = span.cell_of(end_ms) - key[0]
        counts[key] = counts.get(key, 0) + 1
        lasted[key] = max(lasted.get(key, 0), more)
    return [
        Mark(cell=cell, kind=kind, count=count, lasted=lasted[cell, kind])
        for (cell, kind), count in counts.items()
    ]


def _to_come(due: Due, span: Span, took_ms: int) -> list[Mark]:
    lasts = 0 if due.dense_ms is not None else took_ms // span.cell_ms
    return [
        Mark(cell=cell, kind="due", count=count, lasted=min(lasts, span.cells - 1 - cell))
        for cell, count in sorted(due.by_cell(span).items())
    ]


def _coarse(hours: Sequence[Rollup], span: Span, upto_ms: int) -> list[Mark]:
    """What is known of the hours for which the tasks themselves are too many to read."""
    found = []
    for hour in hours:
        if hour.hour_ms + HOUR_MS <= span.from_ms or hour.hour_ms >= upto_ms:
            continue
        cell = span.cell_of(hour.hour_ms)
        lasted = max(0, span.cell_of(min(hour.hour_ms + HOUR_MS, upto_ms) - 1) - cell)
        for kind in ("success", "failed", "cancelled"):
            count = hour.adds.get(kind, 0)
            if count:
                found.append(Mark(cell=cell, kind=kind, count=count, lasted=lasted, coarse=True))
    return found


def _at_once(one: FiringConfig) -> AtOnce:
    return AtOnce(
        id=one.config.id,
        at=rfc3339_ms(one.at_ms),
        cron_expr=one.config.cron_expr,
        origin=one.config.origin,
        spread=None if one.spread is None else one.spread.cron_expr,
        spread_at=None if one.spread_ms is None else rfc3339_ms(one.spread_ms),
    )
