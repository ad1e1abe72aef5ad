"""The whole API as its own OpenAPI document describes it, with generated requests."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dsched_api_http.openapi import address_of
from dsched_api_http.table import ROUTES

ADMIN = "admin-token-of-the-tests-0123456789"
EXAMPLES = 10
ENTRY = {"executor": "echo", "every": "24h"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# A stream ends when its reader does: test_events reads it.
FUZZED = [route for route in ROUTES if not route.stream]
# Ids that are there, so that not every answer is 404.
IDS = ["c", "done", "waiting", "c@manual-1", "first"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The pod of this process draws random numbers while a strategy is at work.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A pod with API, scheduler and worker, in a loop and thread of its own."""
    from importlib import util
    from pathlib import Path

    spec = util.spec_from_file_location(
        "api_http_conftest", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    support = util.module_from_spec(spec)
    spec.loader.exec_module(support)
    ready: Future[str] = Future()
    stop: dict[str, Any] = {}

    async def main() -> None:
        async with support.serving(roles=("api", "scheduler", "worker")) as api:
            await api.ask("PUT", "/configs/c", ENTRY)
            await api.ask("POST", "/configs/c/trigger", {"key": "1"})
            await api.ask("POST", "/tasks", {"executor": "echo", "id": "done"})
            await api.ask("GET", "/tasks/done/wait?timeout=20s")
            await api.ask("POST", "/tasks", {"executor": "echo", "id": "waiting", "delay": "1h"})
            stop["event"], stop["loop"] = asyncio.Event(), asyncio.get_running_loop()
            ready.set_result(api.url)
            await stop["event"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    yield ready.result(30)
    stop["loop"].call_soon_threadsafe(stop["event"].set)
    thread.join(30)


@pytest.fixture(scope="module")
def schema(url: str) -> Any:
    """The document that the API tells of itself."""
    return schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    """One connection for all requests."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {ADMIN}"
        yield session


def mend(case: Any, route: Any) -> None:
    """Make what no generator can know fit: names of executors, exactly one trigger, one index."""
    body = case.body if isinstance(case.body, dict) else None
    if body is not None and route.name in ("config.put", "task.submit", "preview"):
        for name in ("type", "cron_expr", "fixed_delay", "at", "start_at", "end_at", "timezone"):
            body.pop(name, None)
        if route.name != "preview":
            body["executor"] = "echo"
        if route.name != "task.submit":
            body["every"] = "1h"
    if route.name == "task.list":
        query = case.query or {}
        first = next((name for name in ("live_of", "config", "status") if name in query), "home")
        value = {"home": "ready", "status": "success"}.get(first, "c")
        limits = {"limit": query["limit"]} if "limit" in query else {}
        case.query = {first: value, **limits}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("route", FUZZED, ids=lambda route: route.name)
def test_no_request_breaks_the_api_or_its_document(
    schema: Any, url: str, http: requests.Session, route: Any, mode: GenerationMode
) -> None:
    operation = schema[address_of(route)][route.method]
    asked: list[int] = []

    @seed(4711)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.sampled_from([*IDS, ""]))
    def ask(case: Any, known: str) -> None:
        if known and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = known
        if mode is GenerationMode.POSITIVE:
            mend(case, route)
        if route.path.startswith("/configs/{id}"):
            http.put(
                f"{url}/api/v1/configs/c", json=ENTRY, timeout=20
            )  # another may have deleted it
        if route.name == "task.wait":
            case.query = {**(case.query or {}), "timeout": "1ms"}
        if route.name == "task.logs" and case.query:
            case.query.pop("follow", None)  # of a task that waits it would not end
        response = case.call(base_url=url, session=http, timeout=20)
        leaderless = response.status_code == 503 and response.json()["code"] == "leaderless"
        checks = CHECKS[1:] if leaderless else CHECKS  # nobody leads right after a step-down
        case.validate_response(response, checks=checks)
        assert response.headers["x-content-type-options"] == ["nosniff"]
        assert "Traceback" not in response.text
        asked.append(response.status_code)

    try:
        ask()
    except Exception as error:
        if type(error).__name__ in ("Unsatisfiable", "Unsatisfied"):
            return  # there is nothing wrong that could be asked of this route
        raise
    assert asked
