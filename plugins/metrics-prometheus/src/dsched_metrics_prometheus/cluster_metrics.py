"""The leader's picture of the whole cluster, shown by the leader's pod only."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dsched.contracts import ClusterGauges, TermChanged
from dsched.model import Worker, demand_of


class ClusterMetrics(Collector):
    """Shows the last picture while this pod leads, and nothing otherwise.

    So sum() over all pods is right. A picture that is not renewed in time is dropped too: the
    notice that the term is over may have been lost.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        stale_after_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stale_after_s = stale_after_s
        self._monotonic = monotonic
        self._epochs: dict[str, int] = {}  # by leading pod: those of this process, so one or none
        self._picture: tuple[ClusterGauges, float] | None = None
        registry.register(self)

    def term_changed(self, notice: TermChanged) -> None:
        """A term of this pod begins or ends; the picture belongs to the term."""
        if notice.leading:
            self._epochs = {**self._epochs, notice.pod: notice.epoch}
            return
        self._epochs = {pod: at for pod, at in self._epochs.items() if pod != notice.pod}
        if not self._epochs:
            self._picture = None

    def show(self, picture: ClusterGauges) -> None:
        """Replace the picture."""
        self._picture = (picture, self._monotonic())

    def describe(self) -> Iterable[Metric]:
        """The names and meanings, without values."""
        return [*_leader_families({}), *_families(None)]

    def collect(self) -> Iterable[Metric]:
        """The current values. May run in another thread: each attribute is read once."""
        epochs, picture = self._epochs, self._picture
        if picture is not None and self._monotonic() - picture[1] > self._stale_after_s:
            picture = None
        return [*_leader_families(epochs), *_families(picture[0] if picture else None)]


def _leader_families(epochs: dict[str, int]) -> list[Metric]:
    leading = GaugeMetricFamily(
        "dsched_is_leader", "1 while this pod leads, else 0; the sum over pods should be 1."
    )
    leading.add_metric([], len(epochs))
    epoch = GaugeMetricFamily(
        "dsched_leader_epoch",
        "The epoch of the current term, which only grows; from the leading pod only.",
        labels=["pod"],
    )
    for pod, at in epochs.items():
        epoch.add_metric([pod], at)
    return [leading, epoch]


def _families(picture: ClusterGauges | None) -> list[Metric]:
    """The cluster's gauges; without a picture none has a value."""
    tasks = GaugeMetricFamily(
        "dsched_tasks", "Tasks in the store, by status; ended ones until pruned.", labels=["status"]
    )
    waiting = GaugeMetricFamily(
        "dsched_tasks_at_home", "Tasks that have not ended, by home.", labels=["home"]
    )
    oldest = GaugeMetricFamily(
        "dsched_oldest_ready_task_age_seconds",
        "How long the oldest ready task has waited for a worker.",
    )
    unrunnable = GaugeMetricFamily(
        "dsched_unrunnable_tasks",
        "Tasks that wait for a worker that nobody is, by reason; at least so many.",
        labels=["reason"],
    )
    if picture is not None:
        for one in picture.unrunnable:
            unrunnable.add_metric([one.reason], one.tasks)
        for status, number in picture.tasks_by_status.items():
            tasks.add_metric([str(status)], number)
        for home, number in picture.waiting_by_home.items():
            waiting.add_metric([str(home)], number)
        oldest.add_metric([], picture.oldest_ready_age_s)
    workers = None if picture is None else picture.workers
    return [
        tasks,
        waiting,
        oldest,
        unrunnable,
        *_blocked_families(picture),
        *_limit_families(picture),
        *_demand_families(picture),
        *_fleet_families(workers),
        *_worker_families(workers or ()),
    ]


