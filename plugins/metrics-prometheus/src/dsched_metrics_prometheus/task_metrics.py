"""Counts what the event log says of fires, dispatches and tasks."""

from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from dsched.contracts import Event, EventKind
from dsched.model import BY_ITSELF, JsonValue, TaskStatus, config_of, paused_as_meant
from dsched_metrics_prometheus.histograms import CountedHistogram
from dsched_metrics_prometheus.labels import LabelCap
from dsched_metrics_prometheus.share_metrics import ShareMetrics

Items = Sequence[Mapping[str, JsonValue]]

# A leader hands out at most one page (1,000 entries) before its cursor is stored.
_REMEMBERED_ENTRIES = 4096
_MAX_REASONS = 50
_LATENESS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
)  # fmt: skip
_RUN_S = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600,
    14_400,
)  # fmt: skip
_ENDED = frozenset(status.value for status in TaskStatus if status.terminal)
RETRIED = "retried"
FAILURES, MAX_RUNS = "failures", "max_runs"
_OUTCOMES = (*sorted(_ENDED), RETRIED)
# What a status means. A crash also makes a task retry; that is counted as a crash.
_OF_ENDS = {status: status for status in _ENDED}
_OF_COMPLETIONS = {**_OF_ENDS, TaskStatus.RETRYING.value: RETRIED}
# Entries that are as many as tasks, and of which no item ends a task.
_ENDS_NONE = frozenset(
    {EventKind.SUBMITTED, EventKind.DISPATCHED, EventKind.DEFERRED, EventKind.CLAIMED}
)


