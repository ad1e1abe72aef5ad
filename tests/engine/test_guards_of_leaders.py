"""Guards of the leader, and of clients, that hide behind others: each is looked at by itself.

The mutants of `tests/mutants` take them away one by one; without these tests some would live on.
"""

import asyncio

import attrs
import pytest
from engine_cluster import (
    NO_RETRY,
    SCHEDULER,
    WORKER,
    Line,
    config,
    first,
    lost_reply,
    only,
    seconds,
    spec,
    unreachable,
)

from dsched.client import PreconditionError
from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.dispatching import ReadyTask
from dsched.contracts.store.outcomes import FencedError
from dsched.contracts.store.recovering import OverdueLease
from dsched.contracts.store.timing import LEADER_WAKEUP, WAIT_SLACK_S
from dsched.contracts.store.working import Submission
from dsched.engine.assertions import Assertions, AttemptWatch
from dsched.engine.leader.assignment import Assigner
from dsched.engine.leader.collecting import CollectStep
from dsched.engine.leader.dispatching import DispatchStep
from dsched.engine.leader.recovery import verdict
from dsched.engine.leader.replanning import replanned
from dsched.engine.leader.supervision import supervise
from dsched.engine.leader.term import Term, TermOverError
from dsched.engine.runtime import Runtime
from dsched.model import RetryPolicy, Task, TaskStatus, Worker
from dsched_balancers.least_tasks import LeastTasks
from dsched_testkit.virtual_time import virtual_runtime


def _term(ttl_s: float = 10.0) -> Term:
    loop = asyncio.get_running_loop()
    return Term("7:t:a", ttl_s, loop.time(), virtual_runtime(loop, 1))


async def test_a_slow_renewal_counts_from_its_beginning():
    term = _term()
    began_s = asyncio.get_running_loop().time()
    await asyncio.sleep(6)
    term.renewed(began_s)
    await asyncio.sleep(3)
    with pytest.raises(TermOverError):
        term.check()


async def test_a_loop_that_is_fenced_ends_its_term_at_once():
    ticks = 0

    async def tick():
        nonlocal ticks
        ticks += 1
        raise FencedError("another leads")

    async def pause():
        await asyncio.sleep(0.1)

    with pytest.raises(FencedError):
        await supervise("test", _term(), tick, pause, hang_s=5)
    assert ticks == 1


