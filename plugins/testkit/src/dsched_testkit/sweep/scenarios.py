"""The scenarios of tasks: what a cluster does for clients, and what workers do to attempts."""

import asyncio
from datetime import timedelta
from typing import Any

from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.working import Submission
from dsched.model import OnCrash, RetryPolicy, TaskSpec, TaskStatus
from dsched_testkit.kernel.plans import SCHEDULER, WORKER
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.stage import Role, Stage, User

ONCE = RetryPolicy(max_retries=0)
AGAIN = RetryPolicy(max_retries=2, retry_delay=timedelta(seconds=0.4), backoff_rate=2.0)
NARROW = Role(capacity=1)


def spec(what: str, seconds: float = 0.0, **changes: Any) -> TaskSpec:
    """A task that does this for so long."""
    changes.setdefault("retry", ONCE)
    changes.setdefault("timeout", timedelta(seconds=30))
    return TaskSpec(executor="fn", payload={"do": what, "s": seconds}, **changes)


def seconds(number: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=number)


async def leader_and_worker(stage: Stage, *followers: str, **worker: Any) -> None:
    """A cluster in which the leader `a` and its followers run no tasks, and `b` runs them."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    for name in followers:
        stage.start(name, Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, **worker))


async def _registered(stage: Stage) -> None:
    """A worker is registered: what is submitted from now on is not deferred for want of one."""
    await stage.until(lambda: bool(stage.state.workers), "a worker is registered")


async def two_pods(stage: Stage, role: Role = NARROW) -> None:
    """A cluster of two: `a` leads, `b` follows."""
    await stage.lead_by("a", role)
    stage.start("b", role)


async def _submitted(user: User) -> None:
    await user.attempt(user.submit(spec("work", 0.2), task_id="now"))
    await user.attempt(user.submit(spec("work", 0), task_id="soon", delay_s=0.6))
    await user.submit_many([Submission(task_id=f"m{n}", spec=spec("work", 0.1)) for n in (1, 2)])
    await user.attempt(user.submit(spec("work", 9), task_id="now"))
    await user.attempt(user.result("now", timeout_s=10))
    await user.attempt(user.get("nothing"))
    await user.attempt(user.wait("later", timeout_s=0.1))


@scenario("completed success", opening=True)
async def submits(stage: Stage) -> None:
    """Tasks by clients: at once, delayed, several in a step, the same again, another under its
    id."""
    await two_pods(stage)
    await stage.user(_submitted)
    await stage.ended("now", "soon", "m1", "m2")


async def _read(user: User) -> None:
    await user.attempt(user.submit(spec("tell", 2.5), task_id="long"))
    await user.attempt(user.wait("long", timeout_s=0.6))
    await user.counts()
    await user.workers()
    await user.list(TaskQuery(status=TaskStatus.SUCCESS))
    await user.attempt(user.decisions("none"))
    await user.list_configs()
    await user.list(config_id="none", status=TaskStatus.FAILED)
    await user.list(live_of="none", status=TaskStatus.RUNNING)
    await user.list(config_id="no*", owner="ann")
    await user.list_configs(config_id="none", owner="ann")
    await user.get_configs(["none"])
    async for _ in user.events():
        pass


@scenario("completed success")
async def reads(stage: Stage) -> None:
    """A client that looks at everything, and a task that tells how far it is."""
    await two_pods(stage)
    await stage.user(_read)
    await stage.ended("long")


@scenario(
    "completed failed not retryable", "completed retrying", "completed failed retries exhausted"
)
async def retries(stage: Stage) -> None:
    """One that fails once, one that fails for good, one that refuses a retry."""
    await two_pods(stage)

    tasks = {"once": "raise", "never": "fail", "refused": "refuse"}
    await stage.submit({key: spec(what, retry=AGAIN) for key, what in tasks.items()})
    await stage.ended(*tasks)


@scenario("completed failed timeout")
async def timeouts(stage: Stage) -> None:
    """One that stops at its timeout, and one that does not: its heartbeat reports that."""
    await two_pods(stage)
    short = {"timeout": seconds(0.5)}
    tasks = {"stops": spec("work", 9, **short), "goes-on": spec("stubborn", 7, **short)}
    await stage.submit(tasks)
    await stage.ended(*tasks)


@scenario("cancelled", "cancel_requested", "completed cancelled")
async def cancels(stage: Stage) -> None:
    """Cancels of a delayed, a queued, a running and an ended task."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("work", 20), task_id="runs"))
        await user.attempt(user.submit(spec("work", 20), task_id="waits"))
        await user.attempt(user.submit(spec("work", 0), task_id="delayed", delay_s=30))
        await stage.running("runs")
        for task_id in ("delayed", "waits", "runs", "nothing"):
            await user.attempt(user.cancel(task_id))
        await stage.ended("runs")
        await user.attempt(user.cancel("runs"))

    await stage.user(script)
    await stage.ended("runs", "waits", "delayed")


THREE = {f"t{n}": spec("work", 1.5) for n in (1, 2, 3)}


@scenario("worker draining", "recalled", "leader resigned", "worker deregistered")
async def drains(stage: Stage) -> None:
    """SIGTERM for the leader, which also runs a task and has another in its queue."""
    await two_pods(stage)
    await stage.submit(THREE)
    await stage.running("t1")
    await stage.leave("a")
    await stage.ended("t1", "t2", "t3")


