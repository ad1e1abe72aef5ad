"""Why, asked about the past: ranges of triggers that are gone, pauses, clock changes, overlaps."""

import asyncio
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from engine_cluster import NO_RETRY, config, seconds, spec

from dsched.explaining import Answer
from dsched.model import DstGap, DstOverlap, Home, from_ms, to_ms
from dsched.planning import jitter_ms

MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
BERLIN = {"every": None, "timezone": "Europe/Berlin"}


async def why(cluster, at_ms, config_id="tick"):
    return await cluster.client.why_config(config_id, from_ms(at_ms))


async def put(cluster, **changes):
    stored = await cluster.client.put_config(config(**({"every": MINUTE} | changes)))
    return stored.config.created_ms


def at(text):
    return to_ms(datetime.fromisoformat(text))


async def arrive(cluster, text):
    """Let the cluster's time go on to an instant."""
    await asyncio.sleep((at(text) - cluster.wall()) / 1000)


async def a_misfired_range(cluster, **changes):
    created_ms = await put(cluster, **changes)
    await asyncio.sleep(660)
    cluster.start("a")
    await asyncio.sleep(5)
    return created_ms


async def test_what_lay_between_the_instants_of_a_trigger_that_is_gone_was_never_due(cluster):
    created_ms = await a_misfired_range(cluster)
    await cluster.client.put_config(config(every=timedelta(minutes=7)))
    await asyncio.sleep(5)
    told = await why(cluster, created_ms + 5 * MINUTE_MS)
    assert (told.verdict, told.decision.reason) == (Answer.SKIPPED, "misfire")
    told = await why(cluster, created_ms + 5 * MINUTE_MS + 500)
    assert told.verdict == Answer.NOT_DUE
    assert told.summary.startswith("tick was never due at ")
    assert told.because[0] == "Its period of 0:01:00, as it was then, has no instant there."


async def test_a_cron_trigger_of_a_deleted_config_is_remembered_with_its_zone(cluster):
    await a_misfired_range(cluster, cron_expr="*/2 * * * *", **BERLIN)
    await cluster.client.delete_config("tick")
    await asyncio.sleep(5)
    (held,) = [d for d in cluster.state.decisions["tick"].values() if d.count > 1]
    between = held.first_ms + MINUTE_MS
    told = await why(cluster, between)
    assert told.verdict == Answer.NOT_DUE
    assert told.because[0] == (
        "Its cron expression '*/2 * * * *' (Europe/Berlin), as it was then, has no instant there."
    )
    assert (await why(cluster, between + MINUTE_MS)).verdict == Answer.SKIPPED


async def test_a_record_that_does_not_tell_its_trigger_reads_as_before(cluster):
    created_ms = await a_misfired_range(cluster)
    await cluster.client.put_config(config(every=timedelta(minutes=7)))
    await asyncio.sleep(5)
    kept = cluster.state.decisions["tick"]
    for key, decision in kept.items():
        kept[key] = attrs.evolve(decision, trigger="")
    assert (await why(cluster, created_ms + 5 * MINUTE_MS + 500)).verdict == Answer.SKIPPED


async def test_who_skipped_an_instant_and_why_is_told_when_it_is_over(cluster):
    cluster.start("a")
    created_ms = await put(cluster)
    await cluster.client.skip_config(
        "tick", at=from_ms(created_ms + MINUTE_MS), by="alice", why="the mains are cut"
    )
    await asyncio.sleep(70)
    told = await why(cluster, created_ms + MINUTE_MS)
    assert told.verdict == Answer.SKIPPED
    assert told.because[0] == "It was to be skipped, as asked for by alice: the mains are cut."


