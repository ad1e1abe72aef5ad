"""What happens when the leader dies, stands still, or is asked to leave: F15, F20."""

import time

import pytest
from accounts import Owed, check_accounts, every_second, twenty_configs
from cluster import Cluster

from dsched.contracts.store.events import Event, EventKind
from dsched.contracts.store.leadership import fence_epoch
from dsched.contracts.store.outcomes import FencedError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELD = [f"held-{at}" for at in range(6)]
TERMS_OF_TEN_S = {
    "schedule": {"leader_lock_ttl": "10s", "leader_renew_interval": "3s"},
}


async def start(cluster: Cluster) -> tuple[list[Owed], int]:
    """Three pods with twenty configs that have begun to fire; from which instant on they owe."""
    configs = twenty_configs(cluster.ledger.url(), cluster.ledger.url("/slow/300"))
    tasks = cluster.tasks_file([owed.config for owed in configs])
    await cluster.start_three("--tasks", tasks)

    async def all_put() -> bool:
        return (await cluster.client.counts()).configs == len(configs)

    await cluster.until_store(all_put, "all configs are in place")
    from_ms = (await cluster.store.now()).wall_ms
    await cluster.until(
        lambda: len(cluster.ledger.counted()) >= 10, "ten tasks have called the ledger"
    )
    return configs, from_ms


async def hold_tasks(cluster: Cluster) -> None:
    """Six tasks that run until the gate opens, spread over the workers."""
    await cluster.submit(HELD, "/gate/held")
    await cluster.until(
        lambda: all(cluster.ledger.of(task_id) for task_id in HELD), "all held tasks run"
    )


async def fires_by(cluster: Cluster, fence: str, at_least: int) -> list[Event]:
    """Wait until this term has fired so many batches; these events."""

    async def fired() -> list[Event] | None:
        events = [e for e in await cluster.events() if e.kind is EventKind.FIRED and e.by == fence]
        return events if len(events) >= at_least else None

    return list(await cluster.until_store(fired, f"{fence} fires"))


async def settle(cluster: Cluster, configs: list[Owed], from_ms: int) -> dict[str, int]:
    """Account for all instants up to now; the fired tasks, when all of them have succeeded."""
    upto_ms = (await cluster.store.now()).wall_ms - 500

    async def decided() -> bool:
        # The slowest config bounds the log's last word on instants before `upto_ms`.
        try:
            check_accounts(await cluster.events(), configs, from_ms=from_ms, upto_ms=upto_ms)
        except AssertionError as error:
            if "twice" in str(error):
                raise
            return False
        return True

    try:
        await cluster.until_store(decided, "every instant is decided about", 5)
    except AssertionError:
        check_accounts(await cluster.events(), configs, from_ms=from_ms, upto_ms=upto_ms)
        raise
    fired = check_accounts(await cluster.events(), configs, from_ms=from_ms, upto_ms=upto_ms)
    tasks = await cluster.all_succeed(list(fired))
    for task_id, ms in fired.items():
        assert tasks[task_id].scheduled_ms == ms
    return fired


async def kill_the_leader(cluster: Cluster, ttl_s: int) -> None:
    configs, from_ms = await start(cluster)
    await hold_tasks(cluster)
    fence = await cluster.leader()
    dead = cluster.pod_of(fence)
    before = await cluster.get_all(HELD)

    killed_ms = int(time.time() * 1000)
    dead.kill()
    new = await cluster.leader(other_than=fence, timeout_s=ttl_s + 5)
    first = (await fires_by(cluster, new, 1))[0]
    assert first.at_ms - killed_ms <= (ttl_s + 2) * 1000
    assert fence_epoch(new) > fence_epoch(fence)

    cluster.ledger.open("held")
    held = await cluster.all_succeed(HELD)
    places = {task_id: cluster.pod_of(str(task.worker_id)) for task_id, task in before.items()}
    assert {dead} < set(places.values()), "it and others had work"
    for task_id, pod in places.items():
        runs = 2 if pod is dead else 1
        facts = (held[task_id].attempt, held[task_id].crash_count, len(cluster.ledger.of(task_id)))
        assert facts == (runs, runs - 1, runs), f"{task_id} on {pod.name}"
        assert cluster.pod_of(str(held[task_id].worker_id)) is not dead

    fired = await settle(cluster, configs, from_ms)
    tasks = await cluster.get_all(list(fired))
    calls = cluster.ledger.counted()
    twice = [i for i in fired if calls[i] != 1 and tasks[i].crash_count == 0]
    assert twice == [], "a task that no crash touched called its target other than once"
    assert {"pod-a", "pod-b", "pod-c"} - {dead.name} == set(await cluster.stop_all())


