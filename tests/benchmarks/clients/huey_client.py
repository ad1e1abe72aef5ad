"""huey: taken off the queue before the run (no acknowledgement), result kept, 8 threads."""

import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import works
from huey import RedisHuey
from tally import TALLY

from clients import HOST, PORT

HUEY = RedisHuey("bench", host=HOST, port=PORT, results=True, store_none=True, utc=True)


@HUEY.task()
def noop() -> None:
    TALLY.ran()


@HUEY.task()
def work(order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


@HUEY.task()
def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    yield


async def noops(count: int) -> None:
    for _ in range(count):
        noop()


async def works_of(sizes, numbers) -> None:
    for number in numbers:
        work(**works.payload(sizes, number))


async def ping(sent_s: float) -> None:
    stamp(sent_s)


async def due(instants: list[float]) -> None:
    for at_s in instants:
        stamp.schedule((at_s,), eta=datetime.fromtimestamp(at_s, UTC).replace(tzinfo=None))


def worker() -> None:
    logging.basicConfig(level=logging.INFO)
    HUEY.create_consumer(workers=8, worker_type="thread").run()
