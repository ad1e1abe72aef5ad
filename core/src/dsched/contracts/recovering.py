"""The values of the steps that recover what dead workers left behind, and of the watchdog. Units: see `steps`."""

from collections.abc import Mapping

import attrs

from dsched.contracts.queries import StoreTime
from dsched.model import Task, Worker


@attrs.frozen(kw_only=True)
class OverdueLease:
    """An attempt whose lease is over; ``task`` carries its spec."""

    task: Task
    token: str


@attrs.frozen(kw_only=True)
class QueuedTask:
    """A task that has waited in a worker's queue for ``age_ms``."""

    task_id: str
    worker_id: str
    age_ms: int
    required_labels: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Overdue:
    """Leases that are over, queue entries that are old, and all workers, in one reading."""

    time: StoreTime
    leases: tuple[OverdueLease, ...]
    queued: tuple[QueuedTask, ...]
    workers: tuple[Worker, ...]


@attrs.frozen(kw_only=True)
class Reap:
    """What becomes of an attempt whose lease is over; compared with its token.

    ``fail_reason`` (``poison``, ``crashed``) ends the task ``failed``. Else it runs again: at once
    (``delay_ms`` 0: pending, ready) or later (retrying, delayed). A requested cancel wins.
    """

    task_id: str
    token: str
    delay_ms: int = 0
    fail_reason: str | None = None
    error: str = ""


@attrs.frozen(kw_only=True)
class Pruned:
    """How many things past their time were removed, and whether there are more."""

    count: int
    more: bool
