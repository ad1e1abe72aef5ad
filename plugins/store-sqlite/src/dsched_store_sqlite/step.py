"""One step under way: what it has read, changed and decided, written all at once at its end."""

import sqlite3
from bisect import insort
from collections.abc import Iterable
from datetime import timedelta

from dsched.contracts.store.classes import CLASSES_FROM, class_text
from dsched.contracts.store.codec import write_spec
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.operating import MAX_TERMS
from dsched.contracts.store.outcomes import FencedError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.timing import LEADER_WAKEUP, StoreTime
from dsched.model import (
    Home,
    JsonValue,
    MemberLine,
    MemberStep,
    TaskSpec,
    TaskStatus,
    check_transition,
    config_of,
    name_in_run,
    run_of,
)
from dsched.model.ids import fire_instant_of
from dsched.model.json import dumps
from dsched_store_sqlite.meta import Meta
from dsched_store_sqlite.needs import limits_of, needs_of, read_needs
from dsched_store_sqlite.places import HOLDING
from dsched_store_sqlite.records import Records
from dsched_store_sqlite.rows import (
    ConfigRow,
    Living,
    TaskRow,
    new_task,
)

Item = dict[str, JsonValue]

# A queue is in the order of `place`: of rank, and of the order of dispatch within one.
RANK_BITS = 40
ANY_OPEN = "SELECT 1 FROM task WHERE home = 'ready' AND (place < 0) = 0 LIMIT 1"
IS_FULL = "SELECT 1 FROM class WHERE n = ? AND blocked = 'full'"
ANY_FULL = "SELECT 1 FROM class WHERE blocked = 'full' LIMIT 1"

_EVENT_ORDER = (
    EventKind.CLOCK_BACK,
    EventKind.SKIPPED,
    EventKind.FIRED,
    EventKind.CANCELLED,
    EventKind.CANCEL_REQUESTED,
    EventKind.RECALLED,
)


