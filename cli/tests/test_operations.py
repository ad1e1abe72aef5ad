"""What the command asks is what the API's table of routes declares: each path with its method, and
each route by some command; a reason is demanded exactly where the route demands one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

import dsched_cli
from dsched_api_http.call import Route
from dsched_api_http.table import ROUTES
from dsched_cli.main import root

SOURCE = Path(dsched_cli.__file__).parent
# Methods of a session and of its API, with the method that they ask and where their path stands.
ASKING = {"get": "GET", "items": "GET", "events": "GET", "show_list": "GET", "post": "POST"}
PATHS = {"config_path": "/configs", "task_path": "/tasks", "path_of": ""}
# Where a function is given its path: what it is given.
GIVEN = {
    ("finding.py", "_ids"): ("/configs", "/workers", "/tokens", "/limits"),
    ("completing.py", "_ids"): ("/configs", "/workers", "/limits", "/bulk"),
    ("config.py", "_act"): ("/configs/{}/pause", "/configs/{}/resume"),
    ("backfill.py", "_pages"): ("/configs/{}/backfill",),
    ("logs.py", "_lines"): ("/tasks/{}/logs",),
    ("logs.py", "_follow"): ("/tasks/{}/logs",),
    ("runs.py", "_page_on"): ("/tasks/{}/logs",),
    ("calling.py", ""): (),  # the calls themselves
    ("session.py", ""): (),
}
# What no command asks, and why.
UNUSED = {
    "config.patch": "`config put` and `apply` say the whole entry",
    "schema.config": "for editors, which read it by its address",
    "run.log": "`task get` of a run draws what it comes to",
    "run.members": "`task get` of a run draws them, and `logs` reads theirs",
    "config.runs": "pictures of many runs: `task list --of` and `task get` tell of them one by one",
    "openapi": "for generators, which read it by its address",
    "preview": "`next` and `simulate` compute it without a server",
    "problems": "`dsched status` and `dsched task list` ask for its parts",
    "load": "`dsched simulate` computes it without a server",
    "load.minute": "`dsched simulate` computes it without a server",
    "timetable": "a picture: `dsched top`, `next` and `why` have it in words",
    "calendar.list": "`config get` shows those of a config, `status` and `doctor` what ends",
    "now": "`status` and `top` ask for its parts, as they are at this moment",
    "session.open": "for browsers: the command sends its token",
    "session.get": "for browsers: the command sends its token",
    "session.close": "for browsers: the command sends its token",
    "attempt.complete": "for targets that call back, with the token of their attempt",
    "attempt.progress": "for targets that call back, with the token of their attempt",
    "attempt.lines": "for targets that call back, with the token of their attempt",
    "event.stream": "`top` asks anew; a program follows the stream",
    "livez": "a probe",
    "readyz": "a probe",
    "metrics": "Prometheus reads it",
}
# The command of a route whose body has a reason.
OF_ROUTE = {
    "config.pause": "config pause",
    "config.resume": "config resume",
    "config.skip": "config skip",
    "config.backfill": "config backfill",
    "config.trigger": "trigger",
    "task.cancel": "task cancel",
    "task.retry": "task retry",
    "bulk.make": "task retry",
    "bulk.stop": "bulk stop",
    "worker.drain": "worker drain",
    "worker.resume": "worker resume",
    "worker.resize": "worker resize",
    "cluster.step_down": "cluster step-down",
    "cluster.restored": "cluster restored",
    "store.migrate": "store migrate",
    "limit.put": "limit set",
}


@attrs.frozen
class Asked:
    """A call of the API in the command's source; the path is None if it cannot be found out."""

    file: str
    function: str
    method: str
    path: str | None


def asked_by(file: Path) -> Iterator[Asked]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in [tree, *(one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))]:
        name = getattr(function, "name", "")
        inner = [one for one in ast.walk(function) if one is not function]
        nested = {
            id(below)
            for one in inner
            if isinstance(one, ast.FunctionDef)
            for below in ast.walk(one)
        }
        own = [one for one in inner if id(one) not in nested]
        known = {
            one.targets[0].id: path
            for one in own
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
            if (path := path_in(one.value, {})) is not None
        }
        for one in own:
            found = _asked(one, known)
            if found is not None:
                yield Asked(file.name, name, *found)


def _asked(node: ast.AST, known: dict[str, str]) -> tuple[str, str | None] | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
        return None
    of = ast.unparse(node.func.value)
    if of not in ("session.api", "api", "self.api", "session", "self"):
        return None
    if node.func.attr == "call" and len(node.args) > 1 and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value), path_in(node.args[1], known)
    if node.func.attr in ASKING:
        return ASKING[node.func.attr], path_in(node.args[0], known)
    return None


def path_in(node: ast.expr, known: dict[str, str]) -> str | None:
    """The path that an expression is, its ids as ``{}``."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if node.value.startswith("/") else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    if node.func.id not in PATHS:
        return None
    start, parts = PATHS[node.func.id], node.args
    words = [str(one.value) if isinstance(one, ast.Constant) else "{}" for one in parts]
    return "/".join((start, *words))


ASKED = [one for file in sorted(SOURCE.rglob("*.py")) for one in asked_by(file)]


def routes_of(one: Asked) -> list[Route]:
    """The routes of a call."""
    paths = GIVEN.get((one.file, one.function), GIVEN.get((one.file, ""), (one.path,)))
    return [r for r in ROUTES if r.method == one.method and re.sub(r"{\w+}", "{}", r.path) in paths]


@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.file}-{one.function}-{one.path}")
def test_what_a_command_asks_is_a_route(one: Asked):
    known = (one.file, one.function) in GIVEN or (one.file, "") in GIVEN
    assert one.path is not None or known, f"say in GIVEN what {one.function} of {one.file} asks"
    assert routes_of(one) or GIVEN.get((one.file, "")) == ()


def test_every_route_is_asked_by_some_command_or_has_a_reason_not_to_be():
    asked = {route.name for one in ASKED for route in routes_of(one)}
    assert asked | UNUSED.keys() == {route.name for route in ROUTES}
    assert not asked & UNUSED.keys()


def _reason(route: Route) -> Any:
    if not attrs.has(route.body or object):
        return None
    return next((one for one in attrs.fields(route.body) if one.name == "reason"), None)


def command_of(words: str) -> click.Command:
    command: click.Command | None = root
    for word in words.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    return command


def test_a_reason_is_demanded_exactly_where_the_route_demands_one():
    assert {route.name for route in ROUTES if _reason(route)} == OF_ROUTE.keys()
    for route in ROUTES:
        field = _reason(route)
        if field is None:
            continue
        command = command_of(OF_ROUTE[route.name])
        (option,) = [one for one in command.params if one.name == "reason"]
        assert isinstance(option, click.Option)
        assert option.required is (field.default is attrs.NOTHING), route.name
