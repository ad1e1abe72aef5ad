"""Everything the reference store knows, and the few acts that its steps share."""

import threading
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import attrs

from dsched.contracts.store.classes import Blocked
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.formats import STORE_FORMAT
from dsched.contracts.store.history import Break
from dsched.contracts.store.operating import PodRecord, Term
from dsched.contracts.store.outcomes import FencedError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.timing import LEADER_WAKEUP, StoreTime
from dsched.model import (
    Ability,
    Decision,
    Home,
    JsonValue,
    MemberLine,
    TaskStatus,
    Worker,
    check_transition,
    missed_a_beat,
    run_of,
)
from dsched_testkit.memory.lines import LogRow
from dsched_testkit.memory.member_lines import end_line
from dsched_testkit.memory.places import Places
from dsched_testkit.memory.rows import ConfigRow as ConfigRow
from dsched_testkit.memory.rows import TaskRow as TaskRow
from dsched_testkit.memory.rows import WorkerRow as WorkerRow
from dsched_testkit.memory.rows import milliseconds
from dsched_testkit.memory.sorted_ids import SortedIds
from dsched_testkit.memory.sources import Sources
from dsched_testkit.memory.wakeups import Wakeups

Item = dict[str, JsonValue]
DecisionKey = tuple[int, str, str]  # first_ms, verdict, reason
Totals = tuple[dict[str, int], dict[str, int]]  # what is added up; the largest of its kind

NEVER_MS = 2**62  # when a run without news has some
BACKWARDS_MS = 1000  # how far behind the mark the wall may be seen before it counts as a step back


@attrs.define
class ShutRow:
    """A class that is shut: why, and since when (wall)."""

    blocked: Blocked
    since_ms: int


class State:
    """One store's content. Several handles, in several threads, may share it."""

    def __init__(self, wall: Callable[[], int], settings: StoreSettings | None = None) -> None:
        self.wall = wall
        self.settings = settings or StoreSettings()
        self.lock = threading.RLock()
        self.wakeups = Wakeups()
        self.format = STORE_FORMAT
        self.identity, self.generation = uuid4().hex, 0
        self.breaks: list[Break] = []
        self.offset_ms = self.mark_ms = self.clock_gen = 0
        self.fence: str | None = None
        self.lock_until_ms: int | None = 0
        self.epoch = 0
        self.terms: list[Term] = []
        self.rest_pod: str | None = None
        self.rest_until_ms = 0
        self.pods: dict[str, tuple[PodRecord, int]] = {}
        self.leaderless = 0  # the epoch of the last term after which this was reported
        self.missed: dict[str, int] = {}
        self.last_revision = 0
        self.tasks, self.sources = dict[str, TaskRow](), Sources()
        self.configs: dict[str, ConfigRow] = {}
        self.workers: dict[str, WorkerRow] = {}
        self.abilities: dict[str, Ability] = {}
        self.due = SortedIds()
        self.ready = SortedIds()  # what waits under a class behind all others
        self.shut: dict[str, ShutRow] = {}
        self.delayed, self.leases, self.places = SortedIds(), SortedIds(), Places()
        # Runs by when they have news, and their member logs.
        self.open, self.member_logs = SortedIds(), defaultdict[str, list[MemberLine]](list)
        self.held: dict[str, list[str]] = {}  # of each config, the oldest first
        self.live: defaultdict[str, set[str]] = defaultdict(set)
        self.queues: defaultdict[str, list[str]] = defaultdict(list)
        self.running: defaultdict[str, set[str]] = defaultdict(set)
        self.log: list[Event] = []
        self.last_cursor, self.collected, self.stamps = 0, _cursor(0), dict[int, int]()
        self.decisions: defaultdict[str, dict[DecisionKey, Decision]] = defaultdict(dict)
        self.stats: defaultdict[tuple[str, int], Totals] = defaultdict(lambda: ({}, {}))
        self.finished: dict[str, tuple[int, TaskStatus]] = {}
        self.documents: dict[tuple[str, str], Any] = {}
        self.logs: dict[str, LogRow] = {}

    def runnable(self) -> bool:
        """Whether anything is ready that a worker with room may run."""
        full = any(one.blocked is Blocked.FULL for one in self.shut.values())
        return full or self.open_count() > 0

    def open_count(self) -> int:
        """How many ready tasks wait under no class."""
        return self.ready.count_before((True,))

    # --- the clock and the lock ---

    @contextmanager
    def step(self) -> Iterator["Step"]:
        """One atomic step: alone, with one reading of the clock, its events written at its end."""
        with self.lock:
            step = Step(self, self._read_clock())
            self.places.now_ms = step.now_ms
            try:
                yield step
            finally:  # a step that is refused whole has read the clock, too
                step.write_events()

    def _read_clock(self) -> tuple[StoreTime, Item | None]:
        wall = self.wall()
        seen = wall + self.offset_ms
        back: Item | None = None
        if seen < self.mark_ms - BACKWARDS_MS:
            behind = self.mark_ms - seen
            self.offset_ms += behind
            self.clock_gen += 1
            back = {"back": behind, "gen": self.clock_gen}
        self.mark_ms = max(self.mark_ms, wall + self.offset_ms)
        return StoreTime(wall_ms=wall, now_ms=self.mark_ms, clock_gen=self.clock_gen), back

    def append(self, kind: EventKind, at_ms: int, by: str, items: Sequence[Item]) -> None:
        """Write one entry to the log."""
        self.last_cursor += 1
        self.stamps[self.last_cursor] = self.mark_ms
        self.log.append(
            Event(
                cursor=_cursor(self.last_cursor), kind=kind, at_ms=at_ms, by=by, items=tuple(items)
            )
        )


