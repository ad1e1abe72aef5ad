"""A leader leads only while the lock is its own, and ends its term when it cannot know that it
is."""

import asyncio

import pytest
from engine_cluster import (
    SCHEDULER,
    Line,
    first,
    lost_reply,
    only,
)
from engine_parts import new_term

from dsched.contracts.store.outcomes import FencedError
from dsched.engine.leader.supervision import supervise
from dsched.engine.leader.term import TermOverError


async def test_a_slow_renewal_counts_from_its_beginning():
    term = new_term(ttl_s=10.0)
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
        await supervise("test", new_term(), tick, pause, hang_s=5)
    assert ticks == 1


async def _ticks(outcomes, **how):
    """Supervise a loop whose ticks raise or pass by turns; how many there were."""
    left = list(outcomes)

    async def tick():
        await asyncio.sleep(1)
        if not left:
            raise TermOverError("the end")
        if left.pop(0):
            raise ValueError("a defect")

    with pytest.raises(TermOverError):
        await supervise("test", how.pop("term", new_term()), tick, _none, hang_s=5, **how)
    return len(outcomes) - len(left)


async def _none():
    return None


async def test_only_ticks_that_fail_in_a_row_end_a_term():
    assert await _ticks([True, True, False] * 4) == 12
    assert await _ticks([True, True, True, False]) == 3


@pytest.mark.parametrize(("asks", "silent_s"), [(True, 1), (False, 7)])
async def test_a_tick_that_asks_nothing_tells_nothing_of_the_store(asks, silent_s):
    term = new_term()
    await _ticks([False] * 6, term=term, asks=asks)
    assert term.disturbed() == silent_s


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
    await cluster.until(
        lambda: cluster.leader() == "a", "it leads", 2 * cluster.times.election.ttl_s
    )
