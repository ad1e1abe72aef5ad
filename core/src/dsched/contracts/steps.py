"""The values that the steps of a store take and answer with.

Units: every name ending in ``_ms`` is in milliseconds. *Wall* instants are the store server's
clock, *store time* is that clock made monotone (design.md 5.10). Unless a field says otherwise,
instants of schedules and published times are wall, everything that waits or ages is store time.
"""

from collections.abc import Mapping

import attrs

from dsched.contracts.events import Event as Event
from dsched.contracts.events import EventKind as EventKind
from dsched.contracts.events import EventPage as EventPage
from dsched.contracts.events import Finished as Finished
from dsched.contracts.events import Projection as Projection
from dsched.contracts.operating import Skip as Skip
from dsched.contracts.outcomes import Outcome, RunOutcome
from dsched.contracts.queries import Counts as Counts
from dsched.contracts.queries import DecisionPage as DecisionPage
from dsched.contracts.queries import StoreTime as StoreTime
from dsched.contracts.queries import TaskPage as TaskPage
from dsched.contracts.queries import TaskQuery as TaskQuery
from dsched.contracts.recovering import Overdue as Overdue
from dsched.contracts.recovering import OverdueLease as OverdueLease
from dsched.contracts.recovering import Pruned as Pruned
from dsched.contracts.recovering import QueuedTask as QueuedTask
from dsched.contracts.recovering import Reap as Reap
from dsched.contracts.statistics import Rollup as Rollup
from dsched.model import (
    JsonValue,
    SkippedRange,
    Task,
    TaskConfig,
    TaskResult,
    TaskSpec,
    TaskStatus,
    Worker,
)

MAX_BATCH = 100  # items in one call of any step; more is a ValueError
# The same for put, fire, release and prune, which write a dozen things an item: while a step runs, a store
# may be deaf to all others.
MAX_HEAVY_BATCH = 40
MAX_WORKERS = 1000  # registered workers of one store
MAX_EVENT_PAGE = 1000


# --- leadership ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Acquired:
    """``OK`` with the caller's own fence, or ``TAKEN`` with the holder's."""

    outcome: Outcome
    fence: str


def fence_epoch(fence: str) -> int:
    """The epoch of a fence ``epoch:token:pod``."""
    return int(fence.partition(":")[0])


def fence_pod(fence: str) -> str:
    """The pod of a fence ``epoch:token:pod``."""
    return fence.split(":", 2)[2]


# --- workers ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Registration:
    """A worker presents itself. `incarnation` orders the processes that ever had this id."""

    worker_id: str
    incarnation: str
    capacity: int
    backlog: int
    heartbeat_timeout_ms: int
    labels: Mapping[str, str] = attrs.field(factory=dict)
    address: str = ""


@attrs.frozen
class Held:
    """An attempt that a worker believes it holds."""

    task_id: str
    token: str


@attrs.frozen(kw_only=True)
class HeartbeatAnswer:
    """What a worker learns from a beat.

    ``lost``: listed attempts that are no longer its own; stop them, their results are refused.
    ``cancel``: listed attempts whose cancellation was asked for. ``draining``: stop claiming.
    """

    outcome: Outcome
    lost: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    draining: bool = False


# --- configs ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Pause:
    """The operator's pause. Instants later than ``gap_from_ms`` are not accounted for yet."""

    who: str
    why: str
    since_ms: int
    gap_from_ms: int


@attrs.frozen(kw_only=True)
class ConfigVersion:
    """What a caller read of a config, for the store to compare. The default: no such config."""

    revision: int = 0
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: bool = False


@attrs.frozen(kw_only=True)
class StoredConfig:
    """A config with what the store knows of it. `due_ms` is None while nothing is due.

    ``skips`` ascend. After an edit they may name instants that the trigger has no more.
    """

    config: TaskConfig
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: Pause | None = None
    skips: tuple[Skip, ...] = ()

    @property
    def version(self) -> ConfigVersion:
        """What to hand back so that the store can tell whether anything moved since."""
        return ConfigVersion(
            revision=self.config.revision,
            due_ms=self.due_ms,
            last_fired_ms=self.last_fired_ms,
            paused=self.paused is not None,
        )


@attrs.frozen(kw_only=True)
class Rearm:
    """How a put, pause, resume or delete moves a due: planned by the caller, compared by the store.

    ``read`` is what the caller planned from; ``upto_ms`` (wall, not in the future) the instant up
    to which owed instants are accounted for; ``skipped`` those of them that will not be fired.
    """

    read: ConfigVersion
    upto_ms: int
    skipped: SkippedRange | None = None
    next_due_ms: int | None = None

    @property
    def decided_before_ms(self) -> int:
        """Instants before this one are accounted for; an `at` may stay owed although it has come."""
        accounted_ms = self.upto_ms + 1
        return accounted_ms if self.next_due_ms is None else min(accounted_ms, self.next_due_ms)


@attrs.frozen(kw_only=True)
class PutConfig:
    """A config to create or change. ``config.created_ms`` (wall) counts for a new one only."""

    config: TaskConfig
    rearm: Rearm