class Step(Records):
    """One step: its time, its records, its events, and the acts that steps have in common."""

    def __init__(
        self,
        db: sqlite3.Connection,
        meta: Meta,
        time: StoreTime,
        settings: StoreSettings,
        *,
        store_format: int,
    ) -> None:
        super().__init__(db, meta)
        self.format = store_format
        self._room_freed = False
        self.time = time
        self.wall_ms = time.wall_ms
        self.now_ms = time.now_ms
        self.places.begin(time.now_ms)
        self.settings = settings
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

    def begin_term(self, epoch: int, pod: str) -> None:
        """Remember a new term; one before it that nobody ended has expired."""
        self.end_term("expired")
        self.db.execute(
            "INSERT INTO term (epoch, pod, began_ms) VALUES (?, ?, ?)", (epoch, pod, self.wall_ms)
        )
        self.db.execute(
            "DELETE FROM term WHERE epoch <= "
            "(SELECT epoch FROM term ORDER BY epoch DESC LIMIT 1 OFFSET ?)",
            (MAX_TERMS,),
        )

    def end_term(self, how: str, who: str = "", why: str = "") -> None:
        """Remember how the last term ended, unless that is known."""
        self.db.execute(
            "UPDATE term SET ended_ms = ?, how = ?, who = ?, why = ? "
            "WHERE ended_ms IS NULL AND epoch = (SELECT max(epoch) FROM term)",
            (self.wall_ms, how, who, why),
        )

    # --- changing configs and tasks ---

    def set_due(self, row: ConfigRow, due_ms: int | None) -> None:
        """Give a config its due instant, or none."""
        if row.parked_due_ms is not None:
            self.db.execute("DELETE FROM parked WHERE config_id = ?", (row.id,))
        row.due_ms, row.parked_due_ms = due_ms, None
        self.put_config(row)
        if due_ms is not None:
            self.to_wake.add(LEADER_WAKEUP)

    def park(self, row: ConfigRow, until_ms: int) -> None:
        """Keep what a config owes, and do not name it before an instant."""
        owed_ms = row.owed_ms
        self.db.execute(
            "INSERT OR REPLACE INTO parked VALUES (?, ?, ?)", (row.id, until_ms, owed_ms)
        )
        row.due_ms, row.parked_due_ms = until_ms, owed_ms
        self.put_config(row)
        self.to_wake.add(LEADER_WAKEUP)

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
        """Add a new pending task; ``spec_text`` is the text of ``spec`` if it is known. What would
        be ready or delayed is open if it is a run."""
        if spec.workflow is not None and home is not Home.HELD:
            home, at_ms = Home.OPEN, at_ms or self.now_ms
        check_transition(task_id, None, (TaskStatus.PENDING, home))
        row = new_task(
            task_id,
            scheduled_ms=scheduled_ms,
            rank=9 - spec.priority,
            deadline_ms=start_deadline_ms(spec),
            needs=needs_of(spec),
        )
        row.home, row.at_ms = home, at_ms
        if fire_instant_of(task_id) is not None:
            row.live_of = config_of(task_id) or ""
            self.living(row.live_of).live += 1
            self._changed_living.add(row.live_of)
        self._tasks[task_id] = self._created[task_id] = row
        self._specs.append(write_spec(spec) if spec_text is None else spec_text)
        self._enter(row)

    def place(self, row: TaskRow, status: TaskStatus, home: Home | None, at_ms: int = 0) -> None:
        """Move a task to its new status and home, by the transition table."""
        if row.status is not status or row.home is not home:  # a renewed lease is no transition
            check_transition(row.id, (row.status, row.home), (status, home))
        was, under = row.home, row.place
        self._leave(row)
        row.status, row.home, row.at_ms = status, home, at_ms
        self._enter(row)
        self.changed(row)
        if names := limits_of(row.needs):
            self._move_places(row, names, was, waited=under < 0)

    def _move_places(
        self, row: TaskRow, names: tuple[str, ...], was: Home | None, *, waited: bool
    ) -> None:
        """What a task of limits has come from: it takes places, or gives them back."""
        held, holds = was in HOLDING, row.home in HOLDING
        self.places.moved(names, was, row.home)
        if (held or (was is Home.READY and not waited)) and not holds:
            self.wake_if_open(names)

    def wake_if_open(self, names: Iterable[str]) -> None:
        """These limits may have room again: if something waits for that the leader is to know."""
        if self.places.may_open(names):
            self.to_wake.add(LEADER_WAKEUP)

    def _leave(self, row: TaskRow) -> None:
        meta = self.meta
        match row.home:
            case Home.READY:
                meta.in_ready -= 1
                if row.place < 0:
                    self.add_waiting(-row.place, -1)
                    row.place = 0
            case Home.QUEUE:
                meta.in_queue -= 1
                self._add_load(row.worker_id or "", 0, -1)
            case Home.LEASE:
                meta.in_lease -= 1
                self._add_load(row.worker_id or "", -1, 0)
                self._room_freed = True
            case Home.DELAYED:
                meta.in_delayed -= 1
                meta.retrying -= row.status is TaskStatus.RETRYING
            case Home.HELD:
                meta.in_held -= 1
                self._hold_no_more(row)
            case Home.OPEN:
                self.count_open(-1)

    def _enter(self, row: TaskRow) -> None:
        meta = self.meta
        match row.home:
            case Home.READY:
                row.worker_id = None
                meta.in_ready += 1
                number = self.shut_for(row.needs)
                row.place = -number
                if number:
                    self.add_waiting(number, 1)
                    self._wait_under(number)
                else:
                    self.to_wake.add(LEADER_WAKEUP)
            case Home.QUEUE:
                meta.in_queue += 1
                meta.last_place += 1
                row.place = (row.rank << RANK_BITS) + meta.last_place
                self._add_load(row.worker_id or "", 0, 1)
                self.to_wake.add(row.worker_id or "")
            case Home.LEASE:
                meta.in_lease += 1
                self._add_load(row.worker_id or "", 1, 0)
            case Home.DELAYED:
                row.worker_id = None
                meta.in_delayed += 1
                meta.retrying += row.status is TaskStatus.RETRYING
                self.to_wake.add(LEADER_WAKEUP)
            case Home.HELD:
                meta.in_held += 1
                self._hold(row)
            case Home.OPEN:
                self.count_open(1)
                self.to_wake.add(LEADER_WAKEUP)

    def _add_load(self, worker_id: str, running: int, queued: int) -> None:
        load = self.load_of(worker_id)
        load.running += running
        load.queued += queued
        self._changed_loads.add(worker_id)

    def _hold(self, row: TaskRow) -> None:
        config_id = config_of(row.id) or ""
        insort(self.living(config_id).held, row.id, key=lambda one: fire_instant_of(one) or 0)
        self._changed_living.add(config_id)

    def _hold_no_more(self, row: TaskRow) -> None:
        config_id = config_of(row.id) or ""
        held = self.living(config_id).held
        if row.id in held:  # else an earlier build has lost track of it
            held.remove(row.id)
        self._changed_living.add(config_id)

    def finish(self, row: TaskRow, status: TaskStatus, code: str = "") -> None:
        """End a task: the one way in which tasks end, whatever the step; ``code`` of a result."""
        self.place(row, status, None)
        run_id = run_of(row.id)
        if run_id is not None:
            row.at_ms = self.wall_ms
            self._tell_run(run_id, row, code)
            return
        row.end_ms = self.wall_ms
        self.meta.count_kept(status, 1)
        config_id, row.live_of = row.live_of, None
        if self._moved.pop(row.id, None) is not None:
            self._ended[row.id] = row
        if config_id is None:
            return
        living = self.living(config_id)
        living.live -= 1
        self._changed_living.add(config_id)
        self.release(config_id, living)
        if not living.live:
            self._rearm_fixed_delay(config_id)

    def release(self, config_id: str, living: Living) -> None:
        """Make the oldest held task ready, if all live tasks are held."""
        if not living.held or living.live != len(living.held):
            return
        held = self.task(living.held[0])
        if held is None:
            raise RuntimeError(f"config {config_id}: held task {living.held[0]} does not exist")
        if held.is_run:
            self.place(held, TaskStatus.PENDING, Home.OPEN, self.now_ms)
        else:
            self.place(held, TaskStatus.PENDING, Home.READY)

    def _tell_run(self, run_id: str, row: TaskRow, code: str) -> None:
        """A member that has ended is told in the log of its run, which has news."""
        run = self.task(run_id)
        if run is None:
            return
        line = MemberLine(
            what=MemberStep.ENDED,
            name=name_in_run(row.id),
            at_ms=self.wall_ms,
            status=row.status,
            code=code,
            attempts=row.attempt,
        )
        self.add_line(run, line)
        self.give_news(run)

    def give_news(self, run: TaskRow) -> None:
        """The leader has something to decide about a run that is open."""
        if run.home is Home.OPEN:
            run.at_ms = min(run.at_ms, self.now_ms)
            self.changed(run)
            self.to_wake.add(LEADER_WAKEUP)

    def _rearm_fixed_delay(self, config_id: str) -> None:
        row = self.config(config_id)
        if row is None or row.paused or row.delay_ms is None or not row.config.enabled:
            return
        self.set_due(row, self.wall_ms + row.delay_ms)

    def cancel(self, row: TaskRow, by: str, reason: str) -> bool:
        """Cancel a task that has not ended; whether it ended at once."""
        if row.status is not TaskStatus.RUNNING:
            row.reason = reason
            self.finish(row, TaskStatus.CANCELLED)
            item: Item = {"task": row.id, "status": "cancelled", "reason": reason}
            self.note(EventKind.CANCELLED, by, item)
            return True
        if not row.cancel_requested:
            row.cancel_requested, row.cancel_reason = 1, reason
            self.changed(row)
            self.note(EventKind.CANCEL_REQUESTED, by, {"task": row.id, "reason": reason})
        if row.home is Home.OPEN:
            self.give_news(row)
        else:
            self.to_wake.add(row.worker_id or "")
        return False

    def expire(self, row: TaskRow, by: str) -> bool:
        """End a task whose start deadline has passed; whether it had."""
        return row.expired(self.wall_ms) and self.cancel(row, by, "expired")

    def class_number(self, needs: str) -> int:
        """The number of the shut class of a task that needs this; 0: its class is not shut."""
        if self.format < CLASSES_FROM:
            return 0
        labels, _, need = read_needs(needs)
        return self._class_numbered(class_text(labels, need))

    def shut_for(self, needs: str | None) -> int:
        """The number of what a task that becomes ready waits under; 0: nothing."""
        if needs is None:
            return 0
        return self.places.shut_for(limits_of(needs)) or self.class_number(needs)

    def _wait_under(self, number: int) -> None:
        """Wake the leader for what waits under a class that is full: it may go before others."""
        if self.db.execute(IS_FULL, (number,)).fetchone():
            self.to_wake.add(LEADER_WAKEUP)

    def _wake_for_room(self) -> None:
        """Wake the leader, if room was made and anything is ready that a worker may run."""
        if not (self._room_freed and self.meta.in_ready):
            return
        if any(self.db.execute(statement).fetchone() for statement in (ANY_OPEN, ANY_FULL)):
            self.to_wake.add(LEADER_WAKEUP)

    def write_events(self) -> None:
        """Append this step's entries to the log in the contract's order."""
        self._wake_for_room()
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


def start_deadline_ms(spec: TaskSpec) -> int | None:
    """Within how long after its instant a task has to start, if there is a limit."""
    deadline = spec.start_deadline
    return None if deadline is None else deadline // timedelta(milliseconds=1)
