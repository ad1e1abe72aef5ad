"""What each pod measures of itself: its terms, heartbeats, store calls, and trouble."""

from collections import OrderedDict

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dsched.contracts import (
    HeartbeatSent,
    InstantsMissed,
    InvariantViolated,
    ObserverTrouble,
    StoreCalled,
    StoreWrites,
)
from dsched.model import MissReason
from dsched_metrics_prometheus.labels import LabelCap

_DELAY_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
_STORE_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
_MAX_STEPS = 100
_MAX_OUTCOMES = 30
_MAX_NAMES = 50
_MAX_OWN_WORKERS = 16  # a pod has one; a process may embed several, with new ids after a restart


class PodMetrics:
    """Every pod keeps these, leader or not; sum() over pods is right for each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = LabelCap(_MAX_STEPS)
        self._outcomes = LabelCap(_MAX_OUTCOMES)
        self._invariants = LabelCap(_MAX_NAMES)
        self._reasons = LabelCap(_MAX_NAMES)
        self._observers = LabelCap(_MAX_NAMES)
        self._own_workers: OrderedDict[str, None] = OrderedDict()
        self._define_work(registry)
        self._define_writes(registry)
        self._define_trouble(registry)

    def _define_work(self, registry: CollectorRegistry) -> None:
        self._elections = Counter(
            "dsched_leader_elections", "Terms as leader that this pod began.", registry=registry
        )
        self._delay = Histogram(
            "dsched_heartbeat_delay_seconds",
            "How much later than planned a worker's heartbeat was answered.",
            buckets=_DELAY_S,
            registry=registry,
        )
        self._running = Gauge(
            "dsched_own_running_tasks",
            "Attempts running on this pod's own worker, at its last heartbeat.",
            ["worker"],
            registry=registry,
        )
        self._capacity = Gauge(
            "dsched_own_capacity",
            "Attempts this pod's own worker may run at once.",
            ["worker"],
            registry=registry,
        )
        self._store = Histogram(
            "dsched_store_step_seconds",
            "How long calls of the store took, by step and outcome.",
            ["step", "outcome"],
            buckets=_STORE_S,
            registry=registry,
        )

    def _define_writes(self, registry: CollectorRegistry) -> None:
        self._writable = Gauge(
            "dsched_store_writable",
            "1 while the store takes this pod's writes, else 0 with the reason; one series a pod.",
            ["reason"],
            registry=registry,
        )
        self._writable.labels("").set(1)

    def _define_trouble(self, registry: CollectorRegistry) -> None:
        self._outlived = Counter(
            "dsched_threads_outlived",
            "Functions in threads that outlived their timeout and kept their slot.",
            registry=registry,
        )
        self._missed = Counter(
            "dsched_instants_missed",
            "Instants that this pod reported overdue: nobody led, or the leader did not fire.",
            ["reason"],
            registry=registry,
        )
        for reason in MissReason:  # shown from the start, so that the first miss is an increase
            self._missed.labels(reason.value)
        self._leaderless = Counter(
            "dsched_leaderless", "Times this pod reported that nobody leads.", registry=registry
        )
        self._violations = Counter(
            "dsched_invariant_violations",
            "Production assertions that failed: defects of dsched, or a store that lost writes.",
            ["invariant"],
            registry=registry,
        )
        self._dropped = Counter(
            "dsched_observer_notices_dropped",
            "Notices an observer never got, because it lagged.",
            ["observer"],
            registry=registry,
        )
        self._failed = Counter(
            "dsched_observer_notices_failed",
            "Notices on which an observer raised.",
            ["observer"],
            registry=registry,
        )

    def term_began(self) -> None:
        """This pod was elected."""
        self._elections.inc()

    def heartbeat(self, notice: HeartbeatSent) -> None:
        """A heartbeat of a worker in this process was answered."""
        self._delay.observe(max(0.0, notice.delay_s))
        self._running.labels(notice.worker_id).set(notice.running)
        self._capacity.labels(notice.worker_id).set(notice.capacity)
        self._own_workers[notice.worker_id] = None
        self._own_workers.move_to_end(notice.worker_id)
        if len(self._own_workers) > _MAX_OWN_WORKERS:
            oldest, _ = self._own_workers.popitem(last=False)
            self._running.remove(oldest)
            self._capacity.remove(oldest)

    def store_called(self, notice: StoreCalled) -> None:
        """A step of the store was answered or refused."""
        step, outcome = self._steps.value(notice.step), self._outcomes.value(notice.outcome)
        self._store.labels(step, outcome).observe(max(0.0, notice.seconds))

    def store_writes(self, notice: StoreWrites) -> None:
        """The store no longer takes writes, or takes them again: only the current series is
        shown."""
        self._writable.clear()
        reason = "" if notice.taken else self._reasons.value(notice.reason)
        self._writable.labels(reason).set(1 if notice.taken else 0)

    def thread_outlived(self) -> None:
        """A thread went on past its timeout."""
        self._outlived.inc()

    def instants_missed(self, notice: InstantsMissed) -> None:
        """This pod reported what nobody fired."""
        reason = MissReason.UNFIRED if notice.epoch else MissReason.LEADERLESS
        self._missed.labels(reason.value).inc(len(notice.missed))

    def nobody_leads(self) -> None:
        """This pod reported that nobody leads."""
        self._leaderless.inc()

    def invariant_violated(self, notice: InvariantViolated) -> None:
        """A production assertion failed."""
        self._violations.labels(self._invariants.value(notice.name)).inc()

    def observer_trouble(self, notice: ObserverTrouble) -> None:
        """An observer lagged or raised."""
        observer = self._observers.value(notice.observer)
        self._dropped.labels(observer).inc(notice.dropped)
        self._failed.labels(observer).inc(notice.failed)
