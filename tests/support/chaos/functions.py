"""What the pods run: functions that write their start and their end to a ledger of the process.

Imported by the pods (``--app chaos.functions``); CHAOS_LEDGER names the folder.
"""

import asyncio
import functools
import os
import time
from pathlib import Path

import dsched
from dsched import FunctionContext, TaskFailed
from dsched.model import JsonValue
from dsched_testkit.evidence import Recorder


@functools.cache
def _ledger(pid: int) -> Recorder:
    """A file for each process: a killed writer's half line must be the last one."""
    return Recorder(Path(os.environ["CHAOS_LEDGER"]) / f"ledger-{pid}.jsonl")


def _began(ctx: FunctionContext) -> None:
    _ledger(os.getpid()).write(
        "start",
        task=ctx.task_id,
        attempt=ctx.attempt,
        worker=ctx.worker_id,
        at_s=time.monotonic(),
    )


def _ended(ctx: FunctionContext) -> JsonValue:
    """Every attempt has a result of its own, so that another's is recognised."""
    result: JsonValue = {"attempt": ctx.attempt, "worker": ctx.worker_id, "pid": os.getpid()}
    _ledger(os.getpid()).write(
        "end",
        task=ctx.task_id,
        attempt=ctx.attempt,
        worker=ctx.worker_id,
        at_s=time.monotonic(),
        result=result,
    )
    return result


@dsched.task("nap")
async def nap(ctx: FunctionContext, seconds: float) -> JsonValue:
    """Sleep on the worker's loop."""
    _began(ctx)
    await asyncio.sleep(seconds)
    return _ended(ctx)


@dsched.task("work")
def work(ctx: FunctionContext, seconds: float) -> JsonValue:
    """Sleep in a thread, whatever happens meanwhile."""
    _began(ctx)
    time.sleep(seconds)
    return _ended(ctx)


@dsched.task("stumble")
async def stumble(ctx: FunctionContext, seconds: float, falls: int) -> JsonValue:
    """Fail the first ``falls`` attempts."""
    _began(ctx)
    await asyncio.sleep(seconds)
    if ctx.attempt <= falls:
        raise TaskFailed("stumbled", code="stumbled")
    return _ended(ctx)


@dsched.task("apart", isolation="process")
def apart(ctx: FunctionContext, seconds: float) -> JsonValue:
    """Sleep in a child process."""
    _began(ctx)
    time.sleep(seconds)
    return _ended(ctx)
