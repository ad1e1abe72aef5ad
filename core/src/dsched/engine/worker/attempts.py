"""The attempts a worker holds: shared by its loops and by its heartbeat's thread."""

import asyncio
import threading
from collections.abc import Iterable
from enum import Enum

import attrs

from dsched.contracts.store.workers import Held
from dsched.engine.worker.log_lines import LineBuffer
from dsched.model import JsonValue, Task, TaskSpec


class StopReason(Enum):
    """Why an attempt is being stopped before it ended by itself."""

    CANCEL = "cancelled"  # its cancellation was asked for
    LOST = "lost"  # it is another worker's now: nothing may be reported
    RELEASE = "released"  # the worker stops, or cannot beat: it is given back


@attrs.define(kw_only=True, eq=False)
class Attempt:
    """One attempt under way on this worker.

    ``listed``: the store thinks it is ours and heartbeats must renew it. ``ended``: its end waits
    to be reported. Monotonic: ``timeout_s``, when its timeout is over; ``deadline_s``, when the
    heartbeat itself reports the timeout. ``timed_out``: it was stopped for its timeout;
    ``torn_down``: the worker ends without a drain.
    """

    task: Task
    spec: TaskSpec
    worker_id: str
    token: str
    epoch: int
    started_s: float
    timeout_s: float
    deadline_s: float
    listed: bool = True
    ended: bool = False
    begun: bool = False
    timed_out: bool = False
    torn_down: bool = False
    stop: StopReason | None = None
    runner: asyncio.Task[None] | None = None
    progress: JsonValue = None
    progress_changed: bool = False
    lines: LineBuffer | None = None

    @property
    def runs_on(self) -> bool:
        """Whether it is ours and has not ended, so that its timeout still matters."""
        return self.listed and not self.ended

    @property
    def told_to_stop(self) -> bool:
        """Whether the worker stops it, rather than that it ends by itself."""
        return self.stop is not None

    @property
    def cancelled(self) -> bool:
        """Whether the engine stops it, for whatever reason: what its executor is told."""
        return self.stop is not None or self.timed_out or self.torn_down

    def facts(self) -> dict[str, object]:
        """What every log line about this attempt carries."""
        return {
            "task_id": self.task.id,
            "attempt": self.task.attempt,
            "worker_id": self.worker_id,
        }


class Attempts:
    """All attempts of one worker; every method is safe from any thread.

    A task may have several here: one that outlived its timeout or its lease keeps its slot until it
    has stopped, and the next attempt may come to the same worker. Only the newest is listed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[tuple[str, str], Attempt] = {}
        # The same by task, so that a start need not walk over all that run.
        self._by_task: dict[str, list[Attempt]] = {}
        # Beats have had no answer for too long: nothing may be claimed. Set by the heartbeat.
        self.cut_off = False
        # How many have ended and are being reported. Set by the reporter.
        self.reporting = 0

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def slots_taken(self) -> int:
        """How many slots are taken. An ended attempt frees its slot once its report is under way: a
        claim that is sent after the report finds the attempt ended in the store (ADR 0033)."""
        return len(self._by_key) - self.reporting

    def add(self, attempt: Attempt) -> list[Attempt] | None:
        """Take an attempt in; it holds a slot until `remove`. Answers with the older ones of its
        task, which are listed no more; None, and nothing changed, if it is here already."""
        task_id = attempt.task.id
        key = (task_id, attempt.token)
        with self._lock:
            if key in self._by_key:
                return None
            self._by_key[key] = attempt
            older = self._by_task.get(task_id)
            if older is None:
                self._by_task[task_id] = [attempt]
                return []
            for each in older:
                each.listed = False
            self._by_task[task_id] = [*older, attempt]
            return older

    def remove(self, attempt: Attempt) -> None:
        """Free the slot of an attempt."""
        with self._lock:
            self._remove(attempt)

    def settle(self, attempts: Iterable[Attempt]) -> None:
        """The store has had its last word on these: free their slots, and list them no more."""
        with self._lock:
            for attempt in attempts:
                attempt.listed = False
                self._remove(attempt)

    def _remove(self, attempt: Attempt) -> None:
        task_id, token = attempt.task.id, attempt.token
        self._by_key.pop((task_id, token), None)
        same = self._by_task.get(task_id, ())
        if len(same) == 1 and same[0] is attempt:  # as most are
            del self._by_task[task_id]
            return
        left = [a for a in same if a.token != token]
        if left:
            self._by_task[task_id] = left
        else:
            self._by_task.pop(task_id, None)

    def get(self, task_id: str, token: str) -> Attempt | None:
        """The attempt at this task with this token, if this worker holds it."""
        with self._lock:
            return self._by_key.get((task_id, token))

    def all(self) -> list[Attempt]:
        """Every attempt that holds a slot."""
        with self._lock:
            return list(self._by_key.values())

    def held(self) -> list[Held]:
        """What a heartbeat lists."""
        with self._lock:
            return [Held(a.task.id, a.token) for a in self._by_key.values() if a.listed]

    def past_deadline(self, now_s: float) -> list[Attempt]:
        """Listed attempts whose timeout and grace are over although they have not ended."""
        with self._lock:
            return [a for a in self._by_key.values() if a.runs_on and a.deadline_s <= now_s]

    def next_deadline_s(self) -> float | None:
        """The earliest deadline of what has not ended."""
        with self._lock:
            return min((a.deadline_s for a in self._by_key.values() if a.runs_on), default=None)

    def unlist(self, attempt: Attempt) -> None:
        """The store has had its last word on this attempt: heartbeats list it no more."""
        with self._lock:
            attempt.listed = False
