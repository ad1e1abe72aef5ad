"""What was missed while no pod ran is made up for as `fire_all` says: all of it, one after the
other."""

import time
from itertools import pairwise

import pytest

from dsched.contracts.store.events import EventKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CAP = 5


async def test_runs_that_were_missed_follow_one_another_in_the_order_of_their_instants(
    open_cluster,
):
    async with open_cluster() as cluster:
        config = {
            "id": "tick",
            "every": "1s",
            "executor": "http",
            "payload": {"url": cluster.ledger.url("/slow/300")},
            "misfire": "fire_all",
            "misfire_grace": "0s",
            "misfire_cap": CAP,
            "overlap": "queue_all",
        }
        file = cluster.tasks_file([config])
        pod = cluster.start("pod", "--tasks", file)
        await cluster.until(lambda: cluster.ledger.calls, "it runs")
        pod.kill()
        killed_ms = int(time.time() * 1000)
        await cluster.until(lambda: time.time() * 1000 > killed_ms + 8000, "instants are missed")
        cluster.start("pod", "--tasks", file)

        async def made_up_for() -> list[tuple[str, int]]:
            fired = [
                (item["task"], item["late"])
                for event in await cluster.events()
                if event.kind is EventKind.FIRED
                for item in event.items
                if killed_ms < item["ms"]
            ]
            return fired[:CAP] if len(fired) >= CAP else []

        fired = await cluster.until_store(made_up_for, "what was missed is fired")
        missed = [task_id for task_id, _ in fired]
        tasks = await cluster.all_succeed(missed)
        assert missed == sorted(missed)
        assert fired[0][1] > (CAP - 2) * 1000, "the first of them was due seconds ago"
        for earlier, later in pairwise(missed):
            assert tasks[earlier].end_ms <= tasks[later].start_ms, (earlier, later)
