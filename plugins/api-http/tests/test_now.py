"""The state of the cluster in one answer, from real pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dsched.contracts.store.configs import StoredConfig
from dsched.model import TaskConfig
from dsched_api_http import attention, overview
from dsched_api_http.forecast import HOURS, MAX_STEPS, Forecaster

EMPTY = {"running": 0, "waiting": 0, "retrying": 0, "held": 0, "oldest_waiting": None}
NOON_MS = 1_767_182_400_000  # 2025-12-31T12:00Z
HOUR_MS = 3_600_000


async def test_an_empty_cluster_says_so(api: Any) -> None:
    now = (await api.ask("GET", "/now")).body
    assert now["leader"] is None
    assert now["configs"] == {"total": 0, "paused": 0, "disabled": 0, "late": 0}
    assert now["tasks"] == EMPTY
    assert (now["running"], now["next"], now["problems"]) == ([], [], [])
    assert len(now["hours"]) == 2 * HOURS - 1
    assert now["hours_complete"] is True


async def test_what_runs_is_due_and_leads_is_in_it(
    cluster: Any, eventually: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(overview, "SLOW_FRESH_S", 0.0)
    entry = {"executor": "echo", "payload": {"wait": True, "secret": "s"}, "every": "1h"}
    await cluster.ask("PUT", "/configs/report", entry)
    await cluster.ask("POST", "/configs/report/trigger")
    reader = cluster.using(await cluster.token_of("read"))

    async def running() -> Any:
        found = (await reader.ask("GET", "/now")).body
        return found if found["running"] else None

    now = await eventually(running)
    assert now["leader"]["pod"] == "pod-a"
    assert now["running"][0]["task"]["config_id"] == "report"
    assert now["tasks"]["running"] == 1
    assert now["workers"]["running"] == 1
    (due,) = now["next"]
    assert (due["config_id"], due["trigger"]) == ("report", {"every": "1h"})
    assert "secret" not in str(now)


async def test_a_config_that_fails_needs_somebody_until_it_succeeds(
    cluster: Any, eventually: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(overview, "SLOW_FRESH_S", 0.0)
    monkeypatch.setattr(attention, "FRESH_S", 0.0)
    bad = {"executor": "echo", "payload": {"fail": "no pages\nat all"}, "every": "1h"}
    await cluster.ask("PUT", "/configs/report", bad)
    for _ in range(2):
        await cluster.ask("POST", "/configs/report/trigger")

    async def problems(count: int) -> Any:
        found = (await cluster.ask("GET", "/now")).body
        listed = [one for one in found["problems"] if one["kind"] == "failing"]
        return (listed or True) if sum(one["count"] for one in listed) == count else None

    async def twice() -> Any:
        return await problems(2)

    async def none() -> Any:
        return await problems(0)

    (problem,) = await eventually(twice)
    assert (problem["config_id"], problem["detail"]) == ("report", "no pages")
    await cluster.ask("PATCH", "/configs/report", {"payload": {"fail": None}})
    await cluster.ask("POST", "/configs/report/trigger")
    await eventually(none)


async def test_a_hundred_who_look_cost_the_store_as_much_as_one(api: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(overview, "FRESH_S", 60.0)
    store, asked = type(api.pod.store), []
    counts = store.counts

    async def counted(self: Any) -> Any:
        asked.append(1)
        return await counts(self)

    monkeypatch.setattr(store, "counts", counted)
    for _ in range(100):
        await api.ask("GET", "/now")
    assert len(asked) == 1


async def test_configs_come_with_their_last_tasks_if_asked(cluster: Any, eventually: Any) -> None:
    entry = {"executor": "echo", "every": "1h", "payload": {"n": 1}}
    await cluster.ask("PUT", "/configs/report", entry)
    await cluster.ask("POST", "/configs/report/trigger")

    async def ended() -> Any:
        listed = (await cluster.ask("GET", "/configs?recent=30")).body["items"][0]["recent"]
        return listed or None

    (task,) = await eventually(ended)
    assert task["status"] == "success"
    assert task["run_ms"] >= 0
    assert "recent" not in (await cluster.ask("GET", "/configs")).body["items"][0]
    assert (await cluster.ask("GET", "/configs?recent=31")).status == 422


def stored(config_id: str, **trigger: Any) -> StoredConfig:
    return StoredConfig(config=TaskConfig(id=config_id, executor="x", created_ms=0, **trigger))


def test_the_forecast_counts_what_the_planner_will_fire() -> None:
    half_past = NOON_MS + HOUR_MS // 2
    configs = [
        stored("a", every=timedelta(minutes=10)),
        stored("b", cron_expr="15,45 * * * *"),
        stored("c", cron_expr="0 14 * * *"),
        stored("d", at=datetime(2025, 12, 31, 12, 59, tzinfo=UTC)),
        stored("e", fixed_delay=timedelta(seconds=1)),
        stored(
            "f", every=timedelta(minutes=1), end_at=datetime(2025, 12, 31, 13, 4, 30, tzinfo=UTC)
        ),
        stored("g", every=timedelta(minutes=1), enabled=False),
    ]
    found = Forecaster().forecast(configs, half_past)
    assert found.complete
    # 12:40 12:50; 12:45; 12:59; 29 minutes of f
    assert found.hours[0] == 2 + 1 + 0 + 1 + 29
    assert found.hours[1] == 6 + 2 + 5
    assert found.hours[2] == 6 + 2 + 1
    assert set(found.hours[3:]) == {8}


def test_a_forecast_stands_until_the_config_changes() -> None:
    forecaster = Forecaster()
    config = stored("a", every=timedelta(minutes=10))
    first = forecaster.forecast([config], NOON_MS)
    assert forecaster.forecast([config], NOON_MS) == first
    changed = StoredConfig(
        config=TaskConfig(
            id="a", executor="x", created_ms=0, revision=7, every=timedelta(minutes=5)
        )
    )
    assert forecaster.forecast([changed], NOON_MS).hours[1] == 12


def test_more_than_can_be_counted_is_said_and_bounded() -> None:
    configs = [stored(f"c{number}", cron_expr="* * * * * *") for number in range(50)]
    found = Forecaster().forecast(configs, NOON_MS)
    assert not found.complete
    assert sum(found.hours) <= MAX_STEPS + HOURS


def test_what_a_problem_says_is_the_line_that_says_most() -> None:
    trace = "Traceback (most recent call last):\n  File x\nTimeoutError: no answer"
    assert attention.line_of(trace) == "TimeoutError: no answer"
    assert attention.line_of("\n  first \nsecond") == "first"
    assert attention.line_of("") == ""
