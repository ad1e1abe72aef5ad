"""Whether the store takes writes: when a pod says so, and when it says that it is over."""

import logging

import pytest
from engine_cluster import SCHEDULER, Line, config

from dsched.contracts import StoreReadOnlyError, StoreUnavailableError, StoreWrites
from dsched.engine.write_watch import WriteWatch

FULL = StoreReadOnlyError("the disk is full, says the store", maybe_applied=False, reason="disk")


class Clock:
    """What a watch reads of a runtime."""

    now_s = 0.0

    def monotonic(self):
        return self.now_s


class Seen:
    """An observer that keeps what is said of writes."""

    def __init__(self):
        self.notices = []

    def notify(self, notice):
        if isinstance(notice, StoreWrites):
            self.notices.append((notice.taken, notice.reason))


@pytest.fixture
def watched():
    clock, told = Clock(), []
    return clock, told, WriteWatch(clock, "p", told.append)


def test_it_is_said_once_however_often_a_write_is_refused(watched, caplog):
    clock, told, watch = watched
    with caplog.at_level(logging.INFO, "dsched.store"):
        for _ in range(5):
            clock.now_s += 1
            watch.refused(FULL)
    assert [(one.taken, one.reason, one.words) for one in told] == [(False, "disk", str(FULL))]
    assert len([one for one in caplog.records if "takes no writes" in one.getMessage()]) == 1


def test_a_small_write_that_still_fits_does_not_end_it(watched):
    clock, told, watch = watched
    for _ in range(10):
        watch.refused(FULL)
        clock.now_s += 3
        watch.accepted()
        assert watch.trouble is not None
        clock.now_s += 2
    clock.now_s += 6
    watch.accepted()
    assert watch.trouble is None
    assert [one.taken for one in told] == [False, True]
    assert told[1].lasted_s == 56


def test_a_write_without_an_answer_counts_after_a_while_and_until_one_is_taken(watched):
    clock, _, watch = watched
    silent = StoreUnavailableError("no answer within 5 s", maybe_applied=True)
    watch.unanswered(silent)
    clock.now_s += 9
    watch.unanswered(silent)
    assert watch.trouble is None
    clock.now_s += 1
    watch.unanswered(silent)
    assert watch.trouble.reason == "no_answer"
    watch.accepted()
    assert watch.trouble is None
    watch.unanswered(silent)
    assert watch.trouble is None


async def test_a_pod_is_not_ready_while_its_regular_write_is_refused(cluster):
    seen, full = Seen(), []
    cluster.observers["seen"] = seen

    async def line_of(handle, step, proceed):
        if full and step == full[0]:
            raise StoreReadOnlyError("OOM, says the store", maybe_applied=False, reason="memory")
        return await proceed()

    pod = cluster.start("a", SCHEDULER, line=Line(line_of))
    await cluster.until(lambda: pod.status().ready, "it is ready")
    full.append("pod_seen")
    await cluster.until(lambda: not pod.status().ready, "it is ready no more")
    status = pod.status()
    assert (status.writes_refused, status.store_words) == ("memory", "OOM, says the store")
    full.clear()
    await cluster.until(lambda: pod.status().ready, "it is ready again")
    await cluster.until(lambda: len(seen.notices) == 2, "both are told")
    assert seen.notices == [(False, "memory"), (True, "")]


async def test_a_refused_fire_counts_at_once_and_is_made_up_for(cluster):
    full = []

    async def line_of(handle, step, proceed):
        if full and step == "fire":
            raise StoreReadOnlyError("disk full", maybe_applied=False, reason="disk")
        return await proceed()

    pod = cluster.start("a", line=Line(line_of))
    await cluster.client.put_config(config())
    await cluster.until(lambda: cluster.fired("tick"), "it fires")
    full.append(1)
    await cluster.until(lambda: pod.status().writes_refused == "disk", "it says so", 3)
    full.clear()
    before = len(cluster.fired("tick"))
    await cluster.until(lambda: not pod.status().writes_refused, "it is over")
    await cluster.until(lambda: len(cluster.fired("tick")) > before, "it fires again")
