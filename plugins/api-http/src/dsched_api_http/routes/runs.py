"""Runs of many tasks: their steps, and the log of their members."""

from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.requests import Page
from dsched_api_http.routes.asking import named_task
from dsched_api_http.run_views import RunLine, RunView, run_line_of, run_of
from dsched_api_http.scopes import Scope

# A run has at most some thousands of lines; a cursor that somebody wrote may say anything.
_MOST_LINES = 1 << 31


async def get_run(call: Call) -> Answer:
    """The steps of a run by level, each with its members."""
    return Answer(body=run_of(await call.client.get_run(named_task(call))))


async def get_log(call: Call) -> Answer:
    """What became of its members, in the order in which it was written."""
    run_id = named_task(call)

    async def fetch(cursor: str | None, limit: int) -> tuple[list[RunLine], str | None]:
        after = min(max(int(cursor or 0), 0), _MOST_LINES)
        lines = await call.store.run_lines(run_id, after, limit)
        if lines is None:
            lines = (await call.client.run_log(run_id))[after : after + limit]  # or it says why
        found = [run_line_of(one) for one in lines]
        return found, str(after + limit) if len(found) == limit else None

    return listing(*await call.page(f"log of run {run_id}", fetch))


ROUTES = (
    Route(
        method="GET",
        path="/tasks/{id}/run",
        name="run.get",
        scope=Scope.READ,
        handle=get_run,
        summary="Get the steps and members of a run",
        answer=RunView,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/run/log",
        name="run.log",
        scope=Scope.READ,
        handle=get_log,
        summary="What became of the members of a run",
        query=Page,
        answer=RunLine,
        listed=True,
        problems=("not_found",),
    ),
)
