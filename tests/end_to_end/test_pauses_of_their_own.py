"""Configs that pause themselves, on real pods whose leaders are killed meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from cluster import Cluster

from dsched.contracts.store.configs import Pause
from dsched.contracts.store.events import EventKind
from dsched.model import BY_ITSELF, Overlap, RetryPolicy, TaskConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FAILURES, RUNS = 4, 5
NO_RETRY = RetryPolicy(max_retries=0)


def every_second(cluster: Cluster, config_id: str, path: str, **more: Any) -> TaskConfig:
    return TaskConfig(
        id=config_id,
        every=timedelta(seconds=1),
        overlap=Overlap.ALLOW,
        retry=NO_RETRY,
        executor="http",
        payload={"url": cluster.ledger.url(path)},
        **more,
    )


async def paused(cluster: Cluster, config_id: str) -> Pause:
    """The pause of a config, as soon as there is one."""

    async def found() -> Pause | None:
        return (await cluster.client.get_config(config_id)).paused

    return await cluster.until_store(found, f"{config_id} is paused")


async def fired(cluster: Cluster, config_id: str) -> int:
    return sum(
        item["config"] == config_id
        for event in await cluster.events()
        if event.kind is EventKind.FIRED
        for item in event.items
    )


async def pauses(cluster: Cluster, config_id: str) -> int:
    return sum(
        item["config"] == config_id and item["act"] == "paused"
        for event in await cluster.events()
        if event.kind is EventKind.CONFIG
        for item in event.items
    )


async def test_configs_pause_themselves_once_although_leaders_are_killed(open_cluster):
    async with open_cluster() as cluster:
        await cluster.start_three()
        await cluster.workers_ready(3)
        bad = every_second(cluster, "bad", "/nowhere", pause_after_failures=FAILURES)
        some = every_second(cluster, "some", "/run", max_runs=RUNS)
        for config in (bad, some):
            await cluster.client.put_config(config)

        async def begun() -> bool:
            return await fired(cluster, "bad") >= 2

        await cluster.until_store(begun, "it fails")
        leader = await cluster.leader()
        cluster.pod_of(leader).kill()
        found = {name: await paused(cluster, name) for name in ("bad", "some")}
        assert {one.who for one in found.values()} == {BY_ITSELF}
        assert found["some"].why.startswith("max_runs")
        # What failed until the leader had read of the last one counts, too.
        count, _, words = found["bad"].why.partition(" ")
        assert int(count) >= FAILURES
        assert words.startswith("failures in a row: last bad@")
        assert await fired(cluster, "some") == RUNS
        fires = await fired(cluster, "bad")
        assert fires >= FAILURES
        # Whoever leads next finds them paused, and leaves them so.
        second = await cluster.leader(other_than=leader)
        cluster.pod_of(second).kill()
        await cluster.leader(other_than=second)
        await cluster.client.trigger("some", key="by-hand")
        await cluster.all_succeed(["some@manual-by-hand"])
        assert (await fired(cluster, "bad"), await fired(cluster, "some")) == (fires, RUNS)
        assert (await pauses(cluster, "bad"), await pauses(cluster, "some")) == (1, 1)
        await cluster.client.resume_config("some")
        assert (await paused(cluster, "some")).who == BY_ITSELF
        assert await fired(cluster, "some") == 2 * RUNS
