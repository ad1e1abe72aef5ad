"""What the tests of this distribution share: real pages, scraped over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count

import aiohttp
import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dsched.contracts import Event, EventKind, LogEntry, PodStatus, Store
from dsched.model import JsonValue
from dsched_metrics_prometheus import plugin
from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import MetricsOptions

Labels = frozenset[tuple[str, str]]


@attrs.define
class Pod:
    """A pod as the page sees it. Its store must not be touched."""

    ready: bool = True
    draining: bool = False

    @property
    def store(self) -> Store:
        raise AssertionError("the page touched the store")

    def status(self) -> PodStatus:
        return PodStatus(
            name="pod-a",
            roles=frozenset({"metrics"}),
            ready=self.ready,
            leading=False,
            draining=self.draining,
            detail="redis at 10.0.0.7 is away",
        )


class Samples(dict[tuple[str, Labels], float]):
    """The samples of one scrape; those that are not on the page are None."""

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.get((name, frozenset(labels.items())))

    def names(self) -> set[str]:
        return {name for name, _ in self}


def _parse(page: str) -> Samples:
    return Samples(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
    )


@attrs.define
class Scraped:
    """An open observer and its page."""

    observer: Metrics
    url: str
    http: aiohttp.ClientSession
    pod: Pod

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def scrape(self) -> Samples:
        status, text = await self.get("/metrics")
        assert status == 200
        return _parse(text)


@asynccontextmanager
async def _open_page(**options: object) -> AsyncIterator[Scraped]:
    """Open both by their providers, as dsched does, and run the page on a free port."""
    chosen = MetricsOptions(**{"port": 0, **options})  # type: ignore[arg-type]
    (observers,) = plugin.dsched_observers()
    (services,) = plugin.dsched_services()
    pod = Pod()
    async with (
        observers.open(chosen) as observer,
        services.open(chosen) as page,
        aiohttp.ClientSession() as http,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(page.run(pod))
        await _until(lambda: page.address is not None or running.done())  # type: ignore[attr-defined]
        host, port = page.address  # type: ignore[attr-defined]
        try:
            yield Scraped(observer, f"http://{host}:{port}", http, pod)  # type: ignore[arg-type]
        finally:
            running.cancel()


@pytest.fixture
def open_page() -> Callable[..., AbstractAsyncContextManager[Scraped]]:
    """``async with open_page(max_configs=2) as page``: an observer and a page beside it."""
    return _open_page


@pytest.fixture
def read() -> Callable[[Metrics], Samples]:
    """The samples that metrics would show, without a page."""
    return lambda metrics: _parse(metrics.render().decode())


@pytest.fixture
def entry() -> Callable[..., LogEntry]:
    """``entry(kind, *items)``: a log entry, with a cursor of its own unless one is given."""
    return _entry


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


_cursors: Iterator[int] = count(1)


def _entry(kind: EventKind, *items: dict[str, JsonValue], cursor: str | None = None) -> LogEntry:
    at = cursor or f"1700000000000-{next(_cursors)}"
    return LogEntry(event=Event(cursor=at, kind=kind, at_ms=1, by="1:t:pod", items=items))