async def test_a_leader_whose_lock_is_anothers_learns_it_from_its_renewal(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    term = cluster.pods["a"].election.term
    # Only the renewal may tell: no other call gets through, and none fails.
    cluster.lines["a"].rule = only(_waits, handles={"main"})
    cluster.state.fence, cluster.state.lock_until_ms = "9999999999999:x:b", None
    lost_s = cluster.now_s()
    await cluster.until(lambda: cluster.pods["a"].election.term is not term, "the term's end", 5)
    assert cluster.now_s() - lost_s < 0.6  # the next renewal, not the end of the lock's time
    cluster.lines["a"].heal()
    cluster.state.fence = None


async def _waits(handle, step, proceed):
    await asyncio.sleep(30)
    return await proceed()


async def test_a_leader_wakes_up_earlier_by_what_the_stores_reading_leaves_out(cluster):
    looks = []

    async def noted(handle, step, proceed):
        looks.append(cluster.now_s())
        await asyncio.sleep(0.01)
        look = await proceed()
        time = attrs.evolve(look.due.time, fraction_ms=400.0)  # a clock of very long milliseconds
        return attrs.evolve(look, due=attrs.evolve(look.due, time=time))

    cluster.start("a", SCHEDULER, line=Line(only(noted, steps={"poll"})))
    await cluster.lead_by("a")
    await cluster.client.submit(spec("ok"), task_id="t", delay_s=10)
    asked_s = cluster.now_s()
    await asyncio.sleep(12)
    assert any(abs(at_s - asked_s - 9.6) < 0.05 for at_s in looks)


async def test_a_store_whose_waits_end_late_makes_no_fire_late(cluster, monkeypatch):
    async def late(self, fence, limit, timeout_s):
        await self.wakeup(LEADER_WAKEUP, timeout_s + WAIT_SLACK_S - 0.3)
        look = await self.poll(fence, limit)
        await asyncio.sleep(0.1)  # its answer was on its way for so long
        return look

    monkeypatch.setattr(Store, "poll_when_woken", late)
    cluster.use_defaults()
    cluster.start("a")
    await cluster.lead_by("a")
    asked_s = cluster.now_s()
    for number in range(9):
        delay_s = 3 + 0.3 * number
        await cluster.client.submit(spec("ok"), task_id=f"{delay_s:g}", delay_s=delay_s)
    for number in range(9):
        delay_s = 3 + 0.3 * number
        await cluster.until(lambda at_s=delay_s: cluster.executor.starts(f"{at_s:g}"), "it runs")
        assert cluster.now_s() - asked_s - delay_s < 0.05


async def test_a_wait_that_fails_for_no_known_reason_costs_no_pod_its_life(cluster, monkeypatch):
    waits = 0

    async def broken(self, fence, limit, timeout_s):
        nonlocal waits
        waits += 1
        raise ValueError("nobody knows why")

    monkeypatch.setattr(Store, "poll_when_woken", broken)
    cluster.use_defaults()
    cluster.start("a")
    await cluster.lead_by("a")
    epoch = cluster.pods["a"].election.term.fence
    await asyncio.sleep(20)
    assert 15 < waits < 25  # about once a second
    await cluster.client.wait(await cluster.client.submit(spec("ok")), timeout_s=2)
    assert cluster.pods["a"].election.term.fence == epoch
    assert cluster.failures == {}


async def test_a_sleep_until_an_instant_waits_the_loops_rounding_out():
    now_s, asked = 100.0, []

    async def sleep(seconds):
        nonlocal now_s
        asked.append(round(seconds, 6))
        now_s += seconds + 0.0003  # what a turn of the loop takes

    runtime = Runtime(monotonic=lambda: now_s, sleep=sleep)
    await runtime.sleep_until(105.0)
    assert asked[0] == 4.999
    assert set(asked[1:]) == {0.0}
    assert 0 <= now_s - 105.0 < 0.0003


async def test_a_failed_call_lets_reaping_wait_anew():
    term = _term()
    await asyncio.sleep(5)
    assert term.steady_s() == pytest.approx(5)
    term.disturbed()
    assert term.steady_s() == 0


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


def _replanned(last_fired_ms: int | None, due_ms: int, wall_ms: int) -> object:
    every = config("every", every=seconds(10), created_ms=0, revision=3)
    return replanned(
        StoredConfig(config=every, due_ms=due_ms, last_fired_ms=last_fired_ms), wall_ms
    )


def test_due_and_last_fired_move_back_with_the_clock():
    moved = _replanned(100_000, 110_000, 55_000)
    assert (moved.due_ms, moved.next_due_ms, moved.last_fired_ms) == (110_000, 60_000, 55_000)
    assert _replanned(50_000, 60_000, 55_000) is None


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


def _worker(worker_id: str, **state: object) -> Worker:
    return Worker(
        id=worker_id,
        incarnation="1",
        capacity=4,
        backlog=4,
        heartbeat_timeout_ms=1000,
        last_heartbeat_ms=0,
        **state,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("state", [{"draining": True}, {"gone": True}])
def test_a_worker_that_is_draining_or_gone_is_never_chosen(state):
    assigner = Assigner("least-tasks", LeastTasks())
    task = ReadyTask(id="t", priority=5, scheduled_ms=0)
    plan = assigner.assign([task], [_worker("a", **state), _worker("b", queued=2)], 0)
    assert [choice.worker_id for choice in plan.choices] == ["b"]
    alone = assigner.assign([task], [_worker("a", **state)], 0)
    assert [deferral.task_id for deferral in alone.deferrals] == ["t"]


async def test_a_second_projection_of_a_page_goes_on_where_the_first_ended(cluster, monkeypatch):
    monkeypatch.setattr("dsched.engine.leader.collecting.MAX_PROJECTED", 2)
    for number in range(5):
        await cluster.client.submit(spec("ok"), task_id=f"t{number}")
    won = await cluster.store.acquire("a", "t", 60_000)
    loop = asyncio.get_running_loop()
    term = Term(won.fence, 60, loop.time(), virtual_runtime(loop, 1))
    announced = type("Nobody", (), {"tell": lambda self, notice: None})()
    await CollectStep(cluster.store, term, announced, AttemptWatch(Assertions(announced))).collect()
    assert int(cluster.state.collected) == cluster.state.last_cursor


async def test_more_delayed_tasks_than_one_step_takes_become_ready_in_one_tick(cluster):
    for page in range(3):
        ids = [f"d{page}-{number}" for number in range(MAX_BATCH)]
        items = [Submission(task_id=key, spec=spec("ok"), delay_ms=1000) for key in ids]
        await cluster.client.submit_many(items)
    await asyncio.sleep(2)
    won = await cluster.store.acquire("a", "t", 60_000)
    loop, store = asyncio.get_running_loop(), cluster.store
    term = Term(won.fence, 60, loop.time(), virtual_runtime(loop, 1))
    look = await store.poll(won.fence, MAX_BATCH)
    step = DispatchStep(store, term, Assigner("least-tasks", LeastTasks()))
    assert await step.promote(look.promoted) is None, "nothing is delayed any more"
    assert (len(cluster.state.ready), len(cluster.state.delayed)) == (3 * MAX_BATCH, 0)


async def test_a_change_that_came_second_is_planned_again_and_made(cluster):
    await cluster.client.put_config(config("every", every=seconds(60)))
    line = Line()
    store = line.over(cluster.store, "client")

    async def overtaken(handle, step, proceed):
        await cluster.client.put_config(config("every", every=seconds(90)))
        return await proceed()

    line.rule = only(first(1, overtaken), steps={"pause"})
    await type(cluster.client)(store).pause_config("every")
    assert cluster.state.configs["every"].paused is not None


async def test_a_change_of_another_revision_than_was_meant_changes_nothing(cluster):
    made = await cluster.client.put_config(config("every", every=seconds(60)), expected_revision=0)
    revision = made.config.revision
    longer = config("every", every=seconds(90))
    for meant in (0, revision + 1):
        with pytest.raises(PreconditionError):
            await cluster.client.put_config(longer, expected_revision=meant)
    assert cluster.state.configs["every"].config.every == seconds(60)
    await cluster.client.put_config(longer, expected_revision=revision)
    assert cluster.state.configs["every"].config.every == seconds(90)


async def test_a_lock_won_long_ago_is_not_led_with(cluster):
    """The acquire's reply is lost, and the repeat comes when the lock is nearly over."""
    line = Line()
    renewals = []

    async def noted(handle, step, proceed):
        renewals.append(step)
        return await proceed()

    async def rule(handle, step, proceed):
        if step == "acquire" and "acquire" not in renewals:
            renewals.append("acquire")
            return await lost_reply(handle, step, proceed)
        if step == "renew":
            return await noted(handle, step, proceed)
        return await proceed()

    line.rule = rule
    cluster.start("a", SCHEDULER, line=line)
    await cluster.lead_by("a")
    assert renewals[:2] == ["acquire", "renew"], "renewed before it led"


async def test_an_acquire_that_is_never_answered_is_tried_again(cluster):
    cluster.start("a", SCHEDULER, line=Line(only(first(1, _waits), steps={"acquire"})))
    await cluster.until(lambda: cluster.leader() == "a", "it leads", 2 * cluster.election.ttl_s)
