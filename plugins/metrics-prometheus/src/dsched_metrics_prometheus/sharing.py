"""One set of metrics for the observer and the page, which dsched opens separately."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import MetricsOptions


@attrs.define
class _Entry:
    metrics: Metrics
    users: int = 0


_entries: dict[MetricsOptions, _Entry] = {}
_lock = threading.Lock()


@contextmanager
def shared_metrics(options: MetricsOptions) -> Iterator[Metrics]:
    """The metrics of these options: made by the first who opens them, dropped by the last.

    Observer and page come in any order. Several pods of one process with equal options have one
    page between them, which then shows them together.
    """
    with _lock:
        entry = _entries.get(options)
        if entry is None:
            entry = _entries[options] = _Entry(Metrics(options))
        entry.users += 1
    try:
        yield entry.metrics
    finally:
        with _lock:
            entry.users -= 1
            if entry.users == 0:
                del _entries[options]
