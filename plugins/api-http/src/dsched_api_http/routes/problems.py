"""What needs a person, and what has failed: in groups."""

from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.statistics import HOUR_MS, MAX_STATS_HOURS
from dsched.model import Task, TaskStatus, rfc3339_ms
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.failures import ProblemsView, groups_of, orphans_of
from dsched_api_http.requests import ProblemsQuery
from dsched_api_http.scopes import Scope

PAGE = 100
MAX_FAILED = 500  # ended tasks that are looked at


async def get_problems(call: Call) -> Answer:
    """What needs a person now, and what has failed in the last hours."""
    state = await call.api.overview.now()
    configs, _ = await call.api.overview.configs()
    now_ms = (await call.store.now()).wall_ms
    failed, complete = await _failed(call, now_ms - call.query.hours * HOUR_MS)
    groups = groups_of(failed)
    last = groups[0].last if groups else await _last(call, now_ms)
    return Answer(
        body=ProblemsView(
            time=rfc3339_ms(now_ms),
            hours=call.query.hours,
            problems=state.problems,
            groups=groups,
            orphans=orphans_of(configs),
            last_problem=last,
            complete=complete,
        )
    )


async def _failed(call: Call, from_ms: int) -> tuple[list[Task], bool]:
    """Tasks that have failed since, the newest first, and whether these are all."""
    found: list[Task] = []
    cursor: str | None = None
    while len(found) < MAX_FAILED:
        query = TaskQuery(status=TaskStatus.FAILED)
        page = await call.client.list(query, cursor=cursor, limit=PAGE)
        new = [task for task in page.tasks if (task.end_ms or 0) >= from_ms]
        found += new
        cursor = page.cursor
        if cursor is None or len(new) < len(page.tasks):
            return found, True
    return found, False


async def _last(call: Call, now_ms: int) -> str | None:
    """The newest hour of a month in which something failed or was missed."""
    first_ms = now_ms - (MAX_STATS_HOURS - 1) * HOUR_MS
    hours = await call.store.stats(None, first_ms, now_ms)
    bad = [one.hour_ms for one in hours if one.adds.get("failed") or one.adds.get("missed")]
    return rfc3339_ms(max(bad)) if bad else None


ROUTES = (
    Route(
        method="GET",
        path="/problems",
        name="problems",
        shared=True,
        scope=Scope.READ,
        handle=get_problems,
        summary="What needs a person, and what has failed, in groups",
        query=ProblemsQuery,
        answer=ProblemsView,
    ),
)
