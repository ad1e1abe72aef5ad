"""The API's table of routes declares each operation once: what the HTTP clients ask and read is
held against it, by introspection, in both directions."""

import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attrs
import pytest

import dsched.client
import dsched_client
from dsched.model import Limit
from dsched_api_http.call import Entry, Patch, Route
from dsched_api_http.models import TIME
from dsched_api_http.table import ROUTES
from dsched_client import (
    bulk_calls,
    calls,
    limit_calls,
    list_calls,
    pause_calls,
    trigger_calls,
    values,
    worker_calls,
)
from dsched_client.batches import ConfigBatch
from dsched_client.requests import Call, Request
from dsched_client.stream import events_request, lines_request

_PARTS = (calls, bulk_calls, limit_calls, list_calls, pause_calls, worker_calls, trigger_calls)
MODULES = {one.__name__ for one in _PARTS}

# What the clients have no method of their own for; `request` asks it all the same.
WITHOUT_A_CALL = {
    "preview": "a form's helper: the console and the command ask it",
    "worker.get": "`workers` has all that is told of each",
    "audit.list": "for people: `dsched audit list`",
    "token.list": "for people: `dsched token list`",
    "token.create": "for people: a program is given its token",
    "token.delete": "for people: `dsched token revoke`",
    "session.open": "for browsers: a program sends its token",
    "session.get": "for browsers: a program knows whose token it has",
    "session.close": "for browsers: a program has nothing to end",
    "problems": "for people: the console shows it; `list_tasks` has what failed",
    "load": "for people: the console draws it",
    "load.minute": "for people: the console explains a crowded minute with it",
    "timetable": "for people: the console draws it; `decisions` and `upcoming` have the rest",
    "calendar.list": "for the console; `get_config` has those of a config",
    "now": "for people: the console shows it; `cluster`, `workers` and `stats` are its parts",
    "plugin.list": "for people: `dsched plugin list --server`",
    "schema.config": "for editors, which read it by its address",
    "openapi": "for generators, which read it by its address",
    "attempt.complete": "for targets, which know one address and one token",
    "attempt.progress": "for targets, which know one address and one token",
    "attempt.lines": "for targets, which know one address and one token",
    "livez": "a probe",
    "readyz": "a probe",
    "metrics": "Prometheus reads it",
}
# The `code` of a problem says the same as its type; `recent` and `use` are told only to who asks.
NOT_READ = {"Problem": {"type"}, "Config": {"recent"}, "DeclaredLimit": {"use"}}
# Read as the text that it is: its offset, which is that of the config's zone, belongs to it.
AS_TEXT = {"config.upcoming.items[].local"}


