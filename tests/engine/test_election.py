"""One leader, and never two that write: election, renewal, takeover, fencing."""

import asyncio

import pytest
from engine_cluster import (
    SCHEDULER,
    Line,
    config,
    first,
    lost_reply,
    never,
    only,
    spec,
    unreachable,
)

from dsched.contracts import TermChanged
from dsched.contracts.store.collecting import Collecting
from dsched.contracts.store.dispatching import Dispatching
from dsched.contracts.store.firing import Firing
from dsched.contracts.store.outcomes import FencedError, Outcome
from dsched.contracts.store.recovering import Recovering
from dsched.engine.leader.election import Election, ElectionTimes
from dsched.engine.observers import Announcer
from dsched.engine.past import Past
from dsched.model import TaskStatus
from dsched_testkit.kernel.virtual_time import virtual_runtime

LEADER_STEPS = sorted(
    step
    for group in (Firing, Dispatching, Recovering, Collecting)
    for step in group.__abstractmethods__
)


async def test_one_of_three_pods_leads_and_stays(cluster):
    for name in "abc":
        cluster.start(name)
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    leader = cluster.leader()
    for _ in range(100):
        await asyncio.sleep(1)
        assert cluster.leader() == leader
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_every_step_of_a_leader_carries_its_fence(cluster):
    seen = set()
    line = Line()
    pod = cluster.start("a", line=line)
    await cluster.lead_by("a")
    fence = cluster.state.fence

    for step in LEADER_STEPS:  # wrapped below the line, to see the arguments
        inner = pod.store.inner.inner
        original = getattr(inner, step)

        async def watched(given, *args, _step=step, _original=original, **kwargs):
            seen.add((_step, given))
            return await _original(given, *args, **kwargs)

        setattr(inner, step, watched)
    await cluster.client.put_config(config(name="sleep 60", overlap="skip"))
    await asyncio.sleep(60)
    assert {fence} == {given for _, given in seen}
    assert {"collect", "dispatch", "fire", "poll", "overdue", "project", "prune"} <= {
        step for step, _ in seen
    }


@pytest.mark.parametrize("step", LEADER_STEPS)
async def test_a_step_with_an_old_fence_is_refused(cluster, step):
    old = await cluster.store.acquire("old", "t1", 1000)
    await cluster.store.resign(old.fence)
    await cluster.store.acquire("new", "t2", 100_000)
    arguments = {
        "poll": (1,),
        "due": (1,),
        "fire": ([],),
        "replan": ([],),
        "promote": (1,),
        "ready": (0, 1),
        "dispatch": ([], []),
        "recall": ([], 0),
        "overdue": (1, 0),
        "reap": ([],),
        "prune": (1,),
        "collect": (1,),
        "project": (None,),
    }[step]
    keywords = {"skip": 0, "limit": 1} if step == "dispatch" else {}
    if step == "project":
        from dsched.contracts.store.collecting import Projection

        arguments = (Projection(after="", upto=""),)
    with pytest.raises(FencedError):
        await getattr(cluster.store, step)(old.fence, *arguments, **keywords)


async def test_a_killed_leader_is_followed_within_the_ttl_and_two_seconds(cluster):
    cluster.use_defaults()
    for name in "abc":
        cluster.start(name)
    await cluster.client.put_config(config(overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("tick")) >= 3, "some fires")
    for _ in range(2):
        before = cluster.leader()
        await cluster.kill(before)
        killed_s, killed_ms = cluster.now_s(), cluster.wall()
        await cluster.until(lambda: cluster.leader() is not None, "the next leader", 60)
        assert cluster.now_s() - killed_s <= cluster.times.election.ttl_s + 2
        await cluster.until(
            lambda ms=killed_ms: any(at > ms for at in cluster.fired("tick")), "the next fire", 60
        )
        assert cluster.now_s() - killed_s <= cluster.times.election.ttl_s + 2
    instants = cluster.fired("tick")
    assert sorted(set(instants)) == instants


