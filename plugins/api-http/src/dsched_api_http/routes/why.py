"""Why: of a config at any instant, and of a task; and statistics."""

from datetime import timedelta

from dsched.client import BucketSize
from dsched.model import InvalidIdError, check_id, from_ms
from dsched_api_http.asked import MAX_SPAN, BucketSpan, StatsQuery, WhyQuery
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.problems import invalid, not_found
from dsched_api_http.reasons import (
    ExplanationView,
    StatisticsView,
    explanation_of,
    statistics_of,
)
from dsched_api_http.scopes import Scope

DEFAULT_SPAN = timedelta(days=1)


async def why_config(call: Call) -> Answer:
    """Why it fired, or did not."""
    try:
        check_id(call.path["id"])
    except InvalidIdError:
        raise not_found("config", call.path["id"]) from None
    return Answer(body=explanation_of(await call.client.why_config(call.path["id"], call.query.at)))


async def why_task(call: Call) -> Answer:
    """Why it is where it is, or ended as it did."""
    return Answer(body=explanation_of(await call.client.why_task(call.path["id"])))


async def get_stats(call: Call) -> Answer:
    """What was done, by hour or by day."""
    query: StatsQuery = call.query
    if query.config is not None:
        try:
            check_id(query.config)
        except InvalidIdError as error:
            raise invalid("config", str(error)) from error
    end = query.to or from_ms((await call.store.now()).wall_ms)
    try:
        start = query.from_ or end - DEFAULT_SPAN
    except OverflowError:
        raise invalid("to", "is before anything that can be counted") from None
    if start > end:
        raise invalid("from", "must be before to")
    if end - start > MAX_SPAN:
        raise invalid("from", f"a span has at most {MAX_SPAN.days} days")
    bucket: BucketSize = "day" if query.bucket is BucketSpan.DAY else "hour"
    found = await call.client.stats(query.config, start, end, bucket=bucket)
    return Answer(body=statistics_of(found))


ROUTES = (
    Route(
        method="GET",
        path="/configs/{id}/why",
        name="config.why",
        scope=Scope.READ,
        handle=why_config,
        summary="Why a config fired, or did not, at an instant",
        query=WhyQuery,
        answer=ExplanationView,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/why",
        name="task.why",
        scope=Scope.READ,
        handle=why_task,
        summary="Why a task is where it is",
        answer=ExplanationView,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/stats",
        name="stats",
        scope=Scope.READ,
        handle=get_stats,
        summary="What was done, by hour or by day",
        query=StatsQuery,
        answer=StatisticsView,
    ),
)
