"""What the API answers about the past and about pods: reasons, statistics, lines, terms."""

import attrs

from dsched.client import Backfill, Skipped
from dsched.contracts.store.history import Break
from dsched.contracts.store.leadership import fence_epoch, fence_pod
from dsched.contracts.store.operating import PodRecord, Term
from dsched.contracts.store.statistics import Bucket, Spread
from dsched.contracts.store.tasklogs import TaskLine
from dsched.explaining import Explanation
from dsched.model import rfc3339_ms, to_ms
from dsched_api_http.models import TIME, TIMES, DecisionView, TaskView, decision_of, task_of
from dsched_api_http.wire import optional_time


@attrs.frozen(kw_only=True)
class Neighbours:
    """The instants of a config next to the one asked about."""

    before: str | None = attrs.field(metadata=TIME)
    after: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class Why:
    """Why something happened, or did not: one sentence, those it follows from, and the records."""

    subject: str
    at: str = attrs.field(metadata=TIME)
    verdict: str
    summary: str
    because: tuple[str, ...]
    decision: DecisionView | None
    task: TaskView | None
    neighbours: Neighbours


def why_of(explanation: Explanation) -> Why:
    """An explanation as answered."""
    decision, task = explanation.decision, explanation.task
    return Why(
        subject=explanation.subject,
        at=rfc3339_ms(explanation.at_ms),
        verdict=explanation.verdict.value,
        summary=explanation.summary,
        because=explanation.because,
        decision=None if decision is None else decision_of(decision),
        task=None if task is None else task_of(task),
        neighbours=Neighbours(
            before=optional_time(explanation.before_ms), after=optional_time(explanation.after_ms)
        ),
    )


@attrs.frozen(kw_only=True)
class SpreadView:
    """A distribution in ms; null without a sample."""

    count: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None
    max: int | None


@attrs.frozen(kw_only=True)
class BucketView:
    """What a config, a worker, or all of them, did in a span of time."""

    config_id: str | None
    worker_id: str | None
    start: str = attrs.field(metadata=TIME)
    runs: int
    success: int
    failed: int
    cancelled: int
    retries: int
    fires: int
    skipped: int
    missed: int
    success_rate: float | None
    wait_ms: SpreadView
    run_ms: SpreadView


@attrs.frozen(kw_only=True)
class Statistics:
    """Buckets by ascending start, those without anything left out, and their sum."""

    items: tuple[BucketView, ...]
    total: BucketView


def bucket_of(bucket: Bucket) -> BucketView:
    """A bucket as answered."""
    return BucketView(
        config_id=bucket.config_id,
        worker_id=bucket.worker_id,
        start=rfc3339_ms(bucket.start_ms),
        runs=bucket.runs,
        success=bucket.success,
        failed=bucket.failed,
        cancelled=bucket.cancelled,
        retries=bucket.retries,
        fires=bucket.fires,
        skipped=bucket.skipped,
        missed=bucket.missed,
        success_rate=bucket.success_rate,
        wait_ms=_spread(bucket.wait),
        run_ms=_spread(bucket.run),
    )


def _spread(spread: Spread) -> SpreadView:
    return SpreadView(
        count=spread.count,
        p50=spread.p50_ms,
        p90=spread.p90_ms,
        p95=spread.p95_ms,
        p99=spread.p99_ms,
        max=spread.max_ms,
    )


@attrs.frozen(kw_only=True)
class LineView:
    """A line of a task's log; ``n`` counts over all attempts, those not kept included."""

    n: int
    at: str = attrs.field(metadata=TIME)
    attempt: int
    level: str
    line: str


@attrs.frozen(kw_only=True)
class Lines:
    """Lines in order. ``complete``: the task has ended, and there will be no more."""

    items: tuple[LineView, ...]
    cursor: str
    complete: bool


def line_of(line: TaskLine) -> LineView:
    """A line as answered."""
    return LineView(
        n=line.n,
        at=rfc3339_ms(line.at_ms),
        attempt=line.attempt,
        level=line.level.value,
        line=line.text,
    )


