"""Several processes on one file: nothing is lost, none is turned away, wake-ups are heard."""

import asyncio
import os
import random
import signal
import sqlite3
import time

import pytest

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec, TaskStatus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LONG_MS = 3_600_000


async def _next(child):
    return await asyncio.to_thread(child.line)


def _counted(file):
    """What the counters say, and what is there, of a file that nobody has open."""
    db = sqlite3.connect(file)
    try:
        counters = db.execute(
            "SELECT in_ready, in_delayed, in_queue, in_held, in_lease, log_size, "
            "last_cursor FROM meta"
        ).fetchone()
        homes = [
            db.execute("SELECT count(*) FROM task WHERE home = ?", (home,)).fetchone()[0]
            for home in ("ready", "delayed", "queue", "held", "lease")
        ]
        log = db.execute("SELECT count(*), coalesce(max(cursor), 0) FROM event").fetchone()
        (sound,) = db.execute("PRAGMA integrity_check").fetchone()
        bodies = db.execute("SELECT count(*) FROM task JOIN body USING (seq)").fetchone()
        tasks = db.execute("SELECT count(*) FROM task").fetchone()
        assert bodies == tasks
        return counters, (*homes, *log), sound
    finally:
        db.close()


async def test_eight_processes_on_one_file_lose_nothing_and_are_never_turned_away(
    opened, child, file
):
    processes, batches = 8, 20
    async with opened() as store:
        fence = (await store.acquire("pod", "token", LONG_MS)).fence
        children = [
            child("hammer", file, "normal", fence, f"w{index}", batches)
            for index in range(processes)
        ]
        for one in children:
            assert await _next(one) == "done"
            assert one.process.wait(timeout=20) == 0

        for index in range(processes):
            ids = [f"w{index}-{number}" for number in range(batches * 10)]
            for start in range(0, len(ids), 100):
                tasks = await store.get(ids[start : start + 100])
                assert {(TaskStatus.SUCCESS, 1)} == {(t.status, t.attempt) for t in tasks}
    counters, found, sound = _counted(file)
    assert (counters, sound) == (found, "ok")


@pytest.mark.parametrize("synchronous", ["full", "normal"])
async def test_what_was_acknowledged_survives_kill_9_at_any_point(
    opened, child, file, tmp_path, synchronous
):
    ledger = tmp_path / "ledger"
    async with opened(synchronous) as store:
        fence = (await store.acquire("pod", "token", LONG_MS)).fence
    for round_ in range(10):
        writer = child("acknowledge", file, synchronous, fence, f"w{round_}", ledger)
        assert await _next(writer) == "started"
        await asyncio.sleep(random.uniform(0.0, 0.3))  # anywhere in its steps
        os.kill(writer.process.pid, signal.SIGKILL)
        writer.process.wait(timeout=10)

        if round_ % 2:  # a reader that does not clean up, and one that does
            counters, found, sound = _counted(file)
            assert (counters, sound) == (found, "ok")
        acknowledged = ledger.read_text().split() if ledger.exists() else []
        async with opened(synchronous) as store:
            for start in range(0, len(acknowledged), 100):
                tasks = await store.get(acknowledged[start : start + 100])
                assert {TaskStatus.SUCCESS} == {task and task.status for task in tasks}
            submission = Submission(task_id=f"after-{round_}", spec=TaskSpec(executor="local"))
            assert await store.submit([submission], by="test") == (Outcome.OK,)
    assert len(ledger.read_text().split()) > 100, "the writers were killed before they wrote"


async def test_a_wakeup_is_heard_in_another_process_by_its_name_within_half_a_second(
    opened, child, file
):
    async with opened() as store:
        listener = child("listen", file, "normal", "leader", "w1")
        assert await _next(listener) == "listening"

        submission = Submission(task_id="t", spec=TaskSpec(executor="local"))
        await store.submit([submission], by="test")
        rung_at = time.monotonic()  # one clock for all processes of a machine
        woken, heard_at = await _next(listener)

        assert woken
        assert heard_at - rung_at < 0.5
        assert await _next(listener) is False


async def test_a_worker_is_woken_by_a_drain_from_another_process(opened, child, file):
    async with opened() as store:
        await store.register(
            Registration(
                worker_id="w1", incarnation="1", capacity=1, backlog=1, heartbeat_timeout_ms=LONG_MS
            )
        )
        listener = child("listen", file, "normal", "w1", "leader")
        assert await _next(listener) == "listening"
        assert await store.drain("w1", None) == Outcome.OK
        assert (await _next(listener))[0] is True
        assert await _next(listener) is False


async def test_an_idle_process_uses_less_than_one_percent_of_a_processor(child, file):
    seconds = 3
    cpu_s = await _next(child("idle", file, "full", seconds))
    assert cpu_s < 0.01 * seconds
