"""The functions under test: a nightly report, and a poll that now and then fails."""

import dsched
from dsched import FunctionContext


@dsched.task("reports.nightly")
def nightly(ctx: FunctionContext) -> str:
    """Build the report; the task's id names its instant, so a second run would be seen."""
    return f"report of {ctx.task_id}"


@dsched.task("reports.poll")
async def poll(ctx: FunctionContext) -> int:
    """Poll the till; its first attempt in each run fails."""
    if ctx.attempt == 1:
        raise ConnectionError("the till is busy")
    return ctx.attempt
