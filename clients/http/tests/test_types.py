"""The clients are typed end to end: a strict checker accepts right use and refuses wrong use."""

import inspect
import subprocess
import sys

import pytest

import dsched
from dsched_client import AsyncClient, AsyncTaskHandle, Client, TaskHandle

RIGHT = """\
from datetime import datetime, timedelta

import dsched_client
from dsched import TaskConfig, TaskSpec
from dsched_client.values import Config, Page, Task


def block(client: dsched_client.Client) -> Page[Task]:
    handle = client.submit(TaskSpec(executor="local"), delay_s=timedelta(seconds=1))
    client.submit(TaskSpec(executor="local", timeout="5s"), at=datetime.now().astimezone())
    data = handle.result(timeout=5)
    print(data, handle.cancel().outcome, handle.task.status.terminal)
    config: Config = client.put_config(TaskConfig(id="a", executor="x", cron_expr="@daily")).config
    due: datetime | None = config.due
    print(due, [flaw.lower() for flaw in client.why_config("a").because])
    for event in client.events(topics=["task"]):
        print(event.kind.upper())
    client.list_configs(config_id="a*", labels={"team": "data"}, owner="ann")
    client.list(live_of="a*", labels={"team": "data"}, owner="ann", since=due, until=None)
    return client.list(config_id="a")


async def awaits(client: dsched_client.AsyncClient) -> int:
    handle = await client.trigger("a")
    try:
        await handle.result(timeout=timedelta(seconds=3))
    except dsched_client.TaskEndedBadlyError as error:
        print(error.task.error)
    except dsched_client.ApiError as error:
        print(error.problem.hint)
    async for event in client.events():
        print(event.data)
    return sum(worker.running for worker in await client.workers())
"""
WRONG = """\
import dsched_client


def wrong(client: dsched_client.Client) -> None:
    client.get(7)  # 1
    client.pause_config("a")  # 2
    client.submit({"executor": "x"}).result(timeout=["5s"])  # 3
    client.get_config("a").due.year  # 4
"""


def check(folder, text):
    (folder / "sample.py").write_text(text)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(folder / "cache"),
            "sample.py",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=170,
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_strict_checker_accepts_right_use_and_finds_every_wrong_one(tmp_path):
    assert check(tmp_path, RIGHT).stdout.startswith("Success")
    found = check(tmp_path, WRONG).stdout
    lines = {line.split(":")[1] for line in found.splitlines() if ": error:" in line}
    assert lines == {"5", "6", "7", "8"}, found


def calls_of(kind):
    """The public calls of a client, with their arguments."""
    return {
        name: str(inspect.signature(member)).partition(" -> ")[0]
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_calls_with_the_same_arguments():
    blocking = calls_of(Client)
    blocking["aclose"] = blocking.pop("close")
    assert blocking == calls_of(AsyncClient)
    assert calls_of(TaskHandle) == calls_of(AsyncTaskHandle)


def test_the_calls_of_the_stores_client_are_here_too():
    # Orphaning, and reading many configs by id, belong to those who declare: they do it beside the
    # store, and the API has a route for one config only.
    # What is in use of a limit, and whose it is, is told with it, by `get_limit`.
    beside_the_store = {
        *("orphan_config", "get_configs", "declaration", "note_declaration"),
        *("worker_sizes", "limit_uses", "get_limits", "limit_origin", "limit_origins"),
    }
    assert calls_of(dsched.Client).keys() - beside_the_store <= calls_of(Client).keys()


def test_the_blocking_client_needs_no_aiohttp():
    code = "import sys, dsched_client; dsched_client.Client(); print('aiohttp' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "False"
