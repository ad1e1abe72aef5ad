"""What tasks that wait cost the memory of the pod that leads and works."""

import asyncio
import time

import rig
import stores
from plan import Plan
from systems import Stage

from dsched.model import TaskSpec

SETTLE_S = 5.0
NAP_S = 3600
START_S = 60.0


def memory(stage: Stage, plan: Plan) -> dict[str, float]:
    """A pod whose slots and queue are taken, before and after tasks are submitted that must
    wait."""
    pid = stage.start_pod(name="pod-1")
    asyncio.run(_submit(stage, 2 * stage.system.concurrency, "nap", "nap"))
    rig.until_ran(stage.tally, stage.system.concurrency, START_S, stage.folder / "pod-1.log")
    time.sleep(SETTLE_S)
    before_mb = rig.resident_mb(pid)
    asyncio.run(_submit(stage, plan.waiting, "wait", "noop"))
    time.sleep(SETTLE_S)
    after_mb = rig.resident_mb(pid)
    shown = f"{plan.waiting:,}"
    return {f"more memory with {shown} waiting tasks, MB": after_mb - before_mb}


async def _submit(stage: Stage, count: int, kind: str, function: str) -> None:
    payload = {"function": function}
    if function == "nap":
        payload |= {"args": {"seconds": NAP_S}}
    async with stores.opened(stage) as store:
        spec = TaskSpec(executor="local", payload=payload)
        await stores.fill_tasks(store, range(count), spec, kind)
