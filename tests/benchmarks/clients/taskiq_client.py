"""taskiq on Redis streams: acknowledged after the run, result kept (its own result backend)."""

import asyncio
import sys
from contextlib import asynccontextmanager

import works
from tally import TALLY
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from clients import CONCURRENCY, URL

BROKER = RedisStreamBroker(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL))


@BROKER.task(task_name="noop")
async def noop() -> None:
    TALLY.ran()


@BROKER.task(task_name="work")
async def work(order: int, answer: int, customer: str, items: list, log: int, note: str) -> dict:
    TALLY.ran()
    return works.result(order, answer)


@BROKER.task(task_name="stamp")
async def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    await BROKER.startup()
    yield
    await BROKER.shutdown()


async def noops(count: int) -> None:
    await asyncio.gather(*(noop.kiq() for _ in range(count)))


async def works_of(sizes, numbers) -> None:
    await asyncio.gather(*(work.kiq(**works.payload(sizes, n)) for n in numbers))


async def ping(sent_s: float) -> None:
    await stamp.kiq(sent_s)


async def due(instants: list[float]) -> None:
    raise NotImplementedError("taskiq's delayed tasks need its scheduler process: not measured")


def worker() -> None:
    from taskiq.__main__ import main

    sys.argv[1:] = ["worker", "clients.taskiq_client:BROKER", "--workers", "1"]
    sys.argv += ["--max-async-tasks", str(CONCURRENCY), "--ack-type", "when_saved"]
    main()
