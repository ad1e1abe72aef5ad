"""What is due by cell of time, how many slots that takes, and what was: computed, and from real
pods."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from dsched.contracts.store.configs import Pause, StoredConfig
from dsched.model import TaskConfig
from dsched_api_http import timetable
from dsched_api_http.occupancy import Due, Span, all_due, due_of, load_of, peaks_of
from dsched_api_http.spreading import minute_of, spread_of

DAY_MS = 1_767_139_200_000  # 2025-12-31T00:00Z
MINUTE = 60_000
DAY = Span(from_ms=DAY_MS, cell_ms=5 * MINUTE, cells=288)


def config(config_id: str = "one", **fields: Any) -> TaskConfig:
    return TaskConfig(id=config_id, executor="echo", created_ms=DAY_MS, **fields)


def stored(config_id: str = "one", **fields: Any) -> StoredConfig:
    return StoredConfig(config=config(config_id, **fields))


def test_instants_fall_into_their_cells() -> None:
    due = due_of(config(cron_expr="7 */6 * * *"), DAY, after_ms=0)
    assert due.by_cell(DAY) == {1: 1, 73: 1, 145: 1, 217: 1}
    assert due_of(config(cron_expr="7 */6 * * *"), DAY, after_ms=DAY.to_ms).instants == ()


@pytest.mark.parametrize("seconds", [1, 7, 60, 240, 299])
def test_what_fires_often_is_counted_as_if_each_fire_were_looked_at(seconds: int) -> None:
    often = config(every=timedelta(seconds=seconds))
    after_ms = DAY_MS + 3 * 3_600_000 + 1234
    due = due_of(often, DAY, after_ms=after_ms)
    assert due.instants == ()
    expected: dict[int, int] = {}
    for at in range(DAY_MS, DAY.to_ms, seconds * 1000):
        if at > after_ms:
            cell = DAY.cell_of(at)
            expected[cell] = expected.get(cell, 0) + 1
    assert due.by_cell(DAY) == expected


def test_an_answer_looks_at_a_bounded_number_of_instants_and_says_so() -> None:
    due = due_of(config(cron_expr="* * * * *"), DAY, after_ms=0, steps=100)
    assert (len(due.instants), due.complete) == (100, False)


def test_what_is_paused_disabled_or_waits_for_its_own_end_is_not_due() -> None:
    pause = Pause(who="ana", why="x", since_ms=0, gap_from_ms=0)
    quiet = [
        StoredConfig(config=config("a", cron_expr="* * * * *"), paused=pause),
        stored("b", cron_expr="* * * * *", enabled=False),
        stored("c", fixed_delay=timedelta(minutes=1)),
    ]
    assert all_due(quiet, DAY, after_ms=0) == []


def test_the_peak_of_a_cell_is_what_is_open_at_one_time() -> None:
    span = Span(from_ms=0, cell_ms=10, cells=4)
    assert peaks_of([(0, 1), (5, -1), (5, 1), (9, -1)], span) == [1, 0, 0, 0]
    assert peaks_of([(0, 1), (25, -1), (12, 1), (13, -1)], span) == [1, 2, 1, 0]
    assert peaks_of([(-50, 1), (20, -1)], span) == [1, 1, 0, 0]
    assert peaks_of([(-50, 1), (500, -1)], span) == [1, 1, 1, 1]
    assert peaks_of([], span) == [0, 0, 0, 0]


def test_the_load_counts_runs_that_last_into_later_cells() -> None:
    due = [
        Due(config_id="long", instants=(DAY_MS,)),
        Due(config_id="short", instants=(DAY_MS + 5 * MINUTE,)),
    ]
    cells = load_of(due, {"long": 12 * MINUTE, "short": 1}, DAY)
    assert [one.slots for one in cells[:4]] == [1, 2, 1, 0]
    assert [one.fires for one in cells[:3]] == [1, 1, 0]
    often = due_of(config(every=timedelta(seconds=10)), DAY, after_ms=0)
    assert load_of([often], {"one": 25_000}, DAY)[100].slots == 3


def test_a_minute_names_who_fires_in_it_and_what_h_would_do() -> None:
    configs = [stored(f"job-{n}", cron_expr="0 22 * * *") for n in range(40)]
    configs.append(stored("every-hour", cron_expr="0 * * * *"))
    configs.append(stored("elsewhere", cron_expr="30 22 * * *"))
    configs.append(stored("often", every=timedelta(seconds=30)))
    found = minute_of(configs, DAY_MS + 22 * 3_600_000 + 59_000)
    names = {one.config.id for one in found.firing}
    assert "elsewhere" not in names
    assert len(names) == 42
    spread = {one.config.id: one.spread for one in found.firing}
    assert spread["job-3"] is not None
    assert spread["job-3"].cron_expr == "H 22 * * *"
    assert spread["often"] is None
    before = load_of(found.due, {}, Span(from_ms=DAY_MS + 22 * 3_600_000, cell_ms=MINUTE, cells=60))
    after = load_of(
        found.due_spread, {}, Span(from_ms=DAY_MS + 22 * 3_600_000, cell_ms=MINUTE, cells=60)
    )
    assert before[0].fires == 43
    assert after[0].fires < 8
    assert sum(one.fires for one in after) == sum(one.fires for one in before)


@pytest.mark.parametrize("expression", ["*/5 * * * *", "H 2 * * *", "0 0 2 * * *", "1,2 3 * * *"])
def test_only_a_minute_that_is_one_number_can_be_spread(expression: str) -> None:
    assert spread_of(config(cron_expr=expression)) is None


def around_now() -> str:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    low, high = now - timedelta(hours=2), now + timedelta(hours=22)
    return f"from={low:%Y-%m-%dT%H:%M:%SZ}&to={high:%Y-%m-%dT%H:%M:%SZ}"


async def test_a_row_has_what_was_and_what_is_due(cluster: Any, eventually: Any) -> None:
    entry = {"executor": "echo", "every": "1h", "payload": {"n": 1}}
    await cluster.ask("PUT", "/configs/good", entry)
    bad = {**entry, "payload": {"fail": "no"}, "retry": {"max_retries": 0}}
    await cluster.ask("PUT", "/configs/bad", bad)
    await cluster.ask("PUT", "/configs/quiet", entry)
    await cluster.ask("POST", "/configs/quiet/pause", {"reason": "x"})
    for config_id in ("good", "bad"):
        made = await cluster.ask("POST", f"/configs/{config_id}/trigger")
        await cluster.ask("GET", f"/tasks/{made.body['id']}/wait?timeout=20s")
    reader = cluster.using(await cluster.token_of("read"))

    async def told() -> Any:
        found = (await reader.ask("GET", f"/timetable?{around_now()}")).body["items"]
        kinds = {row["id"]: {mark["kind"] for mark in row["marks"]} for row in found}
        ready = "success" in kinds["good"] and "failed" in kinds["bad"]
        return (found, kinds) if ready else None

    rows, kinds = await eventually(told)
    assert [row["id"] for row in rows] == ["bad", "good", "quiet"]
    assert kinds == {"bad": {"failed", "due"}, "good": {"success", "due"}, "quiet": set()}
    due = [mark["cell"] for mark in rows[1]["marks"] if mark["kind"] == "due"]
    assert len(due) >= 21
    assert [b - a for a, b in pairwise(due)] == [12] * (len(due) - 1)
    load = (await reader.ask("GET", f"/load?{around_now()}")).body
    assert len(load["cells"]) == 288
    assert load["complete"] is True
    assert sum(cell["fires"] or 0 for cell in load["cells"]) == 2 * len(due)


async def test_pages_of_a_timetable_follow_each_other(api: Any) -> None:
    for n in range(5):
        await api.ask("PUT", f"/configs/c{n}", {"executor": "echo", "every": "1h"})
    first = (await api.ask("GET", f"/timetable?{around_now()}&limit=3")).body
    rest = (
        await api.ask("GET", f"/timetable?{around_now()}&limit=3&cursor={first['cursor']}")
    ).body
    assert [row["id"] for row in (*first["items"], *rest["items"])] == [f"c{n}" for n in range(5)]
    assert rest["cursor"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z", "to"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&cell=1s", "cell"),
        ("from=2026-01-01T00:00:00Z&to=2026-01-30T00:00:00Z&cell=1m", "cell"),
        ("from=2026-01-01T00:00:00Z", "to"),
    ],
)
async def test_a_span_that_cannot_be_cut_is_refused_by_name(
    api: Any, query: str, field: str
) -> None:
    for path in ("load", "timetable"):
        answer = await api.ask("GET", f"/{path}?{query}")
        assert answer.status == 422
        assert answer.body["errors"][0]["field"] == field


async def test_the_minute_of_a_crowd_is_told(api: Any) -> None:
    for n in range(12):
        entry = {"executor": "echo", "cron_expr": "0 22 * * *"}
        await api.ask("PUT", f"/configs/night-{n}", entry)
    told = (await api.ask("GET", "/load/minute?at=2031-05-01T22:00:30Z")).body
    assert told["minute"] == "2031-05-01T22:00:00.000Z"
    assert len(told["configs"]) == 12
    assert told["configs"][0]["spread"] == "H 22 * * *"
    assert told["hour"][0]["fires"] == 12
    assert told["hour_spread"][0]["fires"] < 6
    assert told["complete"] is True


async def test_what_counts_for_long_is_counted_in_one_thread_at_a_time(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = threading.Lock()
    loop_thread = threading.current_thread()
    counted: list[str] = []

    def watched(name: str) -> None:
        real = getattr(timetable, name)

        def counting(*args: Any, **more: Any) -> Any:
            assert threading.current_thread() is not loop_thread
            assert inside.acquire(blocking=False), "two at a time"
            try:
                counted.append(name)
                return real(*args, **more)
            finally:
                inside.release()

        monkeypatch.setattr(timetable, name, counting)

    for name in ("minute_of", "load_of", "all_due"):
        watched(name)
    await api.ask("PUT", "/configs/night", {"executor": "echo", "cron_expr": "0 22 * * *"})
    spans = [
        f"/load?from=2031-05-0{day}T00:00:00Z&to=2031-05-09T00:00:00Z&cell=1h" for day in (1, 2)
    ]
    minutes = [f"/load/minute?at=2031-05-01T22:0{minute}:00Z" for minute in range(4)]
    answers = await asyncio.gather(*(api.ask("GET", path) for path in (*spans, *minutes)))
    assert [answer.status for answer in answers] == [200] * 6
    assert set(counted) == {"minute_of", "load_of", "all_due"}
