"""The audit: every change names who, what, why, before and after; nothing is changed or lost."""

import asyncio
from typing import Any

import pytest

from dsched_api_http.acts import Act
from dsched_api_http.refusals import MAX_KEPT, WINDOW_S, Kind, Refusals
from dsched_testkit.memory import new_state

ENTRY = {"executor": "echo", "every": "1h"}


async def audit(api: Any) -> list[dict[str, Any]]:
    answer = await api.ask("GET", "/audit")
    assert answer.status == 200
    items: list[dict[str, Any]] = answer.body["items"]
    return items


async def test_each_change_is_in_the_audit_newest_first(api: Any) -> None:
    who = api.using(await api.token_of("operate"))
    await who.ask("PUT", "/configs/c", ENTRY)
    await who.ask("PUT", "/configs/c", {**ENTRY, "payload": 1})
    await who.ask("POST", "/configs/c/pause", {"reason": "release night"})
    await who.ask("POST", "/configs/c/resume", {"reason": "done"})
    await who.ask("DELETE", "/configs/c?reason=old")
    entries = await audit(api)
    told = [(one["action"], one["object"], one["reason"], one["outcome"]) for one in entries]
    assert told[:-1] == [
        ("config.delete", "c", "old", "ok"),
        ("config.resume", "c", "done", "ok"),
        ("config.pause", "c", "release night", "ok"),
        ("config.put", "c", "", "ok"),
        ("config.put", "c", "", "ok"),
    ]
    assert told[-1][0] == "token.create"
    second, first = entries[3], entries[4]
    assert first["before"] == ""
    assert first["after"] == second["before"] != second["after"]
    assert entries[0]["before"] == second["after"]
    assert {one["principal"].partition(":")[0] for one in entries[:5]} == {"test"}
    assert sorted((one["at"] for one in entries), reverse=True) == [one["at"] for one in entries]


async def test_what_was_refused_is_told_too(api: Any) -> None:
    await api.ask("PUT", "/configs/c", ENTRY)
    await api.ask("PUT", "/configs/c", {**ENTRY, "payload": 1}, {"If-Match": '"1"'})
    await api.ask("DELETE", "/configs/none")
    entries = await audit(api)
    assert [(one["action"], one["outcome"]) for one in entries] == [
        ("config.delete", "not_found"),
        ("config.put", "precondition_failed"),
        ("config.put", "ok"),
    ]


async def test_who_asks_for_more_than_it_may_is_in_the_audit(api: Any) -> None:
    who = api.using(await api.token_of("read"))
    assert (await who.ask("DELETE", "/configs/c")).status == 403
    (denied, _) = await audit(api)
    assert (denied["action"], denied["object"], denied["outcome"]) == (
        "config.delete",
        "c",
        "forbidden",
    )
    assert denied["principal"].startswith("test:")


async def test_reading_leaves_no_trace_and_no_secret_is_in_the_audit(api: Any) -> None:
    for path in ("/configs", "/workers", "/cluster", "/plugins", "/schemas/config", "/tokens"):
        assert (await api.ask("GET", path)).status == 200
    assert await audit(api) == []
    token = await api.token_of("read")
    assert token.split("_", 2)[2] not in str(await audit(api))


async def test_the_audit_pages(api: Any) -> None:
    for number in range(5):
        await api.ask("PUT", f"/configs/c-{number}", ENTRY)
    first = await api.ask("GET", "/audit?limit=3")
    rest = await api.ask("GET", f"/audit?limit=3&cursor={first.body['cursor']}")
    objects = [one["object"] for one in first.body["items"] + rest.body["items"]]
    assert objects == [f"c-{number}" for number in reversed(range(5))]
    assert rest.body["cursor"] is None


async def test_an_entry_is_kept_for_ninety_days(api: Any) -> None:
    await api.ask("PUT", "/configs/c", ENTRY)
    state = api.pod.store.inner._state
    real = state.wall
    day_ms = 24 * 3600 * 1000
    state.wall = lambda: real() + 90 * day_ms - 60_000
    assert len(await audit(api)) == 1
    state.wall = lambda: real() + 90 * day_ms
    assert await audit(api) == []


async def test_refusals_of_one_kind_are_counted_together_so_that_reading_cannot_fill_the_audit(
    serve: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched_api_http.audit.CHECK_S", 0.05)
    monkeypatch.setattr("dsched_api_http.refusals.WINDOW_S", 1.0)
    async with serve() as api:
        who = api.using(await api.token_of("read"))
        sent = [who.ask("DELETE", f"/configs/c-{number}") for number in range(200)]
        assert {one.status for one in await asyncio.gather(*sent)} == {403}

        async def told() -> Any:
            found = [one for one in await audit(api) if one["outcome"] == "forbidden"]
            return found if sum(one["count"] for one in found) == 200 else None

        entries = await eventually(told)
        assert len(entries) < 10
        assert entries[-1]["count"] == 1
        assert entries[0]["object"].startswith("c-")
        assert {one["action"] for one in entries} == {"config.delete"}


async def test_what_was_counted_is_in_the_audit_also_where_the_pod_leaves(serve: Any) -> None:
    state = new_state()
    async with serve(state=state) as api:
        for _ in range(3):
            await api.ask("DELETE", "/configs/none")
        assert [one["count"] for one in await audit(api)] == [1]
    async with serve(state=state) as api:
        assert [one["count"] for one in await audit(api)] == [2, 1]


def test_refusals_that_go_on_are_told_once_a_minute_and_others_at_once() -> None:
    refusals = Refusals()
    one, other = Kind("eve", "config.delete", "forbidden"), Kind("eve", "token.create", "forbidden")
    assert refusals.first(one, Act(object="a"), 0.0)
    assert refusals.due(WINDOW_S - 1) == []
    assert not refusals.first(one, Act(object="b"), 1.0)
    assert refusals.first(other, Act(), 1.0)
    (several,) = refusals.due(WINDOW_S)
    assert (several.kind, several.count, several.last.object) == (one, 1, "b")
    assert not refusals.first(one, Act(object="c"), WINDOW_S + 1)
    assert [each.count for each in refusals.due(2 * WINDOW_S)] == [1]
    assert refusals.due(3 * WINDOW_S) == []
    assert refusals.first(one, Act(object="d"), 3 * WINDOW_S)


def test_few_kinds_of_refusals_are_kept_and_none_is_lost() -> None:
    refusals = Refusals()
    for number in range(MAX_KEPT + 50):
        for _ in range(2):
            refusals.first(Kind(f"p-{number}", "a", "forbidden"), Act(), 0.0)
    assert sum(one.count for one in refusals.due(1.0)) == 50
    assert sum(one.count for one in refusals.rest()) == MAX_KEPT
