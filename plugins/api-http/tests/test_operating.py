"""What operators ask for over HTTP: skip, backfill, call a worker back, change the leader."""

from typing import Any

import pytest

HOURLY = {"executor": "echo", "cron_expr": "0 * * * *", "overlap": "allow"}
WHY = {"reason": "maintenance"}


async def test_instants_to_come_are_skipped_one_or_a_span_of_them(api: Any) -> None:
    await api.ask("PUT", "/configs/c", HOURLY)
    one = await api.ask("POST", "/configs/c/skip", {"at": "2099-01-01T05:00:00Z", **WHY})
    assert one.body == {
        "skipped": 1,
        "first": "2099-01-01T05:00:00.000Z",
        "last": "2099-01-01T05:00:00.000Z",
    }
    span = {"from": "2099-01-01T06:00:00Z", "to": "2099-01-01T08:30:00Z", **WHY}
    answer = await api.ask("POST", "/configs/c/skip", span)
    assert answer.body["skipped"] == 3
    why = await api.ask("GET", "/configs/c/why?at=2099-01-01T05:00:00Z")
    assert "maintenance" in why.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"at": "2099-01-01T05:00:00Z"}, 422),
        ({"at": "2099-01-01T05:00:00Z", "reason": " "}, 422),
        ({**WHY}, 422),
        ({"from": "2099-01-01T05:00:00Z", **WHY}, 422),
        ({"at": "2099-01-01T05:00:00Z", "from": "2099-01-01T05:00:00Z", **WHY}, 422),
        ({"at": "2099-01-01T05:30:00Z", **WHY}, 422),
        ({"at": "2020-01-01T05:00:00Z", **WHY}, 409),
        ({"from": "2099-01-01T00:00:00Z", "to": "2099-02-01T00:00:00Z", **WHY}, 422),
        ({"at": "2099-01-01T05:00:00Z", "why": "x", **WHY}, 422),
    ],
)
async def test_a_skip_that_cannot_be_is_refused(api: Any, body: Any, status: int) -> None:
    await api.ask("PUT", "/configs/c", HOURLY)
    answer = await api.ask("POST", "/configs/c/skip", body)
    assert answer.status == status, answer.text
    if "05:30" in body.get("at", ""):
        assert "2099-01-01T06:00:00.000Z" in answer.text  # the neighbours are named


async def test_past_instants_are_run_after_a_dry_run_has_told_them(api: Any) -> None:
    await api.ask("PUT", "/configs/c", HOURLY)
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T02:30:00Z", **WHY}
    dry = await api.ask("POST", "/configs/c/backfill", {**span, "dry_run": True})
    assert (dry.status, dry.body["count"], dry.body["done"]) == (200, 3, True)
    assert (await api.client.counts()).by_home.get("ready", 0) == 0
    done = await api.ask("POST", "/configs/c/backfill", span)
    assert done.body["tasks"] == dry.body["tasks"]
    again = await api.ask("POST", "/configs/c/backfill", span)
    assert (again.body["count"], len(again.body["known"])) == (0, 3)
    part = await api.ask("POST", "/configs/c/backfill", {**span, "limit": 2, "key": "again"})
    assert (part.body["count"], part.body["done"]) == (2, False)
    assert part.body["next_from"] == "2026-01-01T02:00:00.000Z"


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"to": "2025-01-01T00:00:00Z"},
        {"limit": 1001},
        {"key": "a b"},
        {"key": "k" * 41},
        {"from": "2026-01-01"},
    ],
)
async def test_a_backfill_that_cannot_be_is_refused(api: Any, changes: Any) -> None:
    await api.ask("PUT", "/configs/c", HOURLY)
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T02:30:00Z", **WHY}
    assert (await api.ask("POST", "/configs/c/backfill", span | changes)).status == 422


async def test_verbs_about_nothing_are_not_found(api: Any) -> None:
    skip = {"at": "2099-01-01T05:00:00Z", **WHY}
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T02:30:00Z", **WHY}
    assert (await api.ask("POST", "/configs/none/skip", skip)).status == 404
    assert (await api.ask("POST", "/configs/none/backfill", span)).status == 404
    assert (await api.ask("POST", "/workers/none/resume")).status == 404
    assert (await api.ask("POST", "/cluster/step-down", WHY)).status == 404  # nobody leads


async def test_a_drained_worker_is_called_back(cluster: Any, eventually: Any) -> None:
    async def worker() -> Any:
        return (await cluster.ask("GET", "/workers")).body["items"]

    worker_id = (await eventually(worker))[0]["id"]
    drained = await cluster.ask("POST", f"/workers/{worker_id}/drain", WHY)
    assert drained.body["draining"] is True
    back = await cluster.ask("POST", f"/workers/{worker_id}/resume", WHY)
    assert (back.status, back.body["draining"]) == (200, False)


async def test_a_leader_steps_down_and_the_term_is_in_the_list(
    cluster: Any, eventually: Any
) -> None:
    async def leader() -> Any:
        return (await cluster.ask("GET", "/cluster")).body["leader"]

    before = await eventually(leader)
    done = await cluster.ask("POST", "/cluster/step-down", WHY)
    assert (done.status, done.body) == (202, {"pod": before["pod"]})
    (term,) = (await cluster.ask("GET", "/cluster/terms")).body["items"][-1:]
    assert (term["epoch"], term["how"], term["why"]) == (
        before["epoch"],
        "stepped_down",
        "maintenance",
    )


async def test_every_pod_that_runs_is_listed(cluster: Any, eventually: Any) -> None:
    async def pods() -> Any:
        return (await cluster.ask("GET", "/cluster/pods")).body["items"]

    (pod,) = await eventually(pods)
    assert pod["name"] == "pod-a"
    assert set(pod["roles"]) == {"api", "scheduler", "worker"}
