"""A function that blocks the pod's own loop: real time, since the heartbeat's thread is the
point."""

import itertools
import time

from engine_cluster import NO_RETRY, SCHEDULER, WORKER, Line, seconds, spec

from dsched.engine.worker import running
from dsched.model import TaskStatus

REAL_TIME = True


async def test_a_blocked_loop_costs_no_heartbeat_and_no_lease(cluster):
    async def blocks(context, task):
        time.sleep(2.5)  # more than twice the heartbeat timeout
        return "done"

    cluster.executor.bodies["blocks"] = blocks
    beats = []

    async def note(handle, step, proceed):
        if handle == "heartbeat" and step == "heartbeat":
            beats.append(time.monotonic())
        return await proceed()

    line = Line(rule=note)
    cluster.start("a", line=line)
    await cluster.client.submit(spec("blocks"), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.attempt, task.crash_count) == (TaskStatus.SUCCESS, 1, 0)
    gaps = [after - before for before, after in itertools.pairwise(beats)]
    assert max(gaps) < cluster.times.heartbeat.timeout_s


async def test_a_timeout_of_a_blocked_loop_is_reported_by_the_heartbeat(cluster, monkeypatch):
    monkeypatch.setattr(running, "TIMEOUT_GRACE_S", 0.3)
    ended_ms = []

    async def blocks(context, task):
        time.sleep(2.5)
        ended_ms.append(time.time_ns() // 1_000_000)

    cluster.executor.bodies["blocks"] = blocks
    cluster.start("lead", SCHEDULER)
    cluster.start("a", WORKER)
    await cluster.client.submit(spec("blocks", timeout=seconds(0.5), retry=NO_RETRY), task_id="t")
    task = await cluster.client.wait("t", timeout_s=20)
    assert (task.status, task.result.code) == (TaskStatus.FAILED, "timeout")
    assert task.end_ms < ended_ms[0], "while the loop was still blocked"
