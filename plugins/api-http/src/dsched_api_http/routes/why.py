"""Why something happened or did not, and how much of it: explanations and statistics."""

from datetime import UTC, datetime, timedelta

from dsched.client.gathering import MAX_STATS_SPAN
from dsched.model import InvalidIdError, check_id, from_ms
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.facts import Statistics, Why, bucket_of, why_of
from dsched_api_http.problems import invalid
from dsched_api_http.requests import StatsQuery, WhyQuery
from dsched_api_http.routes.asking import named, named_task
from dsched_api_http.scopes import Scope

DEFAULT_SPAN = timedelta(days=1)


async def why_config(call: Call) -> Answer:
    """Why a config fired, or did not, at an instant."""
    return Answer(body=why_of(await call.client.why_config(named(call, "config"), call.query.at)))


async def why_task(call: Call) -> Answer:
    """Why a task waits, runs, failed or was cancelled, and where."""
    return Answer(body=why_of(await call.client.why_task(named_task(call))))


async def get_stats(call: Call) -> Answer:
    """How much was done in a span of time."""
    asked: StatsQuery = call.query
    if asked.config is not None and asked.worker is not None:
        raise invalid("worker", "is counted apart from configs; name a config or a worker")
    for name in ("config", "worker"):
        if (given := getattr(asked, name)) is not None:
            try:
                check_id(given, name)
            except InvalidIdError as error:
                raise invalid(name, str(error)) from error
    start, end = await _span(call, asked)
    found = await call.client.stats(
        asked.config, start, end, bucket=asked.bucket, worker_id=asked.worker
    )
    return Answer(
        body=Statistics(items=tuple(map(bucket_of, found.items)), total=bucket_of(found.total))
    )


async def _span(call: Call, asked: StatsQuery) -> tuple[datetime, datetime]:
    """From when to when; a day at a time unless it is said."""
    end = asked.to or from_ms((await call.store.now()).wall_ms)
    try:
        start, end = (asked.from_ or end - DEFAULT_SPAN).astimezone(UTC), end.astimezone(UTC)
    except OverflowError as error:
        raise invalid("to", "is beyond the years that a calendar has") from error
    if start > end:
        raise invalid("from", "must not be later than to")
    if end - start > MAX_STATS_SPAN:
        raise invalid("from", f"at most {MAX_STATS_SPAN.days} days are counted at once")
    return start, end


ROUTES = (
    Route(
        method="GET",
        path="/configs/{id}/why",
        name="config.why",
        shared=True,
        scope=Scope.READ,
        handle=why_config,
        summary="Why a config fired, or did not",
        query=WhyQuery,
        answer=Why,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/tasks/{id}/why",
        name="task.why",
        shared=True,
        scope=Scope.READ,
        handle=why_task,
        summary="Why a task is where it is",
        answer=Why,
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/stats",
        name="stats",
        scope=Scope.READ,
        handle=get_stats,
        summary="How much was done",
        query=StatsQuery,
        answer=Statistics,
    ),
)
