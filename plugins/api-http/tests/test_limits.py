"""Limits over HTTP: put, listed, read with who holds and waits for their places, deleted."""

from typing import Any

import pytest

from dsched_api_http import limit_sums


async def _uses(cluster: Any, limit_id: str) -> dict[str, tuple[int, int]]:
    found = await cluster.ask("GET", f"/limits/{limit_id}?limit=500")
    return {one["name"]: (one["held"], one["waiting"]) for one in found.body["uses"]}


async def _submit(cluster: Any, task_id: str, *limits: str) -> None:
    body = {"id": task_id, "executor": "echo", "payload": {"wait": True}, "limits": limits}
    made = await cluster.ask("POST", "/tasks", body)
    assert made.status == 201, made.text


async def test_a_limit_is_put_listed_read_and_deleted(cluster: Any) -> None:
    put = await cluster.ask("PUT", "/limits/crm-api", {"max_running": 5})
    assert (put.status, put.body) == (
        200,
        {"id": "crm-api", "max_running": 5, "rate": None, "burst": None, "changed": True},
    )
    again = await cluster.ask("PUT", "/limits/crm-api", {"max_running": 5})
    assert again.body["changed"] is False
    await cluster.ask("PUT", "/limits/tenant", {"max_running": 2})
    own = await cluster.ask("PUT", "/limits/tenant:acme", {"max_running": 7})
    assert own.body["id"] == "tenant:acme"
    first = await cluster.ask("GET", "/limits?limit=2")
    rest = await cluster.ask("GET", f"/limits?limit=2&cursor={first.body['cursor']}")
    assert [
        (one["id"], one["max_running"]) for one in first.body["items"] + rest.body["items"]
    ] == [
        ("crm-api", 5),
        ("tenant", 2),
        ("tenant:acme", 7),
    ]
    assert rest.body["cursor"] is None
    got = await cluster.ask("GET", "/limits/crm-api")
    bounds = {"max_running": 5, "rate": None, "burst": None, "origin": "api"}
    assert got.body == {"id": "crm-api", **bounds, "uses": [], "cursor": None}
    assert (await cluster.ask("DELETE", "/limits/crm-api")).status == 204
    assert (await cluster.ask("GET", "/limits/crm-api")).status == 404
    tried = {"max_running": 1, "reason": "the vendor asked"}
    await cluster.ask("PUT", "/limits/tried", tried)
    assert (await cluster.ask("DELETE", "/limits/tried?reason=a%20trial")).status == 204
    acts = (await cluster.ask("GET", "/audit")).body["items"]
    assert [one["reason"] for one in acts if one["action"] == "limit.delete"] == ["a trial", ""]
    assert "the vendor asked" in [one["reason"] for one in acts if one["action"] == "limit.put"]
    told = [(one["action"], one["object"]) for one in acts if one["action"].startswith("limit.")]
    assert told[:3] == [
        ("limit.delete", "tried"),
        ("limit.put", "tried"),
        ("limit.delete", "crm-api"),
    ]
    assert told.count(("limit.put", "crm-api")) == 2


async def test_a_limit_tells_who_holds_places_and_who_waits_page_by_page(
    cluster: Any, eventually: Any
) -> None:
    await cluster.ask("PUT", "/limits/tenant", {"max_running": 1})
    for at in range(2):
        for tenant in ("a", "b", "c"):
            await _submit(cluster, f"{tenant}-{at}", f"tenant:{tenant}")

    async def full() -> bool:
        wanted = {f"tenant:{tenant}": (1, 1) for tenant in ("a", "b", "c")}
        return await _uses(cluster, "tenant") == wanted

    await eventually(full)
    names, cursor = [], ""
    while cursor is not None:
        page = await cluster.ask("GET", f"/limits/tenant?limit=2{cursor}")
        assert len(page.body["uses"]) <= 2
        names += [one["name"] for one in page.body["uses"]]
        cursor = page.body["cursor"] and f"&cursor={page.body['cursor']}"
    assert names == ["tenant:a", "tenant:b", "tenant:c"]
    other = await cluster.ask("GET", "/limits/tenant?cursor=nonsense")
    assert other.status in (400, 422)
    cluster.echo.gate.set()
    for at in range(2):
        for tenant in ("a", "b", "c"):
            ended = await cluster.ask("GET", f"/tasks/{tenant}-{at}/wait?timeout=20s")
            assert ended.body["status"] == "success"
    assert await _uses(cluster, "tenant") == {}


