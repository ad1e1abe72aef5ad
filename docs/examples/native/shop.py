"""The functions of a shop, each called, submitted and scheduled as its decorators say."""

import dsched
from dsched import FunctionContext


@dsched.task(retry={"max_retries": 5, "retry_delay": "2s"}, timeout="30s", priority=7)
def add(a: int, b: int) -> int:
    """Not async, so it runs in a thread."""
    return a + b


@dsched.task("mail.welcome")
async def welcome(ctx: FunctionContext, name: str) -> str:
    """The context comes first, and is no argument of a submission."""
    ctx.logger.info("attempt %d", ctx.attempt)
    total = await add.submit(20, 22)  # from inside a task too
    return f"Welcome, {name}: {await total.result(timeout='20s')}"


@dsched.schedule("0 2 * * *", timezone="Europe/Berlin")
@dsched.task("shop.nightly")
def nightly() -> None:
    """Runs by itself, once a night, however many replicas there are."""
