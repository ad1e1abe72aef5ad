"""Many, and far away: what Lua's limits and numbers would damage (F54, F56)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import TaskConfig, TaskSpec, to_ms
from dsched_testkit.servers import RedisServer

MANY = 9000  # `unpack` of as many fails
SPEC = TaskSpec(executor="local", payload={})


def _worker(incarnation: str) -> Registration:
    return Registration(
        worker_id="w", incarnation=incarnation, capacity=MANY, backlog=0, heartbeat_timeout_ms=30000
    )


async def test_a_worker_with_thousands_of_running_tasks_is_taken_over(
    opener: Any, shared_server: RedisServer
) -> None:
    """F54."""
    async with opener(shared_server) as store:
        fence = (await store.acquire("pod", "tok", 3_600_000)).fence
        assert await store.register(_worker("1-a")) is Outcome.OK
        for start in range(0, MANY, 100):
            ids = [f"t{number}" for number in range(start, start + 100)]
            await store.submit([Submission(task_id=one, spec=SPEC) for one in ids], by="me")
            choices = [Choice(task_id=one, worker_id="w") for one in ids]
            done = await store.dispatch(fence, choices, [], skip=0, limit=1)
            assert set(done.choices) == {Outcome.OK}
            claimed = await store.claim("w", "1-a", 0, start + 1, 100)
            assert len(claimed.tasks) == 100
        assert await store.register(_worker("2-b")) is Outcome.OK
        (worker,) = await store.workers()
        assert (worker.running, worker.incarnation) == (MANY, "2-b")
        assert len((await store.overdue(fence, 100, 0)).leases) == 100


async def test_instants_of_the_year_2200_are_kept_to_the_millisecond(
    opener: Any, shared_server: RedisServer
) -> None:
    """F56."""
    async with opener(shared_server) as store:
        due_ms = to_ms(datetime(2200, 12, 31, 23, 59, 59, 999000, tzinfo=UTC))
        config = TaskConfig(id="c", executor="local", every=timedelta(days=1))
        rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=due_ms)
        (answer,) = await store.put([PutConfig(config=config, rearm=rearm)], by="me")
        assert answer.stored is not None
        assert answer.stored.due_ms == due_ms
        wall_ms = (await store.now()).wall_ms
        delay_ms = due_ms - wall_ms
        await store.submit([Submission(task_id="t", spec=SPEC, delay_ms=delay_ms)], by="me")
        (task,) = await store.get(["t"])
        assert task is not None
        assert 0 <= task.scheduled_ms - due_ms < 10_000


async def test_a_page_of_large_entries_keeps_the_server_no_longer_than_one_of_small_ones(
    opener: Any, shared_server: RedisServer
) -> None:
    async with opener(shared_server) as store:
        for entry in range(60):
            ids = [f"{entry}-{item}".rjust(150, "x") for item in range(100)]
            await store.submit([Submission(task_id=one, spec=SPEC) for one in ids], by="me")
        pages = [await store.events(None, 1000)]
        while pages[-1].more:
            pages.append(await store.events(pages[-1].cursor, 1000))
        assert [len(page.events) for page in pages] == [20, 20, 20, 0]
