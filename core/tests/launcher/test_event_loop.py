import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import uvloop

from dsched.config.settings import EventLoop
from dsched.launcher.event_loop import run_on

pytestmark = pytest.mark.timeout(20)


async def the_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_a_pod_runs_on_uvloop_where_it_is_installed() -> None:
    assert isinstance(run_on("auto", the_loop()), uvloop.Loop)


def test_a_pod_runs_on_the_loop_of_asyncio_where_that_is_asked_for() -> None:
    assert not isinstance(run_on("asyncio", the_loop()), uvloop.Loop)


def test_a_pod_runs_on_the_loop_of_asyncio_where_uvloop_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with caplog.at_level("INFO", "dsched.run"):
        found = run_on("auto", the_loop())
    assert isinstance(found, asyncio.SelectorEventLoop)
    assert "uvloop is not installed" in caplog.text


async def a_group_with(error: BaseException) -> str:
    async def child() -> None:
        raise error

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    except BaseException as raised:
        await asyncio.sleep(0.01)  # the loop goes on
        return type(raised).__name__
    return "nothing"


@pytest.mark.parametrize("error", [KeyboardInterrupt("mine"), SystemExit(3)])
@pytest.mark.parametrize("event_loop", ["auto", "asyncio"])
def test_what_an_asyncio_task_of_a_function_raises_past_the_loop_ends_no_pod(
    event_loop: EventLoop, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        seen = run_on(event_loop, a_group_with(error))
    except type(error):
        pytest.fail("it ended the loop")
    assert seen == type(error).__name__
    assert f"raised {type(error).__name__}" in caplog.text


@pytest.mark.parametrize("event_loop", ["auto", "asyncio"])
def test_what_the_program_itself_exits_with_still_ends_it(event_loop: EventLoop) -> None:
    async def ends() -> None:
        await asyncio.sleep(0)
        raise SystemExit(4)

    with pytest.raises(SystemExit) as raised:
        run_on(event_loop, ends())
    assert raised.value.code == 4


# It ends by itself too: a run of tests that is killed ends nothing that it has started.
INTERRUPTED = """
import asyncio, time
from dsched.launcher.event_loop import run_on

async def spins():
    print("spins", flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        await asyncio.sleep(0)

run_on({event_loop!r}, spins())
"""


@contextlib.contextmanager
def spinning(event_loop: EventLoop) -> Iterator[subprocess.Popen[bytes]]:
    """A program that spins on a loop. It has ended with the block, however that ends."""
    command = [sys.executable, "-c", INTERRUPTED.format(event_loop=event_loop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"spins\n"
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("event_loop", ["auto", "asyncio"])
def test_an_interrupt_from_the_keyboard_still_ends_the_program(event_loop: EventLoop) -> None:
    with spinning(event_loop) as program:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=15)
    assert program.returncode == -signal.SIGINT


def test_a_test_that_fails_leaves_no_program_behind() -> None:
    with pytest.raises(AssertionError, match="as tests do"), spinning("asyncio") as program:
        raise AssertionError("as tests do")
    assert program.returncode == -signal.SIGKILL
