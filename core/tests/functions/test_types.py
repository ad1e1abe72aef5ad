"""A decorated function is typed: a strict checker accepts right use and refuses wrong use."""

import subprocess
import sys

import pytest

RIGHT = """\
from collections.abc import Callable
from datetime import timedelta

import dsched
from dsched import FunctionContext, TaskHandle


@dsched.task
def add(a: int, b: int = 2) -> int:
    return a + b


@dsched.task("mail.send", retry={"max_retries": 5}, timeout="30s", priority=7)
async def send(ctx: FunctionContext, to: str) -> list[str]:
    return [to]


@dsched.schedule("0 2 * * *", timeout="1h")
@dsched.task()
def nightly(ctx: FunctionContext) -> None:
    return None


async def program() -> int:
    handle: TaskHandle[int] = await add.submit(2, b=3)
    told: list[str] = await (await send.submit("ada")).result(timeout="5s")
    await (await nightly.submit()).result(timeout=timedelta(seconds=1))
    later = await add.options(delay="5m", priority=9).submit(1)
    plain: Callable[[int, int], int] = add
    print(told, plain, (await later.cancel()).outcome, add.spec(1).timeout)
    return add(1, 2) + await handle.result()


def blocks(client: dsched.BlockingClient) -> int:
    return client.start(add, 1, b=2).result(timeout=3) + client.start(add.options(), 1).result()


async def main(pod: dsched.EmbeddedPod) -> int:
    return await program()


found: int | None = dsched.run(main, start_timeout="10s")
"""
WRONG = """\
import dsched
from dsched import FunctionContext


@dsched.task
def add(a: int, b: int = 2) -> int:
    return a + b


@dsched.task
async def send(ctx: FunctionContext, to: str) -> list[str]:
    return [to]


@dsched.task("other", priority="high")  # 1
def other() -> None:
    return None


async def wrong(client: dsched.BlockingClient) -> None:
    await add.submit("2")  # 2
    await send.submit(7)  # 3
    await add.options(delai="5m").submit(1)  # 4
    text: str = await (await add.submit(1)).result()  # 5
    print(text, add("x"))  # 6
    client.start(add, "x")  # 7
"""


def check(folder, text):
    (folder / "sample.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache")]
    return subprocess.run(
        [*command, "sample.py"], cwd=folder, capture_output=True, text=True, timeout=170
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_strict_checker_sees_the_functions_own_parameters_and_result(tmp_path):
    right = check(tmp_path, RIGHT)
    assert right.stdout.startswith("Success"), right.stdout
    found = check(tmp_path, WRONG).stdout
    lines = {int(line.split(":")[1]) for line in found.splitlines() if ": error:" in line}
    assert lines == {15, 21, 22, 23, 24, 25, 26}, found
