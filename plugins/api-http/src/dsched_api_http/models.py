"""What the API answers with: the shapes of the contract, made of the core's values."""

from collections.abc import Mapping
from typing import Any

import attrs

from dsched.contracts import Intake
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.leadership import fence_epoch
from dsched.model import ORPHAN, Decision, JsonValue, Task, TaskResult, rfc3339_ms, run_of
from dsched_api_http.attempt_views import AttemptView, attempts_of
from dsched_api_http.cluster_views import (
    DemandView,
    FullView,
    StoreView,
    UnrunnableView,
    WaitingUnderView,
)
from dsched_api_http.hiding import without_payloads
from dsched_api_http.param_views import params_shown
from dsched_api_http.pause_views import CountedView, Paused, counted_of, paused_of
from dsched_api_http.wire import TIME as TIME
from dsched_api_http.wire import optional_time

TIMES: Mapping[str, Any] = {"each": TIME}
OPTIONAL: Mapping[str, Any] = {"optional": True}


@attrs.frozen(kw_only=True)
class SkipView:
    """An instant to come that will not be fired, who asked for that, and why."""

    at: str = attrs.field(metadata=TIME)
    who: str
    why: str


@attrs.frozen(kw_only=True)
class RecentTask:
    """An ended task in short; ``run_ms`` is how long its last attempt took."""

    id: str
    status: str
    end_time: str | None = attrs.field(metadata=TIME)
    run_ms: int | None


def recent_of(task: Task) -> RecentTask:
    """An ended task in short."""
    known = task.start_ms is not None and task.end_ms is not None
    return RecentTask(
        id=task.id,
        status=task.status.value,
        end_time=optional_time(task.end_ms),
        run_ms=(task.end_ms or 0) - (task.start_ms or 0) if known else None,
    )


@attrs.frozen(kw_only=True)
class Config:
    """A config with what the store knows of it. ``spec`` is what PUT takes.

    ``warnings`` says what is probably a mistake; in answers about one config, not in lists.
    """

    id: str
    name: str
    origin: str
    revision: int
    due: str | None = attrs.field(metadata=TIME)
    last_fired: str | None = attrs.field(metadata=TIME)
    paused: Paused | None
    enabled: bool
    created: str = attrs.field(metadata=TIME)
    updated: str = attrs.field(metadata=TIME)
    orphaned: bool
    spec: Mapping[str, Any]
    skips: tuple[SkipView, ...] = ()
    counted: CountedView | None = None
    payload_hidden: bool = False
    warnings: tuple[str, ...] = ()
    recent: tuple[RecentTask, ...] | None = attrs.field(default=None, metadata=OPTIONAL)


def config_of(stored: StoredConfig, intake: Intake, *, show_payload: bool) -> Config:
    """A config as answered; the payload is left out for those who may not see it."""
    config, pause = stored.config, stored.paused
    spec = intake.entry(config)
    hidden = not show_payload and without_payloads(spec)
    return Config(
        id=config.id,
        name=config.name,
        origin=config.origin,
        revision=config.revision,
        due=optional_time(stored.due_ms),
        last_fired=optional_time(stored.last_fired_ms),
        paused=paused_of(pause),
        enabled=config.enabled,
        created=rfc3339_ms(config.created_ms),
        updated=rfc3339_ms(config.updated_ms),
        orphaned=pause is not None and pause.who == ORPHAN,
        spec=spec,
        skips=tuple(
            SkipView(at=rfc3339_ms(one.at_ms), who=one.who, why=one.why) for one in stored.skips
        ),
        counted=counted_of(stored),
        payload_hidden=hidden,
    )


@attrs.frozen(kw_only=True)
class Result:
    """What a task's executor answered."""

    code: str
    message: str
    data: JsonValue


def result_of(result: TaskResult) -> Result:
    """A result as answered."""
    return Result(code=result.code, message=result.message, data=result.data)


@attrs.frozen(kw_only=True)
class TaskView:
    """A task. ``spec``, ``params``, ``result`` and ``attempts`` are there with ``full=true``
    only."""

    id: str
    config_id: str | None
    status: str
    home: str | None
    worker_id: str | None
    scheduled_time: str = attrs.field(metadata=TIME)
    start_time: str | None = attrs.field(metadata=TIME)
    end_time: str | None = attrs.field(metadata=TIME)
    attempt: int
    retry_count: int
    crash_count: int
    priority: int
    reason: str
    error: str
    cancel_requested: bool
    progress: JsonValue
    result: Result | None = attrs.field(default=None, metadata=OPTIONAL)
    spec: Mapping[str, Any] | None = attrs.field(default=None, metadata=OPTIONAL)
    attempts: tuple[AttemptView, ...] | None = attrs.field(default=None, metadata=OPTIONAL)
    payload_hidden: bool = False
    run_id: str | None = None
    params: Mapping[str, Any] | None = attrs.field(default=None, metadata=OPTIONAL)


