"""One step under way: what it has read, changed and decided, written all at once at its end."""

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any

import attrs

from dsched.contracts.codec import write_spec
from dsched.contracts.outcomes import FencedError
from dsched.contracts.steps import EventKind, StoreTime
from dsched.contracts.store import LEADER_BELL, StoreSettings
from dsched.model import (
    Home,
    JsonValue,
    TaskSpec,
    TaskStatus,
    check_transition,
    config_of,
)
from dsched.model.ids import fire_instant_of
from dsched.model.json import dumps
from dsched_store_sqlite.rows import (
    CONFIG,
    END_TASK,
    INSERT_TASK,
    MOVE_TASK,
    PUT_CONFIG,
    PUT_WORKER,
    TASK,
    WORKER,
    ConfigRow,
    Living,
    Load,
    Meta,
    TaskRow,
    WorkerRow,
    ending_values,
    moving_values,
    new_values,
    read_task,
)

Item = dict[str, JsonValue]

_CHUNK = 20  # ids looked up by one statement
_GET_TASKS = f"SELECT {TASK} FROM task WHERE id IN ({', '.join('?' * _CHUNK)})"  # noqa: S608
_GET_TASK = f"SELECT {TASK} FROM task WHERE id = ?"  # noqa: S608
_GET_CONFIG = f"SELECT {CONFIG} FROM config WHERE id = ?"  # noqa: S608
_GET_WORKER = f"SELECT {WORKER} FROM worker WHERE id = ?"  # noqa: S608

_EVENT_ORDER = (
    EventKind.CLOCK_BACK,
    EventKind.SKIPPED,
    EventKind.FIRED,
    EventKind.CANCELLED,
    EventKind.CANCEL_REQUESTED,
    EventKind.RECALLED,
)


