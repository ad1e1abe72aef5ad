"""How often tasks succeed and how long they run, by worker and by config, within bounds."""

from collections import OrderedDict

from prometheus_client import CollectorRegistry, Counter

from dsched_metrics_prometheus.histograms import CountedHistogram

# Fewer steps than the histogram over all: there is one for each worker and config.
_RUN_S = (0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800, 3600)
MAX_WORKERS = 200  # those that ended something last; ids may be made up anew at each start
CRASHED = "crashed"


class ShareMetrics:
    """The leader's, like all that is counted from the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._workers: OrderedDict[str, set[str]] = OrderedDict()  # and the outcomes of each
        self._outcomes = Counter(
            "dsched_worker_task_outcomes",
            "Attempts that ended, by the worker that ran them; crashed: it fell silent.",
            ["worker", "outcome"],
            registry=registry,
        )
        self._worker_run = CountedHistogram(
            "dsched_worker_task_run_seconds",
            "How long attempts ran, by worker.",
            ["worker"],
            buckets=_RUN_S,
            registry=registry,
        )
        self._config_run = CountedHistogram(
            "dsched_config_task_run_seconds",
            "How long attempts ran, by config; empty for tasks without one, other beyond the cap.",
            ["config"],
            buckets=_RUN_S,
            registry=registry,
        )

    def ran(self, worker: str, config: str, outcome: str, run_s: float, *, count: int) -> None:
        """So many attempts of a worker were completed with this outcome after this time; their
        ``config`` is within the cap."""
        self._worker_run.labels(worker).observe_alike(run_s, count)
        self._config_run.labels(config).observe_alike(run_s, count)
        self._ended(worker, outcome, count)

    def crashed(self, worker: str) -> None:
        """An attempt's lease ran out."""
        self._ended(worker, CRASHED)

    def _ended(self, worker: str, outcome: str, count: int = 1) -> None:
        self._workers.setdefault(worker, set()).add(outcome)
        self._workers.move_to_end(worker)
        self._outcomes.labels(worker, outcome).inc(count)
        if len(self._workers) > MAX_WORKERS:
            oldest, outcomes = self._workers.popitem(last=False)
            for one in outcomes:
                self._outcomes.remove(oldest, one)
            if outcomes != {CRASHED}:
                self._worker_run.remove(oldest)
