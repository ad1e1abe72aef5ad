"""The scenarios of runs of many tasks: members that are born, end, are skipped and cancelled."""

from datetime import timedelta
from typing import Any

from dsched.model import Step, TaskConfig, TaskSpec, Workflow, run_of
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import ONCE, spec, two_pods
from dsched_testkit.sweep.stage import Role, Stage, User


def a_step(step_id: str, *needs: str, do: Any = "work", seconds: Any = 0.2, **more: Any) -> Step:
    """A step that does this for so long."""
    payload = {"do": do, "s": seconds}
    return Step(id=step_id, executor="fn", payload=payload, needs=needs, retry=ONCE, **more)


def a_run(*steps: Step, **more: Any) -> TaskSpec:
    """The snapshot of a run."""
    return TaskSpec(executor="workflow", workflow=Workflow(steps=steps, **more))


@scenario("born", "run_ended success", "step_skipped")
async def steps_of_a_run(stage: Stage) -> None:
    """Steps one after the other; one is told by the result of another, one is not needed."""
    await two_pods(stage)
    flow = a_run(
        a_step("first"),
        a_step("second", "first", seconds="${needs.first.data.attempt}"),
        a_step("undo", "second", when="failure"),
        a_step("shards", "first", shards=3, max_parallel=2),
        a_step("each", "shards", for_each="${needs.shards.status}", max_parallel=2),
    )

    async def script(user: User) -> None:
        await user.attempt(user.submit(flow, task_id="run"))
        await user.attempt(user.run_log("run"))
        await user.attempt(user.get_run("run"))
        await user.attempt(user.run_log("no-run"))
        await stage.ended("run")
        await user.attempt(user.why_task("run"))

    await stage.user(script)
    await stage.ended("run")


@scenario("born", "run_ended failed", "step_skipped")
async def a_run_that_fails(stage: Stage) -> None:
    """The first step fails for good; what needs it is skipped, and the rollback runs."""
    await two_pods(stage)
    flow = a_run(
        a_step("fails", do="refuse"),
        a_step("waits", "fails"),
        a_step("undo", "waits", when="failure"),
    )
    await stage.submit({"run": flow})
    await stage.ended("run")


@scenario("born", "run_ended cancelled")
async def a_run_that_is_cancelled(stage: Stage) -> None:
    """A cancel while a member runs and another is not born."""
    await two_pods(stage)
    flow = a_run(a_step("long", seconds=20), a_step("never", "long", when="always"))

    async def script(user: User) -> None:
        await user.attempt(user.submit(flow, task_id="run"))
        await stage.running("run~long")
        await user.attempt(user.cancel("run"))

    await stage.user(script)
    await stage.ended("run")


@scenario("born", "run_ended cancelled", "run_ended success")
async def a_run_that_goes_on(stage: Stage) -> None:
    """A run is cancelled after its first step; another takes that over, reads what it answered, and
    bears the rest."""
    await two_pods(stage)
    flow = a_run(
        a_step("first"),
        a_step("long", "first", seconds=5),
        a_step("last", "first", "long", seconds="${needs.first.data.attempt}"),
    )

    async def script(user: User) -> None:
        await user.attempt(user.submit(flow, task_id="run"))
        await user.attempt(user.retry("run", key="early", failed=True))
        await stage.running("run~long")
        await user.attempt(user.cancel("run"))
        await stage.ended("run")
        await user.attempt(user.retry("run", key="again", failed=True))
        await user.attempt(user.retry("run~first", key="part", failed=True))
        await stage.ended("again")

    await stage.user(script)
    await stage.ended("again")


@scenario("fired", "born", "run_ended success")
async def a_config_that_makes_runs(stage: Stage) -> None:
    """Each fire of a config with steps is a run; somebody looks at its runs and their members."""
    await two_pods(stage)
    steps = Workflow(steps=(a_step("first"), a_step("second", "first")))
    flow = TaskConfig(id="flow", executor="workflow", workflow=steps, every=timedelta(seconds=2))

    async def script(user: User) -> None:
        await user.attempt(user.put_config(flow))
        await stage.fired("flow", 1)
        await user.attempt(user.config_runs("flow"))
        run_id = next(key for key in stage.state.tasks if run_of(key) is None)
        await user.attempt(user.run_members(run_id))

    await stage.user(script)


async def _beside(stage: Stage, name: str) -> None:
    """One more worker, with a name of its own."""
    stage.start(name, Role(worker_id=f"w-{name}", capacity=1, labels={"only": name}))
    await stage.until(lambda: f"w-{name}" in stage.state.workers, f"{name} is registered")


@scenario("born", "step_skipped", "worker draining", "run_ended success")
async def a_member_for_each_worker(stage: Stage) -> None:
    """Each worker has a member, and one that drains before its own has begun is let off."""
    await two_pods(stage)
    await _beside(stage, "c")
    flow = a_run(
        a_step("all", shards="each_worker", max_parallel=2),
        a_step("nobody", "all", shards="each_worker", required_labels={"only": "nobody"}),
        a_step("last", "nobody", seconds="${needs.all.data.0.attempt}"),
    )

    async def script(user: User) -> None:
        holds = spec("work", 3, required_labels={"only": "c"})
        await user.attempt(user.submit(holds, task_id="holds"))
        await stage.running("holds")
        await user.attempt(user.submit(flow, task_id="run"))
        await stage.until(lambda: "run~all~2" in stage.state.tasks, "its member waits")
        await user.attempt(user.why_task("run~all~2"))
        await user.attempt(user.drain_worker("w-c"))
        await stage.ended("run")
        await user.attempt(user.get_run("run"))

    await stage.user(script)
    await stage.ended("run", "holds")


@scenario("born", "reaped pending", "run_ended failed")
async def a_worker_that_dies_with_its_member(stage: Stage) -> None:
    """What a worker has begun is for nobody else: when it has left for good, it is given up."""
    await two_pods(stage)
    stage.start("c", Role(capacity=1))
    await stage.until(lambda: len(stage.state.workers) == 3, "c is registered")
    lasts = a_step("all", shards="each_worker", seconds=2)
    await stage.submit({"run": a_run(lasts, a_step("undo", "all", when="failure"))})
    await stage.running("run~all~2")
    stage.kill("c")
    await stage.ended("run")


@scenario("born", "reaped pending", "run_ended success")
async def a_worker_that_comes_back_to_its_member(stage: Stage) -> None:
    """A worker dies while its member runs, and the next process of that name runs it again."""
    await two_pods(stage)
    await _beside(stage, "c")
    await stage.submit({"run": a_run(a_step("all", shards="each_worker", seconds=1))})
    await stage.running("run~all~2")
    stage.kill("c")
    await stage.ended("run")
