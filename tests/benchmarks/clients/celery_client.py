"""celery on Redis: acks_late, results kept in Redis, a prefork pool of two children."""

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import works
from celery import Celery
from tally import TALLY

from clients import CONCURRENCY, URL

APP = Celery("bench", broker=URL, backend=URL)
APP.conf.update(task_acks_late=True, broker_connection_retry_on_startup=True)


@APP.task(name="noop")
def noop() -> None:
    TALLY.ran()


@APP.task(name="work")
def work(order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


@APP.task(name="stamp")
def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    yield


async def noops(count: int) -> None:
    for _ in range(count):
        noop.delay()


async def works_of(sizes, numbers) -> None:
    for number in numbers:
        work.delay(**works.payload(sizes, number))


async def ping(sent_s: float) -> None:
    stamp.delay(sent_s)


async def due(instants: list[float]) -> None:
    for at_s in instants:
        stamp.apply_async((at_s,), eta=datetime.fromtimestamp(at_s, UTC))


def worker() -> None:
    APP.worker_main(["worker", "-c", str(CONCURRENCY), "-l", "info", "-n", f"w{os.getpid()}@%h"])