async def test_a_graceful_stop_moves_the_leadership_within_a_second(cluster):
    cluster.use_defaults()
    for name in "abc":
        cluster.start(name)
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    before = cluster.leader()
    cluster.pods[before].stop()
    began_s = cluster.now_s()
    await cluster.until(lambda: cluster.leader() not in (None, before), "another leads")
    assert cluster.now_s() - began_s < 1
    await cluster.leave(before)


async def test_an_election_that_is_cancelled_while_its_term_ends_by_an_error_ends(cluster):
    ending = asyncio.Event()

    async def lead(_term):
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(1)  # the group of the term waits for this, and is cancelled in it

    runtime = virtual_runtime(asyncio.get_running_loop(), 1)
    election = Election(
        "a", cluster.store, runtime, Announcer({}), ElectionTimes(), lead, past=Past()
    )
    running = asyncio.create_task(election.run())
    await cluster.until(lambda: election.term is not None, "it leads")
    await cluster.store.resign(election.term.fence)
    await ending.wait()
    running.cancel()
    assert await asyncio.wait({running}, timeout=60) == ({running}, set())
    assert running.cancelled()


async def test_a_leader_whose_renewals_get_no_answer_stops_before_the_lock_runs_out(cluster):
    cluster.use_defaults()
    calls = []
    line = Line()
    cluster.start("a", SCHEDULER, line=line)
    await cluster.lead_by("a")
    await asyncio.sleep(4)
    until_ms = cluster.state.lock_until_ms

    async def silent(handle, step, proceed):
        if handle == "election":
            return await never(handle, step, proceed)
        if step in LEADER_STEPS:
            calls.append(cluster.state.mark_ms)
        return await proceed()

    line.rule = silent
    await cluster.until(lambda: cluster.leader() is None, "it gives up", 30)
    assert cluster.state.lock_until_ms >= until_ms > cluster.state.wall(), "the lock is still held"
    assert max(calls) < until_ms
    calls.clear()
    await asyncio.sleep(2)
    assert calls == [], "its loops have stopped"


async def test_a_lost_acquire_reply_still_leads_with_the_same_fence(cluster):
    line = Line()
    line.rule = only(first(1, lost_reply), steps={"acquire"})
    cluster.start("a", SCHEDULER, line=line)
    await cluster.until(lambda: cluster.state.fence is not None, "the lock is taken")
    fence = cluster.state.fence
    await cluster.lead_by("a")
    assert (cluster.state.fence, cluster.pods["a"].election.term.fence) == (fence, fence)
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_a_follower_leads_at_once_after_an_outage_longer_than_the_ttl(cluster):
    cluster.use_defaults()
    told = []
    cluster.observers["log"] = _Observer(told)
    line = Line()
    line.cut()
    cluster.start("a", SCHEDULER, line=line)
    await asyncio.sleep(60)
    line.heal()
    healed_s = cluster.now_s()
    await cluster.lead_by("a")
    await asyncio.sleep(10)
    assert cluster.now_s() - healed_s < 16
    assert [notice.leading for notice in told if isinstance(notice, TermChanged)] == [True]


@pytest.mark.parametrize("step", ["poll", "overdue", "collect", "prune", "counts"])
async def test_a_leader_whose_call_never_returns_gives_the_leadership_up(cluster, step):
    line = Line()
    cluster.start("hung", SCHEDULER, line=line)
    await cluster.lead_by("hung")
    cluster.start("well", SCHEDULER)
    line.rule = only(never, handles={"main"}, steps={step})
    await cluster.until(lambda: cluster.pods["well"].status().leading, "the other one leads", 60)


