"""Dates at the edge of the calendar, forged cursors, doubled headers: a problem, never a defect."""

from typing import Any

import pytest

ENTRY = {"executor": "echo", "every": "1h"}
EDGES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "1970-01-01T00:00:00Z",
)
TRIGGERS: tuple[dict[str, str], ...] = (
    {"every": "1h"},
    {"every": "30000d"},
    {"fixed_delay": "1h"},
    {"cron_expr": "0 0 29 2 *"},
    {"cron_expr": "* * * * * *", "timezone": "Asia/Tokyo"},
    {"cron_expr": "30 2 * * *", "timezone": "America/New_York"},
)


def sane(reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Answered or refused, but no defect, and nothing in the log."""
    assert reply.status in (200, 201, 404, 409, 412, 422), reply.text
    assert [one for one in caplog.records if one.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize("edge", EDGES)
async def test_a_date_at_the_edge_is_answered_or_refused_by_every_route(
    api: Any, edge: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = edge.replace("+", "%2B")
    for number, trigger in enumerate(TRIGGERS):
        config = f"/configs/c-{number}"
        sane(await api.ask("PUT", config, {"executor": "echo", **trigger}), caplog)
        for query in (f"?from={text}", f"?from={text}&to={text}", f"?from=2026-01-01T00:00:00Z&to={text}", f"?from={text}&to=2026-01-01T00:00:00Z"):  # fmt: skip
            sane(
                await api.ask(
                    "GET",
                    f"{config}/upcoming{query}&limit=3".replace(
                        "&limit=3", "" if "to=" in query else "&limit=3"
                    ),
                ),
                caplog,
            )
        sane(await api.ask("GET", f"{config}/why?at={text}"), caplog)
        why = {"reason": "edge"}
        for body in ({"at": edge}, {"from": edge, "to": edge}, {"from": "2026-01-01T00:00:00Z", "to": edge}, {"from": edge, "to": "2026-01-01T00:00:00Z"}):  # fmt: skip
            sane(await api.ask("POST", f"{config}/skip", body | why), caplog)
            if "from" in body:
                sane(await api.ask("POST", f"{config}/backfill", body | why), caplog)
                sane(
                    await api.ask("POST", f"{config}/backfill", body | why | {"dry_run": True}),
                    caplog,
                )
        for field in ("from", "start_at", "end_at"):
            sane(await api.ask("POST", "/preview", {**trigger, field: edge, "limit": 3}), caplog)
        for field in ("start_at", "end_at"):
            sane(
                await api.ask("PUT", f"{config}-x", {"executor": "echo", **trigger, field: edge}),
                caplog,
            )
            sane(await api.ask("GET", f"{config}-x/upcoming"), caplog)
            sane(await api.ask("GET", f"{config}-x/why?at={text}"), caplog)
    sane(await api.ask("POST", "/preview", {"at": edge}), caplog)
    sane(await api.ask("PUT", "/configs/once", {"executor": "echo", "at": edge}), caplog)
    sane(await api.ask("GET", "/configs/once"), caplog)
    sane(await api.ask("GET", "/configs/once/upcoming"), caplog)
    for query in (f"?from={text}", f"?to={text}", f"?from={text}&to={text}"):
        sane(await api.ask("GET", f"/stats{query}"), caplog)
    listed = await api.ask("GET", "/configs")
    sane(listed, caplog)
    assert listed.status == 200