def _cursor(number: int) -> str:
    return f"{number:016d}"


class Step:
    """One step under way: its time, its events, and the acts that steps have in common."""

    ORDER = (
        EventKind.CLOCK_BACK,
        EventKind.SKIPPED,
        EventKind.FIRED,
        EventKind.CANCELLED,
        EventKind.CANCEL_REQUESTED,
        EventKind.RECALLED,
    )

    def __init__(self, state: State, clock: tuple[StoreTime, Item | None]) -> None:
        self.state = state
        self.time, back = clock
        self.wall_ms = self.time.wall_ms
        self.now_ms = self.time.now_ms
        self._events: dict[EventKind, tuple[str, list[Item]]] = {}
        if back is not None:
            self.note(EventKind.CLOCK_BACK, "store", back)

    def note(self, kind: EventKind, by: str, item: Item) -> None:
        """Add an item to this step's entry of that kind."""
        self._events.setdefault(kind, (by, []))[1].append(item)

    def write_events(self) -> None:
        """Append this step's entries in the contract's order."""
        rest = [kind for kind in self._events if kind not in self.ORDER]
        for kind in (*self.ORDER, *rest):
            if kind in self._events:
                by, items = self._events[kind]
                self.state.append(kind, self.wall_ms, by, items)

    def check_fence(self, fence: str) -> None:
        """Raise `FencedError` unless the lock is held with exactly this fence."""
        state = self.state
        if self.holder() != fence:
            raise FencedError(f"the leader lock is not held as {fence!r}; it is {state.fence!r}")

    def holder(self) -> str | None:
        """The fence of the current term; an expired lock is dropped."""
        state = self.state
        if state.lock_until_ms is not None and state.lock_until_ms <= self.now_ms:
            state.fence = None
        return state.fence

    # --- moving tasks ---

    def place(self, row: TaskRow, status: TaskStatus, home: Home | None, at_ms: int = 0) -> None:
        """Move a task to its new status and home, by the transition table."""
        if (row.status, row.home) != (status, home):  # a renewed lease is no transition
            check_transition(row.id, (row.status, row.home), (status, home))
        home_before, under_before = row.home, row.under
        self._leave(row)
        row.status, row.home, row.at_ms = status, home, at_ms
        self._enter(row)
        if self.state.places.moved(row, home_before, under_before):
            self.state.wakeups.wake(LEADER_WAKEUP)

    def create(self, row: TaskRow, home: Home, at_ms: int = 0) -> None:
        """Add a new pending task; what would be ready or delayed is open if it is a run."""
        if row.spec.workflow is not None and home is not Home.HELD:
            home, at_ms = Home.OPEN, at_ms or self.now_ms
        check_transition(row.id, None, (TaskStatus.PENDING, home))
        row.home, row.at_ms = home, at_ms
        self.state.tasks[row.id] = row
        if row.view().fire_ms is not None:
            self.state.live[row.config_id].add(row.id)
        self._enter(row)

    def _leave(self, row: TaskRow) -> None:
        state = self.state
        match row.home:
            case Home.DELAYED:
                state.delayed.discard(row.id)
            case Home.READY:
                state.ready.discard(row.id)
                state.places.put_under(row, None)
            case Home.QUEUE:
                state.queues[row.worker_id or ""].remove(row.id)
            case Home.HELD:
                self._hold_no_more(row)
            case Home.LEASE:
                state.leases.discard(row.id)
                state.running[row.worker_id or ""].discard(row.id)
                if state.runnable():
                    state.wakeups.wake(LEADER_WAKEUP)
            case Home.OPEN:
                state.open.discard(row.id)

    def _hold_no_more(self, row: TaskRow) -> None:
        line = self.state.held[row.config_id]
        line.remove(row.id)
        if not line:
            del self.state.held[row.config_id]

    def _enter(self, row: TaskRow) -> None:
        state = self.state
        match row.home:
            case Home.DELAYED:
                row.worker_id = None
                state.delayed.add(row.id, row.at_ms)
                state.wakeups.wake(LEADER_WAKEUP)
            case Home.READY:
                row.worker_id = None
                shut = row.demanded if row.demanded in state.shut else None
                state.places.put_under(row, state.places.shut_for(row) or shut)
                state.ready.add(row.id, row.ready_key)
                known = state.shut.get(row.under or "")
                if row.under is None or (known is not None and known.blocked is Blocked.FULL):
                    state.wakeups.wake(LEADER_WAKEUP)
            case Home.QUEUE:
                queue = state.queues[row.worker_id or ""]
                insort(queue, row.id, key=lambda key: -state.tasks[key].spec.priority)
                state.wakeups.wake(row.worker_id or "")
            case Home.HELD:
                line = state.held.setdefault(row.config_id, [])
                insort(line, row.id, key=lambda key: state.tasks[key].scheduled_ms)
            case Home.LEASE:
                state.leases.add(row.id, row.at_ms)
                state.running[row.worker_id or ""].add(row.id)
            case Home.OPEN:
                state.open.add(row.id, row.at_ms)
                state.wakeups.wake(LEADER_WAKEUP)

    def finish(self, row: TaskRow, status: TaskStatus) -> None:
        """End a task: the one way in which tasks end, whatever the step."""
        self.place(row, status, None)
        row.end_ms = self.wall_ms
        self._tell_run(row)
        if row.view().fire_ms is None:
            return
        state, config_id = self.state, row.config_id
        state.live[config_id].discard(row.id)
        held = state.held.get(config_id)
        if held and state.live[config_id] == set(held):
            self.release(state.tasks[held[0]])
        if not state.live[config_id]:
            del state.live[config_id]
            self._rearm_fixed_delay(config_id)

    def release(self, row: TaskRow) -> None:
        """Make a held task ready, or open if it is a run."""
        if row.spec.workflow is None:
            self.place(row, TaskStatus.PENDING, Home.READY)
        else:
            self.place(row, TaskStatus.PENDING, Home.OPEN, self.now_ms)

    def _tell_run(self, row: TaskRow) -> None:
        """A member that has ended is told in the log of its run, which has news."""
        run_id = run_of(row.id)
        if run_id is not None and run_id in self.state.tasks:
            self.state.member_logs[run_id].append(end_line(row, self.wall_ms))
            self.give_news(self.state.tasks[run_id])

    def give_news(self, run: TaskRow) -> None:
        """The leader has something to decide about a run that is open."""
        if run.home is Home.OPEN:
            run.at_ms = min(run.at_ms, self.now_ms)
            self.state.open.add(run.id, run.at_ms)
            self.state.wakeups.wake(LEADER_WAKEUP)

    def _rearm_fixed_delay(self, config_id: str) -> None:
        row = self.state.configs.get(config_id)
        if row is None or row.config.fixed_delay is None:
            return
        if row.config.enabled and row.paused is None:
            self.set_due(row, self.wall_ms + milliseconds(row.config.fixed_delay))

    def cancel(self, row: TaskRow, by: str, reason: str) -> bool:
        """Cancel a task that has not ended; whether it ended at once."""
        if row.status is not TaskStatus.RUNNING:
            row.reason = reason
            self.finish(row, TaskStatus.CANCELLED)
            item: Item = {"task": row.id, "status": "cancelled", "reason": reason}
            self.note(EventKind.CANCELLED, by, item)
            return True
        if not row.cancel_requested:
            row.cancel_requested, row.cancel_reason = True, reason
            self.note(EventKind.CANCEL_REQUESTED, by, {"task": row.id, "reason": reason})
        if row.home is Home.OPEN:
            self.give_news(row)
        else:
            self.state.wakeups.wake(row.worker_id or "")
        return False

    def expire(self, row: TaskRow, by: str) -> bool:
        """End a task whose start deadline has passed; whether it had."""
        return row.expired(self.wall_ms) and self.cancel(row, by, "expired")

    def requeue(self, task_ids: Sequence[str], by: str, reason: str = "recalled") -> None:
        """Put queue entries back to ready, with their event."""
        for task_id in task_ids:
            row = self.state.tasks[task_id]
            self.note(EventKind.RECALLED, by, {"task": task_id, "worker": row.worker_id})
            row.reason = reason
            self.place(row, TaskStatus.PENDING, Home.READY)

    def lowest_queued(self, row: WorkerRow) -> int | None:
        """The priority of the last task in the queue of a worker that may have no more."""
        queue = self.state.queues[row.id]
        if not queue or len(queue) + len(self.state.running[row.id]) < row.capacity + row.backlog:
            return None
        return self.state.tasks[queue[-1]].spec.priority

    def set_due(self, row: ConfigRow, due_ms: int | None) -> None:
        """Give a config its due instant, or none."""
        row.due_ms = due_ms
        if due_ms is None:
            self.state.due.discard(row.config.id)
        else:
            self.state.due.add(row.config.id, due_ms)
            self.state.wakeups.wake(LEADER_WAKEUP)

    def park(self, row: ConfigRow, until_ms: int) -> None:
        """Keep a config's due, and do not name it before an instant."""
        self.state.due.add(row.config.id, until_ms)
        self.state.wakeups.wake(LEADER_WAKEUP)

    def worker_views(self) -> tuple[Worker, ...]:
        """All workers by id, with the store's counts."""
        return tuple(
            self.worker_view(self.state.workers[key]) for key in sorted(self.state.workers)
        )

    def worker_view(self, row: WorkerRow) -> Worker:
        """One worker with the store's counts."""
        return Worker(
            id=row.id,
            incarnation=row.incarnation,
            capacity=row.capacity,
            backlog=row.backlog,
            heartbeat_timeout_ms=row.heartbeat_timeout_ms,
            labels=dict(row.labels),
            address=row.address,
            draining=row.draining,
            last_heartbeat_ms=row.last_beat_ms,
            running=len(self.state.running[row.id]),
            queued=len(self.state.queues[row.id]),
            stalled=row.stalled,
            gone=row.gone(self.now_ms),
            silent=missed_a_beat(self.now_ms - row.last_beat_ms, row.heartbeat_timeout_ms),
            lowest_queued=self.lowest_queued(row),
            ability=row.ability,
        )