async def test_a_wakeup_that_never_returns_keeps_no_leader_from_firing(cluster):
    line = Line()
    line.rule = only(never, steps={"wakeup"})
    cluster.start("a", line=line)
    await cluster.client.put_config(config(overlap="allow"))
    await asyncio.sleep(60)
    assert len(cluster.fired("tick")) >= 59
    assert max(item["late"] for item in cluster.items("fired")) <= 50
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_a_wakeup_that_never_returns_keeps_no_follower_from_taking_over(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    line = Line()
    line.rule = only(never, steps={"wakeup"})
    cluster.start("b", SCHEDULER, line=line)
    await asyncio.sleep(3)
    await cluster.kill("a")
    await cluster.until(lambda: cluster.leader() == "b", "b leads", 10)


async def test_three_failed_ticks_give_the_leadership_up(cluster):
    async def broken(handle, step, proceed):
        raise ZeroDivisionError("a defect")

    line = Line()
    cluster.start("broken", SCHEDULER, line=line)
    await cluster.lead_by("broken")
    cluster.start("well", SCHEDULER)
    line.rule = only(first(2, broken), steps={"overdue"})
    await asyncio.sleep(10)
    assert cluster.leader() == "broken", "two failures are borne"
    line.rule = only(broken, steps={"overdue"})
    await cluster.until(lambda: cluster.pods["well"].status().leading, "the other one leads", 30)


async def test_a_leader_cut_off_from_all_but_its_lock_gives_the_leadership_up(cluster):
    line = Line()
    cluster.start("a", SCHEDULER, line=line)
    await cluster.lead_by("a")
    cluster.start("b", SCHEDULER)
    line.rule = only(unreachable, handles={"main"})
    await cluster.until(lambda: cluster.pods["b"].status().leading, "the other one leads", 60)


async def test_a_leader_frozen_between_due_and_fire_writes_nothing_afterwards(cluster):
    cluster.use_defaults()
    line = Line()
    cluster.start("zombie", SCHEDULER, line=line)
    await cluster.lead_by("zombie")
    old = cluster.state.fence
    refused = []

    async def freeze(handle, step, proceed):
        # What SIGSTOP does: time passes, and not one line of this process runs meanwhile.
        asyncio.get_running_loop()._jumping.now_s += 15
        taken = await cluster.store.acquire("other", "token", 60_000)
        assert taken.outcome == Outcome.OK
        try:
            return await proceed()
        except FencedError as error:
            refused.append(error)
            raise

    line.rule = only(first(1, freeze), steps={"fire"})
    await cluster.client.put_config(config())
    await cluster.until(lambda: refused, "the fire is refused")
    await asyncio.sleep(5)
    taken_at = next(
        index
        for index, event in enumerate(cluster.state.log)
        if event.kind == "leader" and event.by.endswith(":other")
    )
    assert [event for event in cluster.state.log[taken_at:] if event.by == old] == []
    assert cluster.fired("tick") == []
    assert cluster.leader() is None


async def test_a_lock_without_a_time_limit_is_repaired_and_taken_over(cluster):
    gone = await cluster.store.acquire("gone", "token", 1500)
    cluster.state.lock_until_ms = None
    cluster.start("a", SCHEDULER)
    await cluster.until(lambda: cluster.leader() == "a", "a leads", 5)
    assert cluster.state.fence != gone.fence


async def test_epochs_grow_from_term_to_term(cluster):
    for name in "abc":
        cluster.start(name)
    for _ in range(3):
        await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
        before = cluster.leader()
        await cluster.leave(before)
        cluster.start(before)
    epochs = [int(event.by.partition(":")[0]) for event in cluster.events("leader")]
    acquired = epochs[::2]
    assert sorted(set(acquired)) == acquired


async def test_running_work_is_not_disturbed_by_a_change_of_leader(cluster):
    cluster.start("lead", SCHEDULER)
    await cluster.lead_by("lead")
    cluster.start("b")
    await cluster.client.submit(spec("sleep 60"), task_id="t")
    await cluster.until(lambda: cluster.row("t").status == TaskStatus.RUNNING, "it runs")
    token = cluster.row("t").token
    await cluster.kill("lead")
    await cluster.lead_by("b")
    task = await cluster.client.wait("t", timeout_s=90)
    assert (task.status, task.attempt, cluster.row("t").token) == (TaskStatus.SUCCESS, 1, token)


async def test_a_pod_that_rests_after_a_bad_term_stops_at_once_when_told(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.lead_by("a")
    cluster.state.fence = None  # the lock is lost
    await cluster.until(lambda: cluster.leader() is None, "it leads no more")
    began_s = cluster.now_s()
    await cluster.leave("a")
    assert cluster.now_s() - began_s < 0.2


class _Observer:
    def __init__(self, told):
        self.told = told

    def notify(self, notice):
        self.told.append(notice)
