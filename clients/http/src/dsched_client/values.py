"""What the API answers, as values. Instants are aware datetimes; unknown fields are ignored."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Generic, TypeVar

import attrs

from dsched.model import JsonValue, TaskStatus
from dsched_client.attempts import Attempt as Attempt
from dsched_client.bulk_values import Bulk as Bulk
from dsched_client.bulk_values import BulkExample as BulkExample
from dsched_client.bulk_values import BulkPlan as BulkPlan
from dsched_client.cluster_values import Cluster as Cluster
from dsched_client.cluster_values import Counts as Counts
from dsched_client.cluster_values import Demand as Demand
from dsched_client.cluster_values import Full as Full
from dsched_client.cluster_values import Leader as Leader
from dsched_client.cluster_values import SteppedDown as SteppedDown
from dsched_client.cluster_values import StoreState as StoreState
from dsched_client.cluster_values import Unrunnable as Unrunnable
from dsched_client.cluster_values import WaitingUnder as WaitingUnder
from dsched_client.errors import Problem, ProtocolError, refusal
from dsched_client.limit_values import LimitDetail as LimitDetail
from dsched_client.limit_values import LimitUse as LimitUse
from dsched_client.limit_values import PutLimit as PutLimit
from dsched_client.run_values import RunLine as RunLine
from dsched_client.run_values import RunMember as RunMember
from dsched_client.run_values import RunStep as RunStep

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """A page of a list; ``cursor`` continues, None at the end."""

    items: tuple[T, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        """The items of this page."""
        return iter(self.items)


@attrs.frozen(kw_only=True)
class TaskResult:
    """What an executor answered."""

    code: str = "ok"
    message: str = ""
    data: JsonValue = None


@attrs.frozen(kw_only=True)
class Task:
    """One run. ``result``, ``spec`` and ``attempts``, the latest 20, oldest first, are there only
    when they were asked for (``full``) and exist. ``run_id``: the run of many tasks of which it is
    a member. ``params``: what it was given, or its fire gave it."""

    id: str
    status: TaskStatus
    config_id: str | None = None
    home: str | None = None
    worker_id: str | None = None
    scheduled_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    attempt: int = 0
    retry_count: int = 0
    crash_count: int = 0
    priority: int = 5
    reason: str = ""
    error: str = ""
    cancel_requested: bool = False
    progress: JsonValue = None
    result: TaskResult | None = None
    spec: Mapping[str, JsonValue] | None = None
    attempts: tuple[Attempt, ...] = ()
    payload_hidden: bool = False
    run_id: str | None = None
    params: Mapping[str, JsonValue] | None = None

    @property
    def ended(self) -> bool:
        """Whether it is ``success``, ``failed`` or ``cancelled``, for ever."""
        return self.status.terminal


@attrs.frozen(kw_only=True)
class Run:
    """A run of many tasks as it is now, and its steps by level."""

    id: str
    task: Task
    steps: tuple[RunStep, ...]


@attrs.frozen(kw_only=True)
class Pause:
    """Who paused a config, why, since when, and until when if it resumes by itself."""

    who: str
    why: str = ""
    since: datetime
    until: datetime | None = None


@attrs.frozen(kw_only=True)
class Counted:
    """What is counted of a config since it was put or resumed: tasks that failed in a row
    (``pause_after_failures``) with the last one, and fires (``max_runs``)."""

    failures: int = 0
    last_failure: str = ""
    runs: int = 0


@attrs.frozen(kw_only=True)
class Skip:
    """An instant to come that will not be fired, who asked for that, and why."""

    at: datetime
    who: str = ""
    why: str = ""


@attrs.frozen(kw_only=True)
class Config:
    """A config. ``spec`` is its entry as a task file would have it, and as `put_config` takes it.

    ``warnings`` says what is probably a mistake; in answers about one config, not in lists.
    ``payload_hidden``: there is a payload, which the token may not see.
    """

    id: str
    name: str = ""
    origin: str = "api"
    revision: int
    due: datetime | None = None
    last_fired: datetime | None = None
    paused: Pause | None = None
    enabled: bool = True
    created: datetime | None = None
    updated: datetime | None = None
    orphaned: bool = False
    spec: Mapping[str, JsonValue] = attrs.field(factory=dict)
    skips: tuple[Skip, ...] = ()
    counted: Counted | None = None
    payload_hidden: bool = False
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class PutAnswer:
    """``outcome``: created, changed or unchanged; the config as it is now."""

    outcome: str
    config: Config


@attrs.frozen(kw_only=True)
class ConfigOutcome:
    """What became of one config of many: ``created``, ``changed`` or ``unchanged``, with the
    config as it is now; or ``refused``, with the ``problem``."""

    id: str | None = None
    outcome: str
    config: Config | None = None
    problem: Problem | None = None

    def kept(self) -> Config:
        """The config as it is now; raises the `ApiError` of one that was refused."""
        if self.problem is not None:
            raise refusal(self.problem)
        if self.config is None:
            raise ProtocolError(f"{self.id} is {self.outcome}, but the answer has no config")
        return self.config


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """What became of one task of a batch: ``OK``, ``DUP``, ``CONFLICT``, or a problem."""

    id: str | None = None
    outcome: str = ""
    problem: Mapping[str, JsonValue] | None = None


@attrs.frozen(kw_only=True)
class CancelAnswer:
    """``OK`` (it was waiting), ``REQUESTED`` (it runs and is being stopped) or ``ALREADY``."""

    outcome: str
    task: Task


@attrs.frozen(kw_only=True)
class Worker:
    """A registered worker."""

    id: str
    status: str = ""
    address: str = ""
    last_heartbeat: datetime | None = None
    capacity: int = 0
    own_capacity: int = 0
    resized_to: int | None = None
    running: int = 0
    queued: int = 0
    labels: Mapping[str, str] = attrs.field(factory=dict)
    incarnation: str = ""
    draining: bool = False
    stalled: bool = False
    gone: bool = False
    silent: bool = False


@attrs.frozen(kw_only=True)
class Decision:
    """What happened to one fire, or to a range of them."""

    config_id: str
    verdict: str
    first: datetime
    last: datetime
    count: int = 1
    reason: str = ""
    detail: str = ""
    late_ms: int = 0
    at: datetime | None = None
    term: int = 0
    task_id: str | None = None
    worker_id: str | None = None
    worker_why: str | None = None
    ended: str = ""
    missed_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Neighbours:
    """The instants before and after the one that was asked about."""

    before: datetime | None = None
    after: datetime | None = None


@attrs.frozen(kw_only=True)
class Explanation:
    """Why something fired, or did not: a verdict, a sentence, and what it follows from."""

    subject: str = ""
    at: datetime | None = None
    verdict: str
    summary: str = ""
    because: tuple[str, ...] = ()
    decision: Decision | None = None
    task: Task | None = None
    neighbours: Neighbours = attrs.field(factory=Neighbours)


@attrs.frozen(kw_only=True)
class UpcomingInstant:
    """An instant to come; ``local`` in the config's zone, ``note`` on what a DST change does."""

    time: datetime
    local: str = ""
    note: str = ""


