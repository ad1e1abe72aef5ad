"""Runs of many tasks: their steps, and the log of their members."""

from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.models import TaskView, task_of
from dsched_api_http.requests import Page
from dsched_api_http.routes.asking import named, named_task
from dsched_api_http.run_requests import MemberList, RunList
from dsched_api_http.run_views import RunLine, RunView, run_in_list, run_line_of, run_of
from dsched_api_http.scopes import Scope

# A run has at most some thousands of lines; a cursor that somebody wrote may say anything.
_MOST_LINES = 1 << 31


async def get_run(call: Call) -> Answer:
    """The steps of a run by level, each with its members."""
    return Answer(body=run_of(await call.client.get_run(named_task(call))))


async def list_runs(call: Call) -> Answer:
    """The latest runs of a config, each with its steps."""
    found = await call.client.config_runs(named(call, "config"), limit=call.query.limit)
    return listing([run_in_list(one) for one in found], None)


async def list_members(call: Call) -> Answer:
    """The members of a run as tasks, step by step."""
    run_id = named_task(call)
    asked: MemberList = call.query
    name = f"members of run {run_id} {asked.step} {asked.state}"

    async def fetch(cursor: str | None, limit: int) -> tuple[list[TaskView], str | None]:
        page = await call.client.run_members(
            run_id, step=asked.step, state=asked.state, cursor=cursor, limit=limit
        )
        return [task_of(one) for one in page.tasks], page.cursor

    return listing(*await call.page(name, fetch))


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
        path="/configs/{id}/runs",
        name="config.runs",
        shared=True,
        scope=Scope.READ,
        handle=list_runs,
        summary="The latest runs of a config, each with its steps",
        query=RunList,
        answer=RunView,
        listed=True,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/run",
        name="run.get",
        shared=True,
        scope=Scope.READ,
        handle=get_run,
        summary="Get the steps and members of a run",
        answer=RunView,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/run/members",
        name="run.members",
        shared=True,
        scope=Scope.READ,
        handle=list_members,
        summary="The members of a run as tasks",
        query=MemberList,
        answer=TaskView,
        listed=True,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/run/log",
        name="run.log",
        shared=True,
        scope=Scope.READ,
        handle=get_log,
        summary="What became of the members of a run",
        query=Page,
        answer=RunLine,
        listed=True,
        problems=("not_found",),
    ),
)
