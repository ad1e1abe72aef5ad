"""What pods ask of the store while nothing happens, counted in virtual time."""

import asyncio
from collections import Counter

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, spec

from dsched.contracts.store import Store
from dsched.model import TaskStatus

IDLE_S = 20
WATCHED_S = 60


class Messages(Line):
    """A line that counts what a Redis store would send over it."""

    def __init__(self):
        self.sent = Counter()
        super().__init__(self._counted)

    async def _counted(self, handle, step, proceed):
        self.sent[step] += 2 if step == "wakeup" else 1  # a wait for a wake-up, and its end
        return await proceed()


def _in_one_message(step):
    """A wait with a claim or a poll behind it, which the server ends:
    `test_a_look_without_a_wakeup_is_one_message` of the Redis store."""
    apart = getattr(Store, step)

    async def joined(self, *args):
        answer = await apart(self, *args)
        if isinstance(self.line, Messages):
            self.line.sent[step] -= 2  # it was counted as a wait, its end and the step
        return answer

    return joined


@pytest.fixture(autouse=True)
def waits_in_one_message(monkeypatch):
    for step in ("poll_when_woken", "claim_when_woken"):
        monkeypatch.setattr(Store, step, _in_one_message(step))


async def test_no_idle_pod_asks_the_store_twice_a_second(cluster):
    cluster.use_defaults()
    lines = {name: Messages() for name in "abc"}
    for name, line in lines.items():
        cluster.start(name, line=line)
    await asyncio.sleep(IDLE_S)
    for line in lines.values():
        line.sent.clear()
    await asyncio.sleep(WATCHED_S)
    sent = {name: line.sent for name, line in lines.items()}
    assert sum(of["acquire"] for of in sent.values()) > WATCHED_S  # followers: every second or so
    assert {name: of for name, of in sent.items() if of.total() >= 2 * WATCHED_S} == {}


async def test_an_idle_leader_looks_where_its_waits_end_and_not_again(cluster):
    cluster.use_defaults()
    line = Messages()
    cluster.start("a", SCHEDULER, line=line)
    await asyncio.sleep(IDLE_S)
    line.sent.clear()
    await asyncio.sleep(WATCHED_S)
    looks = line.sent["poll"]
    assert abs(looks - WATCHED_S / 5) <= 1  # every `scan_interval`
    assert line.sent["poll_when_woken"] == -2 * looks


async def test_a_pod_that_was_idle_is_awake_at_once(cluster):
    cluster.use_defaults()
    cluster.start("a")
    await asyncio.sleep(IDLE_S)
    began_s = cluster.now_s()
    task = await cluster.client.wait(await cluster.client.submit(spec()), timeout_s=10)
    assert task.status == TaskStatus.SUCCESS
    assert cluster.now_s() - began_s < 0.2


async def test_a_worker_that_dies_after_an_idle_time_is_noticed_as_soon_as_ever(cluster):
    cluster.use_defaults()
    cluster.start("a", SCHEDULER)
    cluster.start("b", WORKER)
    await asyncio.sleep(IDLE_S)
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "it runs")
    await cluster.kill("b")
    killed_s = cluster.now_s()
    await cluster.until(lambda: bool(cluster.items("reaped", task="t")), "it is reaped", 60)
    assert cluster.now_s() - killed_s < 33
