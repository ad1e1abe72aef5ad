"""Coming instants, with what daylight saving does to them."""

from typing import Any

import pytest

GAP = "moved by the gap of 1h: 02:30 does not exist on 2027-03-28 (clocks jump from 02:00 to 03:00)"


async def preview(api: Any, **body: Any) -> list[tuple[str, str]]:
    answer = await api.ask("POST", "/preview", body)
    assert answer.status == 200, answer.text
    return [(one["local"], one["note"]) for one in answer.body["items"]]


async def test_the_next_instants_of_a_config(api: Any) -> None:
    entry = {"executor": "echo", "cron_expr": "0 2 * * *", "timezone": "Europe/Berlin"}
    await api.ask("PUT", "/configs/c", entry)
    answer = await api.ask("GET", "/configs/c/upcoming?from=2027-01-01T00:00:00Z&limit=2")
    assert answer.body == {
        "items": [
            {
                "time": "2027-01-01T01:00:00.000Z",
                "local": "2027-01-01T02:00:00+01:00",
                "note": "",
            },
            {
                "time": "2027-01-02T01:00:00.000Z",
                "local": "2027-01-02T02:00:00+01:00",
                "note": "",
            },
        ],
        "truncated": True,
    }
    span = "?from=2027-01-01T01:00:00Z&to=2027-01-03T01:00:00Z"
    answer = await api.ask("GET", f"/configs/c/upcoming{span}")
    assert (len(answer.body["items"]), answer.body["truncated"]) == (3, False)


async def test_an_instant_in_the_gap_says_that_it_was_moved(api: Any) -> None:
    found = await preview(
        api,
        cron_expr="30 2 * * *",
        timezone="Europe/Berlin",
        **{"from": "2027-03-27T00:00:00Z"},
        limit=3,
    )
    assert found == [
        ("2027-03-27T02:30:00+01:00", ""),
        ("2027-03-28T03:00:00+02:00", GAP),
        ("2027-03-29T02:30:00+02:00", ""),
    ]


async def test_an_instant_that_occurs_twice_says_which_it_is(api: Any) -> None:
    asked = {
        "cron_expr": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "from": "2027-10-30T22:30:00Z",
        "limit": 2,
    }
    first = await preview(api, **asked)
    assert first == [
        (
            "2027-10-31T02:30:00+02:00",
            "first of two 02:30: clocks go back; the second does not fire",
        ),
        ("2027-11-01T02:30:00+01:00", ""),
    ]
    both = await preview(api, **asked, dst_overlap="both")
    assert both[1] == (
        "2027-10-31T02:30:00+01:00",
        "second of two 02:30: clocks go back; both fire",
    )


async def test_other_triggers_are_previewed_too(api: Any) -> None:
    start = {"from": "2027-01-01T00:00:00Z"}
    every = await preview(api, every="1h", start_at="2027-01-01T00:30:00Z", **start, limit=2)
    assert [local for local, _ in every] == [
        "2027-01-01T00:30:00+00:00",
        "2027-01-01T01:30:00+00:00",
    ]
    assert len(await preview(api, at="2027-02-01T00:00:00Z", **start)) == 1
    assert await preview(api, at="2026-02-01T00:00:00Z", **start) == []


async def test_at_most_a_thousand_are_told(api: Any) -> None:
    entry = {"executor": "echo", "every": "1s"}
    await api.ask("PUT", "/configs/c", entry)
    span = "?from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z"
    answer = await api.ask("GET", f"/configs/c/upcoming{span}")
    assert (len(answer.body["items"]), answer.body["truncated"]) == (1000, True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cron_expr": "61 * * * *"},
        {"cron_expr": "* * * * *", "every": "1h"},
        {"cron_expr": "* * * * *", "timezone": "Mars/Olympus"},
        {"every": "1ms"},
        {"at": "2027-01-01T00:00:00"},
        {"every": "1h", "limit": 1001},
        {"every": "1h", "from_": "2027-01-01T00:00:00Z"},
        {"every": "1h", "executor": "echo"},
        {"every": "1h", "id": "a b"},
    ],
)
async def test_a_trigger_that_cannot_be_meant_is_refused(api: Any, body: Any) -> None:
    assert (await api.ask("POST", "/preview", body)).status == 422
