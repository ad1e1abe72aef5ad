"""The client on a store and those of the HTTP API take the same calls and raise the same errors."""

import inspect
from datetime import UTC, datetime

import pytest
from api_pods import ADMIN, serving

import dsched
import dsched_client
from dsched import errors
from dsched.client import Client as StoreClient
from dsched.client import TaskHandle
from dsched.functions.registry import REGISTRY, Registry
from dsched_client import AsyncClient, AsyncTaskHandle

CALLS = ("submit", "trigger", "retry", "get", "wait", "result", "cancel", "list", "put_config")
# What only one side can know: a query of the store's, keys of HTTP requests, a dry run of the API.
OWN = {"query", "key", "expected_revision", "dry_run"}


def arguments_of(call) -> set[str]:
    return set(inspect.signature(call).parameters) - OWN - {"self"}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_the_same_arguments_in_both(name):
    assert arguments_of(getattr(StoreClient, name)) == arguments_of(getattr(AsyncClient, name))


@pytest.mark.parametrize("name", ["get", "wait", "result", "cancel"])
def test_a_handle_has_the_same_calls_in_both(name):
    assert inspect.signature(getattr(TaskHandle, name)).parameters.keys() == (
        inspect.signature(getattr(AsyncTaskHandle, name)).parameters.keys()
    )


@pytest.mark.parametrize(
    "name", ["NotFoundError", "ConflictError", "PreconditionError", "ClientError"]
)
def test_one_except_catches_the_error_of_either(name):
    shared = getattr(errors, name)
    assert issubclass(getattr(dsched_client, name), shared)
    assert getattr(dsched.client, name) is shared


def test_no_answer_is_one_error_too():
    assert issubclass(dsched_client.UnreachableError, errors.NoAnswerError)
    assert issubclass(dsched_client.UnavailableError, errors.NoAnswerError)
    assert issubclass(dsched.StoreUnavailableError, errors.NoAnswerError)
    assert dsched_client.TaskEndedBadlyError is dsched.client.TaskEndedBadlyError


NEW_YEAR = datetime(2999, 1, 1, tzinfo=UTC)


async def ordered(client) -> None:
    """What a program does, whichever client it was given."""
    spec = dsched.TaskSpec(executor="echo", payload="x", timeout="9s", retry={"max_retries": 0})
    handle = await client.submit(spec, task_id="one", delay="10ms")
    assert await handle.result(timeout="20s") == "x"
    assert (await handle.get()).id == handle.id == "one"
    for at in (NEW_YEAR.replace(microsecond=1), "2999-01-01T00:00:00.000001Z"):
        later = await client.submit(spec, at=at)  # not early, not by a part of a millisecond either
        assert (await later.get()).scheduled_time == NEW_YEAR.replace(microsecond=1000)
    assert (await later.cancel(reason="no more")).outcome == "OK"
    with pytest.raises(errors.NotFoundError):
        await client.get("nobody")
    with pytest.raises(errors.ConflictError):
        await client.submit(dsched.TaskSpec(executor="echo", payload="y"), task_id="one")
    with pytest.raises(ValueError, match="nowhere"):
        await client.submit(dsched.TaskSpec(executor="nowhere"))
    entry = {"id": "c", "executor": "echo", "payload": "z", "every": "1h"}
    await client.put_config(entry, revision=0)
    with pytest.raises(errors.PreconditionError):
        await client.put_config({**entry, "every": "2h"}, revision=0)
    assert await (await client.trigger("c", reason="to see")).result(timeout=20) == "z"
    bad = await client.submit(
        dsched.TaskSpec(executor="echo", payload={"fail": "no"}, retry={"max_retries": 0})
    )
    with pytest.raises(errors.TaskEndedBadlyError):
        await bad.result(timeout=20)


async def test_a_program_runs_unchanged_on_the_http_api():
    async with (
        serving(roles=("api", "scheduler", "worker")) as served,
        AsyncClient(served.url, token=ADMIN) as client,
    ):
        await ordered(client)


async def test_a_decorated_function_is_submitted_through_the_http_api(monkeypatch):
    monkeypatch.setattr(REGISTRY, "_functions", {})  # the server knows no function
    registry = Registry()

    @registry.task("far.away")
    def far_away(number: int) -> int:
        raise AssertionError("it runs on a worker")

    async with serving(roles=("api",)) as served, AsyncClient(served.url, token=ADMIN) as client:
        handle = await far_away.options(client=client, delay="1h", task_id="t").submit(7)
        task = await client.get("t", full=True)
        assert isinstance(handle, TaskHandle)
        assert task.spec["payload"] == {"function": "far.away", "args": [7]}
        assert (await handle.cancel()).outcome == "OK"
        assert (await handle.wait(timeout="5s")).status == "cancelled"
