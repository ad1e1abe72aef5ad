"""What the API answers about reasons, statistics, lines, terms and pods, made of the core's values."""

import attrs

from dsched.client import Statistics
from dsched.contracts.operating import PodRecord, Term
from dsched.contracts.statistics import Bucket, Spread
from dsched.contracts.tasklogs import TaskLine
from dsched.explaining import Explanation
from dsched_api_http.models import TIME, DecisionView, TaskView, decision_of, task_of
from dsched_api_http.wire import optional_time, time_text


@attrs.frozen(kw_only=True)
class Neighbours:
    """The config's instants next to the one that was asked about."""

    before: str | None = attrs.field(metadata=TIME)
    after: str | None = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class ExplanationView:
    """Why: one sentence, those it follows from, and the records behind it."""

    subject: str
    at: str = attrs.field(metadata=TIME)
    verdict: str
    summary: str
    because: tuple[str, ...]
    decision: DecisionView | None
    task: TaskView | None
    neighbours: Neighbours


def explanation_of(explanation: Explanation) -> ExplanationView:
    """An explanation as answered."""
    decision, task = explanation.decision, explanation.task
    return ExplanationView(
        subject=explanation.subject,
        at=time_text(explanation.at_ms),
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
    """A distribution in milliseconds; all null without a sample."""

    p50: int | None
    p90: int | None
    p99: int | None
    max: int | None


@attrs.frozen(kw_only=True)
class BucketView:
    """What a config (null: everything) did in an hour, in a day, or in all."""

    config_id: str | None
    start: str = attrs.field(metadata=TIME)
    runs: int
    success: int
    failed: int
    cancelled: int
    retries: int
    fires: int
    skipped: int
    missed: int
    wait_ms: SpreadView
    run_ms: SpreadView


@attrs.frozen(kw_only=True)
class StatisticsView:
    """Buckets by ascending start, empty ones left out, and their sum."""

    items: tuple[BucketView, ...]
    total: BucketView


def statistics_of(statistics: Statistics) -> StatisticsView:
    """Statistics as answered."""
    return StatisticsView(
        items=tuple(map(_bucket_of, statistics.items)), total=_bucket_of(statistics.total)
    )


def _bucket_of(bucket: Bucket) -> BucketView:
    return BucketView(
        config_id=bucket.config_id,
        start=time_text(bucket.start_ms),
        runs=bucket.runs,
        success=bucket.success,
        failed=bucket.failed,
        cancelled=bucket.cancelled,
        retries=bucket.retries,
        fires=bucket.fires,
        skipped=bucket.skipped,
        missed=bucket.missed,
        wait_ms=_spread_of(bucket.wait),
        run_ms=_spread_of(bucket.run),
    )


def _spread_of(spread: Spread) -> SpreadView:
    return SpreadView(p50=spread.p50_ms, p90=spread.p90_ms, p99=spread.p99_ms, max=spread.max_ms)


@attrs.frozen(kw_only=True)
class LineView:
    """A line of a task's log; ``n`` counts over all attempts."""

    n: int
    at: str = attrs.field(metadata=TIME)
    attempt: int
    level: str
    line: str


@attrs.frozen(kw_only=True)
class LinesView:
    """Lines in their order; ``complete``: the task has ended, and there are no more."""

    items: tuple[LineView, ...]
    cursor: str
    complete: bool


def line_of(line: TaskLine) -> LineView:
    """A line as answered."""
    return LineView(
        n=line.n,
        at=time_text(line.at_ms),
        attempt=line.attempt,
        level=line.level.value,
        line=line.text,
    )


@attrs.frozen(kw_only=True)
class TermView:
    """A term of leadership; ``ended`` is null while it lasts."""

    epoch: int
    pod: str
    began: str = attrs.field(metadata=TIME)
    ended: str | None = attrs.field(metadata=TIME)
    how: str
    who: str
    why: str


def term_of(term: Term) -> TermView:
    """A term as answered."""
    return TermView(
        epoch=term.epoch,
        pod=term.pod,
        began=time_text(term.began_ms),
        ended=optional_time(term.ended_ms),
        how=term.how,
        who=term.who,
        why=term.why,
    )


@attrs.frozen(kw_only=True)
class PodRow:
    """A pod that runs."""

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    started: str = attrs.field(metadata=TIME)
    seen: str = attrs.field(metadata=TIME)
    ready: bool
    leading: bool
    draining: bool


def pod_of(pod: PodRecord) -> PodRow:
    """A pod as answered."""
    return PodRow(
        id=pod.id,
        name=pod.name,
        roles=pod.roles,
        version=pod.version,
        started=time_text(pod.started_ms),
        seen=time_text(pod.seen_ms),
        ready=pod.ready,
        leading=pod.leading,
        draining=pod.draining,
    )


@attrs.frozen(kw_only=True)
class SkippedView:
    """The instants that will not be fired: how many, the first and the last."""

    skipped: int
    first: str = attrs.field(metadata=TIME)
    last: str = attrs.field(metadata=TIME)


@attrs.frozen(kw_only=True)
class BackfillView:
    """What a backfill came to. Unless ``done``, go on from ``next_from``.

    ``instants`` were looked at; ``fired`` of them had made a task when they were due, ``known``
    have one of this backfill already. ``waits_for`` is the task that must end first.
    """

    instants: tuple[str, ...]
    fired: tuple[str, ...]
    known: tuple[str, ...]
    tasks: tuple[str, ...]
    count: int
    done: bool
    next_from: str | None = attrs.field(metadata=TIME)
    waits_for: str | None


@attrs.frozen(kw_only=True)
class SteppedDown:
    """The pod that led until now."""

    pod: str
