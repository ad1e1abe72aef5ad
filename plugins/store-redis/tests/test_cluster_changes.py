"""The store on a cluster whose masters change: a slot on the move, replicas, an election."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from dsched.contracts.store.outcomes import Outcome, StoreUnavailableError
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Completion, Submission
from dsched.model import TaskResult, TaskSpec
from dsched_store_redis.options import ClusterOptions
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer, redis_cluster
from dsched_testkit.slots import begin_move, bin_of, end_move, move_keys, owner

SPEC = TaskSpec(executor="local")
MANY = 1000


@asynccontextmanager
async def half_moved(
    nodes: list[RedisServer], prefix: str, moved: int | str
) -> AsyncIterator[None]:
    """The prefix's slot on its way from one master to another: so many keys have gone, or one."""
    slot = bin_of(nodes[0], f"{prefix}meta")
    source = owner(nodes, slot)
    target, *others = [node for node in nodes if node is not source]
    begin_move(slot, source, target)
    try:
        if isinstance(moved, str):
            where = ("127.0.0.1", str(target.port), "", "0", "5000")
            source.command("MIGRATE", *where, "KEYS", f"{prefix}{moved}")
        elif moved:
            move_keys(slot, source, target, limit=moved)
        yield
    finally:
        while move_keys(slot, source, target, limit=MANY):
            pass
        end_move(slot, source, target, others)


def contents(nodes: list[RedisServer], prefix: str) -> dict[bytes, bytes]:
    """Every key under the prefix, with what it holds, wherever it is."""
    found = {}
    for node in nodes:
        with Redis(port=node.port, single_connection_client=True) as client:
            for key in client.execute_command("KEYS", f"{prefix}*"):
                client.execute_command("ASKING")
                if client.execute_command("TYPE", key) == b"set":  # its order may change
                    client.execute_command("ASKING")
                    found[key] = b" ".join(sorted(client.execute_command("SMEMBERS", key)))
                    continue
                client.execute_command("ASKING")
                found[key] = client.execute_command("DUMP", key)
    return found


STEPS: dict[str, Callable[[RedisStore, Any], Awaitable[object]]] = {
    "submit": lambda store, _: store.submit([Submission(task_id="new", spec=SPEC)], by="me"),
    "claim": lambda store, _: store.claim("w1", "1-a", 0, 2, 5),
    "complete": lambda store, state: store.complete(
        [Completion(task_id="run", token=state.token, success=True, result=TaskResult())], by="w1"
    ),
    "heartbeat": lambda store, state: store.heartbeat(
        "w1", "1-a", [Held(task_id="run", token=state.token)]
    ),
    "dispatch": lambda store, state: store.dispatch(state.fence, [], [], skip=0, limit=10),
    "put_document": lambda store, _: store.put_document("kind", "more", {"a": "b"}, read=0),
    "collect": lambda store, state: store.collect(state.fence, 100),
    "counts": lambda store, _: store.counts(),
}


@pytest.mark.parametrize("moved", [0, "meta", 3, MANY])
async def test_while_its_slot_moves_each_step_is_refused_as_a_whole_and_later_nothing_is_missing(
    moved: int | str, shared_cluster: list[RedisServer], opener: Any, populated: Any
) -> None:
    """With `meta` alone at the other end a step that followed there saw an empty store."""
    prefix = f"{{move-{moved}}}:"
    cluster = ClusterOptions(nodes=(shared_cluster[0].addr,))
    async with opener(shared_cluster[0], cluster=cluster, key_prefix=prefix) as store:
        state = await populated(store)
        before = contents(shared_cluster, prefix)
        async with half_moved(shared_cluster, prefix, moved):

            async def refused(name: str) -> None:
                with pytest.raises(StoreUnavailableError) as raised:
                    await STEPS[name](store, state)
                assert not raised.value.maybe_applied, name

            async with asyncio.TaskGroup() as group:
                for name in STEPS:
                    group.create_task(refused(name))
            assert contents(shared_cluster, prefix) == before
        for step in STEPS.values():
            await step(store, state)
        (done, new) = await store.get(["run", "new"])
        assert done is not None
        assert done.status.value == "success"
        assert new is not None


async def test_a_wakeup_on_a_moving_slot_says_that_it_cannot_be_waited_for(
    shared_cluster: list[RedisServer], opener: Any
) -> None:
    cluster = ClusterOptions(nodes=(shared_cluster[0].addr,))
    async with opener(shared_cluster[0], cluster=cluster, key_prefix="{bell}:") as store:
        async with half_moved(shared_cluster, "{bell}:", 0):
            with pytest.raises(StoreUnavailableError):
                await store.wakeup("leader", 5)
        assert not await store.wakeup("leader", 0.05)
        waiting = asyncio.create_task(store.wakeup("leader", 20))
        await store.submit([Submission(task_id="t", spec=SPEC)], by="me")
        assert await waiting


async def test_a_replica_of_the_cluster_leads_to_the_master_whose_settings_count(
    opener: Any,
) -> None:
    with redis_cluster(1, replicas=1) as (master, replica):
        cluster = ClusterOptions(nodes=(replica.addr,))
        async with opener(replica, cluster=cluster, key_prefix="{a}:") as store:
            assert await store.submit([Submission(task_id="t", spec=SPEC)], by="me") == (
                Outcome.OK,
            )
        assert master.command("EXISTS", "{a}:meta") == 1


@pytest.mark.slow
async def test_an_election_in_the_cluster_is_followed_and_a_handle_opens_after_it(
    opener: Any,
) -> None:
    with redis_cluster(3, replicas=1, node_timeout_ms=1000) as nodes:
        slot = bin_of(nodes[0], "{a}:meta")
        master = owner(nodes, slot)
        replica = nodes[nodes.index(master) + 3]
        # The first address is the one that dies, and comes back as a replica.
        cluster = ClusterOptions(nodes=(master.addr, *(node.addr for node in nodes[:3])))
        options = {"cluster": cluster, "key_prefix": "{a}:"}
        async with opener(master, **options) as store:
            await store.submit([Submission(task_id="t1", spec=SPEC)], by="me")
            async with asyncio.timeout(5):
                while replica.command("DBSIZE") != master.command("DBSIZE"):
                    await asyncio.sleep(0.02)
            await asyncio.to_thread(master.kill)
            async with asyncio.timeout(30):
                while True:
                    try:
                        assert await store.get(["t1"]) != (None,)
                    except StoreUnavailableError:
                        await asyncio.sleep(0.05)
                    else:
                        break
            await asyncio.to_thread(master.start)
            async with asyncio.timeout(30):
                while "role:slave" not in str(master.command("INFO", "replication")):
                    await asyncio.sleep(0.02)
            async with opener(master, **options) as another:
                assert await another.get(["t1"]) == await store.get(["t1"])
