"""The functions that dsched's pods run in a benchmark (`dsched-run --app bench_tasks`)."""

import asyncio

from tally import TALLY

import dsched


@dsched.task("noop")
async def noop() -> None:
    TALLY.ran()


@dsched.task("stamp")
async def stamp(due_s: float) -> None:
    TALLY.late(due_s)


@dsched.task("fire")
async def fire(ctx: dsched.FunctionContext) -> None:
    """A fire's task id ends in its nominal instant."""
    TALLY.late(int(ctx.task_id.rpartition("@")[2]) / 1000)


@dsched.task("nap")
async def nap(seconds: float) -> None:
    """Takes a slot."""
    TALLY.ran()
    await asyncio.sleep(seconds)
