"""The scenarios of configs and of the cluster itself: fires, policies, clocks, leaders, workers."""

import asyncio
from typing import Any

import attrs

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.settings import Kept, StoreSettings
from dsched.model import Misfire, Overlap, TaskConfig, TaskStatus, from_ms
from dsched_testkit.kernel.line import Rule, first, lost_reply, never, only, unreachable
from dsched_testkit.kernel.plans import WORKER
from dsched_testkit.sweep.play import START_MS, scenario
from dsched_testkit.sweep.scenarios import (
    NARROW,
    ONCE,
    leader_and_worker,
    seconds,
    spec,
    two_pods,
)
from dsched_testkit.sweep.stage import Role, Stage, User


def config(config_id: str, what: str = "work", lasts_s: float = 0.0, **changes: Any) -> TaskConfig:
    """A config that runs such a task every second, unless told otherwise."""
    if not changes.keys() & {"cron_expr", "every", "fixed_delay", "at"}:
        changes["every"] = seconds(1)
    changes.setdefault("retry", ONCE)
    payload = {"do": what, "s": lasts_s}
    return TaskConfig(id=config_id, executor="fn", payload=payload, **changes)


async def _put(stage: Stage, *configs: TaskConfig) -> None:
    async def script(user: User) -> None:
        for one in configs:
            await user.attempt(user.put_config(one))

    await stage.user(script)


@scenario("fired", "completed success")
async def fires(stage: Stage) -> None:
    """One of each trigger, on two pods."""
    await two_pods(stage)
    await _put(
        stage,
        config("every1"),
        config("cron1", cron_expr="*/3 * * * * *", jitter=seconds(0.5)),
        config("delay1", fixed_delay=seconds(1), lasts_s=0.2),
        config("at1", at=from_ms(START_MS + 2500)),
    )
    await stage.fired("every1", 2)
    await stage.fired("delay1", 2)
    await stage.fired("at1", 1)


def _overlap(policy: Overlap, times: int) -> Any:
    async def play(stage: Stage) -> None:
        await stage.lead_by("a", Role(capacity=2))
        await _put(stage, config("every1", lasts_s=1.6, overlap=policy))
        await stage.fired("every1", times)

    return play


overlap_skip = scenario("skipped overlap", name="overlap-skip")(_overlap(Overlap.SKIP, 2))
overlap_queue_one = scenario("fired held", name="overlap-queue-one")(_overlap(Overlap.QUEUE_ONE, 3))
overlap_queue_all = scenario("fired held", name="overlap-queue-all")(_overlap(Overlap.QUEUE_ALL, 4))
overlap_cancel_previous = scenario(
    "fired held", "cancel_requested", name="overlap-cancel-previous"
)(_overlap(Overlap.CANCEL_PREVIOUS, 4))


@scenario("skipped misfire")
async def misfires(stage: Stage) -> None:
    """Nobody leads for some seconds; what was missed is caught up, or skipped."""
    await stage.lead_by("a", NARROW)
    late: dict[str, Any] = {"misfire_grace": seconds(0.5), "overlap": Overlap.ALLOW}
    await _put(
        stage,
        config("every1", misfire=Misfire.FIRE_ONCE, **late),
        config("every2", misfire=Misfire.SKIP, **late),
        config("every3", misfire=Misfire.FIRE_ALL, **late),
    )
    await stage.fired("every1", 1)
    await stage.leave("a")
    await asyncio.sleep(3)
    stage.start("a")
    await stage.fired("every1", 3)


@scenario("config put", "config paused", "config resumed", "config deleted")
async def config_changes(stage: Stage) -> None:
    """Pause, resume, edit, trigger, switch off, delete with what still runs."""
    await stage.lead_by("a", Role(capacity=2))
    first_form = config("every1", lasts_s=3, overlap=Overlap.ALLOW)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(first_form))
        await stage.fired("every1", 1)
        await user.attempt(user.pause_config("every1", why="sweep"))
        await asyncio.sleep(1.2)
        await user.attempt(user.resume_config("every1"))
        await user.attempt(user.put_config(attrs.evolve(first_form, every=seconds(1.5))))
        await user.attempt(user.trigger("every1", key="k"))
        await user.attempt(user.trigger("nothing", key="k"))
        await user.attempt(user.put_config(attrs.evolve(first_form, enabled=False)))
        await user.attempt(user.delete_config("every1", cancel_tasks=True))

    await stage.user(script)


