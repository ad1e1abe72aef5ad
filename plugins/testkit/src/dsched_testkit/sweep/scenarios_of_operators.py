"""The scenarios of operators: skips, backfills, drains undone, the lead taken away, and who looks
on."""

import asyncio
from datetime import timedelta

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.standing import join_cluster
from dsched.contracts.store.working import Submission
from dsched.declaring import Keeper, Source
from dsched.engine.takeover import take_over_from_dead
from dsched.model import OnCrash, Overlap, TaskConfig, from_ms
from dsched_testkit.kernel.line import never, only
from dsched_testkit.kernel.plans import SCHEDULER, WORKER
from dsched_testkit.kernel.virtual_time import virtual_runtime
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import NARROW, leader_and_worker, spec, two_pods
from dsched_testkit.sweep.scenarios_of_configs import broken, config
from dsched_testkit.sweep.stage import Role, Stage, User

WHY = "sweep"


@scenario("config skip", "skipped operator")
async def skips(stage: Stage) -> None:
    """Instants that are not to be fired: one, a range, one that is none, some over an edit."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(config("every1", overlap=Overlap.ALLOW)))
        await stage.fired("every1", 1)
        now = from_ms(stage.wall())
        soon, late = now + timedelta(seconds=0.5), now + timedelta(seconds=2.5)
        await user.attempt(user.skip_config("every1", from_=soon, to=late, why=WHY))
        await user.attempt(user.skip_config("every1", at=soon, why=WHY))
        await user.attempt(user.skip_config("nothing", at=soon, why=WHY))
        await asyncio.sleep(1.2)
        await user.attempt(user.pause_config("every1", why=WHY))
        await user.attempt(user.resume_config("every1"))

    await stage.user(script)
    await stage.fired("every1", 2)


async def _backfilled(stage: Stage, user: User, config_id: str) -> None:
    """All instants of the last seconds, as often as it takes."""
    upto = from_ms(stage.wall())
    for _ in range(20):
        asked = user.backfill_config(
            config_id, from_=upto - timedelta(seconds=3), to=upto, why=WHY, again=True, key="k"
        )
        said = await user.attempt(asked)
        if said is None or said.done:
            return
        await asyncio.sleep(0.3)


@scenario("submitted")
async def backfills(stage: Stage) -> None:
    """The past of a config runs again: all at once, and one by one where runs may not overlap."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        slow = config("every1", lasts_s=0.2, every=timedelta(seconds=1.5), overlap=Overlap.SKIP)
        await user.attempt(user.put_config(slow))
        await user.attempt(user.put_config(config("every2", overlap=Overlap.ALLOW)))
        await stage.fired("every1", 1)
        await _backfilled(stage, user, "every2")
        await _backfilled(stage, user, "every1")

    await stage.user(script)


@scenario("worker draining", "worker undrained")
async def undrained(stage: Stage) -> None:
    """An operator drains a worker with a queue, and thinks better of it."""
    await leader_and_worker(stage, worker_id="w", capacity=1)

    async def script(user: User) -> None:
        await user.submit_each({f"t{n}": spec("work", 0.5) for n in (1, 2, 3)})
        await stage.running("t1")
        await user.attempt(user.drain_worker("w"))
        await user.attempt(user.resume_worker("w"))
        await user.attempt(user.resume_worker("w"))
        await user.attempt(user.resume_worker("nobody"))

    await stage.user(script)
    await stage.ended("t1", "t2", "t3")


