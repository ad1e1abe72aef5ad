"""The audit: every change names who, what, why, before and after; nothing is changed or lost."""

from typing import Any

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
