"""Five pods behind Sentinel, two that only schedule and three that only work: one kill of each
kind."""

import re
from datetime import timedelta

import pytest
from cluster import cluster_on

from dsched.contracts.store.events import EventKind
from dsched.model import Misfire, Overlap, TaskConfig
from dsched_testkit.servers import sentinel_set

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCHEDULERS, WORKERS = ("sched-a", "sched-b"), ("work-a", "work-b", "work-c")
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
GUARDED = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")


async def test_five_pods_behind_sentinel_lose_and_repeat_no_instant_by_any_kill(tmp_path):
    with sentinel_set(3, *APPEND_ALWAYS, *GUARDED, replicas=2) as servers:
        sentinel = {"master": servers.master, "nodes": list(servers.nodes)}
        redis = {"sentinel": sentinel, "timeout": "1s", "durability": "strict", "replicas": 2}
        settings = {"store": "redis", "redis": redis, "metrics": {"port": 0}}
        async with cluster_on(settings, tmp_path) as cluster:
            for name in SCHEDULERS:
                cluster.start(name, "--role", "scheduler")
            for name in WORKERS:
                cluster.start(name, "--role", "worker")
            await cluster.workers_ready(3)
            fence = await cluster.leader()
            await cluster.client.put_config(ticking(cluster))
            await heard(cluster, 3)

            leading = cluster.pod_of(fence)
            assert leading.name in SCHEDULERS
            leading.kill()
            await cluster.leader(other_than=fence)
            cluster.start(leading.name, "--role", "scheduler")
            await heard(cluster, 3)

            await cluster.submit(["long-a", "long-b", "long-c"], "/gate/long", timeout=LONG)
            await cluster.until(lambda: running(cluster) == 3, "three long tasks run")
            (victim,) = {task.worker_id for task in (await cluster.get_all(["long-a"])).values()}
            cluster.pod_of(victim).kill()
            await heard(cluster, 3)

            servers.sentinels[0].kill()
            await heard(cluster, 3)

            servers.primary.kill()
            await cluster.until(lambda: any(map(_leads, servers.replicas)), "a new primary", 40)
            servers.primary.start()  # comes back as a replica: strict wants both
            await heard(cluster, 3, within_s=60)

            cluster.ledger.open("long")
            await cluster.all_succeed(["long-a", "long-b", "long-c"], 60)
            await each_instant_once(cluster)
            codes = await cluster.stop_all()
            assert set(codes.values()) == {0}, codes


LONG = timedelta(seconds=120)


def ticking(cluster):
    """Each second an instant, and none of them may be dropped."""
    return TaskConfig(
        id="tick",
        executor="http",
        payload={"url": cluster.ledger.url("/run")},
        every=timedelta(seconds=1),
        overlap=Overlap.ALLOW,
        misfire=Misfire.FIRE_ALL,
        misfire_cap=100,
    )


def ticks(cluster):
    return [call for call in cluster.ledger.calls if call.config_id == "tick"]


def running(cluster):
    return len({call.task_id for call in cluster.ledger.calls if call.task_id.startswith("long-")})


async def heard(cluster, more, *, within_s=40.0):
    """So many more instants reach the target."""
    before = len({call.scheduled for call in ticks(cluster)})
    await cluster.until(
        lambda: len({call.scheduled for call in ticks(cluster)}) >= before + more,
        f"{more} more instants are run",
        within_s,
    )


async def each_instant_once(cluster):
    """From the first to the last second each was fired, and fired once."""
    fired = [
        item["ms"]
        for event in await cluster.events()
        if event.kind is EventKind.FIRED
        for item in event.items
        if item["config"] == "tick"
    ]
    assert len(fired) == len(set(fired))
    assert sorted(fired) == list(range(min(fired), max(fired) + 1, 1000))
    assert len(fired) >= 15


def _leads(server):
    try:
        return bool(re.search("role:master", str(server.command("INFO", "replication"))))
    except (ConnectionError, OSError, RuntimeError):
        return False
