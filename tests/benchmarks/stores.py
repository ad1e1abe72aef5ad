"""A handle of the benchmark's own on the store of a stage, and how a store is filled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from systems import Stage

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH, MAX_HEAVY_BATCH
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.working import Submission
from dsched.model import TaskConfig, TaskSpec

AT_ONCE = 4
FAR_MS = 30 * 24 * 3600 * 1000
HOURLY = timedelta(hours=1)


@asynccontextmanager
async def opened(stage: Stage, settings: StoreSettings | None = None) -> AsyncIterator[Store]:
    """The store that the stage's pods use."""
    from dsched_store_redis.options import Durability, RedisOptions
    from dsched_store_redis.store import open_store
    from dsched_store_sqlite.options import SqliteOptions
    from dsched_store_sqlite.store import open_sqlite

    settings = settings or StoreSettings()
    if stage.server is None:
        handle = open_sqlite(SqliteOptions(path=str(stage.folder / "dsched.db")), settings)
    else:
        options = RedisOptions(addr=stage.server.addr, durability=Durability.DEV)
        handle = open_store(options, settings)
    async with handle as store:
        yield store


def configs(numbers: range, due_ms: int) -> list[PutConfig]:
    """New configs that fire hourly, first at an instant."""
    rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=due_ms)
    return [
        PutConfig(
            config=TaskConfig(
                id=f"config-{number:07d}",
                name=f"number {number}",
                executor="local",
                payload={"function": "noop"},
                every=HOURLY,
            ),
            rearm=rearm,
        )
        for number in numbers
    ]


def tasks(numbers: range, spec: TaskSpec, kind: str, delay_ms: int = 0) -> list[Submission]:
    """New tasks; ``kind`` is in their ids."""
    return [
        Submission(task_id=f"{kind}-{number:07d}", spec=spec, delay_ms=delay_ms)
        for number in numbers
    ]


def batches(numbers: range, size: int) -> Iterator[range]:
    """Cut into what one call takes."""
    for start in range(numbers.start, numbers.stop, size):
        yield range(start, min(start + size, numbers.stop))


async def fill(
    numbers: range, size: int, call: Callable[[range], Awaitable[Sequence[Outcome]]]
) -> None:
    """Batch after batch, a few at once."""
    waiting = batches(numbers, size)

    async def lane() -> None:
        for batch in waiting:
            if set(await call(batch)) != {Outcome.OK}:
                raise RuntimeError("the store refused what it was filled with")

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(lane(), name=f"filling {number}")


async def fill_configs(store: Store, numbers: range) -> None:
    """Configs that are not due for a month."""
    due_ms = (await store.now()).wall_ms + FAR_MS

    async def put(batch: range) -> list[Outcome]:
        return [answer.outcome for answer in await store.put(configs(batch, due_ms), by="bench")]

    await fill(numbers, MAX_HEAVY_BATCH, put)


async def fill_tasks(
    store: Store, numbers: range, spec: TaskSpec, kind: str, delay_ms: int = 0
) -> None:
    """Tasks that wait."""

    async def submit(batch: range) -> Sequence[Outcome]:
        return await store.submit(tasks(batch, spec, kind, delay_ms), by="bench")

    await fill(numbers, MAX_BATCH, submit)