def _blocked_families(picture: ClusterGauges | None) -> list[Metric]:
    """What no worker can run now, by why, and of which classes most waits."""
    classes = GaugeMetricFamily(
        "dsched_blocked_classes",
        "Classes of tasks (what they demand of a worker) that no worker can run now: nobody has "
        "it, or those that have are full.",
        labels=["kind"],
    )
    tasks = GaugeMetricFamily(
        "dsched_blocked_tasks", "Tasks of these classes that wait.", labels=["kind"]
    )
    longest = GaugeMetricFamily(
        "dsched_blocked_seconds", "For how long the longest of them has been so.", labels=["kind"]
    )
    worst = GaugeMetricFamily(
        "dsched_blocked_class_tasks",
        "The same of the 20 classes with the most tasks.",
        labels=["kind", "demands"],
    )
    lasted = GaugeMetricFamily(
        "dsched_blocked_class_seconds",
        "For how long these classes have been so.",
        labels=["kind", "demands"],
    )
    if picture is not None:
        for kind, found in picture.blocked.items():
            classes.add_metric([kind], found.classes)
            tasks.add_metric([kind], found.tasks)
            longest.add_metric([kind], found.lasted_s)
        for one in picture.worst:
            worst.add_metric([one.kind, one.demands], one.tasks)
            lasted.add_metric([one.kind, one.demands], one.lasted_s)
    return [classes, tasks, longest, worst, lasted]


def _limit_families(picture: ClusterGauges | None) -> list[Metric]:
    """Of the limits and instances under which most waits what they let, hold and keep waiting."""
    most = GaugeMetricFamily(
        "dsched_limit_max_running",
        "Of the 20 limits and instances under which most tasks wait: how many may be in hand.",
        labels=["limit"],
    )
    held = GaugeMetricFamily(
        "dsched_limit_held", "How many of their tasks are in workers' hands.", labels=["limit"]
    )
    waiting = GaugeMetricFamily(
        "dsched_limit_waiting", "How many tasks wait under them.", labels=["limit"]
    )
    oldest = GaugeMetricFamily(
        "dsched_limit_oldest_waiting_seconds",
        "For how long the oldest of these has waited.",
        labels=["limit"],
    )
    for one in () if picture is None else picture.limits:
        if one.max_running is not None:
            most.add_metric([one.name], one.max_running)
        held.add_metric([one.name], one.held)
        waiting.add_metric([one.name], one.waiting)
        oldest.add_metric([one.name], one.oldest_s)
    return [most, held, waiting, oldest]


def _demand_families(picture: ClusterGauges | None) -> list[Metric]:
    """What an autoscaler asks for."""
    slots = GaugeMetricFamily(
        "dsched_demand_slots", "Tasks that run and that could run now: a slot each."
    )
    wanted = GaugeMetricFamily(
        "dsched_wanted_workers", "How many workers of their mean size these would fill."
    )
    if picture is not None:
        demand = demand_of(picture.waiting_by_home, picture.workers, nobody=picture.nobody)
        slots.add_metric([], demand.slots)
        wanted.add_metric([], demand.wanted_workers)
    return [slots, wanted]


def _fleet_families(workers: tuple[Worker, ...] | None) -> list[Metric]:
    online = GaugeMetricFamily("dsched_workers_online", "Workers whose heartbeat is in time.")
    by_status = GaugeMetricFamily(
        "dsched_workers",
        "Registered workers by status; silent: a heartbeat is missing, gone: none within "
        "its timeout.",
        labels=["status"],
    )
    if workers is not None:
        online.add_metric([], sum(not (worker.silent or worker.gone) for worker in workers))
        tally = Tally(map(_status, workers))
        for status in ("idle", "busy", "draining", "silent", "gone"):
            by_status.add_metric([status], tally[status])
    return [online, by_status]


def _status(worker: Worker) -> str:
    """The worker's status; ``silent`` or ``gone`` if it is not heard of, since it is then
    unknown."""
    if worker.gone:
        return "gone"
    return "silent" if worker.silent else worker.status.value


def _worker_families(workers: tuple[Worker, ...]) -> list[Metric]:
    running = GaugeMetricFamily(
        "dsched_worker_running_tasks", "Attempts running on the worker.", labels=["worker"]
    )
    capacity = GaugeMetricFamily(
        "dsched_worker_capacity", "Attempts the worker may run at once.", labels=["worker"]
    )
    depth = GaugeMetricFamily(
        "dsched_worker_queue_depth", "Tasks waiting in the worker's queue.", labels=["worker"]
    )
    for worker in workers:
        running.add_metric([worker.id], worker.running)
        capacity.add_metric([worker.id], worker.capacity)
        depth.add_metric([worker.id], worker.queued)
    return [running, capacity, depth]
