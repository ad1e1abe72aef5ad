"""An id is free again when the time of its task is over; its entry among the ended may still be
there."""

from uuid import uuid4

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.settings import Kept, StoreSettings
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec, TaskStatus
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import open_store
from dsched_testkit.servers import RedisServer

SPEC = TaskSpec(executor="fn", payload="x")


@pytest.mark.parametrize(
    "settings",
    [
        StoreSettings(result_ttl_ms=1),
        StoreSettings(retention={TaskStatus.CANCELLED: Kept(count=0)}),
    ],
    ids=["by age", "by number"],
)
async def test_pruning_the_old_task_leaves_the_new_one_alone(
    shared_server: RedisServer, settings: StoreSettings
) -> None:
    prefix = f"again{uuid4().hex[:8]}:"
    options = RedisOptions(addr=shared_server.addr, key_prefix=prefix, durability=Durability.DEV)
    async with open_store(options, settings) as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        assert await store.submit([Submission(task_id="a", spec=SPEC)], by="me") == (Outcome.OK,)
        await store.cancel(["a"], by="me", reason="r")
        # What the server does by itself when the time is over.
        shared_server.command("DEL", f"{prefix}task:detail:a")
        assert await store.submit([Submission(task_id="a", spec=SPEC)], by="me") == (Outcome.OK,)
        assert (await store.prune(fence, 40)).count >= 1
        (task,) = await store.get(["a"])
        assert task is not None
        assert task.status is TaskStatus.PENDING
        assert (await store.prune(fence, 40)).count == 0
