"""Worker processes of one pod, with small programs in place of workers, in real time."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dsched.launcher import worker_processes
from dsched.launcher.arguments import parse
from dsched.launcher.worker_processes import PARENT_FD, WorkerProcesses

REAL_TIME = True
WAIT_S = 8

# Says how it was started, and stays until its parent's end of the pipe is closed, or a signal.
CHILD = """
import os, pathlib, signal, sys
folder, how, parent = sys.argv[1:]
if how == "dies":
    sys.exit(3)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
get = os.environ.get
facts = [os.getsid(0) == os.getpid(), get("DSCHED_WORKER__PROCESSES"), get("DSCHED_WORKER__ID")]
written = pathlib.Path(folder, f".{os.getpid()}")
written.write_text(repr(facts))
written.rename(pathlib.Path(folder, str(os.getpid())))
while os.read(int(get(parent)), 1):
    pass
"""


class Family:
    """Worker processes under test, and what each child said."""

    def __init__(self, folder: Path, how: str, count: int, drain_s: float = 5.0):
        self.folder = folder
        self.buried = []

        async def bury(worker_id):
            self.buried.append(worker_id)

        self.parts = WorkerProcesses(parse([]), count, worker_id="w", drain_s=drain_s, bury=bury)
        self.parts._command = [sys.executable, "-S", "-c", CHILD, str(folder), how, PARENT_FD]

    def children(self):
        """By process id: how it was started."""
        found = (path for path in self.folder.iterdir() if not path.name.startswith("."))
        return {int(path.name): path.read_text() for path in found}

    def alive(self):
        """Those of them that run."""
        return [pid for pid in self.children() if Path(f"/proc/{pid}").exists()]

    async def until(self, condition, what):
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"waited in vain: {what}")


@pytest.fixture
def open_family(tmp_path):
    @asynccontextmanager
    async def opened(how="stays", count=1, **changes):
        family = Family(tmp_path, how, count, **changes)
        family.running = asyncio.create_task(family.parts.run())
        try:
            yield family
        finally:
            family.running.cancel()
            await asyncio.wait({family.running})
            assert family.alive() == []

    return opened


async def test_as_many_run_as_were_asked_for_each_a_worker_of_its_own(open_family, caplog):
    async with open_family(count=2) as family:
        await family.until(lambda: len(family.children()) == 2, "both run")
        # In a session of its own, one worker and no parent of others, with an id of its own.
        assert sorted(family.children().values()) == [
            str([True, "1", "w.1"]),
            str([True, "1", "w.2"]),
        ]
        family.parts.stop()
        await asyncio.wait_for(family.running, WAIT_S)
        assert family.alive() == []
        assert len(family.children()) == 2
        assert "starting it again" not in caplog.text


async def test_one_that_dies_is_followed_by_another(open_family, monkeypatch):
    monkeypatch.setattr(worker_processes, "RESTART_S", 0.01)
    async with open_family() as family:
        await family.until(family.children, "it runs")
        (first,) = family.children()
        os.kill(first, signal.SIGKILL)
        await family.until(lambda: len(family.children()) == 2, "another runs")
        assert len(family.alive()) == 1
        assert family.buried == ["w.1"]
        family.parts.stop()
        await asyncio.wait_for(family.running, WAIT_S)
        assert len(family.buried) in (1, 2)  # the small program ends by the signal


async def test_a_store_that_cannot_be_told_of_a_death_holds_up_no_successor(
    open_family, monkeypatch, caplog
):
    monkeypatch.setattr(worker_processes, "RESTART_S", 0.01)
    monkeypatch.setattr(worker_processes, "BURY_WITHIN_S", 0.01)
    async with open_family() as family:
        family.parts._bury = lambda worker_id: asyncio.sleep(60)
        await family.until(family.children, "it runs")
        (first,) = family.children()
        os.kill(first, signal.SIGKILL)
        await family.until(lambda: len(family.children()) == 2, "another runs")
        assert "could not be told that worker w.1 is dead" in caplog.text


async def test_without_a_fixed_id_each_child_has_one_of_its_own(open_family, monkeypatch):
    monkeypatch.setattr(worker_processes, "RESTART_S", 0.01)
    async with open_family(count=2) as family:
        family.parts._worker_id = ""
        await family.until(lambda: len(family.children()) == 2, "both run")
        os.kill(min(family.children()), signal.SIGKILL)
        await family.until(lambda: len(family.children()) == 3, "another runs")
        told = {eval(text)[2] for text in family.children().values()}
        assert len(told) == 3
        assert all(one.startswith("pod-") for one in told)
        assert told > set(family.buried)


async def test_one_that_cannot_live_is_started_less_and_less_often(open_family, monkeypatch):
    waits = []
    async with open_family("dies") as family:

        async def rest(seconds):
            waits.append(seconds)
            if len(waits) == 7:
                family.parts.stop()

        monkeypatch.setattr(family.parts, "_rest", rest)
        await asyncio.wait_for(family.running, WAIT_S)
    assert waits == [2, 4, 8, 16, 30, 30, 30]


async def test_one_that_lived_for_long_is_started_again_soon(open_family, monkeypatch):
    monkeypatch.setattr(worker_processes, "LIVED_S", 0.0)
    waits = []
    async with open_family("dies") as family:

        async def rest(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                family.parts.stop()

        monkeypatch.setattr(family.parts, "_rest", rest)
        await asyncio.wait_for(family.running, WAIT_S)
    assert waits == [worker_processes.RESTART_S] * 3


async def test_the_rest_before_a_new_start_ends_with_the_pod(open_family, monkeypatch):
    monkeypatch.setattr(worker_processes, "RESTART_S", 300)
    monkeypatch.setattr(worker_processes, "RESTART_MAX_S", 300)
    async with open_family("dies") as family:
        await asyncio.sleep(0.3)
        family.parts.stop()
        await asyncio.wait_for(family.running, WAIT_S)


async def test_one_that_does_not_leave_is_killed(open_family, monkeypatch):
    monkeypatch.setattr(worker_processes, "SLACK_S", 0.1)
    async with open_family("stubborn", drain_s=0.2) as family:
        await family.until(family.children, "it runs")
        family.parts.stop()
        await asyncio.sleep(0.1)
        assert len(family.alive()) == 1  # it has its time
        await asyncio.wait_for(family.running, WAIT_S)
        assert family.alive() == []


async def test_a_hurry_reaches_those_that_are_draining(open_family):
    told = []
    async with open_family() as family:
        await family.until(family.children, "it runs")
        (child,) = family.parts._running
        child.terminate = lambda: told.append("SIGTERM")
        family.parts.stop()
        await family.until(lambda: told, "it is told to stop")
        family.parts.hurry()
        assert told == ["SIGTERM"] * 2


async def test_none_outlives_a_parent_that_is_torn_down(open_family):
    async with open_family("stubborn", count=2) as family:
        await family.until(lambda: len(family.children()) == 2, "both run")
    assert family.alive() == []


def test_a_child_is_told_what_its_pod_was_told_but_is_only_a_worker():
    pod = parse(
        [
            *("--config", "c.yaml", "--tasks", "t.yaml", "--app", "one", "--app", "two"),
            *("--store", "redis", "--log-format", "json", "--role", "scheduler,worker"),
        ]
    )
    child = WorkerProcesses(pod, 2, worker_id="", drain_s=1)._command
    assert child[1:3] == ["-m", "dsched.launcher.run"]
    told = parse(child[3:])
    assert told.roles == {"worker"}
    assert (told.config, told.app, told.flags) == (pod.config, pod.app, pod.flags)
    assert told.tasks == ()
