"""Every owed instant is fired once, or is in exactly one skipped range: whatever happens."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from engine_cluster import SCHEDULER, Line, config, first, lost_reply, only, seconds, spec

from dsched.model import Home, InvalidConfigError, Misfire, TaskStatus, from_ms
from dsched.planning import misfire
from dsched_testkit.checker import History


@pytest.mark.parametrize("seed", range(5))
async def test_every_instant_is_fired_once_over_changes_of_leader(cluster, seed):
    chance = random.Random(seed)
    for name in "abc":
        cluster.start(name)
    stored = await cluster.client.put_config(config(overlap="allow"))
    crons = config("cron", cron_expr="*/7 * * * *", overlap="allow")
    await cluster.client.put_config(crons)
    created_ms = stored.config.created_ms
    for _ in range(12):
        await asyncio.sleep(chance.uniform(2, 90))
        leader = cluster.leader()
        if leader is not None:
            await (cluster.kill if chance.random() < 0.6 else cluster.leave)(leader)
            cluster.start(leader)
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    await asyncio.sleep(5)
    upto_ms = cluster.wall() - 1000
    history = History(cluster.state)
    owed = [ms for ms in range(created_ms + 1000, upto_ms + 1000, 1000) if ms <= upto_ms]
    late = [ms for ms in cluster.fired("tick") if ms > upto_ms]
    assert history.unaccounted("tick", owed + late) == []
    every_7 = [
        ms
        for ms in range(created_ms - created_ms % 60_000 + 60_000, upto_ms, 60_000)
        if (ms // 60_000) % 60 % 7 == 0
    ]
    assert history.unaccounted("cron", every_7) == []
    assert history.problems() == []
    assert len({event.by for event in cluster.events("fired")}) > 3, "several terms fired"


@pytest.mark.parametrize(
    ("policy", "fires"), [("fire_once", 60), ("skip", 60), ("fire_all", 60 + 100)]
)
async def test_a_long_outage_is_settled_by_the_misfire_policy_with_bounded_work(
    cluster, policy, fires, monkeypatch
):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow", misfire=policy))
    await cluster.until(lambda: len(cluster.fired("tick")) == 3, "some fires")
    await cluster.kill("a")
    outage_s = 30 * 86_400
    await asyncio.sleep(outage_s)
    planned = []
    original = misfire.jitter_ms

    def counting(*args):
        planned.append(args)
        return original(*args)

    monkeypatch.setattr(misfire, "jitter_ms", counting)
    back_ms = cluster.wall()
    cluster.start("b")
    await cluster.until(lambda: cluster.fired("tick")[-1] >= back_ms, "it fires again")
    await asyncio.sleep(1.5)
    caught_up = [ms for ms in cluster.fired("tick")[3:] if ms <= back_ms]
    # Within the grace of a minute instants are only late; beyond it the policy decides.
    assert fires <= len(caught_up) <= fires + 3
    assert len(planned) < 400, "the work does not grow with the outage"
    first_ms = stored.config.created_ms + 1000
    owed = list(range(first_ms, cluster.fired("tick")[-1] + 1, 1000))
    assert History(cluster.state).unaccounted("tick", owed) == []
    assert sum(item["reason"] == "misfire" for item in cluster.items("skipped")) == 1


async def test_overlap_skip_fires_no_second_run_while_one_lives(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(name="sleep 60", overlap="skip"))
    await asyncio.sleep(200)
    live = _lives(cluster)
    assert max(live) == 1
    assert {"overlap"} == {item["reason"] for item in cluster.items("skipped")}
    assert 3 <= len(cluster.fired("tick")) <= 4


async def test_overlap_allow_runs_side_by_side(cluster):
    cluster.start("a", capacity=10)
    await cluster.client.put_config(config(name="sleep 60", overlap="allow"))
    await cluster.until(lambda: len(cluster.state.running["a-w"]) >= 5, "five at once")
    assert cluster.items("skipped") == []


async def test_what_fire_all_makes_up_for_runs_one_after_the_other_under_queue_all(cluster):
    client = cluster.client
    policies = {"overlap": "queue_all", "misfire": "fire_all", "misfire_grace": seconds(0)}
    tick = config(name="sleep 1", every=seconds(20), misfire_cap=4, **policies)
    stored = await client.put_config(tick)
    await asyncio.sleep(130)  # six came due, nobody led
    cluster.start("a")
    first_ms = stored.config.created_ms + 20_000
    await cluster.until(lambda: len(cluster.items("completed")) >= 5, "what was missed has run", 60)
    began = [task_id for task_id, _, _ in cluster.executor.started]
    assert began[:4] == [f"tick@{first_ms + 20_000 * n}" for n in (2, 3, 4, 5)]
    (skipped,) = cluster.items("skipped")
    assert (skipped["count"], skipped["reason"]) == (2, "misfire")
    history = History(cluster.state)
    assert history.problems() == []


async def test_a_client_is_refused_a_fire_all_that_could_not_keep_its_word(cluster):
    with pytest.raises(InvalidConfigError, match="overlap: queue_all"):
        await cluster.client.put_config(config(misfire="fire_all"))
    assert await cluster.client.get_configs(["tick"]) == (None,)


async def test_overlap_queue_one_holds_one_and_starts_it_when_the_older_has_ended(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(name="sleep 60", overlap="queue_one"))
    await cluster.until(lambda: cluster.state.held, "one is held")
    await asyncio.sleep(30)
    assert len(cluster.state.running["a-w"]) == 1
    assert len(cluster.state.held) == 1
    (held,) = cluster.state.held["tick"]
    await cluster.until(lambda: cluster.row(held).status == TaskStatus.RUNNING, "it runs", 60)
    ended_ms = [event.at_ms for event in cluster.events("completed")]
    started_ms = next(
        event.at_ms
        for event in cluster.events("claimed")
        if any(item["task"] == held for item in event.items)
    )
    assert started_ms >= ended_ms[0]


async def test_overlap_cancel_previous_starts_the_new_one_only_after_the_old_has_stopped(cluster):
    alive = []

    async def body(context, task):
        alive.append(task.id)
        assert alive == [task.id], "the older one still runs"
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            alive.remove(task.id)

    cluster.executor.bodies["careful"] = body
    cluster.start("a")
    await cluster.client.put_config(
        config(name="careful", overlap="cancel_previous", every=seconds(5))
    )
    await asyncio.sleep(40)
    ended = {item["status"] for item in cluster.items("completed")}
    assert ended == {"cancelled"}
    assert len(cluster.executor.started) >= 6


async def test_one_config_that_cannot_be_planned_does_not_stop_the_others(cluster):
    told = []

    class Observer:
        def notify(self, notice):
            told.append(notice)

    cluster.observers["log"] = Observer()
    cluster.start("a")
    await cluster.client.put_config(config("bad", timezone="Europe/Berlin", cron_expr="* * * * *"))
    await cluster.client.put_config(config("good"))
    row = cluster.state.configs["bad"]
    object.__setattr__(row.config, "timezone", "Mars/Olympus")  # no tzdata here knows it
    due_ms = row.due_ms
    await asyncio.sleep(100)
    cluster.wall.step(-30_000)  # the replanning meets it too
    await asyncio.sleep(200)
    assert len(cluster.fired("good")) > 250
    assert cluster.fired("bad") == []
    assert len(cluster.items("leader", act="acquired")) == 1
    assert cluster.items("skipped", config="bad") == []
    assert cluster.state.configs["bad"].due_ms == due_ms, "it owes what it owed"
    assert any(type(notice).__name__ == "InvariantViolated" for notice in told)


async def test_a_clock_that_jumps_forward_gives_one_catch_up_run_for_each_config(cluster):
    cluster.use_defaults()
    cluster.start("a", capacity=50)
    names = [f"c{number:03d}" for number in range(150)]  # more than a page of due configs
    for name in names:
        await cluster.client.put_config(
            config(name, overlap="allow", every=seconds(10), misfire="fire_all")
        )
    await cluster.until(lambda: len(cluster.fired(names[-1])) == 2, "two fires", 60)
    await asyncio.sleep(5)
    before = {name: len(cluster.fired(name)) for name in names}
    jumped_ms = cluster.wall() + 50_000
    cluster.wall.step(50_000)  # within the grace: five instants of each are owed
    await asyncio.sleep(9)
    for name in names:
        caught = [ms for ms in cluster.fired(name)[before[name] :] if ms <= jumped_ms]
        assert len(caught) == 1, (name, caught)
    problems = [p for name in names for p in _unaccounted_every(cluster, name, 10_000)]
    assert problems == []


@pytest.mark.parametrize("stopped", ["paused", "disabled"])
async def test_what_fired_under_a_clock_that_was_ahead_fires_again_once_it_may(cluster, stopped):
    cluster.start("a")
    entry = config("c", every=seconds(10))
    await cluster.client.put_config(entry)
    cluster.wall.step(3_600_000)
    await asyncio.sleep(15)
    if stopped == "paused":
        await cluster.client.pause_config("c")
    else:
        await cluster.client.put_config(attrs.evolve(entry, enabled=False))
    cluster.wall.step(-3_600_000)
    await asyncio.sleep(15)
    fired = len(cluster.items("fired"))
    if stopped == "paused":
        await cluster.client.resume_config("c")
    else:
        await cluster.client.put_config(entry)
    await asyncio.sleep(35)
    assert len(cluster.items("fired")) - fired >= 3


async def test_a_clock_set_back_gives_no_duplicates_and_keeps_firing(cluster):
    cluster.start("a")
    for number in range(250):  # several pages to plan anew
        await cluster.client.put_config(
            config(f"c{number:03d}", every=seconds(3600), overlap="allow")
        )
    await cluster.client.put_config(config(overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("tick")) == 100, "100 fires", 120)
    cluster.wall.step(-60_000)
    stepped_s = cluster.now_s()
    await asyncio.sleep(50)
    assert cluster.items("clock_back") != []
    instants = cluster.fired("tick")
    assert sorted(set(instants)) == sorted(instants)
    await asyncio.sleep(60)
    assert len(cluster.fired("tick")) >= 100 + 40, "after the repeated minute it goes on"
    assert cluster.now_s() - stepped_s < 120
    assert History(cluster.state).problems() == []
    assert len(cluster.items("leader", act="acquired")) == 1


async def test_jitter_delays_the_start_and_never_moves_the_instant(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow", every=seconds(60), jitter=seconds(30)))
    await asyncio.sleep(60 * 20 + 35)
    starts = {
        item["task"]: event.at_ms for event in cluster.events("claimed") for item in event.items
    }
    waits = [starts[f"tick@{ms}"] - ms for ms in cluster.fired("tick")]
    assert len(waits) >= 20
    assert all(0 <= wait <= 30_100 for wait in waits)
    assert len(set(waits)) > 10, "they are spread out"
    assert all(ms % 60_000 == cluster.fired("tick")[0] % 60_000 for ms in cluster.fired("tick"))


async def test_a_fixed_delay_counts_from_the_end_of_the_run_before(cluster):
    cluster.start("a")
    await cluster.client.put_config(config(name="sleep 1", fixed_delay=seconds(10)))
    await asyncio.sleep(100)
    ends = [event.at_ms for event in cluster.events("completed")]
    fires = cluster.fired("tick")
    assert len(fires) >= 8
    assert [10_000] * (len(fires) - 1) == [
        fire - end for end, fire in zip(ends, fires[1:], strict=False)
    ]


async def test_an_at_config_fires_once_and_stays(cluster):
    cluster.start("a")
    at_ms = cluster.wall() + 30_000
    await cluster.client.put_config(config(at=from_ms(at_ms)))
    await asyncio.sleep(600)
    assert cluster.fired("tick") == [at_ms]
    assert (await cluster.client.get_config("tick")).due_ms is None


async def test_pausing_editing_and_deleting_account_for_every_instant(cluster):
    cluster.start("a")
    client = cluster.client
    stored = await client.put_config(config(overlap="allow"))
    created_ms = stored.config.created_ms
    await asyncio.sleep(20.5)
    await cluster.kill("a")  # instants become due and stay unfired
    await asyncio.sleep(10)
    await client.pause_config("tick", why="test")
    await asyncio.sleep(30)
    await client.resume_config("tick")
    await asyncio.sleep(7)
    # Another schedule: under an equal one nothing would be skipped.
    end_at = from_ms(cluster.wall() + 3_600_000)
    await client.put_config(config(overlap="allow", end_at=end_at))
    cluster.start("b")
    await asyncio.sleep(15.3)
    await cluster.kill("b")
    await asyncio.sleep(5)
    await client.delete_config("tick")
    deleted_ms = cluster.wall()
    await asyncio.sleep(10)
    owed = list(range(created_ms + 1000, deleted_ms + 1, 1000))
    assert History(cluster.state).unaccounted("tick", owed) == []
    reasons = {item["reason"] for item in cluster.items("skipped")}
    assert {"paused", "edited", "deleted"} <= reasons


@pytest.mark.parametrize("misfire", list(Misfire))
async def test_an_edit_that_keeps_the_schedule_leaves_what_is_owed_to_the_policies(
    cluster, misfire
):
    client = cluster.client
    first_policies = {"overlap": "allow", "misfire": "skip", "misfire_grace": seconds(0)}
    stored = await client.put_config(config(**first_policies))
    await asyncio.sleep(20.5)
    edited = config(overlap="allow", misfire=misfire, misfire_grace=seconds(5), misfire_cap=3)
    await client.put_config(edited)
    created_ms, edited_ms = stored.config.created_ms, cluster.wall()
    cluster.start("a")
    await cluster.until(lambda: len(cluster.fired("tick")) > 10, "it fires")
    made_up = [ms for ms in cluster.fired("tick") if ms <= edited_ms - 5000]
    assert len(made_up) == (3 if misfire is Misfire.FIRE_ALL else 0)
    within_grace = [ms for ms in cluster.fired("tick") if edited_ms - 5000 < ms <= edited_ms]
    assert len(within_grace) == 5
    owed = list(range(created_ms + 1000, cluster.fired("tick")[-1] + 1, 1000))
    assert History(cluster.state).unaccounted("tick", owed) == []
    assert {"misfire"} == {item["reason"] for item in cluster.items("skipped")}


async def test_an_edit_within_a_pause_leaves_its_gap_to_the_pause(cluster):
    client = cluster.client
    await client.put_config(config(overlap="allow"))
    await client.pause_config("tick", why="test")
    await asyncio.sleep(10)
    await client.put_config(config(overlap="allow", timeout=seconds(9)))
    await asyncio.sleep(10)
    await client.resume_config("tick")
    cluster.start("a")
    await cluster.until(lambda: cluster.fired("tick"), "it fires")
    assert [(i["count"], i["reason"]) for i in cluster.items("skipped")] == [(20, "paused")]


async def test_a_disabled_config_fires_nothing_and_its_owed_instants_are_recorded(cluster):
    client = cluster.client
    stored = await client.put_config(config(overlap="allow"))
    await asyncio.sleep(5)
    await client.put_config(config(overlap="allow", enabled=False))
    disabled_ms = cluster.wall()
    cluster.start("a")
    await asyncio.sleep(30)
    assert cluster.fired("tick") == []
    owed = list(range(stored.config.created_ms + 1000, disabled_ms + 1, 1000))
    assert History(cluster.state).unaccounted("tick", owed) == []
    assert {"disabled"} == {item["reason"] for item in cluster.items("skipped")}


async def test_a_lost_fire_reply_fires_no_instant_twice(cluster):
    line = Line()
    cluster.start("a", line=line)
    await cluster.client.put_config(config(overlap="allow"))
    for _ in range(5):
        line.rule = only(first(1, lost_reply), steps={"fire"})
        await asyncio.sleep(3)
    instants = cluster.fired("tick")
    assert list(range(instants[0], instants[-1] + 1, 1000)) == instants


async def test_a_fire_waits_for_no_scan_and_is_milliseconds_late(cluster):
    cluster.start("a")
    due = datetime.fromtimestamp(cluster.wall() / 1000, UTC) + timedelta(milliseconds=7_123)
    await cluster.client.put_config(config(at=due))
    await asyncio.sleep(10)
    assert cluster.items("fired")[0]["late"] <= 2


async def test_a_delayed_submission_starts_at_its_instant(cluster):
    cluster.start("a")
    began_ms = cluster.wall()
    await cluster.client.submit(spec("ok"), task_id="t", delay_s=42.5)
    assert cluster.row("t").home == Home.DELAYED
    task = await cluster.client.wait("t", timeout_s=60)
    assert 42_500 <= task.start_ms - began_ms <= 42_510


async def test_a_pod_without_a_worker_role_fires_and_runs_nothing(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.client.put_config(config(overlap="allow"))
    await asyncio.sleep(5)
    assert len(cluster.fired("tick")) >= 4
    assert cluster.executor.started == []


def _unaccounted_every(cluster, name, period_ms):
    instants = cluster.fired(name)
    owed = list(range(instants[0], instants[-1] + 1, period_ms))
    return History(cluster.state).unaccounted(name, owed)


def _lives(cluster):
    """How many fired tasks of the config were live after each entry of the log."""
    live, counts = set(), [0]
    for event in cluster.state.log:
        for item in event.items:
            if event.kind == "fired":
                live.add(item["task"])
            elif item.get("status") in ("success", "failed", "cancelled"):
                live.discard(item["task"])
        counts.append(len(live))
    return counts
