"""Delayed tasks become ready, ready ones go to workers' queues, and the values of these steps."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.classes import Let, Shut
from dsched.contracts.store.firing import DuePage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime
from dsched.model import Worker


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class ReadyTask:
    """What dispatch needs to know of a ready task."""

    id: str
    priority: int
    scheduled_ms: int
    required_labels: Mapping[str, str] = attrs.field(factory=dict)
    affinity_key: str | None = None
    need: str = ""


@attrs.frozen(kw_only=True)
class Promoted:
    """How many delayed tasks became ready, and in how many ms the next one will (None: never)."""

    count: int
    next_in_ms: int | None


@attrs.frozen(kw_only=True)
class ReadyPage:
    """Ready tasks by (priority descending, scheduled_ms, id), and all workers by id, read at once.

    Without those that wait under a class. ``shut``: how many classes are; None where the format of
    the store has no classes.
    """

    time: StoreTime
    tasks: tuple[ReadyTask, ...]
    workers: tuple[Worker, ...]
    more: bool
    shut: int | None = None


@attrs.frozen(kw_only=True)
class Poll:
    """What a leader's tick needs, with one reading of the clock: as promote, due and ready
    answer; and in how many ms a run has news (0: now, None: none has), or what waits under a limit
    may go since a token comes."""

    promoted: Promoted
    due: DuePage
    ready: ReadyPage
    runs_in_ms: int | None = None
    limits_in_ms: int | None = None


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class Choice:
    """A ready task goes to the queue of this worker; ``why`` in a few words, for the record.

    ``ability``: the digest by which the worker was judged, where the task has a need.
    """

    task_id: str
    worker_id: str
    why: str = ""
    ability: str | None = None


@attrs.frozen(kw_only=True)
class Deferral:
    """A ready task goes to *delayed* for ``delay_ms``, still pending, with this reason."""

    task_id: str
    delay_ms: int
    reason: str


@attrs.frozen(kw_only=True)
class Dispatched:
    """One outcome a choice and a deferral, in order, and the next page read in the same step.

    ``opened``: classes of which nothing waits any more. They are not shut any longer.
    ``limits_in_ms``: as `Poll` says.
    """

    choices: tuple[Outcome, ...]
    deferrals: tuple[Outcome, ...]
    page: ReadyPage
    opened: tuple[str, ...] = ()
    limits_in_ms: int | None = None


class Dispatching(ABC):
    """Ready tasks to workers' queues. Every step takes the fence."""

    @abstractmethod
    async def promote(self, fence: str, limit: int) -> Promoted:
        """Delayed tasks whose instant has come (store time) become pending and ready, earliest
        first, at most ``limit``. Writes no event."""

    @abstractmethod
    async def ready(self, fence: str, skip: int, limit: int) -> ReadyPage:
        """The ready tasks from position ``skip`` on, at most ``limit``, and all workers."""

    @abstractmethod
    async def poll(self, fence: str, limit: int) -> Poll:
        """First, of the tasks that wait under a class, were never claimed and are past their start
        deadline, up to `MAX_EXPIRED` end as in `dispatch`, ``expired``.

        Then, of up to `MAX_OPEN` limits under which something waits and which may have room again,
        by since when and name, the first tasks go, as many as there is room for, `MAX_FREED` in
        all: each waits no more, or under another of its limits, or under its class. Of buckets that
        are full up to `MAX_FORGOTTEN` are forgotten.

        Then `promote`, `Firing.due` and `ready` from position 0, each with ``limit``, in this order
        and in one step: what a tick of the leader needs when little is to be done. It need wake
        nobody: the leader that polls sees what it has made ready.
        """

    @abstractmethod
    async def dispatch(
        self,
        fence: str,
        choices: Sequence[Choice],
        deferrals: Sequence[Deferral],
        *,
        skip: int,
        limit: int,
        shuts: Sequence[Shut] = (),
        lets: Sequence[Let] = (),
    ) -> Dispatched:
        """Queue tasks on workers and defer others, shut classes, let tasks out; then read the next
        page as `ready` does.

        Choice: ``STALE`` unless the task is ready; ``EXPIRED`` if it was never claimed and the
        wall is later than scheduled_ms + start_deadline: it ends ``cancelled``, reason
        ``expired``; ``NO_WORKER``; ``MOVED`` if its ability is not the one that the choice names;
        ``GONE``; ``DRAINING``; ``STALLED``; ``LIMITED`` if a limit of the task has no place or no
        token left: it waits under the first one that has none; ``FULL`` (running + queued
        >= capacity + backlog, and nothing gives way); else ``OK``. A queue is in the order of
        priority, and within one of dispatch. The last of those that waited in a full queue before
        this step gives way to a task of higher priority: it becomes ready, reason ``displaced``,
        and ``STALE`` for this step's other items.
        Deferral: ``STALE``, ``EXPIRED``, ``OK``. At most `MAX_BATCH` of both together.
        Events: ``recalled`` (``displaced``), ``cancelled``, ``dispatched``, ``deferred``.

        Then, in this order. A class of ``shuts`` (at most `MAX_BATCH`) is shut: of the first
        `SWEPT` ready tasks those that belong to a shut class wait under it from now on, as does
        each that becomes ready as long as it is shut. Of the classes of each of ``lets`` (at most
        `MAX_BATCH` lets, each of `MAX_LET_CLASSES` classes and `MAX_BATCH` tasks; unknown ones have
        none) the first tasks stop waiting. A class of ``lets`` under which nothing waits then is
        shut no more. Neither writes an event. ``ValueError`` where the format of the store has no
        classes. If a limit refused anything, of the first `SWEPT` ready tasks those of a limit
        under which something waits do so, too. At last what waits under limits that have room
        goes, as in `poll`.

        A task that waits under a class is ready: it can be chosen and cancelled, it is listed
        (behind those that do not) and counted; but it makes no ``more``. The end of an attempt
        wakes the leader for it only while a class is shut as ``full``.
        """

    @abstractmethod
    async def recall(
        self, fence: str, task_ids: Sequence[str], min_age_ms: int
    ) -> tuple[Outcome, ...]:
        """Put queue entries back to ready: ``OK``, or ``STALE`` unless queued for that long.

        A worker from which one is taken while it is registered, not gone, and has running <
        capacity is marked stalled until its next claim. Event ``recalled``.
        """
