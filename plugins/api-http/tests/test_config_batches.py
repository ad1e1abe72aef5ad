"""Many configs by one request: each by itself, judged, compared and told as one alone would be."""

import asyncio
from typing import Any

import pytest

from dsched.client import Client

ENTRY = {"executor": "echo", "payload": {"a": 1}, "cron_expr": "0 2 * * *"}
PATH = "/configs/batch"


def items(*ids: str, **more: Any) -> dict[str, Any]:
    return {"items": [{"id": one, **ENTRY, **more} for one in ids]}


def said(answer: Any) -> list[tuple[str | None, str]]:
    assert answer.status == 207, answer.text
    return [(one["id"], one["outcome"]) for one in answer.body["items"]]


async def test_each_config_of_a_batch_has_an_outcome_of_its_own(api: Any) -> None:
    await api.ask("PUT", "/configs/same", ENTRY)
    await api.ask("PUT", "/configs/other", ENTRY)
    await api.ask("PUT", "/configs/theirs?origin=file:theirs", ENTRY)
    body = items("same", "other", "new", "theirs", "bad", "new", "not an id")
    body["items"][1]["payload"] = 2
    body["items"][4] |= {"timeout": "long", "nonsense": 1}
    body["items"] += [7, {**ENTRY}]
    answer = await api.ask("POST", PATH, body)
    assert said(answer) == [
        ("same", "unchanged"),
        ("other", "changed"),
        ("new", "created"),
        ("theirs", "refused"),
        ("bad", "refused"),
        ("new", "refused"),
        ("not an id", "refused"),
        (None, "refused"),
        (None, "refused"),
    ]
    problems = [one["problem"] for one in answer.body["items"][3:]]
    assert [one["code"] for one in problems] == ["origin_conflict"] + ["invalid"] * 5
    assert {one["field"] for one in problems[1]["errors"]} == {"timeout", "nonsense"}
    assert "occurs twice" in problems[2]["detail"]
    assert [one["errors"][0]["field"] for one in problems[2:]] == ["id", "id", "", "id"]
    alone = await api.ask("PUT", "/configs/bad", {**ENTRY, "timeout": "long", "nonsense": 1})
    assert problems[1] == alone.body
    for name, payload in (("same", {"a": 1}), ("other", 2), ("new", {"a": 1})):
        stored = await api.ask("GET", f"/configs/{name}")
        assert stored.body["spec"]["payload"] == payload
        told = next(one for one in answer.body["items"] if one["id"] == name)
        assert told["config"] == stored.body
    assert (await api.ask("GET", "/configs/bad")).status == 404


async def test_a_batch_may_be_repeated_as_it_is(api: Any) -> None:
    first = await api.ask("POST", PATH, items("a", "b"))
    again = await api.ask("POST", PATH, items("a", "b"))
    assert said(again) == [("a", "unchanged"), ("b", "unchanged")]
    revisions = [
        [one["config"]["revision"] for one in each.body["items"]] for each in (first, again)
    ]
    assert revisions[0] == revisions[1]


async def test_a_batch_is_of_one_origin_and_adopts_only_if_it_says_so(api: Any) -> None:
    await api.ask("POST", f"{PATH}?origin=file:one", items("a"))
    refused = await api.ask("POST", f"{PATH}?origin=file:two", items("a", "b"))
    assert said(refused) == [("a", "refused"), ("b", "created")]
    adopted = await api.ask("POST", f"{PATH}?origin=file:two&adopt=true", items("a", "b"))
    assert said(adopted) == [("a", "changed"), ("b", "unchanged")]
    origins = {one["origin"] for one in (await api.ask("GET", "/configs")).body["items"]}
    assert origins == {"file:two"}


async def test_a_dry_run_of_a_batch_tells_the_same_and_changes_nothing(api: Any) -> None:
    await api.ask("PUT", "/configs/a", ENTRY)
    await api.ask("PUT", "/configs/theirs?origin=file:theirs", ENTRY)
    before = (await api.ask("GET", "/configs")).body
    body = items("a", "b", "theirs", timeout="7s")
    dry = await api.ask("POST", f"{PATH}?dry_run=true", body)
    assert said(dry) == [("a", "changed"), ("b", "created"), ("theirs", "refused")]
    assert dry.body["items"][0]["config"]["spec"]["timeout"] == "7s"
    assert (await api.ask("GET", "/configs")).body == before
    real = await api.ask("POST", PATH, body)
    assert said(real) == said(dry)