async def test_who_paused_a_config_and_why_is_told_when_the_pause_is_over(cluster):
    cluster.start("a")
    created_ms = await put(cluster)
    await cluster.client.pause_config("tick", why="maintenance")
    await asyncio.sleep(250)
    await cluster.client.resume_config("tick")
    await asyncio.sleep(5)
    told = await why(cluster, created_ms + 2 * MINUTE_MS)
    assert (told.verdict, told.decision.count) == (Answer.SKIPPED, 4)
    assert told.because[0] == (
        "The config was paused by client: maintenance, then or before the instant was fired."
    )


async def test_an_instant_to_come_of_a_paused_config_tells_who_why_and_what_it_takes(cluster):
    cluster.start("a")
    created_ms = await put(cluster)
    await cluster.client.pause_config("tick", why="maintenance")
    told = await why(cluster, created_ms + 5 * MINUTE_MS)
    assert told.verdict == Answer.PENDING
    assert told.because[0].endswith(" by client: maintenance. It fires only if resumed before.")
    assert "will be due" not in told.summary


async def test_a_time_in_which_it_was_disabled_is_told_when_it_is_over(cluster):
    cluster.start("a")
    created_ms = await put(cluster)
    await asyncio.sleep(70)
    await cluster.client.put_config(config(every=MINUTE, enabled=False))
    await asyncio.sleep(180)
    await cluster.client.put_config(config(every=timedelta(minutes=7)))
    await asyncio.sleep(5)
    told = await why(cluster, created_ms + 3 * MINUTE_MS)
    assert told.verdict == Answer.NOT_DUE
    assert "it was disabled then" in told.summary
    assert "until it was changed at" in told.because[0]
    assert (await why(cluster, created_ms + 3 * MINUTE_MS + 1)).verdict == Answer.NOT_DUE
    assert [item["count"] for item in cluster.items("skipped")] == [0]
    now = from_ms(cluster.wall())
    stats = await cluster.client.stats("tick", from_ms(created_ms), now)
    assert stats.total.skipped == 0


async def test_a_disabled_config_that_had_no_instant_leaves_no_note(cluster):
    cluster.start("a")
    await put(cluster, enabled=False)
    await asyncio.sleep(30)
    await cluster.client.put_config(config(every=MINUTE))
    await asyncio.sleep(5)
    assert cluster.items("skipped") == []


async def test_an_overlap_names_the_task_in_the_way_and_what_became_of_it(cluster):
    cluster.start("a")
    created_ms = await put(cluster, name="sleep 60", every=seconds(40), overlap="skip")
    await asyncio.sleep(90)
    first = f"tick@{created_ms + 40_000}"
    told = await why(cluster, created_ms + 80_000)
    assert told.because[1] == f"Task {first} was in the way."
    assert told.because[2].startswith(f"Task {first} runs on a-w since ")
    assert told.decision.account == f"behind {first}"
    await asyncio.sleep(40)
    told = await why(cluster, created_ms + 80_000)
    assert told.because[2].startswith(f"Task {first} succeeded ")


async def test_a_task_in_the_way_says_what_it_waits_for(cluster):
    cluster.start("a")
    created_ms = await put(
        cluster, every=seconds(40), overlap="queue_one", required_labels={"gpu": "yes"}
    )
    await asyncio.sleep(125)
    first, second = (f"tick@{created_ms + number * 40_000}" for number in (1, 2))
    told = await why(cluster, created_ms + 120_000)
    assert told.because[1] == f"Task {first} was in the way."
    assert "no worker has gpu=yes" in told.because[2]
    held = await cluster.client.why_task(second)
    assert cluster.row(second).home is Home.HELD
    assert any(first in line and "no worker has gpu=yes" in line for line in held.because)


