"""Every instant of a config and every task can say why: what happened, and what did not."""

import asyncio
from datetime import timedelta

import attrs
import pytest
from engine_cluster import NO_RETRY, SCHEDULER, WORKER, config, seconds, spec

from dsched.client import NotFoundError
from dsched.explaining import Answer
from dsched.model import Home, TaskStatus, Verdict, from_ms

MINUTE = timedelta(minutes=1)


async def why(cluster, at_ms, config_id="tick"):
    return await cluster.client.why_config(config_id, from_ms(at_ms))


async def put_minutely(cluster, **changes):
    stored = await cluster.client.put_config(config(**({"every": MINUTE} | changes)))
    return stored.config.created_ms


async def test_a_fire_says_how_late_to_which_worker_and_why_that_one(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(65)
    told = await why(cluster, created_ms + 60_000)
    assert told.verdict == Answer.FIRED
    assert told.decision is not None
    assert (told.decision.worker_id, told.decision.ended) == ("a-w", "success")
    assert told.decision.worker_why.startswith("test 0/")
    assert "its task ended success" in told.summary
    assert any("sent to worker a-w, chosen by test 0/" in line for line in told.because)
    assert told.task is not None
    assert (told.before_ms, told.after_ms) == (None, created_ms + 120_000)


async def test_an_end_that_comes_long_after_the_fire_is_told_too(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster, name="sleep 60", every=timedelta(hours=1))
    await asyncio.sleep(3610)
    told = await why(cluster, created_ms + 3_600_000)
    assert told.decision is not None
    assert (told.decision.worker_id, told.decision.ended) == ("a-w", "")
    assert "The task is running." in told.because
    await asyncio.sleep(60)
    told = await why(cluster, created_ms + 3_600_000)
    assert told.decision.ended == "success"


async def test_without_an_instant_the_latest_record_is_told(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(125)
    told = await cluster.client.why_config("tick")
    assert (told.at_ms, told.verdict) == (created_ms + 120_000, Answer.FIRED)


async def test_between_two_instants_nothing_was_due_and_both_are_named(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(200)
    told = await why(cluster, created_ms + 90_000)
    assert told.verdict == Answer.NOT_DUE
    assert (told.before_ms, told.after_ms) == (created_ms + 60_000, created_ms + 120_000)
    assert any(line.startswith("Before that: ") and "fired" in line for line in told.because)


async def test_what_is_still_to_come_is_pending_and_what_is_not_is_said_so(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    soon = await why(cluster, created_ms + 300_000)
    assert (soon.verdict, soon.before_ms) == (Answer.PENDING, created_ms + 240_000)
    never = await why(cluster, created_ms + 300_001)
    assert never.verdict == Answer.NOT_DUE


async def test_before_it_was_created_it_was_not_there(cluster):
    await asyncio.sleep(1000)
    created_ms = await put_minutely(cluster)
    told = await why(cluster, created_ms - 60_000)
    assert told.verdict == Answer.NOT_DUE
    assert "was not there yet" in told.summary
    assert told.after_ms == created_ms + 60_000


async def test_outside_its_start_and_end_it_says_when_they_are(cluster):
    start, end = cluster.wall() + 3_600_000, cluster.wall() + 7_200_000
    created_ms = await put_minutely(cluster, start_at=from_ms(start), end_at=from_ms(end))
    await asyncio.sleep(1800)
    early = await why(cluster, created_ms + 600_000)
    assert (early.verdict, early.before_ms) == (Answer.NOT_DUE, None)
    assert early.because[0].startswith("It starts at ")
    late = await why(cluster, end + 60_000)
    assert late.verdict == Answer.NOT_DUE
    assert late.because[0].startswith("It ended at ")


async def test_during_a_pause_and_after_it_the_pause_is_the_reason(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(70)
    await cluster.client.pause_config("tick", why="maintenance")
    await asyncio.sleep(180)
    inside = created_ms + 120_000
    told = await why(cluster, inside)
    assert (told.verdict, told.decision) == (Answer.SKIPPED, None)
    assert "maintenance" in told.because[0]
    assert (await why(cluster, inside + 1)).verdict == Answer.NOT_DUE
    await cluster.client.resume_config("tick")
    await asyncio.sleep(5)
    told = await why(cluster, inside)
    assert told.verdict == Answer.SKIPPED
    assert told.decision is not None
    assert (told.decision.reason, told.decision.count) == ("paused", 3)
    assert (await why(cluster, inside + 1)).verdict == Answer.NOT_DUE


async def test_a_disabled_config_says_so(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(10)
    await cluster.client.put_config(config(every=MINUTE, enabled=False))
    await asyncio.sleep(100)
    told = await why(cluster, created_ms + 60_000)
    assert told.verdict == Answer.NOT_DUE
    assert "disabled" in told.summary


async def test_before_an_edit_what_is_not_recorded_was_not_due(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(150)
    await cluster.client.put_config(config(every=timedelta(minutes=7)))
    assert (await why(cluster, created_ms + 60_000)).verdict == Answer.FIRED
    told = await why(cluster, created_ms + 90_000)
    assert told.verdict == Answer.NOT_DUE
    assert (told.before_ms, told.after_ms) == (created_ms + 60_000, created_ms + 120_000)
    assert any("last changed" in line for line in told.because)


async def test_a_skip_by_overlap_names_the_policy(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster, name="sleep 60", every=seconds(40), overlap="skip")
    await asyncio.sleep(90)
    told = await why(cluster, created_ms + 80_000)
    assert (told.verdict, told.decision.reason) == (Answer.SKIPPED, "overlap")
    assert "overlap policy" in told.because[0]


async def test_a_misfired_range_tells_of_each_instant_in_it_and_of_none_between(cluster):
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(660)
    cluster.start("a")
    await asyncio.sleep(10)
    told = await why(cluster, created_ms + 300_000)
    assert (told.verdict, told.decision.reason) == (Answer.SKIPPED, "misfire")
    assert told.decision.verdict is Verdict.SKIPPED
    assert (await why(cluster, created_ms + 300_500)).verdict == Answer.NOT_DUE


async def test_a_fire_whose_task_expired_says_that_it_never_ran(cluster):
    cluster.start("a", SCHEDULER)
    created_ms = await put_minutely(cluster, start_deadline=seconds(20))
    await asyncio.sleep(100)
    told = await why(cluster, created_ms + 60_000)
    assert told.verdict == Answer.FIRED
    assert told.decision.ended == "cancelled: expired"
    assert told.decision.account == "cancelled: expired"
    assert "ended cancelled: expired" in told.summary
    assert "The task was not started within its start_deadline of 20 s." in told.because
    task = await cluster.client.why_task(told.decision.task_id)
    assert task.verdict == Answer.CANCELLED
    assert "It was not started within its start_deadline of 20 s." in task.because


async def test_older_than_what_is_kept_is_unknown_and_says_from_when_it_is(cluster):
    cluster.state.settings = attrs.evolve(cluster.state.settings, result_ttl_ms=600_000)
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(1800)
    told = await why(cluster, created_ms + 60_000)
    assert told.verdict == Answer.UNKNOWN
    assert "Decisions are kept from" in told.because[0]


async def test_beyond_the_number_of_decisions_kept_a_fire_is_known_by_its_task_only(cluster):
    cluster.state.settings = attrs.evolve(cluster.state.settings, max_decisions=5)
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(1810)
    assert len(cluster.state.decisions["tick"]) == 5
    assert (await why(cluster, created_ms + 90_000)).verdict == Answer.UNKNOWN
    assert (await why(cluster, created_ms + 1_800_000)).decision is not None
    by_its_task = await why(cluster, created_ms + 60_000)
    assert (by_its_task.verdict, by_its_task.decision) == (Answer.FIRED, None)
    assert "is not kept" in by_its_task.because[1]


async def test_of_a_deleted_config_the_records_still_tell(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(70)
    await cluster.client.delete_config("tick")
    assert (await why(cluster, created_ms + 60_000)).verdict == Answer.FIRED
    told = await why(cluster, created_ms + 120_000)
    assert told.verdict == Answer.UNKNOWN
    assert "any more" in told.because[0]
    with pytest.raises(NotFoundError):
        await why(cluster, created_ms, "no-such")


async def test_an_overdue_instant_says_whether_anybody_leads(cluster):
    created_ms = await put_minutely(cluster)
    await asyncio.sleep(63)
    assert (await why(cluster, created_ms + 60_000)).verdict == Answer.PENDING
    await asyncio.sleep(60)
    told = await why(cluster, created_ms + 60_000)
    assert told.verdict == Answer.MISSED
    assert "No pod holds the leader lock." in told.because


# --- tasks ----------------------------------------------------------------------------------------


async def test_a_ready_task_says_what_is_wrong_with_every_worker(cluster):
    client = cluster.client
    task_id = await client.submit(spec("ok", required_labels={"gpu": "yes"}))
    told = await client.why_task(task_id)
    assert told.verdict == Answer.PENDING
    assert "No pod holds the leader lock, so nothing is sent to workers." in told.because
    assert "No worker is registered." in told.because
    cluster.start("a", labels={"gpu": "no"})
    await cluster.until(lambda: cluster.row(task_id).reason.startswith("deferred"), "deferred")
    told = await client.why_task(task_id)
    assert "no worker has gpu=yes" in told.summary
    assert any("needs the labels gpu=yes" in line for line in told.because)


async def test_a_task_behind_full_workers_names_them(cluster):
    cluster.start("a", capacity=1)
    for number in range(3):
        await cluster.client.submit(spec("sleep 60"), task_id=f"t{number}")
    await cluster.until(lambda: cluster.row("t1").home is Home.QUEUE, "one is queued")
    await asyncio.sleep(1)
    told = await cluster.client.why_task("t2")
    assert any("full: a-w 2/2" in line for line in told.because)
    queued = await cluster.client.why_task("t1")
    assert "waits in the queue of a-w" in queued.summary
    assert "It runs 1 of 1 and has 1 waiting." in queued.because
    running = await cluster.client.why_task("t0")
    assert (running.verdict, running.because[0]) == (Answer.RUNNING, "This is attempt 1.")


async def test_a_held_task_names_what_it_waits_for(cluster):
    cluster.start("a")
    created_ms = await put_minutely(
        cluster, name="sleep 60", every=seconds(40), overlap="queue_one"
    )
    await asyncio.sleep(85)
    told = await cluster.client.why_task(f"tick@{created_ms + 80_000}")
    assert "is held until" in told.summary
    assert any(f"tick@{created_ms + 40_000}" in line for line in told.because)
    assert any(line.startswith("Config tick fired it for") for line in told.because)


async def test_a_failed_task_says_how_often_it_was_tried_and_what_it_said(cluster):
    cluster.start("a")
    await cluster.client.submit(spec("fail", retry=NO_RETRY), task_id="t")
    await cluster.until(lambda: cluster.row("t").status is TaskStatus.FAILED, "failed")
    told = await cluster.client.why_task("t")
    assert told.verdict == Answer.FAILED
    assert "no luck" in told.summary
    assert "There were 1 attempt, the last on a-w." in told.because


async def test_retrying_delayed_cancelled_and_done_each_say_why(cluster):
    client = cluster.client
    await client.submit(spec("ok"), task_id="later", delay_s=100)
    assert "may not start yet" in (await client.why_task("later")).summary
    await client.cancel("later", reason="not wanted")
    assert (await client.why_task("later")).summary == "Task later was cancelled: not wanted."
    cluster.start("a", WORKER)
    cluster.start("b", SCHEDULER)
    await client.submit(spec("fail"), task_id="again")
    await cluster.until(lambda: cluster.row("again").status is TaskStatus.RETRYING, "retrying")
    told = await client.why_task("again")
    assert told.verdict == Answer.RETRYING
    assert told.because[:2] == ("Attempt 1 failed: RuntimeError: no luck", "It is retry 1 of 3.")
    await client.submit(spec("ok"), task_id="done")
    await client.wait("done")
    told = await client.why_task("done")
    assert told.verdict == Answer.SUCCESS
    assert "in attempt 1 on a-w" in told.summary
    with pytest.raises(NotFoundError):
        await client.why_task("no-such")


# --- statistics -----------------------------------------------------------------------------------


async def test_statistics_tell_by_hour_and_by_day_what_a_config_did(cluster):
    cluster.start("a")
    created_ms = await put_minutely(cluster, name="sleep 1")
    await cluster.client.submit(spec("fail", retry=NO_RETRY), task_id="t")
    await asyncio.sleep(3700)
    span = (from_ms(created_ms - 3_600_000), from_ms(cluster.wall()))
    stats = await cluster.client.stats("tick", *span)
    fired = len(cluster.fired("tick"))
    assert (stats.total.fires, stats.total.success) == (fired, fired)
    assert [bucket.start_ms % 3_600_000 for bucket in stats.items] == [0, 0]
    assert sum(bucket.runs for bucket in stats.items) == stats.total.runs
    assert stats.total.run.max_ms is not None
    assert 1000 <= stats.total.run.p50_ms <= 1200
    assert stats.total.wait.count == stats.total.runs
    everything = (await cluster.client.stats(None, *span, bucket="day")).total
    assert (everything.failed, everything.runs) == (1, stats.total.runs + 1)
    with pytest.raises(ValueError, match="days"):
        await cluster.client.stats("tick", span[0] - timedelta(days=400), span[1])
