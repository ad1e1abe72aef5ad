"""The site's functions. They may use its models: a function that is not async runs in a thread."""

import time
from pathlib import Path

import dsched
from dsched import FunctionContext
from shop.models import Report


@dsched.schedule(every="1s", id="rates.refresh")
@dsched.task("rates.refresh")
def refresh(ctx: FunctionContext) -> None:
    """Runs by itself, on one replica each time."""
    with Path("refreshed").open("a") as file:
        file.write(f"{ctx.task_id}\n")


@dsched.task("report.render")
def render(name: str, seconds: float = 0.0) -> dict[str, str]:
    """Is submitted by the web application, and may take its time."""
    time.sleep(seconds)
    return {"title": f"Report for {name}"}


@dsched.task("report.count", isolation="process")
def count(start: str) -> int:
    """Runs in a process of its own, in which Django is set up as well."""
    return Report.objects.filter(name__startswith=start).count()