async def test_a_jitter_is_named_before_while_and_after_it_holds_a_task_back(cluster):
    cluster.start("a")
    created_ms = await put(cluster, jitter=seconds(50))
    fire_ms = created_ms + MINUTE_MS
    wait_ms = jitter_ms("tick", fire_ms, seconds(50))
    assert wait_ms > 5000, "else there is nothing to see while it waits"
    sentence = "Its jitter (up to 50 s) holds its task back for "
    assert any(line.startswith(sentence) for line in (await why(cluster, fire_ms)).because)
    await asyncio.sleep(62)
    waiting = await cluster.client.why_task(f"tick@{fire_ms}")
    assert waiting.summary.endswith("may not start yet.")
    assert waiting.because[0].startswith(sentence)
    await asyncio.sleep(60)
    assert any(line.startswith(sentence) for line in (await why(cluster, fire_ms)).because)


async def test_a_pod_that_died_holds_the_lock_and_is_not_said_to_lead(cluster):
    cluster.start("a")
    created_ms = await put(cluster)
    await asyncio.sleep(10)
    told = await why(cluster, created_ms + MINUTE_MS)
    assert any(line.startswith("Pod a holds the leader lock (term ") for line in told.because)
    assert not any("leads" in line for line in told.because)


# --- clock changes
# ----------------------------------------------------------------------------------


async def nightly(cluster, begin, **changes):
    cluster.wall.offset_ms = at(begin) - cluster.wall()  # before anything has looked at it
    cluster.start("a")
    await put(cluster, cron_expr="30 2 * * *", **(BERLIN | changes))


@pytest.mark.parametrize("asked", ["2027-03-28T01:00Z", "2027-03-28T01:30Z", "2027-03-28T00:30Z"])
async def test_a_time_that_did_not_exist_says_that_dst_gap_left_it_out(cluster, asked):
    await nightly(cluster, "2027-03-28T00:29Z", dst_gap=DstGap.SKIP)
    await arrive(cluster, "2027-03-28T01:31Z")
    told = await why(cluster, at(asked))
    assert told.verdict == Answer.NOT_DUE
    assert told.because[1] == (
        "02:30 does not exist on 2027-03-28 in Europe/Berlin (clocks jump from 02:00 to 03:00): "
        "dst_gap skip leaves it out."
    )


async def test_a_fire_that_stands_for_a_time_that_did_not_exist_says_so(cluster):
    await nightly(cluster, "2027-03-28T00:29Z")
    await arrive(cluster, "2027-03-28T01:31Z")
    told = await why(cluster, at("2027-03-28T01:00Z"))
    assert told.verdict == Answer.FIRED
    assert any("dst_gap next makes it due at the jump, 03:00" in line for line in told.because)


@pytest.mark.parametrize(
    ("policy", "asked"),
    [(DstOverlap.FIRST, "2027-10-31T01:30Z"), (DstOverlap.LAST, "2027-10-31T00:30Z")],
)
async def test_the_one_of_two_equal_times_that_does_not_fire_says_so(cluster, policy, asked):
    await nightly(cluster, "2027-10-31T00:29Z", dst_overlap=policy)
    await arrive(cluster, "2027-10-31T01:31Z")
    told = await why(cluster, at(asked))
    assert told.verdict == Answer.NOT_DUE
    assert "of two 02:30: clocks go back" in told.because[1]
    assert "does not fire" in told.because[1]


# --- what makes no sense
# ------------------------------------------------------------------------------


async def test_a_naive_datetime_is_refused_with_a_sentence(cluster):
    await put(cluster)
    naive = datetime(2026, 1, 31, 9)  # noqa: DTZ001 - this is what is refused
    for ask in (
        lambda: cluster.client.why_config("tick", naive),
        lambda: cluster.client.skip_config("tick", at=naive, why="test"),
        lambda: cluster.client.stats("tick", naive, datetime(2026, 2, 1, tzinfo=UTC)),
    ):
        with pytest.raises(ValueError, match="has no UTC offset, so it names no instant: give"):
            await ask()


async def test_a_task_that_retries_is_told_without_a_config(cluster):
    cluster.start("a")
    await cluster.client.submit(spec("fail", retry=NO_RETRY), task_id="t")
    await asyncio.sleep(2)
    assert (await cluster.client.why_task("t")).verdict == Answer.FAILED
