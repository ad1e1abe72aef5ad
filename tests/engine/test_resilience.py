"""A cluster on a store that loses, doubles and refuses at random: nothing is lost or doubled."""

import asyncio
import random

import pytest
from engine_cluster import Line, config, open_cluster, seconds, spec

from dsched.contracts import StoreUnavailableError
from dsched.model import RetryPolicy, TaskStatus
from dsched_testkit.checker import History
from dsched_testkit.kernel.virtual_time import run_virtual

SEEDS = range(8)
# A doubled wait would take a wake-up from another waiter, which no network fault does.
NEVER_DOUBLED = {"wakeup"}


class Weather:
    """Faults at random: requests lost, replies lost, calls doubled or late, spans of silence."""

    def __init__(self, seed, now_s):
        self.chance = random.Random(seed)
        self.now_s = now_s
        self.down_until_s = 0.0
        self.fair = False
        self.seen = dict.fromkeys(("request", "reply", "double", "late", "down"), 0)

    async def __call__(self, handle, step, proceed):
        if self.fair:
            return await proceed()
        if self.now_s() < self.down_until_s:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            return self._lose("down", maybe_applied=False)
        dice = self.chance.random()
        if dice < 0.0005:
            self.down_until_s = self.now_s() + self.chance.uniform(1, 40)
        if dice < 0.03:
            return self._lose("request", maybe_applied=True)
        if dice < 0.06:
            await proceed()
            return self._lose("reply", maybe_applied=True)
        if dice < 0.08 and step not in NEVER_DOUBLED:
            # A request that the network repeats: the first answer is lost, the second arrives.
            self.seen["double"] += 1
            await proceed()
        elif dice < 0.10:
            self.seen["late"] += 1
            await asyncio.sleep(self.chance.uniform(0, 2))
        return await proceed()

    def _lose(self, kind, *, maybe_applied):
        self.seen[kind] += 1
        raise StoreUnavailableError(kind, maybe_applied=maybe_applied)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_and_nothing_doubled_in_bad_weather(cluster, seed):
    chance, audit = random.Random(seed), []
    cluster.use_defaults()
    flaky = {}

    async def body(context, task):
        await asyncio.sleep(chance.choice([0, 0.1, 3]))
        flaky[task.id] = flaky.get(task.id, 0) + 1
        if flaky[task.id] == 1 and chance.random() < 0.3:
            raise RuntimeError("once")

    cluster.executor.bodies["flaky"] = body
    weather = {}
    for name in "abc":
        weather[name] = _start(cluster, name, seed)
    stored = await cluster.client.put_config(config(name="ok", overlap="allow"))
    await cluster.client.put_config(config("delay", name="flaky", fixed_delay=seconds(5)))
    ids = [f"t{number}" for number in range(60)]
    retry = RetryPolicy(retry_delay=seconds(1))
    for task_id in ids:
        await cluster.client.submit(spec("flaky", retry=retry, max_crashes=100), task_id=task_id)
        await asyncio.sleep(chance.uniform(0, 6))
        if chance.random() < 0.06:
            victim = chance.choice(sorted(cluster.pods))
            await cluster.kill(victim)
            weather[victim] = _start(cluster, victim, seed)
        audit += History(cluster.state).problems() if chance.random() < 0.1 else []
    for one in weather.values():
        one.fair = True
    for task_id in ids:
        task = await cluster.client.wait(task_id, timeout_s=120)
        assert task.status == TaskStatus.SUCCESS, task
    upto_ms = cluster.wall()
    await cluster.client.pause_config("tick")
    await cluster.client.delete_config("delay")
    await cluster.until(lambda: _quiet(cluster), "quiescence", 120)
    history = History(cluster.state)
    owed = list(range(stored.config.created_ms + 1000, upto_ms + 1, 1000))
    assert audit + history.problems() == []
    assert history.lost([*ids, *cluster.state.tasks]) == []
    assert history.unaccounted("tick", owed) == []
    assert cluster.failures == {}
    for kind in ("request", "reply", "double", "late"):
        assert sum(one.seen[kind] for one in weather.values()) > 0, f"no fault of kind {kind}"


async def test_after_an_outage_live_workers_speak_before_anything_is_reaped(cluster):
    cluster.use_defaults()
    for name in "abc":
        cluster.start(name)
    ids = [f"t{number}" for number in range(9)]
    for task_id in ids:
        await cluster.client.submit(spec("sleep 60", timeout=seconds(300)), task_id=task_id)
    await cluster.until(lambda: len(cluster.executor.started) == 9, "all run")
    for line in cluster.lines.values():
        line.cut()
    await asyncio.sleep(20)  # less than the leases: nobody needs to stop
    for line in cluster.lines.values():
        line.heal()
    for task_id in ids:
        task = await cluster.client.wait(task_id, timeout_s=90)
        assert (task.status, task.attempt) == (TaskStatus.SUCCESS, 1)
    assert cluster.items("reaped") == []


async def test_after_a_long_outage_everything_goes_on_within_seconds(cluster):
    cluster.use_defaults()
    for name in "abc":
        cluster.start(name)
    await cluster.client.put_config(config(overlap="allow"))
    await asyncio.sleep(20)
    for line in cluster.lines.values():
        line.cut()
    await asyncio.sleep(300)
    for line in cluster.lines.values():
        line.heal()
    healed_ms = cluster.wall()
    await cluster.until(
        lambda: any(ms > healed_ms for ms in cluster.fired("tick")), "it fires again", 15
    )
    await cluster.client.submit(spec("ok"), task_id="t")
    began_s = cluster.now_s()
    await cluster.client.wait("t", timeout_s=30)
    assert cluster.now_s() - began_s < 12
    assert cluster.failures == {}


def test_equal_seeds_give_equal_histories():
    async def story():
        async with open_cluster() as own:
            for name in "ab":
                _start(own, name, 5)
            await own.client.put_config(config(overlap="allow"))
            await asyncio.sleep(60)
            return [(event.cursor, event.kind, event.by, event.items) for event in own.state.log]

    first_run, second_run = run_virtual(story()), run_virtual(story())
    assert first_run == second_run
    assert len(first_run) > 100


def _start(cluster, name, seed):
    line = Line()
    weather = Weather(f"{seed} {name} {len(cluster.state.log)}", cluster.now_s)
    line.rule = weather
    cluster.start(name, line=line)
    return weather


def _quiet(cluster):
    return all(row.status.terminal for row in cluster.state.tasks.values())
