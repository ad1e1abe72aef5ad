"""What the statistics count in the event log, by config, by worker and hour."""

from collections import Counter
from collections.abc import Callable, Mapping

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.statistics import (
    BIN_TOPS_MS,
    EVERYTHING,
    HOUR_MS,
    MAX_COUNTED_WORKERS,
    RUN,
    WAIT,
    Rollup,
    bin_of,
    worker_key,
)
from dsched.contracts.store.working import worker_of_claim
from dsched.model import (
    JsonValue,
    config_of,
    fire_instant_of,
    name_in_run,
    run_of,
    step_of_name,
)

Item = Mapping[str, JsonValue]
_Cell = tuple[dict[str, int], dict[str, int]]  # what is added up; the longest

_RUN_BINS = tuple(f"{RUN}{slot}" for slot in range(len(BIN_TOPS_MS)))
_WAIT_BINS = tuple(f"{WAIT}{slot}" for slot in range(len(BIN_TOPS_MS)))
_ENDS = {"success": "success", "failed": "failed", "cancelled": "cancelled"}
_COMPLETIONS = {**_ENDS, "retrying": "retries"}


class CountedWorkers:
    """The keys under which workers are counted: the first `MAX_COUNTED_WORKERS` of an hour."""

    def __init__(self) -> None:
        self._hour_ms = 0
        self._keys: dict[str, str] = {}

    def key(self, worker_id: str, hour_ms: int) -> str | None:
        """The key of a worker, None for one too many. The hours come in order."""
        if hour_ms != self._hour_ms:
            self._hour_ms, self._keys = hour_ms, {}
        key = self._keys.get(worker_id)
        if key is None:
            if len(self._keys) >= MAX_COUNTED_WORKERS:
                return None
            key = self._keys[worker_id] = worker_key(worker_id)
        return key


