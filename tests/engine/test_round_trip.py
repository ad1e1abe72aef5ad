"""The poll for a due instant is sent a little before that instant."""

import asyncio
from datetime import timedelta

import attrs
import pytest
from engine_cluster import SCHEDULER, Line, config, only

from dsched.engine.leader.round_trip import AHEAD_AT_MOST_S, RoundTrip


def test_a_look_is_sent_ahead_by_a_third_of_the_quickest_one():
    reach = RoundTrip()
    for seconds in (0.0007, 0.0006, 0.0006, 0.02):
        reach.took(seconds)
    assert reach.ahead_s == pytest.approx(0.0006 * 1.1 / 3)


def test_what_was_quick_once_is_forgotten():
    reach = RoundTrip()
    reach.took(0.0001)
    for _ in range(100):
        reach.took(0.0006)
    assert reach.ahead_s == pytest.approx(0.0002)


def test_a_slow_store_is_not_looked_into_long_before():
    reach = RoundTrip()
    reach.took(0.2)
    assert reach.ahead_s == AHEAD_AT_MOST_S


def test_nothing_is_sent_ahead_to_a_store_that_answers_at_once():
    reach = RoundTrip()
    assert reach.ahead_s == 0
    reach.took(0.0)
    assert reach.ahead_s == 0


async def test_the_look_for_an_instant_is_on_its_way_when_it_comes(cluster):
    ahead = 0

    async def slow(handle, step, proceed):
        nonlocal ahead
        sent_s = cluster.now_s()
        await asyncio.sleep(0.0004)
        look = await proceed()
        # A fire is due at each full second.
        ahead += bool(look.due.configs) and 0.0001 < -sent_s % 1 < AHEAD_AT_MOST_S
        # This store rounds its clock to milliseconds: the rest is told, as Redis does.
        exact_ms = cluster.now_s() * 1000
        time = attrs.evolve(look.due.time, fraction_ms=exact_ms - round(exact_ms))
        await asyncio.sleep(0.0004)
        return attrs.evolve(look, due=attrs.evolve(look.due, time=time))

    cluster.use_defaults()
    await cluster.client.put_config(config(every=timedelta(seconds=1)))
    cluster.start("a", SCHEDULER, line=Line(only(slow, steps={"poll"})))
    await asyncio.sleep(60)
    assert ahead > 50
