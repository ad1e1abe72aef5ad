"""What dead workers left behind and what is past its time, and what these steps take and answer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime
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
    need: str = ""


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


class Recovering(ABC):
    """What dead workers left behind, and what is past its time. Every step takes the fence."""

    @abstractmethod
    async def overdue(self, fence: str, limit: int, min_queue_age_ms: int) -> Overdue:
        """Leases that are over (earliest first) and queue entries at least that old (any order),
        at most ``limit`` of each, with all workers."""

    @abstractmethod
    async def reap(self, fence: str, items: Sequence[Reap]) -> tuple[Outcome, ...]:
        """End attempts whose leases are over: ``OK``, or ``STALE`` if the token is not current, the
        task not running or the lease renewed. crash_count + 1, the token is forgotten. A requested
        cancel: ``cancelled``. Else as `Reap` says. Event ``reaped``."""

    @abstractmethod
    async def prune(self, fence: str, limit: int) -> Pruned:
        """Remove what is past its time, at most ``limit`` of each kind.

        Ended tasks and results with their lines and index entries, each outcome a kind of its own:
        those that ended `StoreSettings.kept_ms` ago or before, and those beyond the newest
        ``kept_count``, the oldest end first. Decisions as old as ``result_ttl_ms`` by ``at_ms``.
        A run that is a source of others leaves the list of ended tasks instead, and comes back to
        its front when the last of these is removed: from the next call on it is past its time, or
        too many, as any other.
        Log entries beyond ``max_events`` (those the collector has not read: replaced by one ``gap``
        event). Workers gone for an hour or more without queue or leases (event ``worker``
        ``forgotten``). Not counted in the answer: statistics past their time, and the marks of
        misses that were due ``result_ttl_ms`` ago.
        """
