"""Who declares a config: refused by name, adopted when asked, orphaned only by its own origin."""

from typing import Any

import pytest

ENTRY = {"executor": "echo", "payload": {"a": 1}, "cron_expr": "0 2 * * *"}
OTHER = {**ENTRY, "payload": 2}
FILE = "/configs/report?origin=file:nightly"


async def test_only_its_origin_changes_a_config_unless_it_is_adopted(api: Any) -> None:
    made = await api.ask("PUT", FILE, ENTRY)
    assert (made.status, made.body["origin"]) == (201, "file:nightly")
    assert "origin" not in made.body["spec"]
    for method, path in (
        ("PUT", "/configs/report"),
        ("PUT", "/configs/report?dry_run=true"),
        ("PUT", "/configs/report?origin=code:shop"),
        ("PATCH", "/configs/report"),
    ):
        refused = await api.ask(method, path, OTHER)
        assert (refused.status, refused.body["code"]) == (409, "origin_conflict"), path
        assert "file:nightly" in refused.body["detail"]
        assert "adopt" in refused.body["detail"]
    adopted = await api.ask("PUT", "/configs/report?adopt=true", OTHER)
    assert (adopted.status, adopted.body["origin"]) == (200, "api")
    assert (await api.ask("PUT", FILE, ENTRY)).status == 409


async def test_a_dry_run_shows_the_config_as_it_would_be(api: Any) -> None:
    made = await api.ask("PUT", FILE, ENTRY)
    dry = await api.ask("PUT", f"{FILE}&dry_run=true", OTHER)
    assert (dry.status, dry.headers["X-Dsched-Outcome"]) == (200, "changed")
    assert dry.body["spec"]["payload"] == 2
    assert dry.body["revision"] == made.body["revision"]
    assert (await api.ask("GET", "/configs/report")).body == made.body


async def test_an_orphan_says_so_and_is_one_of_its_own_origin_only(api: Any) -> None:
    await api.ask("PUT", FILE, ENTRY)
    body = {"reason": "no longer in the file", "orphan_of": "file:other"}
    refused = await api.ask("POST", "/configs/report/pause", body)
    assert (refused.status, refused.body["code"]) == (409, "origin_conflict")
    body["orphan_of"] = "file:nightly"
    orphaned = await api.ask("POST", "/configs/report/pause", body)
    assert (orphaned.status, orphaned.body["orphaned"]) == (200, True)
    assert orphaned.body["paused"]["who"] == "orphan"
    resumed = await api.ask("POST", "/configs/report/resume")
    assert (resumed.body["orphaned"], resumed.body["paused"]) == (False, None)
    paused = await api.ask("POST", "/configs/report/pause", {"reason": "by hand"})
    assert paused.body["orphaned"] is False


async def test_a_delete_may_say_whose_it_must_be(api: Any) -> None:
    await api.ask("PUT", FILE, ENTRY)
    refused = await api.ask("DELETE", "/configs/report?origin=code:shop")
    assert (refused.status, refused.body["code"]) == (409, "origin_conflict")
    assert (await api.ask("DELETE", "/configs/report?origin=file:nightly")).status == 204


@pytest.mark.parametrize("origin", ["", "git:x", "file:", "code:a b"])
async def test_what_is_no_origin_is_refused_by_its_field(api: Any, origin: str) -> None:
    refused = await api.ask("PUT", "/configs/report", ENTRY, params={"origin": origin})
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "origin")
