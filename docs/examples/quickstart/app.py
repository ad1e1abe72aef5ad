"""The quickstart's own functions: one of each kind that dsched runs."""

import asyncio
import time

import dsched
from dsched import FunctionContext


@dsched.task("quickstart.poll")
async def poll(ctx: FunctionContext, pages: int) -> dict[str, int]:
    """Async: runs on the worker's event loop."""
    for page in range(pages):
        await asyncio.sleep(0.05)
        ctx.progress(page + 1, pages)
    return {"pages": pages}


@dsched.task("quickstart.tidy")
def tidy(folder: str) -> str:
    """A plain function: runs in a thread."""
    time.sleep(0.1)
    return f"tidied {folder}"


@dsched.task("quickstart.primes", isolation="process")
def primes(below: int) -> int:
    """In a child process, which a timeout or a cancel really kills."""
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))