async def test_after_kill_9_of_the_leader_fires_go_on_within_ttl_and_2_s_and_none_is_lost(
    open_cluster,
):
    async with open_cluster() as cluster:
        await kill_the_leader(cluster, ttl_s=3)


@pytest.mark.long
async def test_the_same_holds_with_the_default_ttl_of_10_s(open_redis_cluster):
    async with open_redis_cluster(**TERMS_OF_TEN_S) as cluster:
        await kill_the_leader(cluster, ttl_s=10)


async def test_a_leader_that_stood_still_past_its_ttl_writes_nothing_any_more(open_cluster):
    async with open_cluster() as cluster:
        configs, from_ms = await start(cluster)
        fence = await cluster.leader()
        still = cluster.pod_of(fence)

        await cluster.pause(still)
        new = await cluster.leader(other_than=fence)
        await fires_by(cluster, new, 2)
        for late_write in (
            lambda: cluster.store.due(fence, 10),
            lambda: cluster.store.promote(fence, 10),
            lambda: cluster.store.dispatch(fence, [], [], skip=0, limit=10),
        ):
            with pytest.raises(FencedError):
                await late_write()
        still.resume()
        await cluster.until(
            lambda: still.said("leads no more"), "the old leader has seen that its term is over"
        )
        await fires_by(cluster, new, 4)

        fired = await settle(cluster, configs, from_ms)
        events = await cluster.events()
        (turn,) = [at for at, event in enumerate(events) if event.by == new][:1]
        assert events[turn].kind is EventKind.LEADER
        assert fence not in {event.by for event in events[turn:]}
        tasks = await cluster.get_all(list(fired))
        calls = cluster.ledger.counted()
        assert [i for i in fired if calls[i] != 1 and tasks[i].attempt == 1] == []
        assert {0} == set((await cluster.stop_all()).values())


async def test_sigterm_moves_the_leadership_within_a_second_and_runs_nothing_twice(open_cluster):
    async with open_cluster() as cluster:
        configs, from_ms = await start(cluster)
        await hold_tasks(cluster)
        fence = await cluster.leader()
        leaving = cluster.pod_of(fence)

        asked_ms = int(time.time() * 1000)
        leaving.terminate()
        new = await cluster.leader(other_than=fence)
        acquired = [e for e in await cluster.leader_events() if e.by == new]
        assert acquired[0].at_ms - asked_ms <= 1000
        await fires_by(cluster, new, 1)
        assert leaving.code is None, "it still waits for what runs on it"
        cluster.ledger.open("held")
        assert await leaving.ended() == 0

        held = await cluster.all_succeed(HELD)
        fired = await settle(cluster, configs, from_ms)
        calls = cluster.ledger.counted()
        assert {1} == {calls[task_id] for task_id in [*HELD, *fired]}
        assert {(1, 0)} == {(task.attempt, task.crash_count) for task in held.values()}
        assert {0} == set((await cluster.stop_all()).values())


async def test_each_kill_just_before_an_instant_leaves_that_instant_fired_once(open_redis_cluster):
    async with open_redis_cluster(
        schedule={"leader_lock_ttl": "1500ms", "leader_renew_interval": "500ms"}
    ) as cluster:
        owed = every_second(cluster.ledger.url())
        # The workers live on, so whatever goes wrong here is the leaders' doing.
        cluster.start("work", "--role", "worker", "--tasks", cluster.tasks_file([owed.config]))
        for name in ("lead-a", "lead-b"):
            cluster.start(name, "--role", "scheduler")
        await cluster.workers_ready(1)
        await cluster.until(lambda: cluster.ledger.calls, "the first fire")
        from_ms = (await cluster.store.now()).wall_ms
        fence = await cluster.leader()
        for _ in range(3):
            dead = cluster.pod_of(fence)
            await cluster.until(
                lambda: 800 < time.time() * 1000 % 1000 < 980, "it is just before an instant"
            )
            dead.kill()
            fence = await cluster.leader(other_than=fence)
            cluster.start(dead.name, "--role", "scheduler")
            await fires_by(cluster, fence, 1)
        fired = await settle(cluster, [owed], from_ms)
        calls = cluster.ledger.counted()
        assert {1} == {calls[task_id] for task_id in fired}
        assert {0} == set((await cluster.stop_all()).values())
