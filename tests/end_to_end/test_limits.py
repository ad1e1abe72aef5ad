"""A limit seen from outside: the target never serves more calls than it lets, whoever dies."""

from collections.abc import Sequence
from datetime import timedelta

import attrs
import pytest
from cluster import Cluster
from ledger import Call

from dsched.contracts.store.events import Event, EventKind
from dsched.model import Limit, Overlap, TaskConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MOST = 3
RATE_A_S, BURST = 20, 5
TASKS = [f"limited-{at:02d}" for at in range(60)]


@attrs.frozen
class Edge:
    """A call begins (+1) or is over (-1)."""

    at_s: float
    change: int


def over_s(call: Call, lost_s: dict[tuple[str, int], float]) -> float:
    """When a call counts no longer: it was answered, or its attempt's lease had ended before."""
    ended_s = float("inf") if call.ended_s is None else call.ended_s
    return min(ended_s, lost_s.get((call.task_id, call.attempt), float("inf")))


def most_at_once(calls: Sequence[Call], lost_s: dict[tuple[str, int], float]) -> int:
    """The most calls of attempts with a lease that the target served at one time."""
    edges = [Edge(call.received_s, 1) for call in calls]
    edges += [Edge(over_s(call, lost_s), -1) for call in calls]
    now = most = 0
    for edge in sorted(edges, key=lambda one: (one.at_s, one.change)):
        now += edge.change
        most = max(most, now)
    return most


def leases_lost(events: Sequence[Event]) -> dict[tuple[str, int], float]:
    """When the lease of each attempt ended that the store gave up, by task and number."""
    attempts: dict[str, int] = {}
    lost: dict[tuple[str, int], float] = {}
    for event in events:
        for item in event.items:
            task_id = str(item.get("task"))
            if event.kind is EventKind.CLAIMED:
                attempts[task_id] = attempts.get(task_id, 0) + 1
            elif event.kind in (EventKind.REAPED, EventKind.RELEASED):
                lost[task_id, attempts.get(task_id, 0)] = event.at_ms / 1000
    return lost


def most_beyond_rate(events: Sequence[Event]) -> float:
    """How many tasks more were dispatched in some span of time than the rate had tokens for: those
    of a full bucket, those that came meanwhile, and those that were put back."""
    given = [
        (event.at_ms, kind is EventKind.DISPATCHED)
        for event in events
        if (kind := event.kind) in (EventKind.DISPATCHED, EventKind.RECALLED)
        for _ in event.items
    ]
    most = 0.0
    for first, (began_ms, _) in enumerate(given):
        beyond = -float(BURST)
        for at_ms, dispatched in given[first:]:
            beyond += 1 if dispatched else -1
            most = max(most, beyond - (at_ms - began_ms) * RATE_A_S / 1000)
    return most


async def follower(cluster: Cluster) -> str:
    """A pod that does not lead."""
    leading = cluster.pod_of(await cluster.leader()).name
    return next(name for name in cluster.pods if name != leading)


async def kill_leader_and_worker(cluster: Cluster) -> None:
    """While the target is called: kill -9 of the pod that leads, and of one that works only."""
    calls = cluster.ledger.calls
    await cluster.until(lambda: len(calls) >= 8, "some have run")
    leading = cluster.pod_of(await cluster.leader()).name
    cluster.pods[leading].kill()
    cluster.start(leading)
    before = len(calls)
    await cluster.until(lambda: len(calls) >= before + 8, "tasks run after the leader's death")
    working = await follower(cluster)
    cluster.pods[working].kill()
    cluster.start(working)


async def test_the_target_never_serves_a_fourth_while_leader_and_worker_are_killed(open_cluster):
    async with open_cluster() as cluster:
        await cluster.start_three()
        await cluster.client.put_limit(Limit(id="crm", max_running=MOST))
        await cluster.submit(TASKS, "/slow/300", limits=["crm"], max_crashes=100)
        await kill_leader_and_worker(cluster)
        tasks = await cluster.all_succeed(TASKS, 60)

        lost_s = leases_lost(await cluster.events())
        assert most_at_once(cluster.ledger.calls, lost_s) == MOST
        assert set(cluster.ledger.counted()) == set(TASKS)
        assert sum(task.crash_count for task in tasks.values()) == len(lost_s) <= 2 * MOST
        assert (await cluster.client.limit_uses()).uses == ()
        assert {0} == set((await cluster.stop_all()).values())


async def test_a_rate_holds_while_leader_and_worker_are_killed(open_cluster):
    async with open_cluster() as cluster:
        await cluster.start_three()
        await cluster.client.put_limit(Limit(id="mail", rate=f"{RATE_A_S}/1s", burst=BURST))
        await cluster.submit(TASKS, "/slow/100", limits=["mail"], max_crashes=100)
        await kill_leader_and_worker(cluster)
        await cluster.all_succeed(TASKS, 60)

        assert set(cluster.ledger.counted()) == set(TASKS)
        assert most_beyond_rate(await cluster.events()) <= 1  # whole milliseconds are told
        assert {0} == set((await cluster.stop_all()).values())


async def test_max_running_of_a_config_holds_for_all_of_its_runs_while_pods_are_killed(
    open_cluster,
):
    async with open_cluster() as cluster:
        await cluster.start_three()
        config = TaskConfig(
            id="nightly",
            every=timedelta(hours=1),
            enabled=False,
            executor="http",
            payload={"url": cluster.ledger.url("/slow/300")},
            overlap=Overlap.ALLOW,
            max_running=MOST,
            max_crashes=100,
        )
        await cluster.client.put_config(config)
        tasks = [str(await cluster.client.trigger("nightly", key=f"k{at}")) for at in range(50)]
        await kill_leader_and_worker(cluster)
        ended = await cluster.all_succeed(tasks, 60)

        lost_s = leases_lost(await cluster.events())
        assert most_at_once(cluster.ledger.calls, lost_s) == MOST
        assert set(cluster.ledger.counted()) == set(tasks)
        assert sum(task.crash_count for task in ended.values()) == len(lost_s) <= 2 * MOST
        assert (await cluster.client.limit_uses()).uses == ()
        assert {0} == set((await cluster.stop_all()).values())
