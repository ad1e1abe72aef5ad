"""Lists of tasks and configs by pattern, label, owner, status and window."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

CONFIGS = {
    "etl-a": {"labels": {"team": "data", "tier": "1"}, "owner": "ann"},
    "etl-b": {"labels": {"team": "data"}, "owner": "bob"},
    "web": {"labels": {"team": "web", "tier": "1"}, "owner": "ann"},
}


async def put_all(served: Any, payload: Any = None) -> None:
    for name, fields in CONFIGS.items():
        body = {"executor": "echo", "at": "2090-01-01T00:00:00Z", "payload": payload, **fields}
        made = await served.ask("PUT", f"/configs/{name}", body)
        assert made.status == 201, made.text


async def ids(served: Any, query: str, limit: int = 50, of: str = "tasks") -> list[str]:
    """The ids of all pages of a list."""
    found, more = [], ""
    for _ in range(40):
        page = await served.ask("GET", f"/{of}?limit={limit}&{query}{more}")
        assert page.status == 200, (query, page.text)
        assert len(page.body["items"]) <= limit
        found += [one["id"] for one in page.body["items"]]
        if page.body["cursor"] is None:
            return found
        more = f"&cursor={page.body['cursor']}"
    raise AssertionError(f"the pages of {query} have no end")


async def ran(served: Any, eventually: Any) -> dict[str, tuple[str, str]]:
    """Two tasks of each config that ended one after the other, the first badly: their ids and
    ends by config and status, the oldest first."""
    found = {}
    for word, payload in (("failed", {"fail": "as told"}), ("success", 1)):
        for config in CONFIGS:
            changed = await served.ask("PATCH", f"/configs/{config}", {"payload": payload})
            assert changed.status == 200, changed.text
            made = await served.ask("POST", f"/configs/{config}/trigger", {})
            ended = await served.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
            assert ended.body["status"] == word
            found[f"{config} {word}"] = (ended.body["id"], ended.body["end_time"])

    async def listed() -> bool:
        return len(await ids(served, "config=*")) == len(found)

    await eventually(listed)  # the collector makes the lists
    return found


async def test_tasks_are_listed_by_each_filter_alone_and_together(
    cluster: Any, eventually: Any
) -> None:
    await put_all(cluster)
    tasks = await ran(cluster, eventually)
    newest = [task_id for task_id, _ in sorted(tasks.values(), key=lambda one: one[1])][::-1]

    def those(*wanted: str) -> list[str]:
        return [one for one in newest if one in {tasks[name][0] for name in wanted}]

    def both(*configs: str) -> list[str]:
        return those(*(f"{one} {word}" for one in configs for word in ("success", "failed")))

    for limit in (1, 2, 50):
        for query, wanted in (
            ("config=*", newest),
            ("config=etl-*", both("etl-a", "etl-b")),
            ("config=etl-a", both("etl-a")),
            ("config=etl-a&status=failed", those("etl-a failed")),
            ("label=team%3Ddata", both("etl-a", "etl-b")),
            ("label=team%3Ddata&label=tier%3D1", both("etl-a")),
            ("label=team%3Dnobody", []),
            ("owner=ann", both("etl-a", "web")),
            ("owner=ann&status=failed", those("etl-a failed", "web failed")),
            ("config=etl-*&owner=ann", both("etl-a")),
            ("config=etl-*&label=tier%3D1&owner=ann&status=success", those("etl-a success")),
            ("config=etl-*&label=tier%3D1&owner=bob", []),
            ("status=failed", those("etl-a failed", "etl-b failed", "web failed")),
            ("live_of=*", []),
            ("status=running", []),
            ("config=etl-*&status=running", []),
        ):
            assert await ids(cluster, query, limit) == wanted, query


async def test_a_window_is_of_the_end_and_narrows_every_list_of_what_ended(
    cluster: Any, eventually: Any
) -> None:
    await put_all(cluster)
    tasks = await ran(cluster, eventually)
    ends = sorted((end, task_id) for task_id, end in tasks.values())
    begin, end = quote(ends[1][0]), quote(ends[4][0])
    inside = [task_id for _, task_id in ends[1:4]][::-1]
    for query in ("config=*", "label=team%3Ddata&config=*", "owner=ann", "config=etl-a", ""):
        every = await ids(cluster, query)
        wanted = [one for one in every if one in inside]
        assert await ids(cluster, f"{query}&since={begin}&until={end}", 2) == wanted, query
    failed = [one for one in await ids(cluster, "status=failed") if one in inside]
    assert await ids(cluster, f"status=failed&since={begin}&until={end}") == failed
    late = (datetime.fromisoformat(ends[-1][0]) + timedelta(seconds=1)).isoformat()
    assert await ids(cluster, f"config=*&since={quote(late)}") == []
    assert await ids(cluster, f"until={begin}") == [ends[0][1]]


async def test_what_waits_or_runs_is_listed_of_the_configs_that_are_meant(
    cluster: Any, eventually: Any
) -> None:
    for name, fields in CONFIGS.items():
        body = {"executor": "echo", "every": "1s", "payload": {"wait": True}, **fields}
        made = await cluster.ask("PUT", f"/configs/{name}", body)
        assert made.status == 201, made.text

    async def running() -> list[str]:
        return await ids(cluster, "status=running")

    async def all_run() -> bool:
        return len(await running()) == len(CONFIGS)

    await eventually(all_run)
    live = {one.partition("@")[0]: one for one in await running()}
    for limit in (1, 50):
        for query, wanted in (
            ("live_of=*", ["etl-a", "etl-b", "web"]),
            ("live_of=etl-*", ["etl-a", "etl-b"]),
            ("live_of=etl-a", ["etl-a"]),
            ("live_of=etl-*&owner=bob", ["etl-b"]),
            ("live_of=*&label=tier%3D1", ["etl-a", "web"]),
            ("config=etl-*&status=running", ["etl-a", "etl-b"]),
            ("owner=ann&status=running", ["etl-a", "web"]),
            ("owner=ann&status=running&since=2090-01-01T00:00:00Z", ["etl-a", "web"]),
            ("owner=ann&status=pending", []),
            ("live_of=*&status=retrying", []),
        ):
            assert await ids(cluster, query, limit) == [live[one] for one in wanted], query
    # What runs has not ended: it lies in each window that has no end, and in no other.
    assert set(live.values()) <= set(await ids(cluster, "since=2090-01-01T00:00:00Z"))
    assert not set(live.values()) & set(await ids(cluster, "until=2090-01-01T00:00:00Z"))


async def test_configs_are_listed_by_the_same_filters(api: Any) -> None:
    await put_all(api)
    for limit in (1, 2, 50):
        for query, wanted in (
            ("", ["etl-a", "etl-b", "web"]),
            ("config=etl-*", ["etl-a", "etl-b"]),
            ("config=web", ["web"]),
            ("config=gone", []),
            ("label=team%3Ddata", ["etl-a", "etl-b"]),
            ("label=tier%3D1&label=team%3Dweb", ["web"]),
            ("owner=ann", ["etl-a", "web"]),
            ("owner=", []),
            ("owner=ann&config=etl-*&recent=3", ["etl-a"]),
        ):
            assert await ids(api, query, limit, "configs") == wanted, query


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("config=e*l", "config", "etl-*"),
        ("config=*etl", "config", "star"),
        ("config=%40*", "config", "begins like"),
        ("live_of=e*l", "live_of", "star"),
        ("config=a&live_of=a", "live_of", "keep one"),
        ("config=a*&live_of=a*", "live_of", "keep one"),
        ("label=team", "label", "KEY=VALUE"),
        ("label=%3Dx", "label", "KEY=VALUE"),
        ("label=a%3D1&label=a%3D2", "label", "two values"),
        ("status=nothing", "status", "running"),
        ("config=a*&status=nothing", "status", "running"),
        ("status=pending", "status", "several homes"),
        ("status=retrying&since=2026-01-02T00:00:00Z", "status", "config=*"),
        ("live_of=a*&status=failed", "status", "config"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until", "later"),
        ("config=a&since=2026-01-02T00:00:00Z&until=2026-01-02T00:00:00Z", "until", "later"),
        ("since=yesterday", "since", "no date"),
        ("since=2026-01-02T00:00:00", "since", "offset"),
        ("home=ready&config=a", "config", "home"),
        ("home=ready&owner=a", "owner", "home"),
        ("home=ready&label=a%3D1", "label", "home"),
        ("home=ready&since=2026-01-02T00:00:00Z", "since", "home"),
        ("worker=w&until=2026-01-02T00:00:00Z", "until", "home"),
        ("live_of=a&until=2026-01-02T00:00:00Z", "until", "ends"),
        ("status=running&until=2026-01-02T00:00:00Z", "until", "ends"),
        (f"owner={'x' * 257}", "owner", "256"),
        ("&".join(f"label=k{n}%3D1" for n in range(65)), "label", "64"),
        ("owner=a&owner=b", "owner", "twice"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_what_and_why(
    api: Any, query: str, field: str, said: str
) -> None:
    refused = await api.ask("GET", f"/tasks?{query}")
    assert (refused.status, refused.body["code"]) == (422, "invalid"), refused.text
    (error,) = refused.body["errors"]
    assert (error["field"], said in error["reason"]) == (field, True), error


@pytest.mark.parametrize("query", ["config=e*l", "label=team", f"owner={'x' * 257}"])
async def test_what_no_config_can_be_is_refused(api: Any, query: str) -> None:
    refused = await api.ask("GET", f"/configs?{query}")
    assert (refused.status, refused.body["code"]) == (422, "invalid"), refused.text


async def test_a_selection_of_too_many_configs_is_refused(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched.selecting.selection.MAX_SELECTED", 2)
    await put_all(api)
    refused = await api.ask("GET", "/tasks?config=*")
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "config")
    assert "more than 2 configs" in refused.body["errors"][0]["reason"]
    assert await ids(api, "config=etl-*") == []


async def test_a_cursor_of_another_question_is_refused(cluster: Any, eventually: Any) -> None:
    await put_all(cluster)
    await ran(cluster, eventually)
    asked = "config=*&owner=ann&since=2020-01-01T00:00:00Z"
    page = await cluster.ask("GET", f"/tasks?{asked}&limit=1")
    cursor = page.body["cursor"]
    assert (await cluster.ask("GET", f"/tasks?{asked}&cursor={cursor}")).status == 200
    for other in (
        "config=*&owner=ann",
        "config=*&owner=bob&since=2020-01-01T00:00:00Z",
        "config=etl-*&owner=ann&since=2020-01-01T00:00:00Z",
        f"{asked}&status=failed",
        f"{asked}&label=tier%3D1",
        f"{asked}&until=2090-01-01T00:00:00Z",
        "config=*&owner=ann&since=2021-01-01T00:00:00Z",
        "",
    ):
        refused = await cluster.ask("GET", f"/tasks?{other}&cursor={cursor}")
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, "cursor"), other
    page = await cluster.ask("GET", "/configs?owner=ann&limit=1")
    refused = await cluster.ask("GET", f"/configs?owner=bob&cursor={page.body['cursor']}")
    assert refused.status == 422


async def test_the_order_of_labels_changes_no_question(api: Any) -> None:
    await put_all(api)
    await api.ask("PUT", "/configs/x", {"executor": "echo", "every": "1h", **CONFIGS["etl-a"]})
    page = await api.ask("GET", "/configs?label=team%3Ddata&label=tier%3D1&limit=1")
    cursor = page.body["cursor"]
    rest = await api.ask("GET", f"/configs?label=tier%3D1&label=team%3Ddata&cursor={cursor}")
    assert [one["id"] for one in rest.body["items"]] == ["x"]


async def test_a_page_over_many_configs_and_few_that_are_meant_ends(api: Any) -> None:
    async with asyncio.timeout(50):
        for first in range(0, 300, 100):
            items = [
                {"id": f"c{n:03}", "executor": "echo", "every": "1h"}
                for n in range(first, first + 100)
            ]
            made = await api.ask("POST", "/configs/batch", {"items": items})
            assert made.status == 207, made.text
        await put_all(api)
        assert await ids(api, "label=tier%3D1", 1, "configs") == ["etl-a", "web"]
        assert await ids(api, "label=tier%3D1") == []