def every_call() -> dict[str, Call[Any]]:
    """Each call with everything that it can be given, by its name."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    page = {"cursor": "c", "limit": 5}
    index = dict.fromkeys(("home", "worker_id", "config_id", "status", "live_of"), "i")
    meant: dict[str, Any] = {"labels": {"k": "v", "l": "w"}, "owner": "o"}
    return {
        "submit": calls.submit({}, task_id="x", delay=1, key="k"),
        "submit_many": calls.submit_many([], key="k"),
        "trigger": calls.trigger("x", key="k", reason="r", params={"a": 1}),
        "get": calls.get("x", full=True),
        "wait": calls.wait("x", at_most_s=1),
        "result": calls.result("x"),
        "cancel": calls.cancel("x", reason="r"),
        "retry": calls.retry("x", reason="r", failed=True, key="k"),
        "get_run": calls.get_run("x"),
        "config_runs": calls.config_runs("x", limit=5),
        "run_members": calls.run_members("x", step="s", state="live", **page),
        "run_log": calls.run_log("x", cursor="c"),
        "list_tasks": calls.list_tasks(**index, **meant, since=now, until=now, **page),
        "task_lines": calls.task_lines("x", attempt=1, after="a", limit=5),
        "why_task": calls.why_task("x"),
        "put_config": calls.put_config(
            {"id": "x"}, adopt=True, origin="api", revision=1, dry_run=True
        ),
        "put_configs": calls.put_configs(
            ConfigBatch("api", ({"id": "x"},)), adopt=True, dry_run=True
        ),
        "patch_config": calls.patch_config("x", {}, revision=1),
        "get_config": calls.get_config("x"),
        "list_configs": calls.list_configs(config_id="i", **meant, **page),
        "delete_config": calls.delete_config("x", cancel_tasks=True, reason="r"),
        "pause_config": calls.pause_config("x", why="w", until=now),
        "resume_config": calls.resume_config("x", why="w"),
        "skip_config": calls.skip_config("x", at=now, from_=now, to=now, why="w"),
        "backfill_config": calls.backfill_config(
            "x", from_=now, to=now, why="w", dry_run=True, limit=1, again=True, key="k", params={}
        ),
        "upcoming": calls.upcoming("x", start=now, end=now, limit=1),
        "decisions": calls.decisions("x", **page),
        "why_config": calls.why_config("x", at=now),
        "stats": calls.stats("c", start=now, end=now, bucket="hour", worker_id="w"),
        "terms": calls.terms(**page),
        "pods": calls.pods(),
        "step_down": calls.step_down(reason="r"),
        "store_format": calls.store_format(),
        "migrate_store": calls.migrate_store(reason="r"),
        "declare_restored": calls.declare_restored(reason="r", since=now),
        "resume_worker": calls.resume_worker("x", reason="r"),
        "cluster": calls.cluster(),
        "workers": calls.workers(**page),
        "bulk": calls.bulk(
            "retry",
            config_id="x",
            **meant,
            status="failed",
            since=now,
            until=now,
            rate="1/s",
            reason="r",
            dry_run=True,
            key="k",
        ),
        "bulk_operations": calls.bulk_operations(**page),
        "bulk_operation": calls.bulk_operation("x"),
        "stop_bulk": calls.stop_bulk("x", reason="r"),
        "put_limit": calls.put_limit(
            Limit(id="x", max_running=1), origin="api", adopt=True, reason="r"
        ),
        "get_limit": calls.get_limit("x", **page),
        "list_limits": calls.list_limits(**page),
        "delete_limit": calls.delete_limit("x", force=True, origin="api", reason="r"),
        "drain_worker": calls.drain_worker("x", reason="r", give_back=True),
        "resize_worker": calls.resize_worker("x", 2, reason="r"),
    }


def every_request() -> dict[str, Request]:
    streams = {"events": events_request(["task"], "c"), "follow_lines": lines_request("x", 1, "c")}
    return {name: call.request for name, call in every_call().items()} | streams


def route_of(request: Request) -> Route:
    path = request.path.removeprefix("/api/v1").replace("/x", "/{}")
    routes = {(one.method, re.sub(r"{\w+}", "{}", one.path)): one for one in ROUTES}
    return routes[request.method, path]


def wire_names(cls: type[Any]) -> dict[str, "attrs.Attribute[Any]"]:
    return {field.name.rstrip("_"): field for field in attrs.fields(cls)}


def test_every_call_that_there_is_is_looked_at():
    hints = {
        name: typing.get_type_hints(function).get("return")
        for name, function in inspect.getmembers(calls, inspect.isfunction)
        if function.__module__ in MODULES
    }
    there = {name for name, hint in hints.items() if typing.get_origin(hint) is Call}
    assert there - {"any_call"} == every_call().keys()


@pytest.mark.parametrize("name", every_request())
def test_a_request_is_one_that_its_route_takes(name):
    request = every_request()[name]
    route = route_of(request)
    asked = {key for key, _ in request.query}
    assert asked <= wire_names(route.query).keys()
    assert ("Idempotency-Key" in request.headers) is route.idempotent
    if route.body is None:
        assert request.body is None
    elif route.body not in (Entry, Patch):
        told, fields = json.loads(request.body or b"{}"), wire_names(route.body)
        assert told.keys() <= fields.keys()
        needed = {key for key, field in fields.items() if field.default is attrs.NOTHING}
        assert needed <= told.keys()


def test_every_route_has_a_call_or_a_reason_to_have_none():
    asked = {route_of(request).name for request in every_request().values()}
    assert asked | WITHOUT_A_CALL.keys() == {route.name for route in ROUTES}
    assert not asked & WITHOUT_A_CALL.keys()


@pytest.mark.parametrize("name", every_call())
def test_a_value_has_what_its_route_answers(name):
    route = route_of(every_call()[name].request)
    value = typing.get_args(typing.get_type_hints(getattr(calls, name))["return"])[0]
    value, model = _item_of(value, route.answer)
    assert list(_differences(model, value, route.name)) == []


def _item_of(value: Any, model: Any) -> tuple[Any, Any]:
    """The classes of one item: pages and batches hold many, and a put its outcome beside it."""
    if value is values.PutAnswer:
        value = values.Config
    if typing.get_origin(value) in (values.Page, tuple):
        value = typing.get_args(value)[0]
        own = wire_names(model)
        if own.keys() == {"items"}:
            model = typing.get_args(own["items"].type)[0]
    return (None if value is type(None) else value), model


def _differences(model: Any, value: Any, place: str) -> Iterator[str]:
    """What differs between a class of the API's answers and the clients' value of it."""
    model, absent = _without_none(model)
    value, may_be_absent = _without_none(value)
    if absent and not may_be_absent:
        yield f"{place} may be null, and the value does not know it"
    if attrs.has(model) and attrs.has(value):
        yield from _fields_differ(model, value, place)
    elif typing.get_origin(model) is tuple and typing.get_origin(value) is tuple:
        items = typing.get_args(model)[0], typing.get_args(value)[0]
        yield from _differences(*items, f"{place}[]")
    elif attrs.has(model) and _plain(value) is Mapping:
        return  # read as it stands
    elif _plain(model) != _plain(value):
        yield f"{place} is {model}, and the value says {value}"


def _fields_differ(model: type[Any], value: type[Any], place: str) -> Iterator[str]:
    told, read = wire_names(model), wire_names(value)
    for name in told.keys() - read.keys() - NOT_READ.get(value.__name__, set()):
        yield f"{place}.{name} is told and not read"
    for name in read.keys() - told.keys():
        if not (value.__name__ == "Problem" and name == "retry_after_s"):  # of a header
            yield f"{place}.{name} is read and never told"
    hints = typing.get_type_hints(value)
    for name in told.keys() & read.keys():
        kind = told[name].type
        if told[name].metadata.get("each") == TIME:
            kind = tuple[datetime, ...]
        if told[name].metadata.get("format") == "date-time" and f"{place}.{name}" not in AS_TEXT:
            kind = datetime | None if _without_none(kind)[1] else datetime
        if told[name].metadata.get("optional"):  # left out where it is null
            kind = _without_none(kind)[0]
            if read[name].default is attrs.NOTHING:
                yield f"{place}.{name} may be left out, and the value needs it"
        yield from _differences(kind, hints[read[name].name], f"{place}.{name}")


def _without_none(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind, False
    kinds = [one for one in typing.get_args(kind) if one is not type(None)]
    some = kinds[0] if len(kinds) == 1 else "json"
    return some, len(kinds) < len(typing.get_args(kind))


def _plain(kind: Any) -> Any:
    """What JSON makes of a kind; an enum is its text, and a text may be read as what it says."""
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return str
    if kind is datetime:
        return datetime
    return "json" if kind == "json" else typing.get_origin(kind) or kind


# What only one of the clients has, and why.
ONLY_BY_HTTP = {
    "patch_config": "a merge patch is a thing of HTTP",
    "upcoming": "a program in the cluster computes it: dsched.planning",
    "cluster": "what `counts`, `workers`, `pods` and `terms` of the store's client say",
    "request": "for what has no method",
    "aclose": "connections",
}
ONLY_IN_THE_STORE = {
    "get_configs": "reading by id, a hundred at once, is no route",
    "get_limits": "as `get_configs`",
    "limit_origin": "by HTTP `get_limit` has it",
    "limit_origins": "by HTTP `request` of `/limits` has them",
    "limit_uses": "by HTTP `get_limit` has those of a limit",
    "worker_sizes": "by HTTP `workers` has what each was given",
    "declaration": "pods tell one another which version of what they declare lives",
    "note_declaration": "as `declaration`",
    "orphan_config": "the pause that `dsched apply` asks for by `orphan_of`",
}


def test_the_clients_have_the_methods_of_the_client_on_a_store():
    by_http, in_store, blocking = (
        {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if name[0] != "_"}
        for cls in (dsched_client.AsyncClient, dsched.client.Client, dsched_client.Client)
    )
    assert by_http - in_store == ONLY_BY_HTTP.keys()
    assert in_store - by_http == ONLY_IN_THE_STORE.keys()
    assert blocking ^ by_http == {"aclose", "close"}


def test_every_call_is_made_by_a_method_of_the_clients():
    source = "".join(
        inspect.getsource(cls) for cls in dsched_client.AsyncClient.__mro__ if cls is not object
    )
    assert {name for name in every_call() if f"calls.{name}(" not in source} == set()