def task_of(task: Task, intake: Intake | None = None, *, show_payload: bool = False) -> TaskView:
    """A task as answered; with an ``intake`` in full."""
    spec, hidden, params = None, False, None
    if intake is not None and task.spec is not None:
        spec = intake.spec_entry(task.spec)
        hidden = not show_payload and without_payloads(spec)
        params = params_shown(task, task.spec) if show_payload else None
    full = intake is not None and task.result is not None
    return TaskView(
        id=task.id,
        config_id=task.config_id,
        status=task.status.value,
        home=None if task.home is None else task.home.value,
        worker_id=task.worker_id,
        scheduled_time=rfc3339_ms(task.scheduled_ms),
        start_time=optional_time(task.start_ms),
        end_time=optional_time(task.end_ms),
        attempt=task.attempt,
        retry_count=task.retry_count,
        crash_count=task.crash_count,
        priority=task.priority,
        reason=task.reason,
        error=task.error,
        cancel_requested=task.cancel_requested,
        progress=task.progress,
        result=result_of(task.result) if full and task.result is not None else None,
        spec=spec,
        attempts=None if intake is None else attempts_of(task),
        payload_hidden=hidden,
        run_id=run_of(task.id),
        params=params,
    )


@attrs.frozen(kw_only=True)
class DecisionView:
    """What was decided about one instant, or a range of them. ``ended``: how its task did, empty
    while that lives; ``missed_at``: when it was reported missed, before it was fired or skipped
    after all."""

    config_id: str
    verdict: str
    first: str = attrs.field(metadata=TIME)
    last: str = attrs.field(metadata=TIME)
    count: int
    reason: str
    detail: str
    late_ms: int
    at: str = attrs.field(metadata=TIME)
    term: int
    task_id: str | None
    worker_id: str | None
    worker_why: str | None
    ended: str
    missed_at: str | None = attrs.field(metadata=TIME)


def decision_of(decision: Decision) -> DecisionView:
    """A decision as answered."""
    return DecisionView(
        config_id=decision.config_id,
        verdict=decision.verdict.value,
        first=rfc3339_ms(decision.first_ms),
        last=rfc3339_ms(decision.last_ms),
        count=decision.count,
        reason=decision.reason,
        detail=decision.account,
        late_ms=decision.late_ms,
        at=rfc3339_ms(decision.at_ms),
        term=decision.term,
        task_id=decision.task_id,
        worker_id=decision.worker_id,
        worker_why=decision.worker_why,
        ended=decision.ended,
        missed_at=optional_time(decision.missed_at_ms),
    )


@attrs.frozen(kw_only=True)
class Leader:
    """The pod that leads, and its term."""

    pod: str
    epoch: int


def leader_of(fence: str | None) -> Leader | None:
    """The leader from its fence ``epoch:token:pod``."""
    if fence is None:
        return None
    return Leader(pod=fence.split(":", 2)[2], epoch=fence_epoch(fence))


@attrs.frozen(kw_only=True)
class CountsView:
    """How many tasks there are, by status and home, and since when the oldest waits."""

    by_status: Mapping[str, int]
    by_home: Mapping[str, int]
    oldest_ready: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class Cluster:
    """The cluster at a glance."""

    leader: Leader | None
    counts: CountsView
    configs: int
    workers: int
    store: StoreView
    unrunnable: tuple[UnrunnableView, ...]
    full: tuple[FullView, ...]
    limits: tuple[WaitingUnderView, ...]
    demand: DemandView
    store_time: str = attrs.field(metadata=TIME)
    clock_gen: int
    version: str


@attrs.frozen(kw_only=True)
class Instant:
    """One coming instant: in UTC, on the clock of the config's zone, and what is odd about it."""

    time: str = attrs.field(metadata=TIME)
    local: str = attrs.field(metadata=TIME)
    note: str


@attrs.frozen(kw_only=True)
class Upcoming:
    """Coming instants; ``truncated`` where there are more."""

    items: tuple[Instant, ...]
    truncated: bool


@attrs.frozen(kw_only=True)
class TokenView:
    """A token without its secret. ``expires`` None: it stays until it is deleted."""

    id: str
    name: str
    scope: str
    created: str = attrs.field(metadata=TIME)
    created_by: str
    expires: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class NewToken(TokenView):
    """A token as shown once, when it is made."""

    token: str


@attrs.frozen(kw_only=True)
class SessionView:
    """Who asks, and with which scope."""

    name: str
    scope: str


@attrs.frozen(kw_only=True)
class AuditEntry:
    """Who did what to what, why and how it went; ``before`` and ``after`` are hashes. ``count``:
    so many refusals of one kind, of which this is the last."""

    at: str = attrs.field(metadata=TIME)
    principal: str
    action: str
    object: str
    reason: str
    before: str
    after: str
    outcome: str
    count: int = 1


@attrs.frozen(kw_only=True)
class PluginView:
    """An installed plugin."""

    kind: str
    name: str
    distribution: str
    version: str


@attrs.frozen(kw_only=True)
class Cancelled:
    """What became of a cancel: ``OK``, ``REQUESTED`` or ``ALREADY``."""

    outcome: str
    task: TaskView
