"""Pods killed one after another under load: what was acknowledged ends, once. F01, F03, F36."""

import asyncio
import random
from collections import Counter

import pytest
from cluster import Cluster

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import Submission

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KILLS = 6
SEED = 20_260_101


async def kill_by_turns(cluster: Cluster, chance: random.Random) -> None:
    """Kill a pod, start it again, and go on when tasks have run since."""
    for _ in range(KILLS):
        name = chance.choice(sorted(cluster.pods))
        cluster.pods[name].kill()
        cluster.start(name)
        before = len(cluster.ledger.calls)
        # So many further calls, not so much time: the kills fall anywhere in the tasks' lives.
        more = chance.randrange(5, 60)
        await cluster.until(
            lambda before=before, more=more: len(cluster.ledger.calls) >= before + more,
            f"tasks run after the kill of {name}",
        )


async def test_pods_killed_by_turns_under_load_lose_nothing_acknowledged(open_cluster):
    async with open_cluster(worker={"max_concurrent_tasks": 4}) as cluster:
        await cluster.start_three()
        acknowledged: list[str] = []
        killing = asyncio.create_task(kill_by_turns(cluster, random.Random(SEED)))
        try:
            while not killing.done():
                ids = [f"load-{len(acknowledged) + at}" for at in range(5)]
                spec = cluster.spec("/slow/50", max_crashes=100)
                items = [Submission(task_id=task_id, spec=spec) for task_id in ids]
                outcomes = await cluster.client.submit_many(items)
                assert set(outcomes) == {Outcome.OK}
                acknowledged += ids
                await asyncio.sleep(0.1)
        finally:
            killing.cancel()
            await asyncio.wait([killing])
        killing.result()

        tasks = await cluster.all_succeed(acknowledged, 40)
        ends: Counter[str] = Counter()
        claims: Counter[str] = Counter()
        for event in await cluster.events():
            for item in event.items:
                if event.kind is EventKind.CLAIMED:
                    claims[item["task"]] += 1
                elif event.kind is EventKind.COMPLETED:
                    ends[item["task"]] += 1
        assert ends == dict.fromkeys(acknowledged, 1), "one outcome each"
        calls = cluster.ledger.counted()
        for task_id, task in tasks.items():
            assert task.attempt == claims[task_id] == task.crash_count + 1
            assert 1 <= calls[task_id] <= task.attempt
        assert {0} == set((await cluster.stop_all()).values())
