"""What an autoscaler reads, and what nobody can run, in the answer that they are documented for."""

import asyncio
import time
from pathlib import Path
from typing import Any

import yaml

from dsched.contracts.store.unrunnable import FullSince, tell_unrunnable
from dsched.model import rfc3339_ms

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "autoscaling"


def _trigger() -> Any:
    (trigger,) = yaml.safe_load((EXAMPLES / "keda.yaml").read_text())["spec"]["triggers"]
    return trigger["metadata"]


def _at(body: Any, location: str) -> Any:
    for key in location.split("."):
        body = body[key]
    return body


async def _cluster(cluster: Any, until: Any) -> Any:
    async with asyncio.timeout(30):
        while not until((seen := await cluster.ask("GET", "/cluster")).body):
            await asyncio.sleep(0.05)
    return seen.body


async def test_the_example_for_keda_asks_for_a_value_that_is_there(cluster: Any) -> None:
    trigger = _trigger()
    assert trigger["url"].endswith("/api/v1/cluster")
    seen = await _cluster(cluster, lambda body: body["demand"]["capacity"] > 0)
    assert _at(seen, trigger["valueLocation"]) == 0
    capacity = seen["demand"]["capacity"]
    entry = {"executor": "echo", "payload": {"wait": True}}
    for _ in range(2 * capacity + 1):
        assert (await cluster.ask("POST", "/tasks", entry)).status == 201
    seen = await _cluster(cluster, lambda body: body["demand"]["slots"] > 2 * capacity)
    assert seen["demand"]["waiting"] == seen["demand"]["slots"] - seen["counts"]["by_home"]["lease"]
    assert _at(seen, trigger["valueLocation"]) == 3


async def test_the_example_for_an_autoscaler_names_a_metric_of_the_page() -> None:
    (metric,) = yaml.safe_load((EXAMPLES / "hpa.yaml").read_text())["spec"]["metrics"]
    name = metric["external"]["metric"]["name"]
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert f"| `{name}` | gauge |" in page.read_text()


async def test_what_nobody_can_run_is_told_with_its_reason_and_since_when(cluster: Any) -> None:
    entry = {"executor": "echo", "payload": {}, "required_labels": {"gpu": "1"}}
    assert (await cluster.ask("POST", "/tasks", entry)).status == 201
    seen = await _cluster(cluster, lambda body: body["unrunnable"])
    (one,) = seen["unrunnable"]
    assert (one["reason"], one["tasks"]) == ("no worker has gpu=1", 1)
    assert one["since"] <= seen["store_time"]
    assert seen["demand"]["slots"] == 0


async def test_workers_that_are_full_while_others_have_room_are_told_with_how_many_wait(
    cluster: Any,
) -> None:
    seen = await _cluster(cluster, lambda body: body["demand"]["capacity"] > 0)
    assert seen["full"] == []
    since = round(time.time() * 1000) - 60_000
    full = [FullSince(demands="pool=a", tasks=9, since_ms=since)]
    await tell_unrunnable(cluster.pod.store, (), since, full=full)
    seen = await _cluster(cluster, lambda body: body["full"])
    assert seen["full"] == [{"demands": "pool=a", "tasks": 9, "since": rfc3339_ms(since)}]
