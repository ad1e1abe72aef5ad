"""rq: one job at a time in the worker's own process (no fork), result kept (its default)."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import works
from redis import Redis
from rq import Queue, SimpleWorker
from tally import TALLY

from clients import HOST, PORT

REDIS = Redis(host=HOST, port=PORT)
QUEUE = Queue("bench", connection=REDIS)


def noop() -> None:
    TALLY.ran()


def work(order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    yield


async def noops(count: int) -> None:
    # By name: the module of the client is not that of the worker.
    job = Queue.prepare_data("clients.rq_client.noop")
    QUEUE.enqueue_many([job._replace(job_id=None) for _ in range(count)])


async def works_of(sizes, numbers) -> None:
    name = "clients.rq_client.work"
    jobs = [Queue.prepare_data(name, kwargs=works.payload(sizes, number)) for number in numbers]
    QUEUE.enqueue_many([job._replace(job_id=None) for job in jobs])


async def ping(sent_s: float) -> None:
    QUEUE.enqueue("clients.rq_client.stamp", sent_s)


async def due(instants: list[float]) -> None:
    for at_s in instants:
        QUEUE.enqueue_at(datetime.fromtimestamp(at_s, UTC), "clients.rq_client.stamp", at_s)


def worker() -> None:
    SimpleWorker([QUEUE], connection=REDIS).work(with_scheduler=True)