@attrs.frozen(kw_only=True)
class Upcoming:
    """Instants to come, and whether there are more than were asked for."""

    items: tuple[UpcomingInstant, ...]
    truncated: bool = False


@attrs.frozen(kw_only=True)
class Skipped:
    """How many instants will be skipped, and the first and the last of them."""

    skipped: int
    first: datetime | None = None
    last: datetime | None = None


@attrs.frozen(kw_only=True)
class Backfill:
    """The instants of a backfill, and tasks made for them. Not ``done``: go on at ``next_from``.

    ``fired`` had made a task when they were due, ``known`` have one of this backfill already;
    ``waits_for`` is the task that must end first.
    """

    instants: tuple[datetime, ...] = ()
    fired: tuple[datetime, ...] = ()
    known: tuple[datetime, ...] = ()
    tasks: tuple[str, ...] = ()
    count: int = 0
    done: bool = True
    next_from: datetime | None = None
    waits_for: str | None = None


@attrs.frozen(kw_only=True)
class Spread:
    """A distribution in milliseconds; None without a sample."""

    count: int = 0
    p50: int | None = None
    p90: int | None = None
    p95: int | None = None
    p99: int | None = None
    max: int | None = None


@attrs.frozen(kw_only=True)
class Bucket:
    """What a config, or a worker (neither: everything), did in an hour, a day, or in all."""

    config_id: str | None = None
    worker_id: str | None = None
    start: datetime
    runs: int = 0
    success: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    fires: int = 0
    skipped: int = 0
    missed: int = 0
    success_rate: float | None = None
    wait_ms: Spread = attrs.field(factory=Spread)
    run_ms: Spread = attrs.field(factory=Spread)


@attrs.frozen(kw_only=True)
class Statistics:
    """Buckets by ascending start, empty ones left out, and their sum."""

    items: tuple[Bucket, ...]
    total: Bucket


@attrs.frozen(kw_only=True)
class Term:
    """A term of leadership; ``ended`` is None while it lasts."""

    epoch: int
    pod: str
    began: datetime
    ended: datetime | None = None
    how: str = ""
    who: str = ""
    why: str = ""


@attrs.frozen(kw_only=True)
class Pod:
    """A pod that runs."""

    id: str
    name: str
    roles: tuple[str, ...] = ()
    version: str = ""
    started: datetime | None = None
    seen: datetime | None = None
    ready: bool = False
    leading: bool = False
    draining: bool = False


@attrs.frozen(kw_only=True)
class StoreFormat:
    """The format of the store, the newest that the server knows, and pods that do not know it."""

    format: int
    newest: int
    older_pods: tuple[Pod, ...] = ()


@attrs.frozen(kw_only=True)
class LogLine:
    """A line that a task has logged; ``n`` counts the lines of a task."""

    n: int
    at: datetime | None = None
    attempt: int = 0
    level: str = ""
    line: str = ""


@attrs.frozen(kw_only=True)
class LogPage:
    """Lines of a task's log; ``cursor`` continues; ``complete``: no more will come."""

    items: tuple[LogLine, ...]
    cursor: str | None = None
    complete: bool = False