async def test_a_limit_in_use_is_deleted_only_by_force(cluster: Any, eventually: Any) -> None:
    await cluster.ask("PUT", "/limits/crm", {"max_running": 1})
    for task_id in ("one", "two"):
        await _submit(cluster, task_id, "crm")

    async def full() -> bool:
        return (await _uses(cluster, "crm")).get("crm") == (1, 1)

    await eventually(full)
    refused = await cluster.ask("DELETE", "/limits/crm")
    assert (refused.status, refused.body["code"]) == (409, "conflict")
    assert "delete it with force" in refused.body["detail"]
    assert (await cluster.ask("DELETE", "/limits/crm?force=true")).status == 204

    async def both_run() -> bool:
        found = [await cluster.ask("GET", f"/tasks/{one}") for one in ("one", "two")]
        return [one.body["status"] for one in found] == ["running"] * 2

    await eventually(both_run)
    cluster.echo.gate.set()


async def test_what_is_no_limit_is_refused_with_the_reason(cluster: Any) -> None:
    for path, body, field, words in (
        ("/limits/crm", {"max_running": -1}, "max_running", "0 to"),
        ("/limits/crm", {"max_running": "many"}, "max_running", ""),
        ("/limits/crm", {}, "max_running", ""),
        ("/limits/crm", {"max_running": 1, "rate": 3}, "rate", ""),
        ("/limits/crm", {"rate": "0/1m"}, "rate", "set max_running to 0"),
        ("/limits/crm", {"rate": "often"}, "rate", "write it like 100/1m"),
        ("/limits/crm", {"max_running": 1, "burst": 2}, "burst", "give a rate, too"),
        ("/limits/crm", {"rate": "1/1s", "burst": 0}, "burst", "1 to"),
        ("/limits/crm", {"max_running": 1, "rates": "1/1s"}, "rates", ""),
        ("/limits/a%20b", {"max_running": 1}, "id", "1 to 64 of"),
        ("/limits/crm:", {"max_running": 1}, "id", "no instance"),
    ):
        refused = await cluster.ask("PUT", path, body)
        assert refused.status == 422, (path, body, refused.text)
        (error,) = refused.body["errors"]
        assert error["field"] == field, (path, body)
        assert words in error["reason"]
    for method in ("GET", "DELETE"):
        for path in ("/limits/none", "/limits/a%20b"):
            missing = await cluster.ask(method, path)
            assert (missing.status, missing.body["code"]) == (404, "not_found")
    unknown = await cluster.ask("POST", "/tasks", {"executor": "echo", "limits": ["crn"]})
    assert unknown.status == 422
    assert "there is no limit 'crn'" in unknown.text


async def test_an_item_of_a_batch_whose_limit_is_not_there_refuses_no_other(cluster: Any) -> None:
    await cluster.ask("PUT", "/limits/crm", {"max_running": 2})
    items = [
        {"id": name, "executor": "echo", "limits": [limit]}
        for name, limit in (("good", "crm:x"), ("bad", "crn:x"), ("fine", "crm"))
    ]
    made = await cluster.ask("POST", "/tasks/batch", {"items": items})
    assert [(one["id"], one["outcome"]) for one in made.body["items"]] == [
        ("good", "OK"),
        ("bad", "INVALID"),
        ("fine", "OK"),
    ]
    assert "there is no limit 'crn'" in made.body["items"][1]["problem"]["detail"]
    entry = {"every": "1h", "executor": "echo", "limits": ["crn"]}
    refused = await cluster.ask("PUT", "/configs/one", entry)
    assert refused.status == 422
    assert "there is no limit 'crn'" in refused.body["detail"]
    told = await cluster.ask("POST", "/configs/batch", {"items": [{"id": "one", **entry}]})
    assert "there is no limit 'crn'" in told.body["items"][0]["problem"]["detail"]


async def _sums(cluster: Any, query: str = "uses=2") -> dict[str, Any]:
    found = await cluster.ask("GET", f"/limits?{query}")
    assert found.status == 200, found.text
    return {one["id"]: one["use"] for one in found.body["items"]}


