"""Registers the observer ``alerts`` with dsched."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Observer, ObserverProvider, hookimpl
from dsched_alerts.options import AlertOptions

NAME = "alerts"


@hookimpl
def dsched_observers() -> Iterable[ObserverProvider]:
    """The observer that posts alerts."""
    return [ObserverProvider(name=NAME, open=_open, options=AlertOptions)]


@asynccontextmanager
async def _open(options: AlertOptions) -> AsyncIterator[Observer]:
    # The HTTP client is imported when opened: listing plugins costs neither its time nor memory.
    from dsched_alerts.observer import open_alerts

    async with open_alerts(options) as observer:
        yield observer
