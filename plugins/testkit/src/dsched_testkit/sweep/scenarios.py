"""The scenarios of tasks: what a cluster does for clients, and what workers do to attempts."""

import asyncio
from datetime import timedelta
from typing import Any

from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.working import Submission
from dsched.model import OnCrash, RetryPolicy, TaskSpec, TaskStatus
from dsched_testkit.kernel.plans import SCHEDULER, WORKER
from dsched_testkit.sweep.play import Scenario
from dsched_testkit.sweep.stage import Role, Stage, User

ONCE = RetryPolicy(max_retries=0)
AGAIN = RetryPolicy(max_retries=2, retry_delay=timedelta(seconds=0.4), backoff_rate=2.0)
NARROW = Role(capacity=1)
LATER = timedelta(seconds=600)


def spec(what: str, seconds: float = 0.0, **changes: Any) -> TaskSpec:
    """A task that does this for so long."""
    changes.setdefault("retry", ONCE)
    changes.setdefault("timeout", timedelta(seconds=30))
    return TaskSpec(executor="fn", payload={"do": what, "s": seconds}, **changes)


def seconds(number: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=number)


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


async def submits(stage: Stage) -> None:
    """Tasks by clients: at once, delayed, several in a step, the same again, another under its id."""
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
    await user.get_configs(["none"])
    async for _ in user.events():
        pass


async def reads(stage: Stage) -> None:
    """A client that looks at everything, and a task that tells how far it is."""
    await two_pods(stage)
    await stage.user(_read)
    await stage.ended("long")


async def retries(stage: Stage) -> None:
    """One that fails once, one that fails for good, one that refuses a retry."""
    await two_pods(stage)

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("raise", retry=AGAIN), task_id="once"))
        await user.attempt(user.submit(spec("fail", retry=AGAIN), task_id="never"))
        await user.attempt(user.submit(spec("refuse", retry=AGAIN), task_id="refused"))

    await stage.user(script)
    await stage.ended("once", "never", "refused")


async def timeouts(stage: Stage) -> None:
    """One that stops at its timeout, and one that does not: its heartbeat reports that."""
    await two_pods(stage)

    async def script(user: User) -> None:
        short = {"timeout": seconds(0.5)}
        await user.attempt(user.submit(spec("work", 9, **short), task_id="stops"))
        await user.attempt(user.submit(spec("stubborn", 7, **short), task_id="goes-on"))

    await stage.user(script)
    await stage.ended("stops", "goes-on")


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


async def _three(user: User) -> None:
    for n in (1, 2, 3):
        await user.attempt(user.submit(spec("work", 1.5), task_id=f"t{n}"))


async def drains(stage: Stage) -> None:
    """SIGTERM for the leader, which also runs a task and has another in its queue."""
    await two_pods(stage)
    await stage.user(_three)
    await stage.running("t1")
    await stage.leave("a")
    await stage.ended("t1", "t2", "t3")


async def drains_too_late(stage: Stage) -> None:
    """SIGTERM while something runs that takes longer than the drain: it is given back."""
    await two_pods(stage)

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("work", 6), task_id="again"))
        once = spec("work", 6, on_crash=OnCrash.FAIL)
        await user.attempt(user.submit(once, task_id="once"))

    await stage.user(script)
    await stage.running("once")
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.leave("a"))
        group.create_task(stage.leave("b"))
    stage.start("a")
    await stage.ended("again", "once")


async def drained_by_an_operator(stage: Stage) -> None:
    """An operator drains a worker that runs one task and has another in its queue."""
    await stage.lead_by("a", Role(worker_id="w", capacity=1))

    async def script(user: User) -> None:
        await _three(user)
        await stage.running("t1")
        await user.attempt(user.drain_worker("w"))
        await user.attempt(user.drain_worker("nobody"))

    await stage.user(script)
    await stage.ended("t1")
    stage.start("b", NARROW)
    await stage.ended("t2", "t3")


