"""arq: acknowledged after the run, result kept for an hour (its default), log level info."""

import asyncio
import logging.config
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import works
from arq import create_pool, run_worker
from arq.connections import RedisSettings
from arq.logs import default_log_config
from tally import TALLY

from clients import CONCURRENCY, HOST, PORT

SETTINGS = RedisSettings(host=HOST, port=PORT)
_open = {}


async def noop(ctx) -> None:
    TALLY.ran()


async def work(ctx, order, answer, **rest) -> dict:
    TALLY.ran()
    return works.result(order, answer)


async def stamp(ctx, due_s: float) -> None:
    TALLY.late(due_s)


class WorkerSettings:
    functions = (noop, work, stamp)
    redis_settings = SETTINGS
    max_jobs = CONCURRENCY


@asynccontextmanager
async def opened():
    _open["pool"] = pool = await create_pool(SETTINGS)
    yield
    await pool.aclose()


async def noops(count: int) -> None:
    await asyncio.gather(*(_open["pool"].enqueue_job("noop") for _ in range(count)))


async def works_of(sizes, numbers) -> None:
    pool = _open["pool"]
    await asyncio.gather(*(pool.enqueue_job("work", **works.payload(sizes, n)) for n in numbers))


async def ping(sent_s: float) -> None:
    await _open["pool"].enqueue_job("stamp", sent_s)


async def due(instants: list[float]) -> None:
    await asyncio.gather(
        *(
            _open["pool"].enqueue_job("stamp", at, _defer_until=datetime.fromtimestamp(at, UTC))
            for at in instants
        )
    )


def worker() -> None:
    logging.config.dictConfig(default_log_config(verbose=False))
    run_worker(WorkerSettings)
