"""Whatever a leader, and those who listen to it, remember between two steps has a bound.

Counted, not timed: each is fed far more of what is new each time than it may keep.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

import attrs
import pytest
from prometheus_client import CollectorRegistry

from dsched.contracts.observer import LogEntry
from dsched.contracts.store import codec
from dsched.contracts.store.dispatching import Deferral
from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.statistics import HOUR_MS, MAX_COUNTED_WORKERS
from dsched.engine import assertions, observers
from dsched.engine.leader import assignment, crashes, dispatching
from dsched.engine.leader.counting import CountedWorkers
from dsched.model import TaskConfig
from dsched_alerts import judging
from dsched_alerts.options import AlertOptions
from dsched_metrics_prometheus import share_metrics, task_metrics
from dsched_metrics_prometheus.task_metrics import TaskMetrics

pytestmark = pytest.mark.timeout(120)

MAX_CONFIGS = 50


def kept_by(thing: object, seen: set[int] | None = None) -> int:
    """How many entries all collections have that are reached from here by fields of dsched's
    own."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, str | bytes):
        return 0
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        return len(thing) + sum(kept_by(one, seen) for one in thing.values())
    if isinstance(thing, Collection):
        return len(thing) + sum(kept_by(one, seen) for one in thing)
    if not type(thing).__module__.startswith("dsched"):
        return 0
    fields = getattr(thing, "__dict__", None)
    if fields is None:
        fields = {name: getattr(thing, name, None) for name in getattr(thing, "__slots__", ())}
    return sum(kept_by(one, seen) for one in fields.values())


def entry(kind: str, number: int, **item: object) -> Event:
    return Event(
        cursor=f"{number}-0",
        kind=EventKind(kind),
        at_ms=number,
        by=f"w{number}.17.0.1" if kind == "claimed" else f"w{number}",
        items=({"task": f"c{number}@{number}", **item},),
    )


def the_assertions() -> tuple[object, Callable[[int], object], int]:
    watch = assertions.AttemptWatch(assertions.Assertions(observers.Announcer({})))

    def claims(n: int) -> None:
        watch.entries([entry("claimed", n, attempt=1)])  # and never ends

    return watch, claims, assertions.MAX_FOLLOWED


def the_reasons() -> tuple[object, Callable[[int], object], int]:
    assigner = assignment.Assigner("none", None)  # type: ignore[arg-type]
    step = dispatching.DispatchStep(None, None, assigner)  # type: ignore[arg-type]

    def defers(n: int) -> None:
        deferral = Deferral(task_id="t", delay_ms=1, reason=f"deferred: no worker has for={n}")
        step._say_deferred([deferral])

    return step, defers, dispatching.MAX_REASONS


def the_crashes() -> tuple[object, Callable[[int], object], int]:
    memory = crashes.CrashMemory()
    # A list of one task for each process, and the processes.
    return memory, lambda n: memory.reaped(f"t{n}", f"w{n}.17.0.1"), 2 * crashes.MAX_KNOWN


def the_crashes_of_one() -> tuple[object, Callable[[int], object], int]:
    memory = crashes.CrashMemory()
    return memory, lambda n: memory.reaped(f"t{n}", "w.17.0.1"), 1 + crashes.MAX_TAKEN


def the_counted_workers() -> tuple[object, Callable[[int], object], int]:
    counted = CountedWorkers()
    return counted, lambda n: counted.key(f"w{n}", HOUR_MS * (n // 5000)), MAX_COUNTED_WORKERS


def the_metrics() -> tuple[object, Callable[[int], object], int]:
    metrics = TaskMetrics(CollectorRegistry(), max_configs=MAX_CONFIGS)
    fixed = kept_by(metrics)

    def completes(n: int) -> None:
        metrics.count(entry("completed", n, status="failed", attempt=1, run=5))
        reason = f"reason {n}"
        item = {"config": f"c{n}", "first": 1, "last": 1, "count": 1, "reason": reason}
        metrics.count(attrs.evolve(entry("skipped", n), cursor=f"{n}-1", items=(item,)))

    # An outcome and a place for each worker; configs and reasons; cursors are pairs.
    bound = 3 * task_metrics._REMEMBERED_ENTRIES + 2 * share_metrics.MAX_WORKERS
    return metrics, completes, fixed + bound + MAX_CONFIGS + task_metrics._MAX_REASONS


def the_alerts() -> tuple[object, Callable[[int], object], int]:
    options = AlertOptions(late_after=timedelta(milliseconds=1))
    judge = judging.Judge(options)

    def fails(n: int) -> None:
        judge.judge(LogEntry(event=entry("completed", n, status="failed", attempt=1)), n)
        late = {"config": f"c{n}", "ms": n, "late": 5000}
        event = attrs.evolve(entry("fired", n), cursor=f"{n}-1", items=(late,))
        judge.judge(LogEntry(event=event), n)

    # What was seen; failures, each with its instants; what was posted, a pair each.
    return judge, fails, 6 * judging.MAX_KEYS + 100


@pytest.mark.parametrize(
    "make",
    [
        the_assertions,
        the_reasons,
        the_crashes,
        the_crashes_of_one,
        the_counted_workers,
        the_metrics,
        the_alerts,
    ],
)
def test_what_is_remembered_stops_growing(make):
    thing, feed, bound = make()
    for n in range(25_000):
        feed(n)
    first = kept_by(thing)
    assert 0 < first <= bound
    for n in range(25_000, 30_000):
        feed(n)
    assert kept_by(thing) <= max(first, bound)


def test_labels_of_metrics_stop_growing():
    registry = CollectorRegistry()
    metrics = TaskMetrics(registry, max_configs=MAX_CONFIGS)

    def feed(numbers: range) -> int:
        for n in numbers:
            metrics.count(entry("completed", n, status="success", attempt=1, run=5))
            metrics.count(attrs.evolve(entry("reaped", n, worker=f"dead{n}"), cursor=f"{n}-r"))
        return sum(len(family.samples) for family in registry.collect())

    feed(range(2000))
    assert feed(range(2000, 3000)) == feed(range(3000, 4000))


def test_the_queue_of_an_observer_that_takes_nothing_stops_growing():
    lane = observers._Lane("slow", object())  # type: ignore[arg-type]
    for n in range(observers.QUEUE_SIZE + 500):
        lane.put(LogEntry(event=entry("claimed", n, attempt=1)))
    assert isinstance(lane._queue, deque)
    assert len(lane._queue) == observers.QUEUE_SIZE
    assert lane.dropped == 500


def test_configs_that_are_read_are_kept_for_a_while_only():
    for n in range(6000):
        config = TaskConfig(id=f"c{n}", executor="local", cron_expr="@hourly")
        codec.read_config(codec.write_config(config), revision=1, created_ms=1, updated_ms=1)
    info = codec.read_config.cache_info()
    assert info.currsize == info.maxsize < 6000
