"""The assertions that stay on at run time see a store that breaks its promises, and say so."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import Line, only, spec
from engine_parts import store_time

from dsched.contracts import InvariantViolated
from dsched.contracts.store.events import Event, EventKind
from dsched.engine.assertions import Assertions, AttemptWatch
from dsched.model import Home, TaskStatus
from dsched_metrics_prometheus.metrics import Metrics
from dsched_metrics_prometheus.options import MetricsOptions


class _Told:
    def __init__(self):
        self.broken = []

    def notify(self, notice):
        if isinstance(notice, InvariantViolated):
            self.broken.append(notice)

    def names(self):
        return {notice.name for notice in self.broken}


@pytest.fixture
def told(cluster):
    cluster.observers["told"] = _Told()
    cluster.observers["metrics"] = Metrics(MetricsOptions())
    return cluster.observers["told"]


def counted(cluster, invariant):
    page = cluster.observers["metrics"].render().decode()
    return f'dsched_invariant_violations_total{{invariant="{invariant}"}} 1.0' in page


async def running(cluster, task_id="t"):
    await cluster.client.submit(spec("sleep 60"), task_id=task_id)
    await cluster.until(
        lambda: task_id in cluster.state.tasks and cluster.row(task_id).home is Home.LEASE,
        f"{task_id} runs",
    )
    return cluster.row(task_id)


async def test_a_healthy_cluster_breaks_none(cluster, told):
    cluster.start("a")
    cluster.start("b")
    await running(cluster)
    await cluster.kill(cluster.leader())
    cluster.wall.step(-30_000)
    await asyncio.sleep(200)
    assert cluster.row("t").status.terminal
    assert told.broken == []


async def test_a_task_claimed_while_its_attempt_lives_breaks_i4(cluster, told):
    cluster.start("a")
    row = await running(cluster)
    await asyncio.sleep(2)  # the collector has read the claim
    with cluster.state.step() as step:  # a store that gives a running task away
        row.token = None
        step.place(row, TaskStatus.PENDING, Home.READY)
    await cluster.until(lambda: told.broken, "it is noticed")
    assert told.names() == {"I4"}
    assert "t was claimed by" in told.broken[0].detail
    assert counted(cluster, "I4")


async def test_an_end_of_another_attempt_than_the_current_breaks_i5(cluster, told):
    cluster.start("a")
    row = await running(cluster)
    await asyncio.sleep(2)
    row.attempt += 1
    await cluster.until(lambda: told.broken, "it is noticed", 70)
    assert told.names() == {"I5"}
    assert told.broken[0].detail == "t: attempt 2 ended, 1 was current"
    assert counted(cluster, "I5")


async def test_a_claim_that_is_answered_for_another_breaks_i5(cluster, told):
    async def confused(handle, step, proceed):
        answer = await proceed()
        return attrs.evolve(answer, token="somebody.i.0.1") if answer.tasks else answer

    cluster.start("a", line=Line(only(confused, steps={"claim"})))
    await running(cluster)
    await cluster.until(lambda: told.broken, "it is noticed")
    assert told.names() == {"I5"}
    assert "was answered as somebody.i.0.1" in told.broken[0].detail


@pytest.mark.parametrize(
    ("home", "status"), [(Home.LEASE, TaskStatus.PENDING), (Home.READY, TaskStatus.SUCCESS)]
)
async def test_a_task_whose_home_and_status_disagree_breaks_i8(cluster, told, home, status):
    cluster.start("a")
    await cluster.lead_by("a")
    row = await running(cluster)
    if home is Home.READY:  # ended, and still listed among the ready
        cluster.state.ready.add(row.id, (0, 0))
        cluster.lines["a"].rule = only(_nothing_ready, steps={"poll", "ready"})
    else:
        row.status = status
    await cluster.until(lambda: told.broken, "a sample has it", 100)
    assert "I8" in told.names()
    assert any("t, listed as" in notice.detail for notice in told.broken)
    row.status = TaskStatus.RUNNING
    cluster.state.ready.discard(row.id)
    cluster.lines["a"].heal()


async def _nothing_ready(handle, step, proceed):
    answer = await proceed()
    page = attrs.evolve(answer.ready if step == "poll" else answer, tasks=(), more=False)
    return attrs.evolve(answer, ready=page) if step == "poll" else page


async def test_store_time_that_goes_back_breaks_i13(cluster, told):
    cluster.start("a")
    await cluster.lead_by("a")
    await asyncio.sleep(3)
    cluster.state.mark_ms = 0  # a store that forgets how late it was
    cluster.wall.step(-30_000)
    cluster.state.lock_until_ms -= 30_000
    await cluster.until(lambda: told.broken, "it is noticed")
    assert told.names() == {"I13"}
    assert "store time went back" in told.broken[0].detail
    await asyncio.sleep(20)
    assert len(told.broken) <= 3, "told about once, not at each reading"


def _assertions():
    """With the names of the invariants that it finds broken."""
    found = []
    return Assertions(SimpleNamespace(tell=lambda notice: found.append(notice.name))), found


def test_an_answer_is_judged_by_what_was_known_before_its_call():
    assertions, broken = _assertions()
    assertions.answered("now", 0, (), store_time(10))
    assertions.answered("now", 5, (), store_time(7))  # called before the answer that says 10
    assert broken == []
    assertions.answered("now", 10, (), store_time(9))
    assert broken == ["I13"]


def test_what_a_gap_in_the_log_hides_is_not_judged():
    assertions, broken = _assertions()
    watch = AttemptWatch(assertions)
    claimed = [
        Event(
            cursor="1",
            kind=EventKind.CLAIMED,
            at_ms=1,
            by="w",
            items=({"task": "t", "attempt": n},),
        )
        for n in (1, 2)
    ]
    gap = Event(cursor="1", kind=EventKind.GAP, at_ms=1, by="7:t:a", items=({"dropped": 1},))
    watch.entries([claimed[0], gap, claimed[1]])
    assert broken == []
    watch.entries([claimed[1]])
    assert broken == ["I4"]
