"""What operators ask of a running cluster: skips, backfills, another leader, workers called
back."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, config, first, lost_reply, only, seconds

from dsched import __version__
from dsched.client import (
    Client,
    ConflictError,
    NotFoundError,
    NotScheduledError,
    RefusedError,
)
from dsched.contracts.store.leadership import fence_pod
from dsched.contracts.store.outcomes import Outcome
from dsched.model import from_ms
from dsched_testkit.checker import History

HOUR_MS = 3_600_000


async def _owed(cluster, config_id="tick"):
    """The instants of an every-second config from its creation to a second ago."""
    stored = await cluster.client.get_config(config_id)
    created_ms = stored.config.created_ms
    return range(created_ms + 1000, cluster.wall() - 1000, 1000)


def _skipped(cluster, config_id="tick"):
    return [
        item["first"]
        for item in cluster.items("skipped", config=config_id)
        if item["reason"] == "operator"
    ]


# --- skip ---


async def test_a_skipped_instant_is_not_fired_and_its_neighbours_are(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow"))
    at_ms = stored.due_ms + 5000
    said = await cluster.client.skip_config("tick", at=from_ms(at_ms), why="no power")
    assert (said.count, said.first_ms, said.last_ms) == (1, at_ms, at_ms)
    await cluster.until(lambda: at_ms + 1000 in cluster.fired("tick"), "the instant after")
    assert at_ms - 1000 in cluster.fired("tick")
    assert at_ms not in cluster.fired("tick")
    assert _skipped(cluster) == [at_ms]
    assert (await cluster.client.get_config("tick")).skips == ()


async def test_the_decision_about_a_skipped_instant_says_who_and_why(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config())
    at_ms = stored.due_ms + 2000
    await cluster.client.skip_config("tick", at=from_ms(at_ms), by="eve", why="no power")
    found = []

    async def decided():
        page = await cluster.client.decisions("tick")
        found[:] = [one for one in page.decisions if one.reason == "operator"]
        return bool(found)

    async with asyncio.timeout(20):
        while not await decided():
            await asyncio.sleep(0.1)
    (decision,) = found
    assert (decision.verdict, decision.first_ms, decision.count) == ("skipped", at_ms, 1)
    assert decision.detail == "eve: no power"
    assert decision.at_ms >= at_ms, "it is decided when the instant has come"


async def test_skips_survive_restarts_and_changes_of_leader(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow"))
    first_ms, last_ms = stored.due_ms + 10_000, stored.due_ms + 15_000
    said = await cluster.client.skip_config(
        "tick", from_=from_ms(first_ms), to=from_ms(last_ms), why="maintenance"
    )
    assert said.count == 6
    await cluster.kill("a")
    cluster.start("b")
    await cluster.until(lambda: last_ms + 2000 in cluster.fired("tick"), "after the window", 40)
    assert _skipped(cluster) == list(range(first_ms, last_ms + 1, 1000))
    assert not set(_skipped(cluster)) & set(cluster.fired("tick"))


async def test_catching_up_after_an_outage_leaves_out_what_was_to_be_skipped(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow", misfire="fire_all"))
    await cluster.until(lambda: len(cluster.fired("tick")) == 2, "some fires")
    await cluster.kill("a")
    at_ms = stored.due_ms + 60_000
    await cluster.client.skip_config("tick", at=from_ms(at_ms), why="maintenance")
    await asyncio.sleep(300)
    cluster.start("b")
    await cluster.until(lambda: len(cluster.fired("tick")) > 150, "the catch-up", 60)
    await asyncio.sleep(3)
    assert at_ms not in cluster.fired("tick")
    assert _skipped(cluster) == [at_ms]
    upto_ms = cluster.wall() - 1000
    owed = [ms for ms in await _owed(cluster) if ms <= upto_ms]
    late = [ms for ms in cluster.fired("tick") if ms > owed[-1]]
    assert History(cluster.state).unaccounted("tick", owed + late) == []


async def test_an_edit_keeps_a_skip_that_the_new_trigger_still_has(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow"))
    kept_ms, lost_ms = stored.due_ms + 10_000, stored.due_ms + 11_000
    await cluster.client.skip_config(
        "tick", from_=from_ms(kept_ms), to=from_ms(lost_ms), why="maintenance"
    )
    every = config(overlap="allow", every=seconds(2), start_at=from_ms(kept_ms - 4000))
    await cluster.client.put_config(every)
    await cluster.until(lambda: kept_ms + 2000 in cluster.fired("tick"), "after it", 40)
    assert _skipped(cluster) == [kept_ms]
    assert kept_ms not in cluster.fired("tick")
    assert (await cluster.client.get_config("tick")).skips == ()


async def test_a_skip_in_the_gap_of_a_pause_is_a_part_of_the_gap(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config(overlap="allow"))
    at_ms = stored.due_ms + 5000
    await cluster.client.skip_config("tick", at=from_ms(at_ms), why="maintenance")
    await cluster.client.pause_config("tick", why="more maintenance")
    await asyncio.sleep(10)
    await cluster.client.resume_config("tick")
    await asyncio.sleep(3)
    assert _skipped(cluster) == []
    owed = list(await _owed(cluster))
    late = [ms for ms in cluster.fired("tick") if ms > owed[-1]]
    assert History(cluster.state).unaccounted("tick", owed + late) == []


async def test_an_at_that_is_to_be_skipped_does_not_run_after_a_pause_either(cluster):
    cluster.start("a")
    at = from_ms(cluster.wall() + 10_000)
    await cluster.client.put_config(config("once", at=at))
    await cluster.client.skip_config("once", at=at, why="maintenance")
    await cluster.client.pause_config("once", why="more maintenance")
    await asyncio.sleep(20)
    await cluster.client.resume_config("once")
    await cluster.until(lambda: _skipped(cluster, "once"), "it is recorded")
    assert cluster.fired("once") == []
    assert (await cluster.client.get_config("once")).due_ms is None


async def test_an_instant_that_is_not_scheduled_is_refused_with_its_neighbours(cluster):
    await cluster.client.put_config(config(cron_expr="30 2 * * *"))
    at = datetime(2032, 5, 4, 2, 31, tzinfo=UTC)
    with pytest.raises(NotScheduledError, match="the one before is 2032-05-04T02:30") as caught:
        await cluster.client.skip_config("tick", at=at, why="x")
    assert from_ms(caught.value.before_ms) == at - timedelta(minutes=1)
    assert from_ms(caught.value.after_ms) == at + timedelta(minutes=23 * 60 + 59)
    with pytest.raises(NotScheduledError, match="no instant ahead"):
        await cluster.client.skip_config("tick", from_=at, to=at, why="x")


async def test_what_cannot_be_skipped_is_refused_in_words(cluster):
    client = cluster.client
    await client.put_config(config("delay", fixed_delay=seconds(5)))
    await client.put_config(config("off", enabled=False))
    stored = await client.put_config(config())
    ahead = from_ms(stored.due_ms + 5000)
    with pytest.raises(RefusedError, match="fixed delay"):
        await client.skip_config("delay", at=ahead, why="x")
    with pytest.raises(RefusedError, match="disabled"):
        await client.skip_config("off", at=ahead, why="x")
    with pytest.raises(NotFoundError):
        await client.skip_config("no", at=ahead, why="x")
    with pytest.raises(RefusedError, match="pause tick instead"):
        await client.skip_config("tick", from_=ahead, to=ahead + seconds(100), why="x")
    await asyncio.sleep(10)
    with pytest.raises(RefusedError, match="is past"):
        await client.skip_config("tick", at=ahead, why="x")
    for wrong in ({}, {"at": ahead, "from_": ahead, "to": ahead}, {"from_": ahead}):
        with pytest.raises(ValueError, match="name one instant"):
            await client.skip_config("tick", why="x", **wrong)
    with pytest.raises(ValueError, match="say why"):
        await client.skip_config("tick", at=ahead, why=" ")


# --- backfill ---


async def _hourly(cluster, **fields):
    """A config that is due every hour, as of a day ago; the instants of that day."""
    now_ms = cluster.wall()
    start_ms = now_ms - now_ms % HOUR_MS - 24 * HOUR_MS
    fields = {"overlap": "allow", "start_at": from_ms(start_ms)} | fields
    await cluster.client.put_config(config("hourly", every=timedelta(hours=1), **fields))
    return list(range(start_ms, now_ms, HOUR_MS))


async def _backfill(cluster, instants, **more):
    return await cluster.client.backfill_config(
        "hourly",
        **{"from_": from_ms(instants[0]), "to": from_ms(instants[-1]), "why": "lost data", **more},
    )


async def test_a_backfill_runs_past_instants_each_told_its_nominal_time(cluster):
    cluster.start("a")
    instants = await _hourly(cluster)
    said = await _backfill(cluster, instants, by="eve")
    assert said.tasks == [f"hourly@backfill-{ms}" for ms in instants]
    assert (said.done, said.next_from, said.waits_for) == (True, None, None)
    for task_id, ms in zip(said.tasks, instants, strict=True):
        task = await cluster.client.wait(task_id, timeout_s=60)
        assert (task.status, task.scheduled_time, task.fire_ms) == ("success", from_ms(ms), None)
    entries = [event for event in cluster.events("submitted") if event.by == "eve"]
    assert {item["why"] for event in entries for item in event.items} == {"lost data"}


async def test_a_backfill_repeated_makes_nothing_twice_but_with_another_key(cluster):
    instants = await _hourly(cluster)
    await _backfill(cluster, instants)
    again = await _backfill(cluster, instants)
    assert (again.tasks, again.known) == ([], instants)
    other = await _backfill(cluster, instants, key="v2")
    assert other.tasks == [f"hourly@backfill-{ms}-v2" for ms in instants]


async def test_a_backfill_leaves_out_what_fired_unless_asked(cluster):
    cluster.start("a")
    stored = await cluster.client.put_config(config("hourly", overlap="allow"))
    await cluster.until(lambda: len(cluster.fired("hourly")) >= 3, "some fires")
    await cluster.client.pause_config("hourly", why="enough")
    fired = cluster.fired("hourly")
    said = await _backfill(cluster, [stored.due_ms, fired[-1]])
    assert (said.fired, said.tasks) == (fired, [])
    asked = await _backfill(cluster, [stored.due_ms, fired[-1]], again=True)
    assert asked.tasks == [f"hourly@backfill-{ms}" for ms in fired]


async def test_a_backfill_knows_no_instant_at_the_creation_that_a_period_is_counted_from(cluster):
    created_ms = cluster.wall()
    stored = await cluster.client.put_config(config("often", every=seconds(5), overlap="allow"))
    await asyncio.sleep(11)
    said = await cluster.client.backfill_config(
        "often", from_=from_ms(created_ms), to=from_ms(cluster.wall()), why="x", dry_run=True
    )
    assert said.instants == [stored.due_ms, stored.due_ms + 5000]


async def test_a_backfill_goes_on_where_the_call_before_stopped(cluster):
    instants = await _hourly(cluster)
    first = await _backfill(cluster, instants, limit=10)
    assert (first.done, first.next_from) == (False, from_ms(instants[10]))
    made, said = list(first.tasks), first
    while not said.done:
        said = await _backfill(cluster, instants, limit=10, from_=said.next_from)
        made += said.tasks
    assert made == [f"hourly@backfill-{ms}" for ms in instants]


async def test_a_dry_run_of_a_backfill_makes_nothing(cluster):
    instants = await _hourly(cluster, overlap="skip")
    said = await _backfill(cluster, instants, dry_run=True)
    assert said.tasks == [f"hourly@backfill-{ms}" for ms in instants]
    assert cluster.state.tasks == {}


async def test_a_backfill_of_a_config_that_must_not_overlap_runs_one_at_a_time(cluster):
    instants = (await _hourly(cluster, overlap="skip"))[:3]
    first = await _backfill(cluster, instants)
    assert (first.tasks, first.done) == ([f"hourly@backfill-{instants[0]}"], False)
    assert first.waits_for == first.tasks[0]
    for again in ({}, {"from_": first.next_from}):
        waiting = await _backfill(cluster, instants, **again)
        assert (waiting.tasks, waiting.waits_for) == ([], first.tasks[0])
    cluster.start("a")
    made = list(first.tasks)
    async with asyncio.timeout(60):
        said = waiting
        while not said.done:
            await asyncio.sleep(0.1)
            said = await _backfill(cluster, instants)
            made += said.tasks
    assert made == [f"hourly@backfill-{ms}" for ms in instants]
    for one in made:
        await cluster.client.wait(one, timeout_s=20)
    starts = [cluster.row(one).start_ms for one in made]
    ends = [cluster.row(one).end_ms for one in made]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


async def test_a_backfill_waits_for_a_live_task_of_the_schedule(cluster):
    cluster.start("a", SCHEDULER)
    await cluster.client.put_config(config("hourly", overlap="skip"))
    await cluster.until(lambda: cluster.fired("hourly"), "a fire that nobody runs")
    live = f"hourly@{cluster.fired('hourly')[0]}"
    past_ms = cluster.fired("hourly")[0] - 1000
    await asyncio.sleep(2)
    said = await cluster.client.backfill_config(
        "hourly", from_=from_ms(past_ms), to=from_ms(past_ms + 3000), why="x"
    )
    assert (said.tasks, said.waits_for) == ([], live)


async def test_a_backfill_gives_way_to_the_schedule_and_knows_no_deadline(cluster):
    instants = await _hourly(cluster, start_deadline=seconds(1), priority=9)
    said = await _backfill(cluster, instants)
    task = await cluster.client.get(said.tasks[0])
    assert (task.priority, task.spec.start_deadline) == (0, None)


async def test_what_cannot_be_backfilled_is_refused_in_words(cluster):
    instants = await _hourly(cluster)
    await cluster.client.put_config(config("delay", fixed_delay=seconds(5)))
    span = {"from_": from_ms(instants[0]), "to": from_ms(instants[-1])}
    with pytest.raises(RefusedError, match="fixed delay"):
        await cluster.client.backfill_config("delay", why="x", **span)
    with pytest.raises(ValueError, match="limit"):
        await _backfill(cluster, instants, limit=1001)
    with pytest.raises(ValueError, match="key"):
        await _backfill(cluster, instants, key="a b")
    with pytest.raises(ValueError, match="say why"):
        await _backfill(cluster, instants, why="")
    future = await _backfill(cluster, [cluster.wall() + 5 * HOUR_MS, cluster.wall() + 9 * HOUR_MS])
    assert (future.instants, future.done) == ([], True)


# --- workers ---


async def test_a_drained_worker_that_is_called_back_runs_tasks_again(cluster):
    pod = cluster.start("a")
    await cluster.until(lambda: pod.status().ready, "registered")
    await cluster.client.drain_worker("a-w")
    task_id = await cluster.client.submit(config().spec)
    await asyncio.sleep(5)
    assert cluster.row(task_id).status == "pending"
    await cluster.client.resume_worker("a-w")
    await cluster.client.resume_worker("a-w")
    assert (await cluster.client.wait(task_id, timeout_s=20)).status == "success"


async def test_a_worker_that_leaves_or_is_unknown_is_not_called_back(cluster):
    with pytest.raises(NotFoundError):
        await cluster.client.resume_worker("no")
    pod = cluster.start("a", WORKER)
    await cluster.until(lambda: pod.status().ready, "registered")
    incarnation = cluster.state.workers["a-w"].incarnation
    assert await cluster.store.drain("a-w", incarnation) is Outcome.OK
    with pytest.raises(ConflictError, match="it stops"):
        await cluster.client.resume_worker("a-w")


# --- leading ---


def _holder(cluster):
    """The pod that holds the lock; one that has lost it may not know it for a moment."""
    return cluster.state.fence and fence_pod(cluster.state.fence)


async def test_a_leader_that_is_asked_to_step_down_is_followed_by_another_pod(cluster):
    for name in "abc":
        cluster.start(name)
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    await cluster.client.put_config(config(overlap="allow"))
    for _ in range(4):
        old = _holder(cluster)
        assert await cluster.client.step_down(why="a test", by="eve") == old
        await cluster.until(lambda old=old: _holder(cluster) not in (None, old), "another leads")
        await asyncio.sleep(2)
        assert cluster.leader() == _holder(cluster) != old
    owed = list(await _owed(cluster))
    late = [ms for ms in cluster.fired("tick") if ms > owed[-1]]
    assert History(cluster.state).unaccounted("tick", owed + late) == []
    assert History(cluster.state).problems() == []


async def test_a_pod_that_is_alone_leads_again_after_its_rest(cluster):
    cluster.start("a")
    await cluster.lead_by("a")
    began_s = cluster.now_s()
    await cluster.client.step_down(why="a test")
    await cluster.until(lambda: cluster.leader() is None, "it led no more")
    await cluster.until(lambda: cluster.leader() == "a", "it leads again", 40)
    assert 15 <= cluster.now_s() - began_s < 20


async def test_stepping_down_is_asked_once_even_if_the_answer_is_lost(cluster):
    for name in "ab":
        cluster.start(name)
    await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
    old = _holder(cluster)
    line = Line(only(first(1, lost_reply), steps={"step_down"}))
    client = Client(line.over(cluster.store, "client"))
    assert await client.step_down(why="a test") == old
    await cluster.until(lambda: _holder(cluster) not in (None, old), "another leads")
    assert len(cluster.items("leader", act="stepped_down")) == 1


async def test_terms_tell_who_led_and_how_it_ended(cluster):
    with pytest.raises(NotFoundError, match="no pod leads"):
        await cluster.client.step_down(why="a test")
    cluster.start("a")
    await cluster.lead_by("a")
    await cluster.leave("a")
    cluster.start("b")
    await cluster.lead_by("b")
    await cluster.client.step_down(why="a test", by="eve")
    terms = (await cluster.client.terms()).terms
    assert [(term.pod, term.how, term.who, term.why) for term in terms] == [
        ("b", "stepped_down", "eve", "a test"),
        ("a", "resigned", "", ""),
    ]


# --- pods ---


async def test_every_pod_that_runs_is_listed_with_what_it_is(cluster):
    cluster.start("a", SCHEDULER)
    cluster.start("b", WORKER)
    await cluster.lead_by("a")
    await asyncio.sleep(3)
    first, second = await cluster.client.pods()
    assert (first.name, first.roles, first.leading, first.ready) == (
        "a",
        ("scheduler",),
        True,
        True,
    )
    assert (second.name, second.roles, second.leading) == ("b", ("worker",), False)
    assert {first.version, second.version} == {__version__}


async def test_a_pod_that_leaves_is_listed_no_more_and_one_that_dies_soon_after(cluster):
    for name in "abc":
        cluster.start(name)
    await asyncio.sleep(2)
    await cluster.leave("a")
    await cluster.kill("b")
    assert [pod.name for pod in await cluster.client.pods()] == ["b", "c"]
    await asyncio.sleep(31)
    assert [pod.name for pod in await cluster.client.pods()] == ["c"]


async def test_a_pod_that_drains_says_so(cluster):
    cluster.start("a")
    task_id = await cluster.client.submit(config(name="sleep 60").spec)
    await cluster.until(lambda: cluster.row(task_id).status == "running", "it runs")
    cluster.pods["a"].stop()
    await asyncio.sleep(1.5)
    (pod,) = await cluster.client.pods()
    assert (pod.draining, pod.ready) == (True, False)


# --- changes beside fires ---


@pytest.mark.parametrize("change", ["put", "pause"])
async def test_a_change_is_dated_after_the_reading_it_is_based_on(cluster, change):
    """Else instants that were decided before it are taken for owed, and decided once more."""
    cluster.start("a")
    await cluster.client.put_config(config(overlap="allow"))
    await cluster.until(lambda: cluster.fired("tick"), "a fire")
    store, rearms, slow = cluster.store, [], [2.5]
    now, step = store.now, getattr(store, change)

    async def answered_late():
        time = await now()
        await asyncio.sleep(slow.pop() if slow else 0)
        return time

    async def watched(asked, *args, **kwargs):
        rearms.append(args[0] if change == "pause" else asked[0].rearm)
        return await step(asked, *args, **kwargs)

    store.now = answered_late
    setattr(store, change, watched)
    client = Client(store, by="eve")
    if change == "put":
        await client.put_config(config(overlap="allow", priority=7))
    else:
        await client.pause_config("tick")
    assert all(rearm.read.last_fired_ms <= rearm.upto_ms for rearm in rearms), rearms