class Step:
    """The rows of one step. `flush` writes what changed; nothing is written before.

    Rows are read once and then live here: two acts of a step on one task see each other's
    changes. A statement that searches an index after a change needs a `flush` first.
    """

    def __init__(
        self, db: sqlite3.Connection, meta: Meta, time: StoreTime, settings: StoreSettings
    ) -> None:
        self.db = db
        self.meta = meta
        self.time = time
        self.wall_ms = time.wall_ms
        self.now_ms = time.now_ms
        self.settings = settings
        self.rings: set[str] = set()
        self._tasks: dict[str, TaskRow | None] = {}
        self._created: dict[str, TaskRow] = {}
        self._moved: dict[str, TaskRow] = {}
        self._ended: dict[str, TaskRow] = {}
        self._bodies: list[tuple[int, str]] = []
        self._results: list[tuple[str, int]] = []
        self._workers: dict[str, WorkerRow | None] = {}
        self._configs: dict[str, ConfigRow | None] = {}
        self._living: dict[str, Living] = {}
        self._loads: dict[str, Load] = {}
        self._changed_workers: set[str] = set()
        self._changed_configs: set[str] = set()
        self._changed_living: set[str] = set()
        self._changed_loads: set[str] = set()
        self._events: dict[EventKind, tuple[str, list[Item]]] = {}

    # --- the lock, the log ---

    def holder(self) -> str | None:
        """The fence of the current term, or None."""
        until_ms = self.meta.lock_until_ms
        return None if until_ms is not None and until_ms <= self.now_ms else self.meta.fence

    def check_fence(self, fence: str) -> None:
        """Raise `FencedError` unless the lock is held with exactly this fence."""
        holder = self.holder()
        if holder is None or holder != fence:
            raise FencedError(f"the leader lock is not held as {fence!r}; it is {holder!r}")

    def note(self, kind: EventKind, by: str, item: Item) -> None:
        """Add an item to this step's entry of that kind."""
        self._events.setdefault(kind, (by, []))[1].append(item)

    # --- reading rows ---

    def load(self, task_ids: Sequence[str]) -> list[TaskRow | None]:
        """Read these tasks in few statements; None where there is none."""
        missing = [key for key in task_ids if key not in self._tasks]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            self._tasks.update(dict.fromkeys(chunk))
            if len(chunk) < _CHUNK:
                for key in chunk:
                    for columns in self.db.execute(_GET_TASK, (key,)):
                        self._tasks[key] = read_task(columns)
            else:
                for columns in self.db.execute(_GET_TASKS, chunk):
                    self._tasks[columns[1]] = read_task(columns)
        return [self._tasks[key] for key in task_ids]

    def task(self, task_id: str) -> TaskRow | None:
        """One task."""
        if task_id in self._tasks:
            return self._tasks[task_id]
        return self.load((task_id,))[0]

    def adopt(self, columns: Sequence[Any]) -> TaskRow:
        """The task of these columns of `TASK`: as this step knows it, if it does."""
        known = self._tasks.get(columns[1])
        if known is None:
            known = self._tasks[columns[1]] = read_task(columns)
        return known

    def worker(self, worker_id: str) -> WorkerRow | None:
        """One worker."""
        if worker_id not in self._workers:
            found = self.db.execute(_GET_WORKER, (worker_id,)).fetchone()
            self._workers[worker_id] = None if found is None else WorkerRow(*found)
        return self._workers[worker_id]

    def config(self, config_id: str) -> ConfigRow | None:
        """One config."""
        if config_id not in self._configs:
            found = self.db.execute(_GET_CONFIG, (config_id,)).fetchone()
            self._configs[config_id] = None if found is None else ConfigRow(*found)
        return self._configs[config_id]

    def living(self, config_id: str) -> Living:
        """The count of live tasks of a config, known or not."""
        if config_id not in self._living:
            found = self.db.execute(
                "SELECT live, held FROM living WHERE config_id = ?", (config_id,)
            ).fetchone()
            self._living[config_id] = Living() if found is None else Living(*found)
        return self._living[config_id]

    def load_of(self, worker_id: str) -> Load:
        """What a worker has, registered or not."""
        if worker_id not in self._loads:
            found = self.db.execute(
                "SELECT running, queued FROM load WHERE worker_id = ?", (worker_id,)
            ).fetchone()
            self._loads[worker_id] = Load() if found is None else Load(*found)
        return self._loads[worker_id]

    # --- changing rows ---

    def changed(self, row: TaskRow) -> None:
        """Say that fields of a task other than its home were changed."""
        if row.id not in self._created and row.id not in self._ended:
            self._moved[row.id] = row

    def put_worker(self, row: WorkerRow) -> None:
        """Add a worker, or say that it was changed."""
        self._workers[row.id] = row
        self._changed_workers.add(row.id)

    def drop_worker(self, worker_id: str) -> None:
        """Remove a worker with its lanes and its bell."""
        self._workers[worker_id] = None
        self._changed_workers.discard(worker_id)
        self.rings.discard(worker_id)
        self.db.execute("DELETE FROM worker WHERE id = ?", (worker_id,))
        self.db.execute("DELETE FROM bell WHERE who = ?", (worker_id,))
        self.clear_lanes(worker_id)

    def clear_lanes(self, worker_id: str) -> None:
        """Forget the last claims of a worker."""
        self.db.execute("DELETE FROM lane WHERE worker_id = ?", (worker_id,))

    def put_config(self, row: ConfigRow) -> None:
        """Add a config, or say that it was changed."""
        if self._configs.get(row.id) is None:
            self.meta.configs += 1
        self._configs[row.id] = row
        self._changed_configs.add(row.id)

    def drop_config(self, config_id: str) -> None:
        """Remove a config."""
        self._configs[config_id] = None
        self._changed_configs.discard(config_id)
        self.meta.configs -= 1
        self.db.execute("DELETE FROM config WHERE id = ?", (config_id,))

    def set_due(self, row: ConfigRow, due_ms: int | None) -> None:
        """Give a config its due instant, or none."""
        row.due_ms = due_ms
        self._changed_configs.add(row.id)
        if due_ms is not None:
            self.rings.add(LEADER_BELL)

    def keep_result(self, row: TaskRow, text: str) -> None:
        """Keep the result of a task that ends."""
        self._results.append((text, row.seq))

    # --- moving tasks ---

    def create(
        self,
        task_id: str,
        spec: TaskSpec,
        home: Home,
        *,
        scheduled_ms: int,
        at_ms: int = 0,
        spec_text: str | None = None,
    ) -> None:
        """Add a new pending task; ``spec_text`` is the text of ``spec`` if it is known."""
        check_transition(task_id, None, (TaskStatus.PENDING, home))
        deadline = spec.start_deadline
        row = _blank_task(
            task_id,
            scheduled_ms=scheduled_ms,
            rank=9 - spec.priority,
            deadline_ms=None if deadline is None else deadline // timedelta(milliseconds=1),
            needs=_needs(spec),
        )
        row.home, row.at_ms = home, at_ms
        if fire_instant_of(task_id) is not None:
            row.live_of = config_of(task_id) or ""
            self.living(row.live_of).live += 1
            self._changed_living.add(row.live_of)
        self._tasks[task_id] = self._created[task_id] = row
        self._bodies.append((0, write_spec(spec) if spec_text is None else spec_text))
        self._enter(row)

    def place(self, row: TaskRow, status: TaskStatus, home: Home | None, at_ms: int = 0) -> None:
        """Move a task to its new status and home, by the transition table."""
        if row.status is not status or row.home is not home:  # a renewed lease is no transition
            check_transition(row.id, (row.status, row.home), (status, home))
        self._leave(row)
        row.status, row.home, row.at_ms = status, home, at_ms
        self._enter(row)
        self.changed(row)

    def _leave(self, row: TaskRow) -> None:
        meta = self.meta
        match row.home:
            case Home.READY:
                meta.in_ready -= 1
            case Home.QUEUE:
                meta.in_queue -= 1
                self._add_load(row.worker_id or "", 0, -1)
            case Home.LEASE:
                meta.in_lease -= 1
                self._add_load(row.worker_id or "", -1, 0)
                if meta.in_ready:
                    self.rings.add(LEADER_BELL)
            case Home.DELAYED:
                meta.in_delayed -= 1
                meta.retrying -= row.status is TaskStatus.RETRYING
            case Home.HELD:
                meta.in_held -= 1
                self._hold(row, None)

    def _enter(self, row: TaskRow) -> None:
        meta = self.meta
        match row.home:
            case Home.READY:
                row.worker_id = None
                meta.in_ready += 1
                self.rings.add(LEADER_BELL)
            case Home.QUEUE:
                meta.in_queue += 1
                meta.last_place += 1
                row.place = meta.last_place
                self._add_load(row.worker_id or "", 0, 1)
                self.rings.add(row.worker_id or "")
            case Home.LEASE:
                meta.in_lease += 1
                self._add_load(row.worker_id or "", 1, 0)
            case Home.DELAYED:
                row.worker_id = None
                meta.in_delayed += 1
                meta.retrying += row.status is TaskStatus.RETRYING
                self.rings.add(LEADER_BELL)
            case Home.HELD:
                meta.in_held += 1
                self._hold(row, row.id)

    def _add_load(self, worker_id: str, running: int, queued: int) -> None:
        load = self.load_of(worker_id)
        load.running += running
        load.queued += queued
        self._changed_loads.add(worker_id)

    def _hold(self, row: TaskRow, held: str | None) -> None:
        config_id = config_of(row.id) or ""
        self.living(config_id).held = held
        self._changed_living.add(config_id)

    def finish(self, row: TaskRow, status: TaskStatus) -> None:
        """End a task: the one way in which tasks end, whatever the step."""
        self.place(row, status, None)
        row.end_ms = self.wall_ms
        config_id, row.live_of = row.live_of, None
        if self._moved.pop(row.id, None) is not None:
            self._ended[row.id] = row
        if config_id is None:
            return
        living = self.living(config_id)
        living.live -= 1
        self._changed_living.add(config_id)
        if living.held is not None and living.live == 1:
            held = self.task(living.held)
            if held is None:
                raise RuntimeError(f"config {config_id}: held task {living.held} does not exist")
            self.place(held, TaskStatus.PENDING, Home.READY)
        if not living.live:
            self._rearm_fixed_delay(config_id)

    def _rearm_fixed_delay(self, config_id: str) -> None:
        row = self.config(config_id)
        if row is None or row.paused or row.delay_ms is None or not row.config.enabled:
            return
        self.set_due(row, self.wall_ms + row.delay_ms)

    def cancel(self, row: TaskRow, by: str, reason: str) -> bool:
        """Cancel a task that has not ended; whether it ended at once."""
        if row.home is not Home.LEASE:
            row.reason = reason
            self.finish(row, TaskStatus.CANCELLED)
            item: Item = {"task": row.id, "status": "cancelled", "reason": reason}
            self.note(EventKind.CANCELLED, by, item)
            return True
        if not row.cancel_requested:
            row.cancel_requested, row.cancel_reason = 1, reason
            self.changed(row)
            self.note(EventKind.CANCEL_REQUESTED, by, {"task": row.id, "reason": reason})
        self.rings.add(row.worker_id or "")
        return False

    def expire(self, row: TaskRow, by: str) -> bool:
        """End a task whose start deadline has passed; whether it had."""
        return row.expired(self.wall_ms) and self.cancel(row, by, "expired")

    # --- writing ---

    def flush(self) -> None:
        """Write the rows that changed, so that statements find them."""
        self._flush_tasks()
        db = self.db
        if self._changed_workers:
            rows = [self._workers[key] for key in self._changed_workers]
            db.executemany(PUT_WORKER, [_values(row) for row in rows if row])
            self._changed_workers.clear()
        if self._changed_configs:
            configs = [self._configs[key] for key in self._changed_configs]
            db.executemany(PUT_CONFIG, [_values(row) for row in configs if row])
            self._changed_configs.clear()
        for key in self._changed_living:
            living = self._living[key]
            if living.live:
                values = (key, living.live, living.held)
                db.execute("INSERT OR REPLACE INTO living VALUES (?, ?, ?)", values)
            else:
                db.execute("DELETE FROM living WHERE config_id = ?", (key,))
        self._changed_living.clear()
        for key in self._changed_loads:
            load = self._loads[key]
            if load.running or load.queued:
                values = (key, load.running, load.queued)
                db.execute("INSERT OR REPLACE INTO load VALUES (?, ?, ?)", values)
            else:
                db.execute("DELETE FROM load WHERE worker_id = ?", (key,))
        self._changed_loads.clear()

    def _flush_tasks(self) -> None:
        db = self.db
        if self._created:
            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM task").fetchone()
            for seq, row in enumerate(self._created.values(), last + 1):
                row.seq = seq
            rows = self._created.values()
            db.executemany(INSERT_TASK, [new_values(row) for row in rows])
            bodies = zip(rows, self._bodies, strict=True)
            db.executemany(
                "INSERT INTO body (seq, spec) VALUES (?, ?)",
                [(row.seq, spec) for row, (_, spec) in bodies],
            )
            self._created.clear()
            self._bodies.clear()
        if self._moved:
            db.executemany(MOVE_TASK, [moving_values(row) for row in self._moved.values()])
            self._moved.clear()
        if self._ended:
            db.executemany(END_TASK, [ending_values(row) for row in self._ended.values()])
            self._ended.clear()
        if self._results:
            db.executemany("UPDATE body SET result = ? WHERE seq = ?", self._results)
            self._results.clear()

    def write_events(self) -> None:
        """Append this step's entries to the log in the contract's order."""
        rest = [kind for kind in self._events if kind not in _EVENT_ORDER]
        for kind in (*_EVENT_ORDER, *rest):
            if kind in self._events:
                by, items = self._events[kind]
                self.meta.last_cursor += 1
                self.meta.log_size += 1
                self.db.execute(
                    "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
                    (self.meta.last_cursor, kind.value, self.wall_ms, by, dumps(items)),
                )


def _values(row: Any) -> tuple[Any, ...]:
    return _GETTERS[type(row)](row)


_GETTERS: dict[type, Any] = {
    kind: attrgetter(*(field.name for field in attrs.fields(kind)))
    for kind in (WorkerRow, ConfigRow)
}


def _blank_task(
    task_id: str, *, scheduled_ms: int, rank: int, deadline_ms: int | None, needs: str | None
) -> TaskRow:
    return TaskRow(
        seq=0,
        id=task_id,
        status=TaskStatus.PENDING,
        home=None,
        at_ms=0,
        place=0,
        worker_id=None,
        token=None,
        completed=0,
        scheduled_ms=scheduled_ms,
        start_ms=None,
        end_ms=None,
        attempt=0,
        retry_count=0,
        crash_count=0,
        rank=rank,
        deadline_ms=deadline_ms,
        needs=needs,
        reason="",
        error="",
        cancel_requested=0,
        cancel_reason="",
        progress=None,
        live_of=None,
    )


def _needs(spec: TaskSpec) -> str | None:
    """What dispatch must know beyond the row: required labels and affinity key, if any."""
    if not spec.required_labels and spec.affinity_key is None:
        return None
    return dumps({"labels": dict(spec.required_labels), "key": spec.affinity_key})
