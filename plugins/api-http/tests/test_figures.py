"""The figures of a pod, fetched from its API."""

from typing import Any

import attrs
import pytest

from dsched.contracts import Scrape, Scraped


async def test_the_figures_of_the_metrics_plugin_are_shown_to_who_may_read(cluster: Any) -> None:
    answer = await cluster.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "dsched_store_step_seconds_count" in answer.text
    stranger = await cluster.using("").ask("GET", "/metrics")
    assert stranger.status == 401


class Counting:
    """An observer of a stranger's, that has a page."""

    def notify(self, notice: object) -> None:
        """Nothing to note."""

    def scrape(self) -> Scrape:
        return Scrape(content_type="text/plain", body=b"mine 1\n")


def test_an_observer_with_a_page_is_known_by_its_method() -> None:
    assert isinstance(Counting(), Scraped)
    assert not isinstance(object(), Scraped)


async def test_a_pod_without_figures_says_what_would_have_some(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.pod, "_plan", attrs.evolve(api.pod._plan, observers={}))
    answer = await api.ask("GET", "/metrics")
    assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert "dsched-metrics-prometheus" in answer.body["hint"]
