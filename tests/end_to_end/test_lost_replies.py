"""Answers of Redis that never arrive although the step was carried out: F02, F03."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cluster import Cluster, cluster_on
from lossy import LossyProxy

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.working import Submission
from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(120)]

LOSS = 0.03
SWALLOWED = 40
SEED = 20_260_102


@asynccontextmanager
async def cluster_behind(proxy: LossyProxy, folder: Path) -> AsyncIterator[Cluster]:
    settings = {
        "store": "redis",
        "redis": {"addr": f"127.0.0.1:{proxy.port}", "timeout": "1s"},
        "metrics": {"port": 0},
    }
    async with cluster_on(settings, folder) as cluster:
        yield cluster


async def test_steps_whose_answers_are_lost_are_repeated_and_still_happen_once(
    server: RedisServer, tmp_path: Path
):
    async with (
        LossyProxy(server.port, random.Random(SEED)) as proxy,
        cluster_behind(proxy, tmp_path) as cluster,
    ):
        await cluster.start_three()
        proxy.loss = LOSS
        ids: list[str] = []
        outcomes: Counter[Outcome] = Counter()
        while proxy.swallowed < SWALLOWED:
            batch = [f"load-{len(ids) + at}" for at in range(3)]
            items = [Submission(task_id=one, spec=cluster.spec("/slow/20")) for one in batch]
            outcomes.update(await cluster.client.submit_many(items))
            ids += batch
            await asyncio.sleep(0.02)
        proxy.loss = 0.0

        assert set(outcomes) <= {Outcome.OK, Outcome.DUP}
        tasks = await cluster.all_succeed(ids)
        assert {(1, 0, 0)} == {(t.attempt, t.crash_count, t.retry_count) for t in tasks.values()}
        assert cluster.ledger.counted() == dict.fromkeys(ids, 1)
        ends: Counter[str] = Counter()
        for event in await cluster.events():
            if event.kind is EventKind.COMPLETED:
                ends.update(item["task"] for item in event.items)
        assert ends == dict.fromkeys(ids, 1)
        assert [pod.code for pod in cluster.pods.values()] == [None] * 3
        assert {0} == set((await cluster.stop_all()).values())