@attrs.frozen(kw_only=True)
class PutAnswer:
    """``OK``, ``DUP`` (equal content), ``MOVED`` or ``EARLY``, and what is stored now."""

    outcome: Outcome
    stored: StoredConfig | None


@attrs.frozen(kw_only=True)
class ConfigPage:
    """Configs by ascending id; ``cursor`` continues, None at the end, and nothing else says so."""

    configs: tuple[StoredConfig, ...]
    cursor: str | None


# --- firing -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class DuePage:
    """Configs whose due instant has come, by (due, id), and the next due instant after now."""

    time: StoreTime
    configs: tuple[StoredConfig, ...]
    next_due_ms: int | None


@attrs.frozen(kw_only=True)
class Run:
    """One nominal instant to fire; its task may not start before ``not_before_ms`` (wall)."""

    scheduled_ms: int
    not_before_ms: int


@attrs.frozen(kw_only=True)
class Fire:
    """What the planner decided for one due config.

    ``due_ms`` is the score the leader read; ``runs`` ascend; ``next_due_ms`` is later than all
    of them, or None. ``left_out`` are the owed instants that an operator asked not to fire.
    """

    config_id: str
    revision: int
    due_ms: int
    runs: tuple[Run, ...] = ()
    skipped: SkippedRange | None = None
    left_out: tuple[Skip, ...] = ()
    next_due_ms: int | None = None


@attrs.frozen(kw_only=True)
class FireAnswer:
    """``OK`` with one outcome a run, or ``REVISED``, ``MOVED``, ``EARLY`` and nothing changed."""

    outcome: Outcome
    runs: tuple[RunOutcome, ...] = ()


@attrs.frozen(kw_only=True)
class Replan:
    """A due moved because the clock went back: compared with (revision, due) as it was read."""

    config_id: str
    revision: int
    due_ms: int | None
    next_due_ms: int | None
    last_fired_ms: int | None


@attrs.frozen(kw_only=True)
class Promoted:
    """How many delayed tasks became ready, and in how many ms the next one will (None: never)."""

    count: int
    next_in_ms: int | None


# --- dispatching --------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class ReadyTask:
    """What dispatch needs to know of a ready task."""

    id: str
    priority: int
    scheduled_ms: int
    required_labels: Mapping[str, str] = attrs.field(factory=dict)
    affinity_key: str | None = None


@attrs.frozen(kw_only=True)
class ReadyPage:
    """Ready tasks by (priority descending, scheduled_ms, id), all workers by id, one reading."""

    time: StoreTime
    tasks: tuple[ReadyTask, ...]
    workers: tuple[Worker, ...]
    more: bool


@attrs.frozen(kw_only=True)
class Look:
    """What a leader's tick needs, of one reading of the clock: as promote, due and ready answer."""

    promoted: Promoted
    due: DuePage
    ready: ReadyPage


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class Choice:
    """A ready task goes to the queue of this worker; ``why`` in a few words, for the record."""

    task_id: str
    worker_id: str
    why: str = ""


@attrs.frozen(kw_only=True)
class Deferral:
    """A ready task goes to *delayed* for ``delay_ms``, still pending, with this reason."""

    task_id: str
    delay_ms: int
    reason: str


@attrs.frozen(kw_only=True)
class Dispatched:
    """One outcome a choice and a deferral, in order, and the next page read in the same step."""

    choices: tuple[Outcome, ...]
    deferrals: tuple[Outcome, ...]
    page: ReadyPage


# --- working ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Submission:
    """A task to create. It may not start before ``delay_ms`` from now (store time).

    ``why`` is for the event log only.
    """

    task_id: str
    spec: TaskSpec
    delay_ms: int = 0
    why: str = ""


@attrs.frozen(kw_only=True)
class Claimed:
    """``OK``, ``EMPTY``, ``STALE``, ``NO_WORKER`` or ``SUPERSEDED``; tasks carry their specs.

    ``token`` is the token of every attempt of this claim, ``epoch`` the newest leader term's.
    """

    outcome: Outcome
    tasks: tuple[Task, ...] = ()
    token: str = ""
    epoch: int = 0


def claim_token(worker_id: str, incarnation: str, lane: int, number: int) -> str:
    """The token of the attempts that this claim starts."""
    return f"{worker_id}.{incarnation}.{lane}.{number}"


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class Completion:
    """How an attempt ended.

    ``retry_delay_ms`` (with ``success`` False): the task is to run again after it. None: it ends.
    ``reason`` is a word for the record (``timeout``, ``not retryable``), ``error`` the text.
    """

    task_id: str
    token: str
    success: bool
    result: TaskResult
    error: str = ""
    reason: str = ""
    retry_delay_ms: int | None = None


@attrs.frozen(kw_only=True)
class Release:
    """An attempt that really stopped and was not finished. ``fail``: the task ends (on_crash)."""

    task_id: str
    token: str
    reason: str
    fail: bool = False


@attrs.frozen(kw_only=True)
class CancelAnswer:
    """``OK``, ``REQUESTED``, ``ALREADY`` (was cancelled), ``TOO_LATE``, ``UNKNOWN``; the status."""

    outcome: Outcome
    status: TaskStatus | None


@attrs.frozen
class Progress:
    """How far an attempt is; any small JSON."""

    task_id: str
    token: str
    value: JsonValue
