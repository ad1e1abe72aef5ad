"""Cancel and timeout of functions in child processes: what is killed is really gone."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import dsched_local_test_app  # noqa: F401 - registers its functions in this process
import pytest
from dsched_local_test_kit import APP_FOLDER, Context, Opener, is_alive, pids_in, until

from dsched.contracts import TaskFailed

pytestmark = pytest.mark.slow

GRACE = timedelta(milliseconds=200)


async def started(run: Any, function: str, mark: Path) -> tuple["asyncio.Task[Any]", list[int]]:
    """A function at work, and the process ids it has written down."""
    running = asyncio.create_task(run(function, [str(mark)]))
    return running, await pids_in(mark)


@pytest.mark.parametrize(
    "function",
    ["app.sleep", "app.ignore_sigterm", "app.hold_the_interpreter", "app.spawn_and_sleep"],
)
async def test_a_cancelled_function_and_what_it_started_are_gone_when_execute_returns(
    opened: Opener, tmp_path: Path, function: str
) -> None:
    async with opened(kill_grace=GRACE) as run:
        running, pids = await started(run, function, tmp_path / "mark")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_alive(pids[0])
        for pid in pids[1:]:  # the kernel ends a killed orphan within an instant, not at once
            await until(lambda pid=pid: not is_alive(pid), "the grandchild to be gone", 1.0)
        assert run.executor.processes.pids == []


async def test_without_pidfds_a_child_is_killed_and_its_end_noticed_too(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    async with opened(kill_grace=GRACE) as run:
        running, [pid] = await started(run, "app.ignore_sigterm", tmp_path / "mark")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_alive(pid)
        with pytest.raises(TaskFailed, match="exited with status 3"):
            await run("app.die")


async def test_a_timeout_kills_as_a_cancel_does(opened: Opener, tmp_path: Path) -> None:
    async with opened(kill_grace=GRACE) as run:
        await run("app.pid")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await run("app.ignore_sigterm", [str(tmp_path / "mark")])
        [pid] = await pids_in(tmp_path / "mark")
        assert not is_alive(pid)


@pytest.mark.parametrize("function", ["app.sleep_and_tidy", "app.sleep_async_and_tidy"])
async def test_sigterm_unwinds_the_function_so_that_it_can_tidy_up(
    opened: Opener, tmp_path: Path, function: str
) -> None:
    async with opened() as run:
        running, _ = await started(run, function, tmp_path / "mark")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (tmp_path / "mark.tidy").exists()


async def test_cancelling_twice_does_not_end_the_wait_for_the_death(
    opened: Opener, tmp_path: Path
) -> None:
    async with opened(kill_grace=GRACE) as run:
        running, [pid] = await started(run, "app.ignore_sigterm", tmp_path / "mark")
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_alive(pid)


async def test_a_stopped_child_is_killed_too(opened: Opener, tmp_path: Path) -> None:
    async with opened(kill_grace=GRACE) as run:
        running, [pid] = await started(run, "app.sleep", tmp_path / "mark")
        os.kill(pid, signal.SIGSTOP)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not is_alive(pid)


async def test_an_attempt_cancelled_while_it_waits_for_a_process_leaves_the_other_alone(
    opened: Opener, tmp_path: Path
) -> None:
    async with opened(max_processes=1, kill_grace=GRACE) as run:
        running, [pid] = await started(run, "app.sleep", tmp_path / "mark")
        waiting = asyncio.create_task(run("app.pid"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert is_alive(pid)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await run("app.echo", [1])).data == 1


async def test_an_attempt_cancelled_while_its_child_starts_leaves_no_process(
    opened: Opener,
) -> None:
    async with opened() as run:
        starting = asyncio.create_task(run("app.pid"))
        [pid] = await until(lambda: run.executor.processes.pids, "the child to start")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not is_alive(pid)


async def test_closing_kills_what_still_runs(opened: Opener, tmp_path: Path) -> None:
    async with opened(kill_grace=GRACE) as run:
        running, [pid] = await started(run, "app.ignore_sigterm", tmp_path / "mark")
        await run.executor.close()
        assert not is_alive(pid)
        with pytest.raises(TaskFailed) as caught:
            await running
    assert caught.value.code == "crashed"


async def test_a_child_past_its_deadline_kills_itself_when_the_loop_is_blocked(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsched_executor_local.processes.OVERTIME_S", 0.0)
    context = Context(timeout_s=0.5)
    async with opened(kill_grace=GRACE) as run:
        running = asyncio.create_task(run("app.sleep", [str(tmp_path / "mark")], context))
        [pid] = await pids_in(tmp_path / "mark")
        end = time.monotonic() + 10
        while is_alive(pid) and time.monotonic() < end:
            time.sleep(0.01)  # blocks the loop, as bad user code would
        assert not is_alive(pid)
        with pytest.raises(TaskFailed, match="SIGKILL"):
            await running


WORKER = """
import asyncio, signal, sys
# As a terminal starts it: a test run in the background has SIGINT ignored, and hands that down.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {folder!r})
import dsched_local_test_app
from dsched.functions.registry import REGISTRY
from dsched_executor_local.executor import LocalExecutor
from dsched_executor_local.options import LocalOptions
from dsched_local_test_kit import Run

async def main():
    await Run(LocalExecutor(LocalOptions(), REGISTRY))({function!r}, [{mark!r}])

asyncio.run(main())
"""


def worker(function: str, mark: Path) -> "subprocess.Popen[bytes]":
    """A whole worker process in a session of its own, as a terminal would start it."""
    code = WORKER.format(folder=APP_FOLDER, function=function, mark=str(mark))
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the C code is ended by Linux's prctl")
@pytest.mark.parametrize(
    "function", ["app.sleep", "app.spawn_and_sleep", "app.hold_the_interpreter"]
)
async def test_children_die_with_a_worker_that_is_killed(tmp_path: Path, function: str) -> None:
    with worker(function, tmp_path / "mark") as process:
        pids = await pids_in(tmp_path / "mark")
        process.kill()
        process.wait()
        await until(lambda: not any(map(is_alive, pids[:1])), "the child to follow")
        for pid in filter(is_alive, pids[1:]):
            os.kill(pid, signal.SIGKILL)


async def test_ctrl_c_in_the_terminal_does_not_reach_the_children(tmp_path: Path) -> None:
    with worker("app.sleep_and_tidy", tmp_path / "mark") as process:
        [pid] = await pids_in(tmp_path / "mark")
        assert os.getpgid(pid) != os.getpgid(process.pid)
        assert os.getsid(pid) == pid
        os.killpg(process.pid, signal.SIGINT)  # what the terminal does
        try:
            process.wait(20)
        finally:
            process.kill()
        assert not is_alive(pid)
    # SIGINT would have raised KeyboardInterrupt; the worker's own SIGTERM let it tidy up.
    assert (tmp_path / "mark.tidy").exists()
