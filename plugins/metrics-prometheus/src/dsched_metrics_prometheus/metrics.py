"""All metrics of one pod: the observer that keeps them and the text that shows them."""

import platform
import threading
import time
from collections.abc import Callable, Iterable

from prometheus_client import Gauge
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from dsched import __version__
from dsched.contracts import (
    ClusterGauges,
    HeartbeatSent,
    InstantsMissed,
    InvariantViolated,
    LogEntry,
    NobodyLeads,
    Notice,
    ObserverTrouble,
    Scrape,
    StoreCalled,
    StoreWrites,
    TermChanged,
    ThreadOutlived,
)
from dsched_metrics_prometheus.cluster_metrics import ClusterMetrics
from dsched_metrics_prometheus.options import MetricsOptions
from dsched_metrics_prometheus.pod_metrics import PodMetrics
from dsched_metrics_prometheus.task_metrics import TaskMetrics


class PlainRegistry(CollectorRegistry):
    """A registry without the ``_created`` series, which nearly double a page and tell nothing."""

    def collect(self) -> Iterable[Metric]:
        """The families of all collectors, without those samples."""
        for family in super().collect():
            family.samples = [each for each in family.samples if not _is_created(each.name)]
            yield family


def _is_created(name: str) -> bool:
    return name.endswith("_created")


class Metrics:
    """The observer ``metrics``. Its registry is its own, so nothing else can leak in or clash."""

    def __init__(
        self, options: MetricsOptions, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.registry = PlainRegistry()
        self._tasks = TaskMetrics(self.registry, max_configs=options.max_configs)
        self._cluster = ClusterMetrics(
            self.registry, stale_after_s=options.stale_after_s, monotonic=monotonic
        )
        self._pod = PodMetrics(self.registry)
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "dsched_build_info",
            "1, with the versions of dsched and Python that this pod runs.",
            ["version", "python"],
            registry=self.registry,
        )
        build.labels(__version__, platform.python_version()).set(1)
        # Several pods of one process, each in a thread of its own, may share these metrics.
        self._lock = threading.Lock()

    def notify(self, notice: Notice) -> None:
        """Count it; kinds that are not known are ignored."""
        with self._lock:
            self._take(notice)

    def _take(self, notice: Notice) -> None:
        match notice:
            case LogEntry():
                self._tasks.count(notice.event)
            case StoreCalled():
                self._pod.store_called(notice)
            case StoreWrites():
                self._pod.store_writes(notice)
            case HeartbeatSent():
                self._pod.heartbeat(notice)
            case ClusterGauges():
                self._cluster.show(notice)
            case TermChanged():
                self._cluster.term_changed(notice)
                if notice.leading:
                    self._pod.term_began()
            case ThreadOutlived():
                self._pod.thread_outlived()
            case InstantsMissed():
                self._pod.instants_missed(notice)
            case NobodyLeads():
                self._pod.nobody_leads()
            case InvariantViolated():
                self._pod.invariant_violated(notice)
            case ObserverTrouble():
                self._pod.observer_trouble(notice)

    def render(self) -> bytes:
        """The page in the Prometheus text format. May be called from any thread."""
        return generate_latest(self.registry)

    def scrape(self) -> Scrape:
        """The same, for whoever else shows it (`dsched.contracts.Scraped`)."""
        return Scrape(content_type=CONTENT_TYPE_LATEST, body=self.render())
