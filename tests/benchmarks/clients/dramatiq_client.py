"""dramatiq: acknowledged after the run, result kept (results middleware), 1 process of 8
threads."""

import sys
import time
from contextlib import asynccontextmanager

import dramatiq
import works
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from tally import TALLY

from clients import URL

BROKER = RedisBroker(url=URL)
BROKER.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(BROKER)


@dramatiq.actor(store_results=True)
def noop() -> None:
    TALLY.ran()


@dramatiq.actor(store_results=True)
def work(order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


@dramatiq.actor(store_results=True)
def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@asynccontextmanager
async def opened():
    yield


async def noops(count: int) -> None:
    for _ in range(count):
        noop.send()


async def works_of(sizes, numbers) -> None:
    for number in numbers:
        work.send(**works.payload(sizes, number))


async def ping(sent_s: float) -> None:
    stamp.send(sent_s)


async def due(instants: list[float]) -> None:
    for at_s in instants:
        delay_ms = max(0, round((at_s - time.time()) * 1000))
        stamp.send_with_options(args=(at_s,), delay=delay_ms)


def worker() -> None:
    from dramatiq.cli import main, make_argument_parser

    # One worker process, as for the others; its own default is one a core.
    argv = ["clients.dramatiq_client", "--processes", "1", "--threads", "8"]
    sys.exit(main(make_argument_parser().parse_args(argv)))
