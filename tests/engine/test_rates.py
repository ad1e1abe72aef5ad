"""Rates in a cluster: tasks begin when their tokens come, and a leader waits for nothing else."""

import asyncio
from collections import Counter

import pytest
from engine_cluster import SCHEDULER, WORKER, Line, spec

from dsched.model import InvalidConfigError, Limit, rfc3339_ms

OF_A_TICK = {"poll", "promote", "ready", "dispatch"}


def begun_s(cluster, prefix):
    """When tasks were dispatched, in seconds since the first one was."""
    found = [
        event.at_ms / 1000
        for event in cluster.state.log
        if event.kind == "dispatched"
        for item in event.items
        if str(item["task"]).startswith(prefix)
    ]
    return [round(at_s - found[0], 3) for at_s in found]


async def submit(cluster, count, **fields):
    for number in range(count):
        await cluster.client.submit(spec("ok", limits=["crm"], **fields), task_id=f"l{number:02}")


async def ended(cluster, count):
    for number in range(count):
        await cluster.client.wait(f"l{number:02}", timeout_s=60)


async def test_tasks_begin_at_the_instants_of_their_tokens(cluster):
    await cluster.client.put_limit(Limit(id="crm", rate="2/1s", burst=3))
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    await submit(cluster, 9)
    await ended(cluster, 9)
    steps = [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert begun_s(cluster, "l") == pytest.approx(steps, abs=0.02)


async def test_what_waits_for_tokens_costs_a_leader_a_poll_and_a_dispatch_each(cluster):
    calls = Counter()

    async def counted(handle, step, proceed):
        calls[step] += 1
        return await proceed()

    cluster.use_defaults()
    await cluster.client.put_limit(Limit(id="crm", rate="1/10s", burst=1))
    cluster.start("lead", SCHEDULER, line=Line(counted))
    cluster.start("work", WORKER)
    await submit(cluster, 30)
    await asyncio.sleep(22)
    calls.clear()
    await asyncio.sleep(100)
    assert calls["dispatch"] == 10
    # Every `scan_interval`; for each token; and since the end of its task woke the leader.
    assert sum(calls[step] for step in OF_A_TICK - {"dispatch"}) <= 20 + 2 * 10


async def test_a_rate_holds_while_leaders_come_and_go(cluster):
    await cluster.client.put_limit(Limit(id="crm", rate="5/1s", burst=2))
    for name in ("a", "b", "c"):
        cluster.start(name)
    await submit(cluster, 40)
    for _ in range(2):
        await cluster.until(lambda: cluster.leader() is not None, "somebody leads")
        await asyncio.sleep(1)
        await cluster.kill(cluster.leader())
    await ended(cluster, 40)
    at_s = begun_s(cluster, "l")
    for first, begin in enumerate(at_s):
        for last in range(first, len(at_s)):
            assert last - first + 1 <= 2 + 5 * (at_s[last] - begin) + 0.001


async def test_an_outage_is_followed_by_a_burst_and_no_more(cluster):
    await cluster.client.put_limit(Limit(id="crm", rate="5/1s", burst=2))
    await submit(cluster, 20)
    await asyncio.sleep(600)
    cluster.start("a")
    await ended(cluster, 20)
    assert begun_s(cluster, "l")[:3] == pytest.approx([0.0, 0.0, 0.2], abs=0.05)


async def test_why_names_the_instant_of_the_next_token(cluster):
    await cluster.client.put_limit(Limit(id="crm", rate="1/1h", burst=1))
    cluster.start("lead", SCHEDULER)
    cluster.start("work", WORKER)
    await submit(cluster, 3)
    await cluster.client.wait("l00", timeout_s=20)
    told = await cluster.client.why_task("l02")
    assert told.summary == "Task l02 waits under limit crm."
    began_ms = next(event.at_ms for event in cluster.state.log if event.kind == "dispatched")
    coming = rfc3339_ms(began_ms + 3_600_000)
    assert told.because[0] == (
        f"Limit crm: It has no token at 1/1h, the next one comes at {coming}, and 2 tasks wait "
        "under it, this one as number 2: higher priorities and earlier tasks go first."
    )
    await cluster.client.put_limit(Limit(id="crm", max_running=0, rate="1/1h"))
    told = await cluster.client.why_task("l02")
    assert "It lets nothing begin (max_running is 0)" in told.because[0]


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ("100", "write it like 100/1m"),
        ("100/60", "has no unit"),
        ("0/1m", "set max_running to 0"),
        ("1000001/31d", "1 to 1000000"),
        ("-1/1m", "write it like"),
        ("1.5/1m", "write it like"),
        ("1/0s", "the span is 1s to 31d"),
        ("1/500ms", "the span is 1s to 31d"),
        ("1/32d", "the span is 1s to 31d"),
        ("20000/1s", "more than 10000 a second"),
        ("1/-1s", "negative"),
        ("1/" + "9" * 64 + "s", "write it like"),
        (100, "write it like"),
        ("", "write it like"),
        (["1/1s"], "write it like"),
    ],
)
def test_a_rate_of_nonsense_is_refused_with_what_to_write(rate, why):
    with pytest.raises(InvalidConfigError, match="rate: ") as refused:
        Limit(id="crm", rate=rate)
    assert why in str(refused.value)


@pytest.mark.parametrize("burst", [0, -1, True, "3", 1.5, 1_000_001])
def test_a_burst_of_nonsense_is_refused(burst):
    with pytest.raises(InvalidConfigError, match="burst"):
        Limit(id="crm", rate="1/1s", burst=burst)


def test_what_equals_a_burst_that_was_read_before_is_still_refused():
    assert Limit(id="crm", rate="1/1s", burst=1).burst == 1
    for burst in (True, 1.0):
        with pytest.raises(InvalidConfigError, match="burst"):
            Limit(id="crm", rate="1/1s", burst=burst)


def test_a_burst_needs_a_rate_and_one_that_it_can_be_filled_by():
    with pytest.raises(InvalidConfigError, match=r"burst: is how many .* give a rate, too"):
        Limit(id="crm", max_running=1, burst=2)
    with pytest.raises(InvalidConfigError, match=r"burst: 32 tokens at 1/1d .* at most 31"):
        Limit(id="crm", rate="1/24h", burst=32)
    with pytest.raises(InvalidConfigError, match="such a limit bounds nothing"):
        Limit(id="crm")


@pytest.mark.parametrize(
    ("rate", "burst", "text", "token_us", "size"),
    [
        ("100/60s", None, "100/1m", 600_000, 1),
        (" 20/1s ", None, "20/1s", 50_000, 2),
        ("3/1s", 5, "3/1s", 333_334, 5),
        ("10000/1s", None, "10000/1s", 100, 1000),
    ],
)
def test_a_rate_says_how_often_a_token_comes_and_never_more_often(
    rate, burst, text, token_us, size
):
    limit = Limit(id="crm", rate=rate, burst=burst)
    assert (limit.rate, limit.pace.token_us, limit.pace.size) == (text, token_us, size)