@scenario("config paused", "config resumed", "skipped paused")
async def pauses_that_end(stage: Stage) -> None:
    """A pause with an end, changed once; and one that is resumed before."""
    await two_pods(stage)
    every, delay = config("every1", overlap=Overlap.ALLOW), config("delay1", fixed_delay=seconds(1))

    async def script(user: User) -> None:
        await user.attempt(user.put_config(every))
        await user.attempt(user.put_config(delay))
        await stage.fired("every1", 1)
        for one in ("every1", "delay1"):
            await user.attempt(user.pause_config(one, why="sweep", until=seconds(60)))
        await user.attempt(user.pause_config("every1", why="sweep", until=seconds(1.5)))
        await user.attempt(user.resume_config("delay1"))

    await stage.user(script)
    await stage.fired("every1", 3)


@scenario("config paused", "skipped paused", "config resumed")
async def pauses_of_its_own(stage: Stage) -> None:
    """Configs that pause themselves, by failures or by fires; one is resumed and does it again."""
    await two_pods(stage)
    fails = config("every1", "refuse", overlap=Overlap.ALLOW, pause_after_failures=2)
    once = config("delay1", fixed_delay=seconds(1), max_runs=2)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(fails))
        await user.attempt(user.put_config(once))
        await stage.until(lambda: _by_itself(stage, "every1") > 0, "every1 paused itself")
        await asyncio.sleep(1.2)
        await user.attempt(user.resume_config("every1"))
        await stage.until(lambda: _by_itself(stage, "every1") > 1, "every1 did it again")

    await stage.user(script)
    await stage.until(lambda: _by_itself(stage, "delay1") > 0, "delay1 paused itself")


def _by_itself(stage: Stage, config_id: str) -> int:
    """How often a config has paused itself."""
    return sum(
        item["config"] == config_id and item["act"] == "paused"
        for event in stage.state.log
        if event.kind is EventKind.CONFIG
        for item in event.items
    )


@scenario("skipped calendar")
async def days_off(stage: Stage) -> None:
    """A calendar leaves out the day it is, until an edit gives it other days; then a deletion."""
    await two_pods(stage)
    # The plays start at midnight of that zone: the whole play lies on the first day.
    today = {"skip": [{"name": "off", "dates": ["2027-01-15"]}]}
    place: dict[str, Any] = {"timezone": "America/Los_Angeles", "overlap": Overlap.ALLOW}
    every = config("every1", calendar=today, **place)
    cron = config("cron1", cron_expr="* * * * * *", calendar=today, **place)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(every))
        await user.attempt(user.put_config(cron))
        await asyncio.sleep(2)
        await user.attempt(user.put_config(attrs.evolve(every, calendar=None)))
        await stage.fired("every1", 2)
        await user.attempt(user.pause_config("cron1", why="sweep"))
        await user.attempt(user.delete_config("cron1", cancel_tasks=True))

    await stage.user(script)


@scenario("clock_back", clock_back=True)
async def clock_back(stage: Stage) -> None:
    """The wall goes back by 20 s: what is due moves with it, so that it need not wait for so
    long."""
    await two_pods(stage)
    await _put(stage, config("every1"), config("delay1", fixed_delay=seconds(1)))
    await stage.fired("every1", 3)
    stage.wall.step(-20_000)
    await stage.until(lambda: stage.state.clock_gen > 0, "the step back was seen")
    await stage.fired("delay1", 6, within_s=6)


@scenario("skipped misfire")
async def clock_forward(stage: Stage) -> None:
    """The wall goes forward by 30 s while something runs: it is caught up with once."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(config("every1", overlap=Overlap.ALLOW)))
        await user.attempt(user.submit(spec("work", 2), task_id="long"))

    await stage.user(script)
    await stage.running("long")
    stage.wall.step(30_000)
    await stage.ended("long")
    await asyncio.sleep(1)


@scenario("leader acquired")
async def leader_death(stage: Stage) -> None:
    """The leader dies with tasks ready, queued and running."""
    await leader_and_worker(stage, "c", capacity=1)

    async def script(user: User) -> None:
        await user.submit_each({f"t{n}": spec("work", 0.8) for n in (1, 2, 3)})
        await user.attempt(user.put_config(config("every1", overlap=Overlap.QUEUE_ONE)))

    await stage.user(script)
    await stage.running("t1")
    stage.kill("a")
    await stage.until(lambda: stage.leads("c") or stage.leads("a"), "somebody leads again")
    await stage.ended("t1", "t2", "t3")
    await stage.fired("every1", 2)


@scenario("leader acquired")
async def leader_asleep(stage: Stage) -> None:
    """The leader is stopped for longer than its lock lives, and wakes up in another's term."""
    await leader_and_worker(stage, "c", capacity=1)
    await _put(stage, config("every1"))
    await stage.fired("every1", 1)
    stage.pause("a", 2.5)
    await stage.until(lambda: stage.leads("c"), "c leads")
    await asyncio.sleep(1.5)