class TaskMetrics:
    """Counters and histograms of the whole cluster's tasks, kept by the leader that reads the log.

    An entry that comes again (after a leader change, say) is recognised and not counted twice.
    """

    def __init__(self, registry: CollectorRegistry, *, max_configs: int) -> None:
        self._configs = LabelCap(max_configs)
        self._reasons = LabelCap(_MAX_REASONS)
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._shares = ShareMetrics(registry)
        self._define_fires(registry)
        self._define_tasks(registry)
        for outcome in ("ok", "deferred", "displaced", "failed"):
            self._dispatches.labels(outcome)
        for outcome in _OUTCOMES:
            self._outcomes.labels(outcome)
        # Looked up once: looking a label up costs as much as the observation.
        self._run_by_outcome = {outcome: self._run.labels(outcome) for outcome in _OUTCOMES}

    def _define_fires(self, registry: CollectorRegistry) -> None:
        self._fires = Counter(
            "dsched_fires", "Scheduled instants that became a task.", registry=registry
        )
        self._skipped = Counter(
            "dsched_fires_skipped",
            "Scheduled instants that were not fired, by reason.",
            ["reason"],
            registry=registry,
        )
        self._lateness = Histogram(
            "dsched_schedule_lateness_seconds",
            "How much later than its instant each fire happened.",
            buckets=_LATENESS_S,
            registry=registry,
        )
        self._own_pauses = Counter(
            "dsched_config_pauses",
            "Configs that paused themselves: after failures in a row, or after max_runs.",
            ["reason"],
            registry=registry,
        )
        for reason in (FAILURES, MAX_RUNS):
            self._own_pauses.labels(reason)
        self._clock_back = Counter(
            "dsched_clock_steps_back",
            "Times the store's clock was seen stepping back.",
            registry=registry,
        )
        self._log_gap = Counter(
            "dsched_events_dropped",
            "Log entries trimmed before a leader had read them; other totals miss these.",
            registry=registry,
        )

    def _define_tasks(self, registry: CollectorRegistry) -> None:
        self._submitted = Counter(
            "dsched_tasks_submitted", "Tasks submitted by clients.", registry=registry
        )
        self._dispatches = Counter(
            "dsched_dispatches",
            "Dispatches: put on a worker's queue, deferred, displaced by one of higher "
            "priority, or failed (taken back unclaimed).",
            ["outcome"],
            registry=registry,
        )
        self._outcomes = Counter(
            "dsched_task_outcomes",
            "Tasks that ended, and failed attempts that are tried again.",
            ["outcome"],
            registry=registry,
        )
        self._config_outcomes = Counter(
            "dsched_config_task_outcomes",
            "The same by config; empty for tasks without one, other beyond the cap.",
            ["config", "outcome"],
            registry=registry,
        )
        self._run = CountedHistogram(
            "dsched_task_run_seconds",
            "How long attempts ran, from claim to completion.",
            ["outcome"],
            buckets=_RUN_S,
            registry=registry,
        )
        self._crashes = Counter(
            "dsched_task_crashes", "Attempts whose lease ran out.", registry=registry
        )
        self._released = Counter(
            "dsched_task_releases", "Attempts handed back unfinished.", registry=registry
        )

    def count(self, event: Event) -> None:
        """Count one entry of the log, once."""
        if self._is_repeat(event):
            return
        items = event.items
        match event.kind:
            case EventKind.FIRED:
                self._count_fires(items)
            case EventKind.SKIPPED:
                self._count_skipped(items)
            case EventKind.CONFIG:
                self._count_own_pauses(items)
            case EventKind.SUBMITTED:
                self._submitted.inc(len(items))
            case EventKind.DISPATCHED:
                self._dispatches.labels("ok").inc(len(items))
            case EventKind.DEFERRED:
                self._dispatches.labels("deferred").inc(len(items))
            case EventKind.RECALLED:
                gave_way = sum(item.get("displaced") is True for item in items)
                self._dispatches.labels("displaced").inc(gave_way)
                self._dispatches.labels("failed").inc(len(items) - gave_way)
            case EventKind.REAPED:
                self._crashes.inc(len(items))
                for item in items:
                    self._shares.crashed(str(item.get("worker") or ""))
            case EventKind.RELEASED:
                self._released.inc(len(items))
            case EventKind.CLOCK_BACK:
                self._clock_back.inc()
            case EventKind.GAP:
                self._log_gap.inc(sum(_number(item, "dropped") or 0 for item in items))
            case _:
                pass  # nothing of its own to count
        if event.kind not in _ENDS_NONE:
            self._count_ends(event)

    def _is_repeat(self, event: Event) -> bool:
        # Cursors order entries, but only the store knows how: they are compared for equality
        # only. The instant is part of the key so that a store begun anew is not a repeat.
        key = (event.cursor, event.at_ms)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED_ENTRIES:
            self._seen.popitem(last=False)
        return False

    def _count_own_pauses(self, items: Items) -> None:
        for item in items:
            if item.get("who") == BY_ITSELF:
                meant = paused_as_meant(str(item["why"]))
                self._own_pauses.labels(MAX_RUNS if meant else FAILURES).inc()

    def _count_fires(self, items: Items) -> None:
        self._fires.inc(len(items))
        for item in items:
            late_ms = _number(item, "late")
            if late_ms is not None:
                self._lateness.observe(late_ms / 1000)

    def _count_skipped(self, items: Items) -> None:
        for item in items:
            reason = self._reasons.value(str(item.get("reason", "")))
            self._skipped.labels(reason).inc(_number(item, "count") or 0)

    def _count_ends(self, event: Event) -> None:
        """Every item that ends a task has its terminal status, whatever the kind of entry.

        Items that ended alike are counted together: a config's tasks are many and mostly short.
        """
        completed = event.kind is EventKind.COMPLETED
        words = _OF_COMPLETIONS if completed else _OF_ENDS
        alike = Counts(
            (
                config_of(str(item.get("task", ""))) or "",
                _word(words, item),
                _number(item, "run") if completed else None,
            )
            for item in event.items
        )
        for (config, outcome, run_ms), count in alike.items():
            if outcome is None:
                continue
            label = self._configs.value(config) if config else ""
            self._config_outcomes.labels(label, outcome).inc(count)
            self._outcomes.labels(outcome).inc(count)
            if run_ms is not None:
                self._run_by_outcome[outcome].observe_alike(run_ms / 1000, count)
                self._shares.ran(event.by, label, outcome, run_ms / 1000, count=count)


def _word(words: Mapping[str, str], item: Mapping[str, JsonValue]) -> str | None:
    """What the item says became of the task, or None if it neither ended nor failed."""
    status = item.get("status")
    return words.get(status) if isinstance(status, str) else None


def _number(item: Mapping[str, JsonValue], key: str) -> float | None:
    """A number of the item, never negative; None if it is not there."""
    value = item.get(key)
    if type(value) is int and value >= 0:
        return value  # as nearly all are
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return max(0.0, float(value))
