"""The authorisation matrix: every route of the table by every scope, and by strangers."""

from typing import Any

import pytest

import dsched
from dsched.contracts import EventKind
from dsched_api_http.events import TOPICS
from dsched_api_http.openapi import address_of
from dsched_api_http.scopes import Scope
from dsched_api_http.table import ROUTES

# What each route needs. A new route fails until it is classified here as well as in the table.
NEEDED = {
    "config.list": "read",
    "config.get": "read",
    "config.put": "operate",
    "config.put_batch": "operate",
    "config.patch": "operate",
    "config.delete": "operate",
    "config.pause": "operate",
    "config.resume": "operate",
    "config.trigger": "submit",
    "config.decisions": "read",
    "config.upcoming": "read",
    "config.skip": "operate",
    "config.backfill": "operate",
    "config.why": "read",
    "preview": "read",
    "task.list": "read",
    "task.submit": "submit",
    "task.submit_batch": "submit",
    "task.get": "read",
    "task.result": "read",
    "task.wait": "read",
    "task.why": "read",
    "task.logs": "read",
    "run.get": "read",
    "config.runs": "read",
    "run.members": "read",
    "run.log": "read",
    "task.cancel": "operate",
    "task.retry": "operate",
    "bulk.make": "operate",
    "bulk.list": "read",
    "bulk.get": "read",
    "bulk.stop": "operate",
    "attempt.complete": None,
    "attempt.progress": None,
    "attempt.lines": None,
    "worker.list": "read",
    "worker.get": "read",
    "worker.drain": "operate",
    "worker.resume": "operate",
    "worker.resize": "operate",
    "limit.list": "read",
    "limit.get": "read",
    "limit.put": "operate",
    "limit.delete": "operate",
    "calendar.list": "read",
    "cluster.get": "read",
    "cluster.pods": "read",
    "cluster.terms": "read",
    "cluster.step_down": "admin",
    "cluster.restored": "admin",
    "store.get": "read",
    "store.migrate": "admin",
    "stats": "read",
    "event.stream": "read",
    "audit.list": "operate",
    "token.list": "admin",
    "token.create": "admin",
    "token.delete": "admin",
    "session.open": None,
    "session.get": "read",
    "session.close": "read",
    "now": "read",
    "problems": "read",
    "load": "read",
    "load.minute": "read",
    "timetable": "read",
    "plugin.list": "read",
    "schema.config": "read",
    "openapi": None,
    "livez": None,
    "readyz": None,
    "metrics": "read",
}
# Routes whose change only the event log records.
NOT_AUDITED = {
    *("task.submit", "task.submit_batch", "preview", "session.open", "session.close"),
    *("attempt.complete", "attempt.progress", "attempt.lines"),
}
# They change nothing but who the caller is: opening says so in the audit itself.
# So does a callback, whose token is of one attempt and no caller's.
CALLBACKS = {"attempt.complete", "attempt.progress", "attempt.lines"}
OWN = {"preview", "session.open", "session.close"} | CALLBACKS


def test_every_route_is_classified() -> None:
    assert {route.name: route.scope for route in ROUTES} == NEEDED
    assert len(ROUTES) == len(NEEDED)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_whatever_changes_something_is_audited_and_needs_more_than_reading() -> None:
    for route in ROUTES:
        changes = route.method != "GET" and route.name not in NOT_AUDITED
        assert route.audited is changes, route.name
        if route.method != "GET" and route.name not in OWN:
            assert route.scope not in (None, Scope.READ), route.name


@pytest.mark.parametrize("scope", ["", "wrong", *Scope])
async def test_a_route_is_open_to_exactly_the_scopes_that_cover_it(api: Any, scope: str) -> None:
    token = {"": "", "wrong": "dsk_abcdef_" + "x" * 43}.get(scope)
    if token is None:
        token = await api.token_of(scope)
    who = api.using(token)
    order = [*Scope]
    for route in ROUTES:
        path = address_of(route).replace("/api/v1", "").replace("{id}", "nobody-has-this-id")
        async with who.http.request(
            route.method,
            who.url
            + address_of(route).replace("{id}", "nobody-has-this-id").replace("{attempt}", "1"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            json={} if route.method in ("POST", "PUT", "PATCH") else None,
        ) as answer:
            status = answer.status
        if route.scope is None:
            body_asked = route.name == "session.open" or route.name in CALLBACKS
            expected = status == (422 if body_asked else 200)
        elif scope in ("", "wrong"):
            # From some wrong tokens on, this address has to wait.
            expected = status == 401 or (scope == "wrong" and status == 429)
        elif order.index(Scope(scope)) >= order.index(route.scope):
            expected = status in (200, 204, 404, 422)
        else:
            expected = status == 403
        assert expected, (route.name, path, scope, status)


def test_every_kind_of_event_is_in_a_topic() -> None:
    assert frozenset().union(*TOPICS.values()) == set(EventKind)


async def test_the_openapi_document_lists_exactly_the_routes(api: Any) -> None:
    document = (await api.using("").ask("GET", "/openapi.json")).body
    listed = {
        (method.upper(), path): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert listed == {(route.method, address_of(route)): route.name for route in ROUTES}


async def test_what_is_open_to_all_says_no_names_and_no_version(api: Any) -> None:
    for path in ("/livez", "/readyz", "/openapi.json", "/none", "/configs"):
        seen = await api.using("").ask("GET", path)
        assert "pod-a" not in seen.text
        assert dsched.__version__ not in seen.text
        assert "aiohttp" not in str(seen.headers)
        assert "Python" not in str(seen.headers)