@attrs.frozen(kw_only=True)
class SkippedView:
    """How many instants will not be fired, the first and the last of them."""

    skipped: int
    first: str = attrs.field(metadata=TIME)
    last: str = attrs.field(metadata=TIME)


def skipped_of(skipped: Skipped) -> SkippedView:
    """What a skip came to."""
    return SkippedView(
        skipped=skipped.count, first=rfc3339_ms(skipped.first_ms), last=rfc3339_ms(skipped.last_ms)
    )


@attrs.frozen(kw_only=True)
class BackfillView:
    """What a backfill came to. Unless ``done``, ask again, or from ``next_from`` on; ``waits_for``
    is the task that must end first."""

    instants: tuple[str, ...] = attrs.field(metadata=TIMES)
    fired: tuple[str, ...] = attrs.field(metadata=TIMES)
    known: tuple[str, ...] = attrs.field(metadata=TIMES)
    tasks: tuple[str, ...]
    count: int
    done: bool
    next_from: str | None = attrs.field(metadata=TIME)
    waits_for: str | None


def backfill_of(found: Backfill) -> BackfillView:
    """A backfill as answered."""
    return BackfillView(
        instants=tuple(map(rfc3339_ms, found.instants)),
        fired=tuple(map(rfc3339_ms, found.fired)),
        known=tuple(map(rfc3339_ms, found.known)),
        tasks=tuple(found.tasks),
        count=len(found.instants),
        done=found.done,
        next_from=None if found.next_from is None else rfc3339_ms(to_ms(found.next_from)),
        waits_for=found.waits_for,
    )


@attrs.frozen(kw_only=True)
class TermView:
    """A term of leadership; ``ended`` null: it lasts, or has ``expired`` and none came after it."""

    epoch: int
    pod: str
    began: str = attrs.field(metadata=TIME)
    ended: str | None = attrs.field(metadata=TIME)
    how: str
    who: str
    why: str


def term_of(term: Term, fence: str | None) -> TermView:
    """A term as answered; ``fence`` is that of the pod that leads."""
    lasts = fence is not None and fence_epoch(fence) == term.epoch
    how = "expired" if term.ended_ms is None and not lasts else term.how
    return TermView(
        epoch=term.epoch,
        pod=term.pod,
        began=rfc3339_ms(term.began_ms),
        ended=optional_time(term.ended_ms),
        how=how,
        who=term.who,
        why=term.why,
    )


@attrs.frozen(kw_only=True)
class PodInfo:
    """A pod that runs, as it says of itself."""

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    started: str = attrs.field(metadata=TIME)
    seen: str = attrs.field(metadata=TIME)
    ready: bool
    leading: bool
    draining: bool


def pod_of(pod: PodRecord, fence: str | None) -> PodInfo:
    """A pod as answered. It says that it leads, and ``fence`` says whether its term still lasts."""
    return PodInfo(
        id=pod.id,
        name=pod.name,
        roles=pod.roles,
        version=pod.version,
        started=rfc3339_ms(pod.started_ms),
        seen=rfc3339_ms(pod.seen_ms),
        ready=pod.ready,
        leading=pod.leading and fence is not None and fence_pod(fence) == pod.name,
        draining=pod.draining,
    )


@attrs.frozen(kw_only=True)
class SteppedDown:
    """The pod that led until now."""

    pod: str


@attrs.frozen(kw_only=True)
class BreakView:
    """A break of the store's history: what happened since may be lost (null: all that was
    before)."""

    generation: int
    at: str = attrs.field(metadata=TIME)
    since: str | None = attrs.field(metadata=TIME)
    loss: str
    by: str
    why: str


def break_of(one: Break) -> BreakView:
    """A break as it is shown."""
    return BreakView(
        generation=one.generation,
        at=rfc3339_ms(one.at_ms),
        since=optional_time(one.from_ms),
        loss=one.loss.value,
        by=one.by,
        why=one.why,
    )
