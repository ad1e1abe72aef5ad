"""Calendars over HTTP: what configs go by, with those configs, and what ends soon."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from dsched.contracts.store.configs import StoredConfig
from dsched.model import Calendar, DatedDays, NamedDays, TaskConfig
from dsched_api_http.calendar_views import MAX_NAMED, calendars_of
from dsched_api_http.routes import calendars

TODAY = datetime.now(UTC).date()
WEEKEND = {"name": "weekend", "weekdays": ["sat", "sun"]}


def _ahead(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


async def _put(cluster: Any, name: str, **calendar: Any) -> None:
    entry = {"executor": "echo", "every": "1h", "calendar": calendar}
    made = await cluster.ask("PUT", f"/configs/{name}", entry)
    assert made.status == 201, made.text


async def test_calendars_are_listed_with_the_configs_that_go_by_them(cluster: Any) -> None:
    dates = {_ahead(-9): "Past", f"{_ahead(-2)}/{_ahead(2)}": "Between", _ahead(40): "Ahead"}
    holidays = {"name": "bavaria", "dates": dates, "until": _ahead(41)}
    await _put(cluster, "one", skip=[WEEKEND, holidays])
    await _put(cluster, "two", skip=[holidays])
    await _put(cluster, "three", only=[WEEKEND])
    found = (await cluster.ask("GET", "/calendars")).body
    assert (found["complete"], found["cursor"]) == (True, None)
    bavaria, weekend = found["items"]
    assert bavaria == {
        "name": "bavaria",
        "weekdays": [],
        "dates": 3,
        "coming": [
            {"first": _ahead(-2), "last": _ahead(2), "name": "Between"},
            {"first": _ahead(40), "last": _ahead(40), "name": "Ahead"},
        ],
        "until": _ahead(41),
        "ending": False,
        "skip": ["one", "two"],
        "skipped_by": 2,
        "only": [],
        "only_for": 0,
    }
    assert (weekend["weekdays"], weekend["until"]) == (["sat", "sun"], None)
    assert (weekend["skip"], weekend["only"]) == (["one"], ["three"])
    await cluster.ask("DELETE", "/configs/three")
    left = (await cluster.ask("GET", "/calendars")).body["items"][1]
    assert (left["only"], left["only_for"]) == ([], 0)


async def test_days_that_differ_under_one_name_are_told_apart_and_what_ends_soon_is_said(
    cluster: Any,
) -> None:
    for name, days in (("old", 10), ("new", 400)):
        until = {"until": _ahead(days)}
        await _put(cluster, name, skip=[{"name": "shop", "dates": [_ahead(3)], **until}])
    found = (await cluster.ask("GET", "/calendars")).body["items"]
    assert {one["skip"][0]: one["ending"] for one in found} == {"old": True, "new": False}
    assert [one["name"] for one in found] == ["shop", "shop"]


async def test_calendars_are_listed_page_by_page(cluster: Any) -> None:
    for name in "abcde":
        await _put(cluster, name, skip=[{**WEEKEND, "name": f"cal-{name}"}])
    names, cursor = [], ""
    while cursor is not None:
        page = (await cluster.ask("GET", f"/calendars?limit=2{cursor}")).body
        assert len(page["items"]) <= 2
        names += [one["name"] for one in page["items"]]
        cursor = page["cursor"] and f"&cursor={page['cursor']}"
    assert names == [f"cal-{name}" for name in "abcde"]
    other = await cluster.ask("GET", "/calendars?cursor=nonsense")
    assert (other.status, other.body["errors"][0]["field"]) == (422, "cursor")


async def test_more_configs_than_are_looked_at_are_said_to_be_not_all(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "MAX_CONFIGS", 1)
    monkeypatch.setattr(calendars, "STORE_PAGE", 1)
    for name in ("one", "two"):
        await _put(cluster, name, skip=[WEEKEND])
    found = (await cluster.ask("GET", "/calendars")).body
    assert (found["complete"], found["items"][0]["skip"]) == (False, ["one"])


def test_of_very_many_configs_some_are_named_and_all_are_counted() -> None:
    days = NamedDays(name="all", dates=(DatedDays(date(2030, 1, 1), date(2030, 1, 1)),))
    calendar = Calendar(skip=(days,))
    configs = [
        StoredConfig(
            config=TaskConfig(
                id=f"c{n:03}", executor="echo", every=timedelta(hours=1), calendar=calendar
            ),
            due_ms=None,
        )
        for n in range(100)
    ]
    ((view,), more) = calendars_of(configs, TODAY, after=None, limit=5)
    assert (len(view.skip), view.skipped_by, more) == (MAX_NAMED, 100, None)
