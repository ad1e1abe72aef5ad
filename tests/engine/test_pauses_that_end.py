"""Pauses that end by themselves: the leader resumes the config at the instant, once."""

import asyncio
from datetime import timedelta

import pytest
from engine_cluster import Line, config, first, lost_reply, only, seconds

from dsched.client import RefusedError
from dsched.explaining.explanation import Answer
from dsched.model import from_ms
from dsched_testkit.checker import History


def _acts(cluster, act):
    return [item for item in cluster.items("config", config="tick") if item["act"] == act]


def _paused(cluster):
    return [item for item in cluster.items("skipped", config="tick") if item["reason"] == "paused"]


def _unaccounted(cluster, due_ms):
    """What was neither fired nor skipped once, of what the config owed up to its last fire."""
    owed = range(due_ms, cluster.fired("tick")[-1] + 1, 1000)
    return History(cluster.state).unaccounted("tick", owed)


async def test_a_config_fires_again_from_the_instant_on_until_which_it_was_paused(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("tick")) == 2, "some fires")
    until_ms = stored.config.created_ms + 10_000  # an instant itself
    await cluster.client.pause_config("tick", why="upkeep", until=from_ms(until_ms))
    paused = (await cluster.client.get_config("tick")).paused
    assert (paused.until_ms, paused.why) == (until_ms, "upkeep")
    fired = list(cluster.fired("tick"))
    await cluster.until(lambda: until_ms in cluster.fired("tick"), "it fires again")
    assert cluster.fired("tick") == [*fired, until_ms]
    (gap,) = _paused(cluster)
    assert (gap["first"], gap["last"]) == (fired[-1] + 1000, until_ms - 1000)
    assert (gap["who"], gap["why"]) == ("client", "upkeep")
    (resumed,) = _acts(cluster, "resumed")
    assert resumed["until"] == until_ms
    late = [item["late"] for item in cluster.items("fired", ms=until_ms)]
    assert late[0] < 50, "the end of the pause is met as exactly as an instant is"
    assert History(cluster.state).problems() == []


async def test_a_span_counts_from_now(cluster):
    await cluster.client.put_config(config())
    await cluster.client.pause_config("tick", why="upkeep", until=timedelta(hours=2))
    paused = (await cluster.client.get_config("tick")).paused
    assert paused.until_ms == paused.since_ms + 2 * 3_600_000


@pytest.mark.parametrize("misfire", ["skip", "fire_once"])
async def test_what_comes_while_nobody_leads_after_its_end_is_owed(cluster, misfire):
    cluster.start("a")
    entry = config(overlap="allow", misfire=misfire, misfire_grace=seconds(5))
    stored = await cluster.client.put_config(entry)
    await cluster.until(lambda: len(cluster.fired("tick")) == 2, "some fires")
    until_ms = stored.config.created_ms + 10_500
    await cluster.client.pause_config("tick", why="upkeep", until=from_ms(until_ms))
    await cluster.kill("a")
    await asyncio.sleep(60)
    cluster.start("b")
    await cluster.until(lambda: len(cluster.fired("tick")) > 8, "it fires again")
    (gap,) = _paused(cluster)
    assert gap["last"] == until_ms - 500
    missed = [item for item in cluster.items("skipped") if item["reason"] == "misfire"]
    assert [item["first"] for item in missed] == [until_ms + 500]
    assert len(_acts(cluster, "resumed")) == 1
    assert _unaccounted(cluster, stored.due_ms) == []
    assert History(cluster.state).problems() == []


async def test_it_ends_once_though_the_leader_dies_with_the_answer(cluster):
    cluster.start("a", line=Line(only(first(1, lost_reply), steps={"fire"})))
    stored = await cluster.client.put_config(
        config(overlap="allow", start_at=from_ms(cluster.wall()))
    )
    until_ms = cluster.wall() + 3000
    await cluster.client.pause_config("tick", why="upkeep", until=from_ms(until_ms))
    await cluster.until(lambda: bool(_acts(cluster, "resumed")), "it resumes")
    await cluster.kill("a")
    cluster.start("b")
    await cluster.until(lambda: len(cluster.fired("tick")) > 3, "it fires again")
    assert len(_acts(cluster, "resumed")) == 1
    assert _unaccounted(cluster, stored.due_ms) == []


async def test_resumed_before_it_ends_it_goes_on_at_once(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow"))
    await cluster.client.pause_config("tick", why="upkeep", until=timedelta(seconds=20))
    await asyncio.sleep(3.5)
    await cluster.client.resume_config("tick")
    await asyncio.sleep(30)
    assert len(cluster.fired("tick")) > 25
    assert len(_acts(cluster, "resumed")) == 1


async def test_resumed_after_its_end_by_hand_only_the_pause_is_left_out(cluster):
    stored = await cluster.client.put_config(config(overlap="allow"))
    until_ms = stored.config.created_ms + 5500
    await cluster.client.pause_config("tick", why="upkeep", until=from_ms(until_ms))
    await asyncio.sleep(10.5)  # nobody leads
    await cluster.client.resume_config("tick")
    (gap,) = _paused(cluster)
    assert (gap["count"], gap["last"]) == (5, until_ms - 500)
    assert (await cluster.client.get_config("tick")).due_ms == until_ms + 500


async def test_an_edit_after_its_end_that_nobody_has_noticed_accounts_for_each_instant_once(
    cluster,
):
    stored = await cluster.client.put_config(config(overlap="allow"))
    until_ms = stored.config.created_ms + 2500
    await cluster.client.pause_config("tick", why="upkeep", until=from_ms(until_ms))
    await asyncio.sleep(10.2)  # nobody leads
    edited = await cluster.client.put_config(config(overlap="allow", every=seconds(1.5)))
    (left,) = [one for one in cluster.items("skipped", config="tick") if one["reason"] == "edited"]
    assert (left["count"], left["last"]) == (10, stored.config.created_ms + 10_000)
    cluster.start("a")
    await cluster.until(lambda: len(cluster.fired("tick")) > 3, "it fires again")
    assert cluster.fired("tick")[0] > edited.config.updated_ms
    assert len(_acts(cluster, "resumed")) == 1
    assert History(cluster.state).problems() == []


async def test_a_later_pause_takes_the_end_away(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow"))
    await cluster.client.pause_config("tick", why="upkeep", until=timedelta(seconds=5))
    await cluster.client.pause_config("tick", why="for good")
    fired = len(cluster.fired("tick"))
    await asyncio.sleep(20)
    stored = await cluster.client.get_config("tick")
    assert (stored.paused.until_ms, stored.paused.why) == (None, "for good")
    assert len(cluster.fired("tick")) == fired


async def test_an_end_in_the_past_is_refused(cluster):
    await cluster.client.put_config(config())
    for until in (from_ms(cluster.wall()), timedelta(0)):
        with pytest.raises(RefusedError, match="has come: name an instant that lies ahead"):
            await cluster.client.pause_config("tick", why="upkeep", until=until)
    assert (await cluster.client.get_config("tick")).paused is None


async def test_why_says_until_when_and_what_comes_after(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(every=seconds(60)))
    created_ms = stored.config.created_ms
    await cluster.client.pause_config("tick", why="upkeep", until=timedelta(seconds=90))
    inside = await cluster.client.why_config("tick", from_ms(created_ms + 60_000))
    assert inside.summary.startswith("tick is paused;")
    assert " until " in inside.because[0]
    after = await cluster.client.why_config("tick", from_ms(created_ms + 120_000))
    assert (after.verdict, after.summary.split(" at ")[0]) == (Answer.PENDING, "tick will be due")
    assert after.because[0].endswith("It resumes by itself before.")
