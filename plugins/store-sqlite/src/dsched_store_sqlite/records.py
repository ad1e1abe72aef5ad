"""The rows that one step has read and changed, written all at once."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import attrs

from dsched.contracts.store.runs import write_line
from dsched.model import Counted, MemberLine
from dsched_store_sqlite.meta import Meta
from dsched_store_sqlite.places import FIRST_NUMBER, Places
from dsched_store_sqlite.rows import (
    CONFIG,
    END_TASK,
    INSERT_TASK,
    MOVE_TASK,
    PUT_CONFIG,
    PUT_COUNTED,
    PUT_WORKER,
    TASK,
    WORKER,
    ConfigRow,
    Living,
    Load,
    TaskRow,
    WorkerRow,
    config_values,
    counted_values,
    ending_values,
    moving_values,
    new_values,
    read_task,
)

_CHUNK = 20  # ids looked up by one statement
_GET_TASKS = f"SELECT {TASK} FROM task WHERE id IN ({', '.join('?' * _CHUNK)})"  # noqa: S608
_GET_TASK = f"SELECT {TASK} FROM task WHERE id = ?"  # noqa: S608
_GET_CONFIG = f"SELECT {CONFIG} FROM config WHERE id = ?"  # noqa: S608
_HELD_OF = (
    "SELECT id FROM task WHERE live_of IS NOT NULL AND live_of = ? AND home = 'held' "
    "ORDER BY scheduled_ms, id"
)
_GET_WORKER = f"SELECT {WORKER} FROM worker WHERE id = ?"  # noqa: S608

_ADD_LINE = (
    "INSERT INTO member_line "
    "SELECT ?, coalesce((SELECT max(n) FROM member_line WHERE run = ?), 0) + 1, ?, ?, ?"
)

ABILITY_OF = "SELECT digest FROM worker_ability WHERE worker_id = ? AND incarnation = ?"
PUT_ABILITY_OF = "INSERT OR REPLACE INTO worker_ability VALUES (?, ?, ?)"
DROP_COUNTED = "DELETE FROM counted WHERE config_id = ?"
DROP_ABILITY_OF = "DELETE FROM worker_ability WHERE worker_id = ?"


class Records:
    """The rows of one step. `flush` writes what changed; nothing is written before.

    Rows are read once and then live here: two acts of a step on one task see each other's
    changes. A statement that searches an index after a change needs a `flush` first.
    """

    def __init__(self, db: sqlite3.Connection, meta: Meta) -> None:
        self.db = db
        self.meta = meta
        self.to_wake: set[str] = set()
        self._tasks: dict[str, TaskRow | None] = {}
        self._created: dict[str, TaskRow] = {}
        self._moved: dict[str, TaskRow] = {}
        self._ended: dict[str, TaskRow] = {}
        self._specs: list[str] = []  # of those created, in their order
        self._results: list[tuple[str, int]] = []
        self._workers: dict[str, WorkerRow | None] = {}
        self._configs: dict[str, ConfigRow | None] = {}
        self._living: dict[str, Living] = {}
        self._loads: dict[str, Load] = {}
        self._abilities: dict[tuple[str, str], str] = {}
        self._changed_workers: set[str] = set()
        self._changed_configs: set[str] = set()
        self._changed_living: set[str] = set()
        self._changed_loads: set[str] = set()
        self._class_numbers: dict[str | None, int] = {None: 0}
        self._waiting: Counter[int] = Counter()
        self.places = Places(db)

    # --- classes ---

    def _class_numbered(self, text: str | None) -> int:
        if text not in self._class_numbers:
            found = self.db.execute("SELECT n FROM class WHERE text = ?", (text,)).fetchone()
            self._class_numbers[text] = 0 if found is None else found[0]
        return self._class_numbers[text]

    def forget_classes(self) -> None:
        """Read anew which classes are shut."""
        self._class_numbers = {None: 0}

    def add_waiting(self, number: int, count: int) -> None:
        """So many more wait under a class, or under a limit."""
        if number >= FIRST_NUMBER:
            self.places.wait(number, count)
        else:
            self._waiting[number] += count

    def placed(self, task_id: str, place: int) -> None:
        """A statement has put this task under a class, or let it out."""
        row = self._tasks.get(task_id)
        if row is not None:
            row.place = place

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

    def ability_of(self, row: WorkerRow) -> str:
        """The digest of what a worker can run, or nothing: an earlier build registers without."""
        key = (row.id, row.incarnation)
        if key not in self._abilities:
            found = self.db.execute(ABILITY_OF, key).fetchone()
            self._abilities[key] = "" if found is None else str(found[0])
        return self._abilities[key]

    def set_ability(self, row: WorkerRow, digest: str) -> None:
        """Say what a worker can run, or that it does not say."""
        self._abilities[(row.id, row.incarnation)] = digest
        if digest:
            self.db.execute(PUT_ABILITY_OF, (row.id, row.incarnation, digest))
        else:
            self.db.execute(DROP_ABILITY_OF, (row.id,))

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
            live, held = found or (0, None)
            self._living[config_id] = living = Living(live)
            # As they were before this step: every change of home goes through this object.
            living.held = [] if held is None else self._held_of(config_id)
        return self._living[config_id]

    def all_living(self, config_id: str) -> Living:
        """The same, even if an earlier build lost track of held tasks."""
        living = self.living(config_id)
        if living.live and not living.held:
            self.flush()
            living.held = self._held_of(config_id)
        return living

    def _held_of(self, config_id: str) -> list[str]:
        return [task_id for (task_id,) in self.db.execute(_HELD_OF, (config_id,))]

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
        """Remove a worker with its lanes and its wake-up."""
        self._workers[worker_id] = None
        self._changed_workers.discard(worker_id)
        self.to_wake.discard(worker_id)
        self.db.execute("DELETE FROM worker WHERE id = ?", (worker_id,))
        self.db.execute(DROP_ABILITY_OF, (worker_id,))
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

    def count(self, row: ConfigRow, counted: Counted) -> None:
        """Have this counted of a config, if anything is."""
        values = counted_values(row.config, counted)
        if values is not None:
            row.counts = values[1]
            self.db.execute(PUT_COUNTED, values)
        elif row.counts is not None:
            row.counts = None
            self.db.execute(DROP_COUNTED, (row.id,))

    def drop_config(self, config_id: str) -> None:
        """Remove a config."""
        row = self.config(config_id)
        if row is not None and row.parked_due_ms is not None:
            self.db.execute("DELETE FROM parked WHERE config_id = ?", (config_id,))
        if row is not None and row.counts is not None:
            self.db.execute(DROP_COUNTED, (config_id,))
        self._configs[config_id] = None
        self._changed_configs.discard(config_id)
        self.meta.configs -= 1
        self.db.execute("DELETE FROM config WHERE id = ?", (config_id,))

    def add_line(self, run: TaskRow, line: MemberLine) -> None:
        """Append to the member log of a run, which is there since an earlier step."""
        said = (line.what.value, line.name, write_line(line))
        self.db.execute(_ADD_LINE, (run.seq, run.seq, *said))

    def count_open(self, by: int) -> None:
        """Keep the number of open runs."""
        self.db.execute("UPDATE run_count SET open = open + ? WHERE one = 1", (by,))

    def keep_result(self, row: TaskRow, text: str) -> None:
        """Keep the result of a task that ends."""
        self._results.append((text, row.seq))

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
            db.executemany(PUT_CONFIG, [config_values(row) for row in configs if row])
            self._changed_configs.clear()
        self._flush_counts()
        self.places.flush()
        if self._waiting:
            counts = [(count, number) for number, count in self._waiting.items() if count]
            db.executemany("UPDATE class SET waiting = waiting + ? WHERE n = ?", counts)
            self._waiting.clear()

    def _flush_tasks(self) -> None:
        db = self.db
        if self._created:
            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM task").fetchone()
            for seq, row in enumerate(self._created.values(), last + 1):
                row.seq = seq
            rows = self._created.values()
            db.executemany(INSERT_TASK, [new_values(row) for row in rows])
            db.executemany(
                "INSERT INTO body (seq, spec) VALUES (?, ?)",
                [(row.seq, spec) for row, spec in zip(rows, self._specs, strict=True)],
            )
            self._created.clear()
            self._specs.clear()
        if self._moved:
            db.executemany(MOVE_TASK, [moving_values(row) for row in self._moved.values()])
            self._moved.clear()
        if self._ended:
            db.executemany(END_TASK, [ending_values(row) for row in self._ended.values()])
            self._ended.clear()
        if self._results:
            db.executemany("UPDATE body SET result = ? WHERE seq = ?", self._results)
            self._results.clear()

    def _flush_counts(self) -> None:
        db = self.db
        for key in self._changed_living:
            living = self._living[key]
            if living.live:
                of_config = (key, living.live, living.held[0] if living.held else None)
                db.execute("INSERT OR REPLACE INTO living VALUES (?, ?, ?)", of_config)
            else:
                db.execute("DELETE FROM living WHERE config_id = ?", (key,))
        self._changed_living.clear()
        for key in self._changed_loads:
            load = self._loads[key]
            if load.running or load.queued:
                of_worker = (key, load.running, load.queued)
                db.execute("INSERT OR REPLACE INTO load VALUES (?, ?, ?)", of_worker)
            else:
                db.execute("DELETE FROM load WHERE worker_id = ?", (key,))
        self._changed_loads.clear()


def _values(row: Any) -> tuple[Any, ...]:
    values: tuple[Any, ...] = _GETTERS[type(row)](row)
    return values


_GETTERS: dict[type, Any] = {
    kind: attrgetter(*(field.name for field in attrs.fields(kind)))
    for kind in (WorkerRow, ConfigRow)
}