@scenario("released pending", "released failed")
async def drains_too_late(stage: Stage) -> None:
    """SIGTERM while something runs that takes longer than the drain: it is given back."""
    await two_pods(stage)
    once = spec("work", 6, on_crash=OnCrash.FAIL)
    await stage.submit({"again": spec("work", 6), "once": once})
    await stage.running("once")
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.leave("a"))
        group.create_task(stage.leave("b"))
    stage.start("a")
    await stage.ended("again", "once")


@scenario("worker draining", "recalled")
async def drained_by_an_operator(stage: Stage) -> None:
    """An operator drains a worker that runs one task and has another in its queue."""
    await stage.lead_by("a", Role(worker_id="w", capacity=1))

    async def script(user: User) -> None:
        await user.submit_each(THREE)
        await stage.running("t1")
        await user.attempt(user.drain_worker("w"))
        await user.attempt(user.drain_worker("nobody"))

    await stage.user(script)
    await stage.ended("t1")
    stage.start("b", NARROW)
    await stage.ended("t2", "t3")


@scenario("recalled displaced")
async def an_urgent_task(stage: Stage) -> None:
    """A task of high priority meets a worker whose slot and queue are full of others."""
    await leader_and_worker(stage, capacity=1)
    await _registered(stage)

    async def script(user: User) -> None:
        low = {f"low{n}": spec("work", 0.8, priority=0) for n in (1, 2, 3)}
        await user.submit_each(low)
        await stage.running("low1")
        await user.attempt(user.submit(spec("work", 0.2, priority=9), task_id="urgent"))

    await stage.user(script)
    await stage.ended("low1", "low2", "low3", "urgent")


@scenario("reaped pending", "reaped failed", "recalled", opening=True)
async def worker_death(stage: Stage) -> None:
    """A worker dies with an attempt that may run again, and one that may not."""
    await leader_and_worker(stage, capacity=2)
    once = spec("work", 1, on_crash=OnCrash.FAIL)
    await stage.submit({"again": spec("work", 1), "once": once, "queued": spec("work", 1)})
    await stage.running("once")
    stage.kill("b")
    await stage.ended("again", "once", "queued")


@scenario(*("worker superseded", "recalled", "reaped pending", "worker deregistered"), opening=True)
async def restart_on_its_host(stage: Stage) -> None:
    """A worker is killed with an attempt and a queue, and a new one of its host begins by
    itself."""
    await leader_and_worker(stage, capacity=1, knows_host=True)
    await _registered(stage)
    tasks = dict.fromkeys(("ran", "waited"), spec("work", 0.8))
    await stage.submit(tasks)
    await stage.running("ran")
    stage.kill("b")
    stage.start("b")
    await stage.ended(*tasks)


@scenario("reaped failed poison", "reaped cancelled")
async def poison(stage: Stage) -> None:
    """A task that kills its worker each time, and one cancelled while its worker is dead."""
    await leader_and_worker(stage, capacity=2)

    async def script(user: User) -> None:
        bad = spec("kill", 1, max_crashes=1, retry=AGAIN)
        await user.attempt(user.submit(spec("work", 2), task_id="beside"))
        await stage.running("beside")
        await user.attempt(user.submit(bad, task_id="bad"))
        await stage.running("bad")
        await user.attempt(user.cancel("beside"))

    await stage.user(script)
    await stage.ended("beside", "bad")


@scenario("cancelled expired")
async def start_deadlines(stage: Stage) -> None:
    """Two that nobody starts in time: one nobody can take, one in a queue that does not move."""
    await leader_and_worker(stage, capacity=1)

    async def script(user: User) -> None:
        soon = {"start_deadline": seconds(1)}
        await user.attempt(user.submit(spec("work", 1.8), task_id="runs"))
        await stage.running("runs")
        await user.attempt(user.submit(spec("work", 0, **soon), task_id="queued"))
        far = spec("work", 0, required_labels={"disk": "fast"}, **soon)
        await user.attempt(user.submit(far, task_id="unplaced"))

    await stage.user(script)
    await stage.ended("runs", "queued", "unplaced")


@scenario("deferred")
async def a_function_that_comes_later(stage: Stage) -> None:
    """A task whose function no worker has waits, until one registers it while it runs."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, capacity=1, learns="late"))
    payload = {"do": "work", "s": 0.2, "function": "late"}
    await stage.submit({"late": TaskSpec(executor="local", payload=payload, retry=ONCE)})
    await stage.ended("late")


@scenario("deferred")
async def deferrals(stage: Stage) -> None:
    """A task that no worker matches waits, until one comes that does; in a store without
    classes."""
    stage.state.format = 3
    await stage.lead_by("a", NARROW)
    await stage.submit({"far": spec("work", 0.2, required_labels={"disk": "fast"})})
    await asyncio.sleep(0.5)
    stage.start("b", Role(roles=WORKER, capacity=1, labels={"disk": "fast"}))
    await stage.ended("far")


@scenario("claimed", "leader resigned")
async def classes(stage: Stage) -> None:
    """What no worker matches waits under its class; a new leader lets it out when one comes."""
    await stage.lead_by("a", NARROW)
    stage.start("c", Role(roles=SCHEDULER))
    tasks = {f"far{n}": spec("work", 0.2, required_labels={"disk": "fast"}) for n in range(3)}
    await stage.submit(tasks)
    await stage.until(lambda: len(stage.state.shut) == 1, "the class is shut")
    await stage.leave("a")
    await stage.until(lambda: stage.leads("c"), "c leads")
    stage.start("b", Role(roles=WORKER, capacity=1, labels={"disk": "fast"}))
    await stage.ended(*tasks)
