"""The settings ``task.*`` are the defaults of every task, however it is made."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

import dsched
from dsched.config.settings import TaskSettings
from dsched.config.task_file import task_from_mapping
from dsched.contracts.store.working import Submission
from dsched.loading import load_catalogue
from dsched.model import RetryPolicy, TaskConfig, TaskSpec
from dsched_client.writing import entry_of

REAL_TIME = True

SETTINGS = {"default_timeout": "7s", "max_retry": 1, "retry_delay": "2s", "backoff_rate": 3.0}
TIMEOUT = timedelta(seconds=7)
RETRY = RetryPolicy(max_retries=1, retry_delay=timedelta(seconds=2), backoff_rate=3.0)

# Equal to what is built in, but said.
SAID_TIMEOUT = timedelta(minutes=5)
SAID_RETRY = RetryPolicy(max_retries=3, retry_delay=timedelta(seconds=10), backoff_rate=2.0)


def spec(**changes):
    return TaskSpec(executor="local", payload={"function": "defaults.nothing"}, **changes)


def config(**changes):
    return TaskConfig(
        id="c",
        executor="local",
        payload={"function": "defaults.nothing"},
        cron_expr="@yearly",
        **changes,
    )


@dsched.task("defaults.nothing")
async def nothing() -> None:
    return None


def settings(tmp_path):
    return {"store": "sqlite", "sqlite": {"path": str(tmp_path / "a.db")}, "task": SETTINGS}


@pytest.fixture(params=["pod", "connect"])
def a_client(request, tmp_path):
    @asynccontextmanager
    async def opened():
        if request.param == "pod":
            async with dsched.pod(settings(tmp_path), roles=["scheduler"]) as pod:
                yield pod.client
        else:
            async with dsched.connect(settings(tmp_path)) as client:
                yield client

    return opened


async def stored(client, task_id):
    found = (await client.get(task_id)).spec
    return found.timeout, found.retry


async def test_a_submission_that_leaves_them_out_gets_them(a_client):
    async with a_client() as client:
        assert await stored(client, await client.submit(spec())) == (TIMEOUT, RETRY)
        await client.submit_many([Submission(task_id="many", spec=spec())])
        assert await stored(client, "many") == (TIMEOUT, RETRY)


async def test_what_is_said_is_kept_even_where_it_is_what_is_built_in(a_client):
    async with a_client() as client:
        said = await client.submit(spec(timeout=SAID_TIMEOUT, retry=SAID_RETRY))
        assert await stored(client, said) == (SAID_TIMEOUT, SAID_RETRY)


async def test_a_policy_that_says_a_part_is_completed(a_client):
    async with a_client() as client:
        _, retry = await stored(client, await client.submit(spec(retry=RetryPolicy(max_retries=3))))
    assert retry == RetryPolicy(max_retries=3, retry_delay=timedelta(seconds=2), backoff_rate=3.0)


async def test_a_config_and_what_is_triggered_of_it_get_them_too(a_client):
    async with a_client() as client:
        put = (await client.put_config(config())).config
        assert (put.timeout, put.retry) == (TIMEOUT, RETRY)
        assert await stored(client, await client.trigger("c")) == (TIMEOUT, RETRY)


async def test_a_config_that_was_read_keeps_what_it_was_put_with(a_client):
    async with a_client() as client:
        first = await client.put_config(config(timeout=SAID_TIMEOUT, retry=SAID_RETRY))
        read = (await client.get_config("c")).config
        again = await client.put_config(read)
        assert (again.config.timeout, again.config.retry) == (SAID_TIMEOUT, SAID_RETRY)
        assert again.config.revision == first.config.revision


def test_a_schedule_in_code_that_says_a_part_of_a_policy_is_completed():
    found = task_from_mapping(
        {"id": "c", "executor": "local", "every": "1h", "retry": RetryPolicy(max_retries=9)}
        | {"payload": {"function": "defaults.nothing"}},
        defaults=TaskSettings(max_retry=1, retry_delay=timedelta(seconds=2), backoff_rate=3.0),
        catalogue=load_catalogue(),
    )
    assert found.retry == RetryPolicy(
        max_retries=9, retry_delay=timedelta(seconds=2), backoff_rate=3.0
    )


def test_the_http_client_leaves_to_the_server_what_was_left_out():
    assert "timeout" not in entry_of(spec())
    assert "retry" not in entry_of(spec())
    said = entry_of(spec(timeout=SAID_TIMEOUT, retry=RetryPolicy(max_retries=3)))
    assert (said["timeout"], said["retry"]) == ("300000ms", {"max_retries": 3})