class Tally:
    """Adds up entries of the log. Each is counted for its config, for the worker that did it, and
    for `EVERYTHING`.

    The collector of a busy cluster calls it for each step of each task, so it does little.
    """

    def __init__(self, workers: CountedWorkers) -> None:
        self._workers = workers
        self._cells: dict[tuple[str, int], _Cell] = {}
        self._counters: dict[EventKind, Callable[[Event, int], None]] = {
            EventKind.FIRED: self._fired,
            EventKind.SKIPPED: self._skipped,
            EventKind.MISSED: self._missed,
            EventKind.CLAIMED: self._claimed,
            EventKind.COMPLETED: self._completed,
            EventKind.RELEASED: self._ended,
            EventKind.REAPED: self._ended,
            EventKind.CANCELLED: self._ended,
            EventKind.RUN_ENDED: self._run_ended,
        }

    def count(self, event: Event) -> None:
        """Count one entry."""
        counter = self._counters.get(event.kind)
        if counter is not None:
            counter(event, event.at_ms - event.at_ms % HOUR_MS)

    def rollups(self) -> tuple[Rollup, ...]:
        """What was counted."""
        return tuple(
            Rollup(config_id=config_id, hour_ms=hour_ms, adds=adds, tops=tops)
            for (config_id, hour_ms), (adds, tops) in self._cells.items()
            if adds
        )

    def _cell(self, config_id: str, hour_ms: int) -> _Cell:
        key = (config_id, hour_ms)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = ({}, {})
        return cell

    def _cells_of_worker(self, worker_id: str, hour_ms: int) -> tuple[_Cell, ...]:
        key = self._workers.key(worker_id, hour_ms)
        return () if key is None else (self._cell(key, hour_ms),)

    def _cells_of(self, task_id: str, everything: _Cell, hour_ms: int) -> tuple[_Cell, ...]:
        if "@" not in task_id:
            return (everything,)
        return everything, self._cell(counted_under(task_id), hour_ms)

    def _configs(self, event: Event, hour_ms: int, name: str, key: str | None = None) -> None:
        """Add to what the items name: one each, or the number under ``key``."""
        everything, _ = self._cell(EVERYTHING, hour_ms)
        for item in event.items:
            number = 1 if key is None else item[key]
            adds, _ = self._cell(item["config"], hour_ms)
            adds[name] = adds.get(name, 0) + number
            everything[name] = everything.get(name, 0) + number

    def _fired(self, event: Event, hour_ms: int) -> None:
        self._configs(event, hour_ms, "fires")

    def _skipped(self, event: Event, hour_ms: int) -> None:
        self._configs(event, hour_ms, "skipped", "count")

    def _missed(self, event: Event, hour_ms: int) -> None:
        self._configs(event, hour_ms, "missed")

    def _claimed(self, event: Event, hour_ms: int) -> None:
        """Attempts begun; the first of a fire's task tells how long the fire waited."""
        everything = self._cell(EVERYTHING, hour_ms)
        worker_id = worker_of_claim(event.by)
        for adds, _ in (everything, *self._cells_of_worker(worker_id, hour_ms)):
            adds["runs"] = adds.get("runs", 0) + len(event.items)
        for item in event.items:
            task_id = item["task"]
            if "@" not in task_id:
                continue
            cell = self._cell(counted_under(task_id), hour_ms)
            cell[0]["runs"] = cell[0].get("runs", 0) + 1
            due_ms = fire_instant_of(task_id) if item["attempt"] == 1 else None
            if due_ms is not None:
                wait_ms = max(0, event.at_ms - due_ms)
                slot = _WAIT_BINS[bin_of(wait_ms)]
                for adds, tops in (everything, cell):
                    adds[slot] = adds.get(slot, 0) + 1
                    tops[WAIT] = max(tops.get(WAIT, 0), wait_ms)

    def _completed(self, event: Event, hour_ms: int) -> None:
        alike = Counter(
            (item["status"], item["run"], item["task"] if "@" in item["task"] else "")
            for item in event.items
        )
        everything = self._cell(EVERYTHING, hour_ms)
        worker = self._cells_of_worker(event.by, hour_ms)
        for (status, run, task_id), number in alike.items():
            name, run_ms = _COMPLETIONS[status], max(0, run)
            slot = _RUN_BINS[bin_of(run_ms)]
            for adds, tops in (*worker, *self._cells_of(task_id, everything, hour_ms)):
                adds[name] = adds.get(name, 0) + number
                adds[slot] = adds.get(slot, 0) + number
                if run_ms >= tops.get(RUN, 0):
                    tops[RUN] = run_ms

    def _run_ended(self, event: Event, hour_ms: int) -> None:
        """Runs of many tasks count for their config; what they did, for the steps, and in all."""
        for item in event.items:
            config_id, name = config_of(item["task"]), _ENDS.get(item["status"])
            if config_id is None or name is None:
                continue
            adds, tops = self._cell(config_id, hour_ms)
            run_ms = max(0, item["run"])
            slot = _RUN_BINS[bin_of(run_ms)]
            adds[name] = adds.get(name, 0) + 1
            adds[slot] = adds.get(slot, 0) + 1
            tops[RUN] = max(tops.get(RUN, 0), run_ms)

    def _ended(self, event: Event, hour_ms: int) -> None:
        everything = self._cell(EVERYTHING, hour_ms)
        for item in event.items:
            name = _ENDS.get(item["status"])
            if name is not None:
                cells = self._cells_of(item["task"], everything, hour_ms)
                if event.kind is EventKind.REAPED and (dead := item.get("worker")):
                    cells = (*cells, *self._cells_of_worker(dead, hour_ms))
                for adds, _ in cells:
                    adds[name] = adds.get(name, 0) + 1


def counted_under(task_id: str) -> str:
    """The config for which a task is counted; a member counts for its step: ``config~step``."""
    config_id = config_of(task_id) or ""
    run_id = run_of(task_id)
    if run_id is None:
        return config_id
    step, _ = step_of_name(name_in_run(task_id))
    return f"{config_id}~{step}"
