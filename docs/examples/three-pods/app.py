"""The functions of the three pods: each has the same ones."""

import asyncio

import dsched
from dsched import FunctionContext


@dsched.task("greet")
async def greet(ctx: FunctionContext, name: str) -> str:
    """Says on which worker it ran."""
    await asyncio.sleep(0.2)
    return f"Hello, {name}, from {ctx.worker_id}"