@scenario("worker draining", "worker undrained")
async def drained_over_a_restart(stage: Stage) -> None:
    """A drained worker starts again under its id and stays drained, until an operator ends that."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    role = Role(roles=WORKER, worker_id="w", capacity=1)
    stage.start("b", role)

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("work", 0.2), task_id="t1"))
        await stage.ended("t1")
        await user.attempt(join_cluster(user.store, "sweep"))
        await user.attempt(user.drain_worker("w"))
        await stage.leave("b")
        stage.start("b", role)
        await user.attempt(user.submit(spec("work", 0.2), task_id="t2"))
        await asyncio.sleep(2)
        await user.attempt(user.resume_worker("w"))

    await stage.user(script)
    await stage.ended("t1", "t2")


@scenario("worker draining", "released pending")
async def drained_of_what_runs(stage: Stage) -> None:
    """An operator takes from a worker what it runs, but what must not be begun twice."""
    await leader_and_worker(stage, worker_id="w", capacity=2)

    async def script(user: User) -> None:
        await user.attempt(user.submit(spec("work", 2), task_id="again"))
        once = attrs.evolve(spec("work", 2), on_crash=OnCrash.FAIL)
        await user.attempt(user.submit(once, task_id="once"))
        await stage.running("again")
        await stage.running("once")
        await user.attempt(user.drain_worker("w", give_back=True))
        await user.attempt(user.drain_worker("w", give_back=True))
        await asyncio.sleep(3)
        await user.attempt(user.resume_worker("w"))

    await stage.user(script)
    await stage.ended("again", "once")


@scenario("worker resized")
async def resized(stage: Stage) -> None:
    """A worker is made larger and smaller, starts again under its id, and is made its own again."""
    await stage.lead_by("a", Role(roles=SCHEDULER))
    role = Role(roles=WORKER, worker_id="w", capacity=1)
    stage.start("b", role)

    async def script(user: User) -> None:
        await user.submit_each({f"t{n}": spec("work", 0.5) for n in (1, 2, 3, 4)})
        await stage.running("t1")
        await user.attempt(user.resize_worker("w", 3))
        await user.attempt(user.resize_worker("w", 2))
        await stage.leave("b")
        stage.start("b", role)
        await user.attempt(user.resize_worker("nobody", 2))
        await user.attempt(user.resize_worker("w", None))
        await user.attempt(user.resize_worker("w", None))

    await stage.user(script)
    await stage.ended("t1", "t2", "t3", "t4")


@scenario("leader stepped_down")
async def steps_down(stage: Stage) -> None:
    """The lead is taken from a working leader; another leads on, and both say that they run."""
    await leader_and_worker(stage, "c", capacity=1)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(config("every1", overlap=Overlap.ALLOW)))
        await user.submit_each({f"t{n}": spec("work", 0.5) for n in (1, 2)})
        await stage.running("t1")
        await user.attempt(user.step_down(why=WHY))
        await stage.until(lambda: stage.leads("c") or stage.leads("a"), "somebody leads again")
        await user.pods()
        await user.terms()

    await stage.user(script)
    await stage.ended("t1", "t2")
    await stage.fired("every1", 2)


@scenario("missed", "leaderless")
async def leaderless(stage: Stage) -> None:
    """Nobody can lead for a while: pods that do not lead report what is missed, and that."""
    watching = Role(capacity=1, missed_after_s=1.0)
    await stage.lead_by("a", watching)
    stage.start("b", watching)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(config("every1", overlap=Overlap.ALLOW)))

    await stage.user(script)
    await stage.fired("every1", 1)
    for name in ("a", "b"):
        broken(stage, name, only(never, steps={"acquire", "renew"}))
    await stage.until(lambda: stage.state.leaderless > 0, "it is reported that nobody leads")
    for name in ("a", "b"):
        broken(stage, name, None)
    await stage.fired("every1", 2)


async def _asked(user: User, stage: Stage) -> None:
    await user.attempt(user.submit(spec("tell", 1.2), task_id="long"))
    await user.attempt(user.submit(spec("work", 0), task_id="waits"))
    await stage.running("long")
    await user.attempt(user.why_task("long"))
    await user.attempt(user.why_task("nothing"))
    await user.attempt(user.task_lines("long"))
    await stage.fired("every1", 2)
    await user.attempt(user.why_config("every1"))
    held = next((row.id for row in stage.state.tasks.values() if row.home == "held"), "nothing")
    await user.attempt(user.why_task(held))
    delayed = next((row.id for row in stage.state.tasks.values() if row.home == "delayed"), "none")
    await user.attempt(user.why_task(delayed))
    now = from_ms(stage.wall())
    await user.attempt(user.stats(None, now - timedelta(hours=1), now))
    async for _ in user.follow_lines("long"):
        pass


@scenario("fired held")
async def explains(stage: Stage) -> None:
    """Clients ask why, how much, and what a task wrote, while it runs and when it has ended."""
    await two_pods(stage)

    async def script(user: User) -> None:
        slow = config("every1", lasts_s=1.8, overlap=Overlap.QUEUE_ONE)
        await user.attempt(user.put_config(slow))
        late = config("late", cron_expr="* * * * * *", jitter=timedelta(seconds=30))
        await user.attempt(user.put_config(late))
        await _asked(user, stage)

    await stage.user(script)
    await stage.ended("long")


@scenario("config paused", "config resumed")
async def orphans(stage: Stage) -> None:
    """What its origin no longer declares is paused, and goes on when it is declared again."""
    await stage.lead_by("a", NARROW)

    async def script(user: User) -> None:
        await user.attempt(user.put_config(_declared()))
        await stage.fired("every1", 1)
        await user.attempt(user.orphan_config("every1", origin="code:sweep"))
        await user.attempt(user.orphan_config("every1", origin="code:another"))
        await user.attempt(user.resume_config("every1"))
        await user.attempt(Keeper(user, source).look())

    source = Source(origin="code:sweep", configs=(_declared(),), orphans=True)
    await stage.user(script)
    await stage.fired("every1", 2)


def _declared() -> TaskConfig:
    return config("every1", overlap=Overlap.ALLOW, origin="code:sweep")


@scenario("completed success")
async def many_delayed(stage: Stage) -> None:
    """More become ready at once than one step takes."""
    await stage.lead_by("a", Role(capacity=MAX_BATCH))
    names = [f"d{n}" for n in range(MAX_BATCH)]

    async def script(user: User) -> None:
        late = spec("work", 0)
        await user.submit_many(
            [Submission(task_id=name, spec=late, delay_ms=500) for name in names]
        )

    await stage.user(script)
    await stage.ended(*names)


@scenario("worker superseded", "worker deregistered")
async def buried(stage: Stage) -> None:
    """A worker dies, and its parent, which has seen its process end, tells the store."""
    await leader_and_worker(stage, capacity=2)
    dead = stage.pods["b"].worker_id
    once = spec("work", 1, on_crash=OnCrash.FAIL)
    tasks = {"again": spec("work", 1), "once": once, "queued": spec("work", 1)}

    async def parent(user: User) -> None:
        runtime = virtual_runtime(asyncio.get_running_loop(), stage.counts["starts of user"])
        await take_over_from_dead(user.store, dead, runtime)
        await take_over_from_dead(user.store, "nobody", runtime)

    await stage.submit(tasks)
    await stage.running("once")
    process = stage.pods.get("b")
    if process is not None and process.worker_id == dead:  # unless the fault was its death
        stage.kill("b")
    await stage.user(parent)
    await stage.ended(*tasks)


@scenario("migrated")
async def migrates(stage: Stage) -> None:
    """The store has the format of before; an operator migrates it while pods run."""
    stage.state.format = 3
    await two_pods(stage)

    async def script(user: User) -> None:
        await user.attempt(user.migrate_store())
        await user.attempt(user.store_format())
        await user.attempt(user.submit(spec("work", 0), task_id="later"))

    await stage.user(script)
    await stage.ended("later")


@scenario("history")
async def breaks(stage: Stage) -> None:
    """The store is suddenly another one with the same content; later an operator says so, too."""
    await two_pods(stage)
    await asyncio.sleep(3)  # both have seen the store, whatever befell one of them
    stage.state.identity = "another"
    await stage.until(lambda: stage.state.generation > 0, "the break is recorded")

    async def script(user: User) -> None:
        await user.attempt(user.declare_restored(why=WHY))
        await user.attempt(user.why_task("nothing"))
        await user.attempt(user.why_config("nothing"))
        await user.attempt(user.submit(spec("work", 0), task_id="later"))

    await stage.user(script)
    await stage.ended("later")
