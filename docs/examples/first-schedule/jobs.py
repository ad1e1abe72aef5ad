"""What the first schedule runs."""

import asyncio

import dsched
from dsched import FunctionContext


@dsched.task("report")
async def report(ctx: FunctionContext, day: str) -> dict[str, str | int]:
    """Writes a report; what it logs is kept with the task."""
    ctx.logger.info("writing the report of %s", day)
    await asyncio.sleep(0.2)
    return {"day": day, "pages": 12}


@dsched.task("check")
async def check() -> None:
    """Fails, so that there is something to look into."""
    raise ValueError("the report has no pages")
