"""The page over HTTP: probes, taken ports, shutdown; and what opening and listing cost."""

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import entry_points
from typing import Any

import aiohttp
import pytest

from dsched_metrics_prometheus import plugin
from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import DEFAULT_PORT, MetricsOptions
from dsched_metrics_prometheus.page import MetricsPage, PageError


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of loopback that somebody else listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


@pytest.fixture
def taken_default_port() -> Iterator[None]:
    """Somebody listens on the default port: this test, or whoever was first on this machine."""
    try:
        other = socket.create_server(("127.0.0.1", DEFAULT_PORT))
    except OSError:
        yield
        return
    with closing(other):
        yield


async def test_the_page_is_in_the_text_format_that_prometheus_reads(open_page: Any) -> None:
    async with open_page() as page, page.http.get(page.url + "/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert answer.headers["Content-Type"].count("version=") == 1
        assert "# TYPE dsched_task_run_seconds histogram" in await answer.text()


async def test_livez_answers_without_the_store_and_whether_ready_or_not(open_page: Any) -> None:
    async with open_page() as page:
        page.pod.ready = False
        assert await page.get("/livez") == (200, "alive\n")


async def test_readyz_says_whether_the_pod_is_ready_and_names_nothing(open_page: Any) -> None:
    async with open_page() as page:
        assert await page.get("/readyz") == (200, "ready\n")
        page.pod.ready = False
        assert await page.get("/readyz") == (503, "not ready\n")
        page.pod.draining = True
        assert await page.get("/readyz") == (503, "draining\n")


async def test_anything_else_is_not_there(open_page: Any) -> None:
    async with open_page() as page:
        assert (await page.get("/"))[0] == 404
        async with page.http.post(page.url + "/metrics") as answer:
            assert answer.status == 405


async def test_many_scrapes_at_once_are_all_answered(open_page: Any) -> None:
    async with open_page() as page, asyncio.timeout(5):
        pages = await asyncio.gather(*(page.scrape() for _ in range(20)))
    assert all(each.value("dsched_is_leader") == 0 for each in pages)


async def test_a_taken_default_port_is_a_warning_and_the_page_stays_off(
    taken_default_port: None, caplog: pytest.LogCaptureFixture
) -> None:
    options = MetricsOptions()
    page = MetricsPage(Metrics(options), options)
    with caplog.at_level(logging.INFO):
        async with asyncio.TaskGroup() as group, asyncio.timeout(5):
            running = group.create_task(page.run(None))  # type: ignore[arg-type]
            while not caplog.records:
                await asyncio.sleep(0.005)
            assert page.address is None
            # Idle: were it to end or raise, dsched would start it again and again.
            done, _ = await asyncio.wait([running], timeout=0.05)
            assert not done
            running.cancel()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "9464" in record.getMessage()
    assert "Set metrics.port" in record.getMessage()


async def test_a_taken_port_that_was_asked_for_is_an_error_that_says_what_to_do(
    taken_port: int,
) -> None:
    options = MetricsOptions(port=taken_port)
    page = MetricsPage(Metrics(options), options)
    with pytest.raises(PageError, match=rf"port {taken_port}: .*in use.*metrics\.port to a free"):
        await asyncio.wait_for(page.run(None), 5)  # type: ignore[arg-type]


async def test_the_default_port_given_by_hand_is_a_port_that_was_asked_for(
    taken_default_port: None,
) -> None:
    options = MetricsOptions(port=DEFAULT_PORT)
    with pytest.raises(PageError, match="cannot listen"):
        await asyncio.wait_for(MetricsPage(Metrics(options), options).run(None), 5)  # type: ignore[arg-type]


async def test_an_address_of_another_host_is_an_error_that_says_what_to_do() -> None:
    options = MetricsOptions(bind="192.0.2.1", port=0)  # a documentation address
    with pytest.raises(PageError, match=r"listen on 192\.0\.2\.1 .* metrics\.bind to an address"):
        await asyncio.wait_for(MetricsPage(Metrics(options), options).run(None), 5)  # type: ignore[arg-type]


async def test_it_may_listen_on_all_addresses(open_page: Any) -> None:
    async with open_page(bind="0.0.0.0") as page:
        assert page.url.startswith("http://0.0.0.0:")
        assert (await page.get("/livez"))[0] == 200


async def test_a_cancelled_page_frees_its_port_at_once_and_passes_the_cancellation_on() -> None:
    options = MetricsOptions(port=0)
    page = MetricsPage(Metrics(options), options)
    async with asyncio.timeout(5), aiohttp.ClientSession() as http:
        running = asyncio.create_task(page.run(None))  # type: ignore[arg-type]
        while page.address is None:
            await asyncio.sleep(0.005)
        host, port = page.address
        async with http.get(f"http://{host}:{port}/metrics") as answer:  # stays connected
            assert answer.status == 200
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert page.address is None
    socket.create_server((host, port)).close()


@pytest.mark.parametrize("first", ["observer", "page"])
async def test_observer_and_page_share_their_metrics_whichever_is_opened_first(first: str) -> None:
    options = MetricsOptions(port=0)
    (observers,) = plugin.dsched_observers()
    (services,) = plugin.dsched_services()
    opened = [observers.open(options), services.open(MetricsOptions(port=0))]
    if first == "page":
        opened.reverse()
    async with opened[0] as one, opened[1] as other:
        page, observer = (one, other) if first == "page" else (other, one)
        assert page._metrics is observer  # type: ignore[union-attr]
    async with observers.open(options) as later:
        assert later is not observer  # a pod that starts again starts from 0


async def test_pods_of_one_process_with_other_options_have_metrics_of_their_own() -> None:
    (observers,) = plugin.dsched_observers()
    async with (
        observers.open(MetricsOptions(port=7001)) as one,
        observers.open(MetricsOptions(port=7002)) as other,
    ):
        assert one is not other


@pytest.mark.parametrize(
    ("option", "value"),
    [("bind", " "), ("port", -1), ("port", 65536), ("max_configs", -1), ("stale_after_s", 0.0)],
)
def test_an_option_out_of_range_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option} is "):
        MetricsOptions(**{option: value})


def test_the_plugin_is_installed_as_an_observer_and_a_service_of_one_section() -> None:
    (point,) = entry_points(group="dsched", name="metrics")
    assert point.load() is plugin
    (observer,), (service,) = plugin.dsched_observers(), plugin.dsched_services()
    assert observer.name == service.name == "metrics"
    assert observer.options is service.options is MetricsOptions


def test_listing_the_plugin_imports_no_client() -> None:
    code = (
        "import sys; from dsched_metrics_prometheus import plugin; "
        "plugin.dsched_observers(); plugin.dsched_services(); "
        "print([m for m in ('aiohttp', 'prometheus_client') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
