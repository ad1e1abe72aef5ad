"""Registers the observer and the service ``metrics`` with dsched."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Observer, ObserverProvider, Service, ServiceProvider, hookimpl
from dsched_metrics_prometheus.options import MetricsOptions

NAME = "metrics"


@hookimpl
def dsched_observers() -> Iterable[ObserverProvider]:
    """The observer that keeps the metrics."""
    return [ObserverProvider(name=NAME, open=_open_observer, options=MetricsOptions)]


@hookimpl
def dsched_services() -> Iterable[ServiceProvider]:
    """The page they are scraped from, with the probes."""
    return [ServiceProvider(name=NAME, open=_open_page, options=MetricsOptions, before=_before)]


# The clients are imported when opened: listing plugins costs neither their time nor their memory.


@asynccontextmanager
async def _open_observer(options: MetricsOptions) -> AsyncIterator[Observer]:
    from dsched_metrics_prometheus.sharing import shared_metrics

    with shared_metrics(options) as metrics:
        yield metrics


@asynccontextmanager
async def _open_page(options: MetricsOptions) -> AsyncIterator[Service]:
    from dsched_metrics_prometheus.page import MetricsPage
    from dsched_metrics_prometheus.sharing import shared_metrics

    with shared_metrics(options) as metrics:
        yield MetricsPage(metrics, options)


@asynccontextmanager
async def _before(options: MetricsOptions, why: Callable[[], str]) -> AsyncIterator[object]:
    from dsched_metrics_prometheus.waiting import answering

    async with answering(options, why) as address:
        yield address
