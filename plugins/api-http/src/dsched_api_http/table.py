"""The one table of routes: the router, the OpenAPI document and the scopes come from it."""

from dsched_api_http.call import Route
from dsched_api_http.routes import (
    audit,
    cluster,
    config_batch,
    configs,
    events,
    logs,
    meta,
    now,
    operating,
    problems,
    session,
    store,
    tasks,
    timetable,
    tokens,
    upcoming,
    why,
    workers,
)

ROUTES: tuple[Route, ...] = (
    *configs.ROUTES,
    *config_batch.ROUTES,
    *upcoming.ROUTES,
    *why.ROUTES,
    *tasks.ROUTES,
    *logs.ROUTES,
    *workers.ROUTES,
    *now.ROUTES,
    *problems.ROUTES,
    *timetable.ROUTES,
    *cluster.ROUTES,
    *operating.ROUTES,
    *store.ROUTES,
    *events.ROUTES,
    *audit.ROUTES,
    *tokens.ROUTES,
    *session.ROUTES,
    *meta.ROUTES,
)
