"""A pod that starts on a dead worker's host lets go what that had; live workers keep everything."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from engine_cluster import SCHEDULER, WORKER, spec

from dsched.contracts.store.recovering import OverdueLease
from dsched.engine.leader.recovery import forsaken
from dsched.engine.worker.process_identity import (
    ProcessIdentity,
    has_ended,
    identity_in,
    this_process,
)
from dsched.engine.worker.succession import Host, predecessors
from dsched.model import Task, TaskStatus, Worker

OURS = ProcessIdentity("aaaaaaaa", "1", 2, 7)
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def _of(process: ProcessIdentity | None, worker_id: str = "pod-1", **state: object) -> Worker:
    incarnation = f"0000000000100-abcdef01{process or ''}"
    fields = {"capacity": 1, "backlog": 1, **state}
    return Worker(id=worker_id, incarnation=incarnation, **fields)  # type: ignore[arg-type]


def _judged(worker: Worker, *, ended: bool) -> str:
    host = Host(own=OURS, ended=lambda _: ended)
    found = predecessors([worker], "pod-2", host)
    return "dead" if found.dead else "doubtful" if found.doubtful else "left alone"


def test_a_process_of_this_host_that_has_ended_is_dead_and_one_that_runs_is_left_alone():
    before = attrs.evolve(OURS, pid=1)
    assert _judged(_of(before), ended=True) == "dead"
    assert _judged(_of(before, "another-1"), ended=True) == "dead"
    assert _judged(_of(before, silent=True), ended=False) == "left alone"


@pytest.mark.parametrize(
    "process",
    [None, OURS, attrs.evolve(OURS, host="bbbbbbbb", pid=1)],
    ids=["nobody knows which", "this very process", "one of another host"],
)
def test_a_process_about_which_nothing_is_known_is_left_to_its_timeout(process):
    assert _judged(_of(process, silent=True), ended=True) == "left alone"


def test_a_container_of_the_same_name_and_host_counts_as_dead_once_it_is_silent():
    container = attrs.evolve(OURS, space="2")
    assert _judged(_of(container), ended=True) == "doubtful"
    assert _judged(_of(container, silent=True), ended=True) == "dead"
    assert _judged(_of(container, "other-1", silent=True), ended=True) == "left alone"


def test_a_worker_does_not_succeed_itself_and_an_unknown_host_judges_nobody():
    dead = _of(attrs.evolve(OURS, pid=1))
    assert predecessors([dead], "pod-1", Host(own=OURS, ended=lambda _: True)).dead == ()
    assert predecessors([dead], "pod-2", Host(own=None, ended=lambda _: True)).dead == ()


def _lease(incarnation: str) -> OverdueLease:
    task = Task(id="t", status=TaskStatus.RUNNING, scheduled_ms=0, worker_id="a.b-1")
    return OverdueLease(task=task, token=f"a.b-1.{incarnation}.0.3")


def test_only_a_lease_whose_worker_a_newer_process_has_is_forsaken():
    worker = Worker(id="a.b-1", incarnation="0200-x", capacity=1, backlog=1)
    assert forsaken([_lease("0100-x")], [worker]) == (_lease("0100-x"),)
    assert forsaken([_lease("0200-x")], [worker]) == ()
    assert forsaken([_lease("0100-x")], []) == ()
    assert forsaken([_lease("0100-x")], [attrs.evolve(worker, gone=True)]) == ()


@linux
def test_an_incarnation_names_its_process_and_is_read_back():
    own = this_process()
    assert own is not None
    assert own.pid == os.getpid()
    assert identity_in(f"0001796152588692-0a1b2c3d{own}") == own
    assert identity_in("0001796152588692-0a1b2c3d4e5f6071") is None
    assert not has_ended(own)


@linux
def test_a_process_has_ended_when_it_is_killed_also_before_anybody_waits_for_it():
    own = this_process()
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.DEVNULL
    )
    try:
        started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        identity = attrs.evolve(own, pid=child.pid, start=started)
        assert not has_ended(identity)
        assert has_ended(attrs.evolve(identity, start=started - 1)), "a later one with its number"
        os.kill(child.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 10
        while not has_ended(identity):  # a zombie
            assert time.monotonic() < deadline_s
    finally:
        child.kill()
        child.wait()
    assert has_ended(identity)


async def test_what_a_dead_worker_had_is_let_go_as_soon_as_its_host_starts_another(cluster):
    cluster.use_defaults()
    dead: set[int] = set()

    def host(pid: int) -> Host:
        own = ProcessIdentity("aaaaaaaa", "1", pid, 1)
        return Host(own=own, ended=lambda process: process.pid in dead)

    cluster.start("lead", SCHEDULER)
    cluster.start("old", WORKER, capacity=1, host=host(1))
    for task_id in ("ran", "waited"):
        await cluster.client.submit(spec("sleep 1"), task_id=task_id)
    await cluster.until(lambda: cluster.row("ran").status is TaskStatus.RUNNING, "it runs")
    await cluster.kill("old")
    dead.add(1)
    begun_ms = cluster.wall()
    cluster.start("new", WORKER, capacity=1, host=host(2))
    for task_id in ("ran", "waited"):
        row = cluster.row(task_id)
        await cluster.until(lambda row=row: row.status is TaskStatus.SUCCESS, "it ends")
    assert cluster.wall() - begun_ms < 6000
    await cluster.until(lambda: len(cluster.state.workers) == 1, "the dead worker is forgotten")
    (crashed,) = await cluster.store.get(["ran"])
    assert crashed.crash_count == 1
