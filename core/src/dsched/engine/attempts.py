"""The attempts a worker holds: shared by its loops and by its heartbeat's thread."""

import asyncio
import threading
from enum import Enum

import attrs

from dsched.contracts.steps import Held
from dsched.model import JsonValue, Task, TaskSpec


class StopReason(Enum):
    """Why an attempt is being stopped before it ended by itself."""

    CANCEL = "cancelled"  # its cancellation was asked for
    LOST = "lost"  # it is another worker's now: nothing may be reported
    RELEASE = "released"  # the worker stops, or cannot beat: it is given back


@attrs.define(kw_only=True, eq=False)
class Attempt:
    """One attempt under way on this worker.

    ``listed``: the store thinks it is ours and heartbeats must renew it. ``deadline_s``
    (monotonic): when the heartbeat itself reports the timeout.
    """

    task: Task
    spec: TaskSpec
    worker_id: str
    token: str
    epoch: int
    started_s: float
    deadline_s: float
    listed: bool = True
    begun: bool = False
    stop: StopReason | None = None
    runner: asyncio.Task[None] | None = None
    progress: JsonValue = None
    progress_changed: bool = False

    def facts(self) -> dict[str, object]:
        """What every log line about this attempt carries."""
        return {
            "task_id": self.task.id,
            "attempt": self.task.attempt,
            "worker_id": self.worker_id,
        }


class Attempts:
    """All attempts of one worker by task id; every method is safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Attempt] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, attempt: Attempt) -> None:
        """Take an attempt in; it holds a slot until `remove`."""
        with self._lock:
            self._by_id[attempt.task.id] = attempt

    def remove(self, attempt: Attempt) -> None:
        """Free the slot of an attempt."""
        with self._lock:
            if self._by_id.get(attempt.task.id) is attempt:
                del self._by_id[attempt.task.id]

    def get(self, task_id: str) -> Attempt | None:
        """The attempt at this task, if this worker holds one."""
        with self._lock:
            return self._by_id.get(task_id)

    def all(self) -> list[Attempt]:
        """Every attempt that holds a slot."""
        with self._lock:
            return list(self._by_id.values())

    def held(self) -> list[Held]:
        """What a heartbeat lists."""
        with self._lock:
            return [Held(a.task.id, a.token) for a in self._by_id.values() if a.listed]

    def past_deadline(self, now_s: float) -> list[Attempt]:
        """Listed attempts whose timeout and grace are over although they have not ended."""
        with self._lock:
            return [a for a in self._by_id.values() if a.listed and a.deadline_s <= now_s]

    def next_deadline_s(self) -> float | None:
        """The earliest deadline of the listed attempts."""
        with self._lock:
            return min((a.deadline_s for a in self._by_id.values() if a.listed), default=None)

    def unlist(self, attempt: Attempt) -> None:
        """The store has had its last word on this attempt: heartbeats list it no more."""
        with self._lock:
            attempt.listed = False
