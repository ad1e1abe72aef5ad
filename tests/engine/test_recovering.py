"""What becomes of a dead worker's tasks, and when: never before live workers could have beaten."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest
from engine_cluster import (
    NO_RETRY,
    SCHEDULER,
    WORKER,
    Line,
    only,
    seconds,
    spec,
    unreachable,
)
from engine_parts import QUIET, new_runtime, new_term, new_worker, store_time

from dsched.contracts.store.configs import ConfigPage
from dsched.contracts.store.firing import DuePage
from dsched.contracts.store.recovering import OverdueLease, QueuedTask
from dsched.engine.clock_watch import ClockWatch
from dsched.engine.leader.crashes import MAX_KNOWN, CrashMemory, deaths
from dsched.engine.leader.firing import Fired, FiringStep
from dsched.engine.leader.recovery import to_recall, verdict
from dsched.engine.leader.replanning import ReplanStep
from dsched.model import RetryPolicy, Task, TaskStatus


async def test_a_failed_call_lets_reaping_wait_anew():
    term = new_term()
    await asyncio.sleep(5)
    assert term.steady_s() == pytest.approx(5)
    term.disturbed()
    assert term.steady_s() == 0


async def test_after_a_jump_of_the_clock_reaping_waits_anew():
    term, watch = new_term(), ClockWatch(new_runtime())
    step = FiringStep(SimpleNamespace(), term, watch, QUIET)
    watch.read(store_time(1_000_000))
    await asyncio.sleep(5)
    for jump_ms, steady_s in ((0, 5), (60_000, 0)):
        now = store_time(1_000_000 + 5_000 + jump_ms)
        assert await step.fire(DuePage(time=now, configs=(), next_due_ms=None)) == Fired()
        assert term.steady_s() == steady_s


async def test_after_a_step_back_of_the_clock_reaping_waits_anew():
    async def list_configs(cursor, limit):
        return ConfigPage(configs=(), cursor=None)

    term, watch = new_term(), ClockWatch(new_runtime())
    step = ReplanStep(SimpleNamespace(now=_now, list_configs=list_configs), term, watch)
    watch.read(store_time(1_000_000, clock_gen=1))
    await asyncio.sleep(5)
    assert await step.replan() is False
    assert term.steady_s() == 0


async def _now():
    return store_time(1_000_000)


async def test_a_new_leader_waits_before_it_reaps(cluster):
    """The worker's beats come through again a second after the new term has begun."""
    line = Line()
    cluster.start("a", WORKER, line=line)
    await cluster.until(lambda: "a-w" in cluster.state.workers, "the registration")
    await cluster.client.submit(spec("sleep 60", retry=NO_RETRY), task_id="t")
    cluster.start("lead", SCHEDULER)
    await cluster.until(lambda: cluster.executor.starts("t") == 1, "the start")
    await cluster.kill("lead")
    line.rule = only(unreachable)
    await asyncio.sleep(2)  # the lock is free and the lease over
    cluster.start("next", SCHEDULER)
    await cluster.lead_by("next")
    await asyncio.sleep(1)
    line.heal()
    await cluster.until(lambda: cluster.items("released", task="t"), "it is given back")
    assert cluster.row("t").crash_count == 0
    await cluster.client.cancel("t")


def _crashed(crash_count: int, **policy: object) -> OverdueLease:
    snapshot = spec("ok", retry=RetryPolicy(retry_delay=seconds(10), jitter=0), **policy)
    task = Task(
        id="t",
        status=TaskStatus.RUNNING,
        worker_id="w",
        attempt=crash_count + 1,
        crash_count=crash_count,
        scheduled_ms=0,
        spec=snapshot,
    )
    return OverdueLease(task=task, token="token")


@pytest.mark.parametrize(("crashes", "delay_ms"), [(0, 0), (1, 10_000), (2, 20_000)])
def test_from_its_second_crash_on_a_task_waits_longer_each_time(crashes, delay_ms):
    assert verdict(_crashed(crashes, max_crashes=3), 0.0).delay_ms == delay_ms


@pytest.mark.parametrize(("crashes", "reason"), [(1, None), (2, "poison")])
def test_one_crash_more_than_allowed_is_poison(crashes, reason):
    assert verdict(_crashed(crashes, max_crashes=2), 0.0).fail_reason == reason


@pytest.mark.parametrize(
    ("crashes", "spoke_again", "counted"),
    [(3, 0, 3), (3, 1, 2), (4, 3, 1), (4, 4, 1), (16, 16, 4), (17, 16, 5), (1, 5, 0)],
)
def test_a_silence_that_ended_is_a_quarter_of_a_death(crashes, spoke_again, counted):
    assert deaths(crashes, spoke_again) == counted


def test_a_task_that_keeps_its_worker_from_beating_ends_all_the_same():
    for earlier in range(12):
        reap = verdict(_crashed(earlier, max_crashes=2), 0.0, spoke_again=earlier)
        if reap.fail_reason:
            break
    assert (earlier, reap.fail_reason) == (8, "poison")


def test_only_the_process_that_fell_silent_can_speak_again():
    memory = CrashMemory()
    memory.reaped("t", "w.0100-a.0.1")
    same = attrs.evolve(new_worker("w"), incarnation="0100-a")
    for other in (attrs.evolve(same, gone=True), attrs.evolve(same, incarnation="0200-b")):
        memory.heard([other])
        assert memory.spoke_again("t") == 0
    for _ in range(2):
        memory.heard([same])
        assert memory.spoke_again("t") == 1
    memory.reaped("t", "w.0100-a.0.2")  # silent anew: whether it comes back is not known yet
    assert memory.spoke_again("t") == 1
    memory.heard([same])
    assert (memory.spoke_again("t"), memory.spoke_again("u")) == (2, 0)


def test_what_is_remembered_of_crashes_is_bounded():
    memory = CrashMemory()
    for number in range(MAX_KNOWN + 5):
        memory.reaped(f"t{number}", f"w{number}.1.0.1")
    memory.heard([new_worker("w0"), new_worker(f"w{MAX_KNOWN}")])
    assert memory.spoke_again("t0") == 0
    assert memory.spoke_again(f"t{MAX_KNOWN}") == 1


BUSY = {"running": 4}


ELSEWHERE = [
    ("a free slot elsewhere", BUSY, {}, True),
    ("none elsewhere", BUSY, {"running": 4}, False),
    ("one that is gone", BUSY, {"gone": True}, False),
    ("one that drains", BUSY, {"draining": True}, False),
    ("one that is stalled", BUSY, {"stalled": True}, False),
    ("other labels", BUSY, {"labels": {"zone": "b"}}, False),
    ("a slot of its own that it does not use", {"running": 3}, {"running": 4}, True),
    ("its worker drains", {**BUSY, "draining": True}, {"running": 4}, True),
    ("its worker is gone", {**BUSY, "gone": True}, {"running": 4}, True),
]


@pytest.mark.parametrize(
    ("own", "other", "moves"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE]
)
def test_an_old_entry_moves_only_to_where_it_does_better(own, other, moves):
    workers = [new_worker("own", **own), new_worker("other", **{"labels": {"zone": "a"}, **other})]
    entry = QueuedTask(task_id="t", worker_id="own", age_ms=9, required_labels={"zone": "a"})
    assert to_recall([entry], workers) == ([entry] if moves else [])
