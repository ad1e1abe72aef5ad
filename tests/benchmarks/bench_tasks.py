"""The functions that dsched's pods run in a benchmark (`dsched-run --app bench_tasks`)."""

import asyncio

import works
from tally import TALLY

import dsched


@dsched.task("noop")
async def noop() -> None:
    TALLY.ran()


@dsched.task("work")
async def work(order: int, customer: str, items: list[object], answer: int, log: int, note: str,
               ctx: dsched.FunctionContext) -> dict[str, object]:  # fmt: skip
    TALLY.ran()
    for number in range(log):
        ctx.logger.info("order %s of %s, line %s", order, customer, number)
    return works.result(order, answer)


@dsched.task("stamp")
async def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@dsched.task("fire")
async def fire(ctx: dsched.FunctionContext, number: int = 0) -> None:
    """A fire's task id ends in its nominal instant."""
    TALLY.late(int(ctx.task_id.rpartition("@")[2]) / 1000)


@dsched.task("nap")
async def nap(seconds: float) -> None:
    """Takes a slot."""
    TALLY.ran()
    await asyncio.sleep(seconds)
