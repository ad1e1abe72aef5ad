"""The scenarios of limits: places that are taken and given back, and what waits for them."""

import asyncio

import attrs

from dsched.contracts.store.working import Submission
from dsched.declaring import declare_limits
from dsched.model import Limit
from dsched_testkit.sweep.play import scenario
from dsched_testkit.sweep.scenarios import spec, two_pods
from dsched_testkit.sweep.scenarios_of_configs import config
from dsched_testkit.sweep.stage import Stage, User

TOLD_WITHIN_S = 11.0  # a leader with little to do tells every ten seconds


async def _limited(user: User) -> None:
    await user.attempt(user.put_limit(Limit(id="crm", max_running=1)))
    await user.attempt(user.put_limit(Limit(id="spare", max_running=1)))
    items = [
        Submission(task_id=f"l{at}", spec=spec("work", 0.3, limits=["crm:a"])) for at in range(3)
    ]
    await user.attempt(user.submit_many(items))
    await user.attempt(user.why_task("l2"))
    await user.attempt(user.get_limit("crm"))
    await user.attempt(user.list_limits())
    await user.attempt(user.limit_uses(of="crm"))
    await user.attempt(user.delete_limit("crm"))
    await user.attempt(user.put_limit(Limit(id="crm", max_running=2)))
    await user.attempt(user.put_limit(Limit(id="spare", max_running=2), origin="file:tasks"))
    await user.attempt(user.put_limit(Limit(id="spare", max_running=2), adopt=True))
    await user.attempt(declare_limits(user, [Limit(id="spare", max_running=3)], origin="file:more"))
    await user.attempt(user.put_limit(Limit(id="new", max_running=2), origin="file:more"))
    await user.attempt(user.limit_origins())
    await user.attempt(user.delete_limit("new", origin="file:more"))
    await user.attempt(user.delete_limit("spare", force=True))
    await user.attempt(user.submit(spec("work", 0.1, limits=["crm:b"]), task_id="other"))


@scenario("completed success")
async def tasks_under_a_limit(stage: Stage) -> None:
    """One at a time, then two: a limit is put, changed, refused to be deleted, and all end."""
    await two_pods(stage)
    await stage.user(_limited)
    await stage.ended("l0", "l1", "l2", "other")


@scenario("completed success")
async def told_of_a_limit_that_lets_nothing_begin(stage: Stage) -> None:
    """The leader tells what waits under a limit, until it is raised."""
    await two_pods(stage)

    async def script(user: User) -> None:
        await user.attempt(user.put_limit(Limit(id="shut", max_running=0)))
        await user.attempt(user.submit(spec("work", 0.1, limits=["shut"]), task_id="waits"))
        await asyncio.sleep(TOLD_WITHIN_S)
        await user.attempt(user.put_limit(Limit(id="shut", max_running=1)))

    await stage.user(script)
    await stage.ended("waits")


@scenario("completed success")
async def runs_of_a_config_by_its_max_running(stage: Stage) -> None:
    """One at a time, then two, then any number: its limit is put, changed and dropped with it."""
    await two_pods(stage)

    async def script(user: User) -> None:
        one = config("bound", "work", 0.3, enabled=False, overlap="allow", max_running=1)
        await user.attempt(user.put_config(one))
        for at in range(4):
            await user.attempt(user.trigger("bound", key=f"k{at}"))
        await user.attempt(user.why_task("bound@manual-k3"))
        await user.attempt(user.put_config(attrs.evolve(one, max_running=2)))
        await user.attempt(user.delete_config("bound"))

    await stage.user(script)
    await stage.ended(*(f"bound@manual-k{at}" for at in range(4)))
