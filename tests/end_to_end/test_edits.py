"""A pod that is killed and started again with an edited task file fires what is owed."""

import time
from typing import Any

import pytest
from cluster import Cluster

from dsched.contracts.store.events import EventKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def items(cluster: Cluster, kind: EventKind, config_id: str) -> list[dict[str, Any]]:
    return [
        dict(item)
        for event in await cluster.events()
        if event.kind is kind
        for item in event.items
        if item["config"] == config_id
    ]


async def fired(cluster: Cluster, config_id: str) -> list[int]:
    return [item["ms"] for item in await items(cluster, EventKind.FIRED, config_id)]


async def test_what_came_due_while_a_pod_was_dead_is_fired_after_an_edit_of_the_timeout(
    open_sqlite_cluster,
):
    async with open_sqlite_cluster() as cluster:

        def tasks_file(timeout: str) -> str:
            each = {"every": "1s", "executor": "http", "timeout": timeout, "overlap": "allow"}
            payload = {"url": cluster.ledger.url("/run")}
            late = {"id": "late", "payload": payload, **each}
            missed = {"id": "missed", "payload": payload, "misfire_grace": "0s", **each}
            return cluster.tasks_file([late, missed])

        pod = cluster.start("pod", "--tasks", tasks_file("30s"))

        async def both_fire() -> bool:
            return bool(await fired(cluster, "late") and await fired(cluster, "missed"))

        await cluster.until_store(both_fire, "both configs fire")
        pod.kill()
        killed_ms = int(time.time() * 1000)
        await cluster.until(lambda: time.time() * 1000 > killed_ms + 4000, "instants come due")

        restarted_ms = int(time.time() * 1000)
        cluster.start("pod", "--tasks", tasks_file("40s"))

        async def edited_ms(config_id: str) -> int:
            stored = await cluster.client.get_config(config_id)
            return stored.config.updated_ms

        async def goes_on() -> bool:
            edits = [await edited_ms(one) for one in ("late", "missed")]
            last = [max(await fired(cluster, one)) for one in ("late", "missed")]
            return min(edits) > restarted_ms and min(last) > max(edits)

        await cluster.until_store(goes_on, "both configs fire again")
        for one, least in (("late", 3), ("missed", 1)):
            skipped = await items(cluster, EventKind.SKIPPED, one)
            assert {item["reason"] for item in skipped} <= {"misfire"}, skipped
            edit_ms = await edited_ms(one)
            owed = [ms for ms in await fired(cluster, one) if killed_ms < ms <= edit_ms]
            assert len(owed) >= least, (one, owed, skipped)