async def test_the_list_tells_how_full_limits_are_over_all_their_instances(
    cluster: Any, eventually: Any
) -> None:
    await cluster.ask("PUT", "/limits/crm", {"max_running": 3})
    await cluster.ask("PUT", "/limits/quiet", {"max_running": 1})
    await cluster.ask("PUT", "/limits/tenant", {"max_running": 1})
    await cluster.ask("PUT", "/limits/tenant:own", {"max_running": 9})
    for task_id, name in (
        ("a1", "tenant:a"),
        ("a2", "tenant:a"),
        ("a3", "tenant:a"),
        ("b1", "tenant:b"),
        ("o1", "tenant:own"),
        ("c1", "crm"),
    ):
        await _submit(cluster, task_id, name)
    wanted = {
        "crm": {"held": 1, "waiting": 0, "names": 1, "full": 0, "complete": True},
        "quiet": {"held": 0, "waiting": 0, "names": 0, "full": 0, "complete": True},
        "tenant": {"held": 2, "waiting": 2, "names": 2, "full": 2, "complete": True},
        "tenant:own": {"held": 1, "waiting": 0, "names": 1, "full": 0, "complete": True},
    }

    async def all_there() -> bool:
        found = await _sums(cluster)
        return {
            key: {name: value for name, value in use.items() if name != "fullest"}
            for key, use in found.items()
        } == wanted

    await eventually(all_there)
    found = await _sums(cluster, "uses=1")
    assert found["tenant"]["fullest"] == [
        {
            "name": "tenant:a",
            "held": 1,
            "waiting": 2,
            "max_running": 1,
            "tokens": None,
            "next_token_in_ms": None,
        }
    ]
    uses = (await cluster.ask("GET", "/limits/tenant")).body["uses"]
    assert {one["name"]: one["max_running"] for one in uses} == {
        "tenant:a": 1,
        "tenant:b": 1,
        "tenant:own": 9,
    }
    # Read page by page, an instance whose own record is on another page counts as that record.
    (first,) = (await cluster.ask("GET", "/limits?uses=2&limit=1")).body["items"]
    assert first["use"]["held"] == 1
    paged = await cluster.ask("GET", "/limits?uses=2&limit=3")
    assert paged.body["items"][2]["use"] == (await _sums(cluster))["tenant"]
    plain = await cluster.ask("GET", "/limits")
    assert all("use" not in one for one in plain.body["items"])
    refused = await cluster.ask("GET", "/limits?uses=21")
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "uses")
    cluster.echo.gate.set()


async def test_more_names_than_are_read_are_said_to_be_not_all(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(limit_sums, "MAX_NAMES", 2)
    monkeypatch.setattr(limit_sums, "PAGE", 2)
    for limit in ("crm", "tenant"):
        await cluster.ask("PUT", f"/limits/{limit}", {"max_running": 1})
    for at, name in enumerate(("crm", "tenant:a", "tenant:b")):
        await _submit(cluster, f"t{at}", name)

    async def all_run() -> bool:
        uses = await _uses(cluster, "tenant") | await _uses(cluster, "crm")
        return uses == dict.fromkeys(("crm", "tenant:a", "tenant:b"), (1, 0))

    await eventually(all_run)
    found = await _sums(cluster)
    assert {key: (one["held"], one["complete"]) for key, one in found.items()} == {
        "crm": (1, True),
        "tenant": (1, False),
    }
    cluster.echo.gate.set()


async def test_a_limit_is_of_who_declares_it_and_others_take_it_over_or_leave_it(
    cluster: Any,
) -> None:
    put = await cluster.ask("PUT", "/limits/crm?origin=file:tasks", {"max_running": 5})
    assert put.status == 200
    listed = (await cluster.ask("GET", "/limits")).body["items"]
    assert [(one["id"], one["origin"]) for one in listed] == [("crm", "file:tasks")]
    assert (await cluster.ask("GET", "/limits/crm")).body["origin"] == "file:tasks"
    other = await cluster.ask("PUT", "/limits/crm", {"max_running": 6})
    assert (other.status, other.body["type"]) == (409, "about:blank#origin_conflict")
    gone = await cluster.ask("DELETE", "/limits/crm?origin=file:more")
    assert gone.status == 409
    adopted = await cluster.ask("PUT", "/limits/crm?adopt=true", {"max_running": 6})
    assert (adopted.status, adopted.body["changed"]) == (200, True)
    assert (await cluster.ask("GET", "/limits/crm")).body["origin"] == "api"
    nonsense = await cluster.ask("PUT", "/limits/crm?origin=mine", {"max_running": 6})
    assert nonsense.status == 422
    assert (await cluster.ask("DELETE", "/limits/crm?origin=api")).status == 204
