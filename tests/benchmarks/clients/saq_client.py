"""saq: acknowledged after the run, result kept for ten minutes (its default), log level info."""

import asyncio
import logging
from contextlib import asynccontextmanager

import works
from saq import Queue, Worker
from tally import TALLY

from clients import CONCURRENCY, URL

QUEUE = Queue.from_url(URL)


async def noop(ctx) -> None:
    TALLY.ran()


async def work(ctx, *, order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


async def stamp(ctx, *, due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    await QUEUE.connect()
    yield
    await QUEUE.disconnect()


async def noops(count: int) -> None:
    await asyncio.gather(*(QUEUE.enqueue("noop") for _ in range(count)))


async def works_of(sizes, numbers) -> None:
    await asyncio.gather(*(QUEUE.enqueue("work", **works.payload(sizes, n)) for n in numbers))


async def ping(sent_s: float) -> None:
    await QUEUE.enqueue("stamp", due_s=sent_s)


async def due(instants: list[float]) -> None:
    await asyncio.gather(*(QUEUE.enqueue("stamp", due_s=at, scheduled=at) for at in instants))


def worker() -> None:
    logging.basicConfig(level=logging.INFO)

    async def run() -> None:
        await Worker(QUEUE, functions=[noop, work, stamp], concurrency=CONCURRENCY).start()

    asyncio.run(run())
