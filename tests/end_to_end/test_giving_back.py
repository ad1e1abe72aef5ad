"""An operator takes what runs away from a worker, which stays up: another one begins it again."""

import pytest

from dsched.model import OnCrash

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_what_a_drained_worker_gives_back_runs_elsewhere_and_what_must_not_runs_on(
    open_cluster,
):
    async with open_cluster() as cluster:
        cluster.start("old", worker={"id": "old"})
        await cluster.workers_ready(1)
        await cluster.submit(["again"], "/gate/all")
        await cluster.submit(["once"], "/gate/all", on_crash=OnCrash.FAIL)
        await cluster.until(lambda: len(cluster.ledger.counted()) == 2, "both run")
        cluster.start("new", worker={"id": "new"})
        await cluster.workers_ready(2)
        await cluster.client.drain_worker("old", give_back=True)
        await cluster.until(lambda: cluster.ledger.counted()["again"] == 2, "it is begun again")
        cluster.ledger.open("all")
        tasks = await cluster.all_succeed(["again", "once"])
        found = {one.id: (one.worker_id, one.attempt, one.retry_count) for one in tasks.values()}
        assert found == {"again": ("new", 2, 0), "once": ("old", 1, 0)}
        assert cluster.ledger.counted() == {"again": 2, "once": 1}
        assert {0} == set((await cluster.stop_all()).values())


async def test_a_worker_that_is_killed_while_it_gives_back_loses_nothing(open_cluster):
    async with open_cluster() as cluster:
        old = cluster.start("old", worker={"id": "old"})
        await cluster.workers_ready(1)
        ids = [f"t{number}" for number in range(5)]
        await cluster.submit(ids, "/gate/all")
        await cluster.until(lambda: len(cluster.ledger.counted()) == 5, "all run")
        cluster.start("new", worker={"id": "new"})
        await cluster.workers_ready(2)
        await cluster.client.drain_worker("old", give_back=True)
        await cluster.until(lambda: max(cluster.ledger.counted().values()) == 2, "one is back")
        old.kill()
        cluster.ledger.open("all")
        tasks = await cluster.all_succeed(ids)
        assert {one.worker_id for one in tasks.values()} == {"new"}
        assert {one.retry_count for one in tasks.values()} == {0}
        assert set(cluster.ledger.counted().values()) == {2}