async def worker_death(stage: Stage) -> None:
    """A worker dies with an attempt that may run again, and one that may not."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, capacity=2))

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("work", 1), task_id="again"))
        once = spec("work", 1, on_crash=OnCrash.FAIL)
        await user.attempt(user.submit(once, task_id="once"))
        await user.attempt(user.submit(spec("work", 1), task_id="queued"))

    await stage.user(script)
    await stage.running("once")
    stage.kill("b")
    await stage.ended("again", "once", "queued")


async def restart_on_its_host(stage: Stage) -> None:
    """A worker is killed with an attempt and a queue, and a new one of its host begins by itself."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, capacity=1, knows_host=True))

    async def script(user: User) -> None:
        for task_id in ("ran", "waited"):
            await user.attempt(user.submit(spec("work", 0.8), task_id=task_id))

    await stage.user(script)
    await stage.running("ran")
    stage.kill("b")
    stage.start("b")
    await stage.ended("ran", "waited")


async def poison(stage: Stage) -> None:
    """A task that kills its worker each time, and one cancelled while its worker is dead."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, capacity=2))

    async def script(user: User) -> None:
        bad = spec("kill", 1, max_crashes=1, retry=AGAIN)
        await user.attempt(user.submit(spec("work", 2), task_id="beside"))
        await stage.running("beside")
        await user.attempt(user.submit(bad, task_id="bad"))
        await stage.running("bad")
        await user.attempt(user.cancel("beside"))

    await stage.user(script)
    await stage.ended("beside", "bad")


async def start_deadlines(stage: Stage) -> None:
    """Two that nobody starts in time: one nobody can take, one in a queue that does not move."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    stage.start("b", Role(roles=WORKER, capacity=1))

    async def script(user: User) -> None:
        soon = {"start_deadline": seconds(1)}
        await user.attempt(user.submit(spec("work", 1.8), task_id="runs"))
        await stage.running("runs")
        await user.attempt(user.submit(spec("work", 0, **soon), task_id="queued"))
        far = spec("work", 0, required_labels={"disk": "fast"}, **soon)
        await user.attempt(user.submit(far, task_id="unplaced"))

    await stage.user(script)
    await stage.ended("runs", "queued", "unplaced")


async def deferrals(stage: Stage) -> None:
    """A task that no worker matches waits, until one comes that does."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        far = spec("work", 0.2, required_labels={"disk": "fast"})
        await user.attempt(user.submit(far, task_id="far"))

    await stage.user(script)
    await asyncio.sleep(0.5)
    stage.start("b", Role(roles=WORKER, capacity=1, labels={"disk": "fast"}))
    await stage.ended("far")


TASKS = (
    Scenario(name="submits", play=submits, shows=frozenset({"completed success"}), opening=True),
    Scenario(name="reads", play=reads, shows=frozenset({"completed success"})),
    Scenario(
        name="retries",
        play=retries,
        shows=frozenset(
            {
                *("completed retrying", "completed failed retries exhausted"),
                "completed failed not retryable",
            }
        ),
    ),
    Scenario(name="timeouts", play=timeouts, shows=frozenset({"completed failed timeout"})),
    Scenario(
        name="cancels",
        play=cancels,
        shows=frozenset({"cancelled", "cancel_requested", "completed cancelled"}),
    ),
    Scenario(
        name="drains",
        play=drains,
        shows=frozenset({"worker draining", "recalled", "leader resigned", "worker deregistered"}),
    ),
    Scenario(
        name="drains-too-late",
        play=drains_too_late,
        shows=frozenset({"released pending", "released failed"}),
    ),
    Scenario(
        name="drained-by-an-operator",
        play=drained_by_an_operator,
        shows=frozenset({"worker draining", "recalled"}),
    ),
    Scenario(
        name="worker-death",
        play=worker_death,
        shows=frozenset({"reaped pending", "reaped failed", "recalled"}),
        opening=True,
    ),
    Scenario(
        name="restart-on-its-host",
        play=restart_on_its_host,
        shows=frozenset({"worker superseded", "recalled", "reaped pending", "worker deregistered"}),
        opening=True,
    ),
    Scenario(
        name="poison", play=poison, shows=frozenset({"reaped failed poison", "reaped cancelled"})
    ),
    Scenario(name="start-deadlines", play=start_deadlines, shows=frozenset({"cancelled expired"})),
    Scenario(name="deferrals", play=deferrals, shows=frozenset({"deferred"})),
)