def broken(stage: Stage, name: str, rule: Rule | None) -> None:
    """Break a pod's line by a rule, or mend it; one that is dead has none."""
    if name in stage.pods:
        stage.pods[name].line.rule = rule


@scenario("recalled stalled", opening=True)
async def stalled_worker(stage: Stage) -> None:
    """A worker whose claims hang while it beats on: its queue is recalled."""
    await leader_and_worker(stage, capacity=2)
    await stage.until(lambda: len(stage.state.workers) == 1, "b is registered")
    broken(stage, "b", only(never, steps={"claim"}))
    await stage.submit(dict.fromkeys(("t1", "t2"), spec("work", 0.2)))
    await stage.until(
        lambda: any(row.stalled for row in stage.state.workers.values()), "b is stalled"
    )
    stage.start("c", Role(roles=WORKER, capacity=1))
    await stage.ended("t1", "t2")
    broken(stage, "b", None)


@scenario("worker superseded", "reaped pending", opening=True)
async def takeover(stage: Stage) -> None:
    """A worker with a fixed id comes back at once, with attempts and a queue of its past life."""
    await leader_and_worker(stage, worker_id="w", capacity=1)
    await stage.submit({"t1": spec("work", 0.8), "t2": spec("work", 0.2)})
    await stage.running("t1")
    stage.kill("b")
    stage.start("b")
    await stage.ended("t1", "t2")


@scenario("worker superseded")
async def twins(stage: Stage) -> None:
    """Two processes with one worker id: the older stops, and nothing runs twice."""
    await leader_and_worker(stage, worker_id="w", capacity=1)
    await stage.submit({"t1": spec("work", 0.8), "t2": spec("work", 0.2)})
    await stage.running("t1")
    stage.start("c", Role(roles=WORKER, worker_id="w", capacity=1))
    await stage.ended("t1", "t2")


@scenario("worker registered")
async def forgotten_worker(stage: Stage) -> None:
    """The store forgets a worker that runs something; it registers again and goes on."""
    await leader_and_worker(stage, worker_id="w", capacity=2)
    await stage.submit({"t1": spec("work", 1.5)})
    await stage.running("t1")
    # Once by its beat, while no claim gets through.
    broken(stage, "b", only(unreachable, steps={"claim"}))
    await _forget(stage)
    await stage.until(lambda: "w" in stage.state.workers, "the worker is back by its beat")
    # And once by its claim, while no beat gets through.
    broken(stage, "b", only(never, handles={"heartbeat"}))
    await _forget(stage)
    await stage.until(lambda: "w" in stage.state.workers, "the worker is back by its claim")
    broken(stage, "b", None)
    await stage.ended("t1")


async def _forget(stage: Stage) -> None:
    row = stage.state.workers.get("w")
    if row is not None:
        await stage.store.deregister("w", row.incarnation)


@scenario("leader acquired", opening=True)
async def slow_election(stage: Stage) -> None:
    """The lock is won, and the answer lost: the repeat finds it held by itself."""
    stage.start("a", NARROW)
    broken(stage, "a", only(first(1, lost_reply), steps={"acquire"}))
    await stage.until(lambda: stage.leads("a"), "a leads")
    broken(stage, "a", None)
    await stage.submit({"t1": spec("work", 0)})
    await stage.ended("t1")


@scenario(
    "leader resigned",
    "fired",
    settings=StoreSettings(
        result_ttl_ms=1500,
        retention={TaskStatus.FAILED: Kept(age_ms=3_600_000)},
        max_events=12,
    ),
)
async def pruning(stage: Stage) -> None:
    """Ended tasks, each outcome at its age, decisions and old log entries are removed."""
    await two_pods(stage, Role(capacity=2))
    await stage.submit({"refused": spec("refuse")})
    await _put(stage, config("every1", overlap=Overlap.ALLOW))
    await stage.fired("every1", 2)
    await asyncio.sleep(2)
    await stage.leave("a")
    await stage.until(lambda: stage.leads("b"), "b leads")
    await asyncio.sleep(2)