async def test_what_is_hardly_meant_is_told_of_each_config_of_a_batch(api: Any) -> None:
    body = items("c", jitter="2h", start_deadline="1m")
    for query in ("?dry_run=true", ""):
        (put,) = (await api.ask("POST", f"{PATH}{query}", body)).body["items"]
        assert put["config"]["warnings"][0].startswith("start_deadline")


async def test_a_batch_is_one_entry_of_the_audit_with_some_names_and_a_dry_run_none(
    api: Any,
) -> None:
    await api.ask("POST", f"{PATH}?dry_run=true", items("z"))
    await api.ask("PUT", "/configs/z?dry_run=true", ENTRY)
    names = [f"config-{number:02}" for number in range(40)]
    await api.ask("POST", PATH, items(*names))
    await api.ask("POST", PATH, items(*names, executor="none"))
    refused, entry = (await api.ask("GET", "/audit")).body["items"]
    assert (entry["action"], entry["outcome"]) == ("config.put_batch", "ok")
    assert entry["object"].startswith("40 created: config-00, config-01, ")
    assert entry["object"].endswith(", and 35 more")
    assert refused["object"] == "40 refused"
    assert len(entry["after"]) == 32


async def test_there_is_no_more_room_than_there_is_for_single_ones(serve: Any) -> None:
    async with serve(max_configs=3) as api:
        await api.ask("PUT", "/configs/old", ENTRY)
        for query in ("?dry_run=true", ""):
            answer = await api.ask("POST", f"{PATH}{query}", items("a", "old", "b", "c"))
            assert said(answer) == [
                ("a", "created"),
                ("old", "unchanged"),
                ("b", "created"),
                ("c", "refused"),
            ]
        assert answer.body["items"][3]["problem"]["code"] == "quota_exceeded"


async def test_batches_that_overlap_find_no_more_room_than_there_is(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Client.counts

    async def slowly(self: Client) -> Any:
        counted = await count(self)
        for _ in range(100):
            await asyncio.sleep(0)  # the other requests may go on
        return counted

    monkeypatch.setattr(Client, "counts", slowly)
    async with serve(max_configs=3) as api:
        asked = (api.ask("POST", PATH, items(f"{one}-1", f"{one}-2")) for one in "abc")
        told = [outcome for answer in await asyncio.gather(*asked) for _, outcome in said(answer)]
        assert sorted(told) == ["created"] * 3 + ["refused"] * 3
        assert len((await api.ask("GET", "/configs")).body["items"]) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"items": [7] * 101}, "at most 100"),
        ({"items": {}}, "items"),
        ({}, "items"),
        ({"items": [], "origin": "api"}, "origin"),
    ],
)
async def test_a_body_that_cannot_be_a_batch_is_refused_whole(
    api: Any, body: Any, reason: str
) -> None:
    refused = await api.ask("POST", PATH, body)
    assert (refused.status, refused.body["code"]) == (422, "invalid")
    assert reason in refused.text


async def test_a_batch_is_for_those_who_operate_and_hides_nothing_from_them(api: Any) -> None:
    reader = api.using(await api.token_of("submit"))
    assert (await reader.ask("POST", PATH, items("a"))).status == 403
    operator = api.using(await api.token_of("operate"))
    assert said(await operator.ask("POST", PATH, items("a"))) == [("a", "created")]


async def test_a_brief_answer_has_a_config_only_where_it_says_something_new(api: Any) -> None:
    await api.ask("POST", PATH, items("same", "other"))
    body = items("same", "other", "new", "odd")
    body["items"][1]["payload"] = 2
    body["items"][3] |= {"start_deadline": "1s", "jitter": "1m"}
    whole = await api.ask("POST", f"{PATH}?dry_run=true", body)
    brief = await api.ask("POST", f"{PATH}?dry_run=true&brief=true", body)
    assert said(brief) == said(whole)
    assert whole.body["items"][3]["config"]["warnings"]
    assert [one.get("config") for one in brief.body["items"]] == [
        one["config"] if one["id"] in ("other", "odd") else None for one in whole.body["items"]
    ]
    put = await api.ask("POST", f"{PATH}?brief=true", body)
    assert said(put) == said(whole)
    assert not any("config" in one for one in put.body["items"])
    stored = await api.ask("GET", "/configs/other")
    assert stored.body["spec"] == whole.body["items"][1]["config"]["spec"]


async def test_a_brief_answer_says_all_of_what_is_refused(api: Any) -> None:
    body = items("bad", nonsense=1)
    for query in ("", "&dry_run=true"):
        whole = await api.ask("POST", f"{PATH}?origin=api{query}", body)
        brief = await api.ask("POST", f"{PATH}?brief=true{query}", body)
        assert brief.body == whole.body
        assert brief.body["items"][0]["problem"]["errors"][0]["field"] == "nonsense"
