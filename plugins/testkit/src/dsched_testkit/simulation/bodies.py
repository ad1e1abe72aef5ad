"""What tasks do in simulation: succeed, fail, hang, kill their worker, or not let themselves
stop."""

import asyncio
import random

import attrs

from dsched.contracts.executor.context import ExecutionContext
from dsched.model import JsonValue, TaskResult
from dsched.model.json import MAX_RESULT_BYTES
from dsched_testkit.kernel.bodies import Bodies

TOO_MUCH = "x" * (MAX_RESULT_BYTES + 1)
_AS = {"hang": "work", "ignore_cancel": "stubborn", "late_answer": "stubborn"}


@attrs.define(kw_only=True)
class OddBodies(Bodies):
    """Tasks with more ways to go wrong; slow ones report their progress."""

    async def act(
        self, context: ExecutionContext, task_id: str, what: str, seconds: float
    ) -> TaskResult | None:
        """What the word says."""
        if what != "quick":
            context.logger.info("begins")
        if what == "refuse":
            await asyncio.sleep(seconds)
        lasts_s = 3600 if what == "hang" else seconds
        await super().act(context, task_id, _AS.get(what, what), lasts_s)
        if what == "ignore_cancel":
            raise asyncio.CancelledError
        if what == "huge_result":
            return TaskResult(data=TOO_MUCH)
        if what != "quick":
            context.progress(1, 2)
            context.logger.info("ends")
        return None


def random_payload(chance: random.Random, faults: frozenset[str]) -> dict[str, JsonValue]:
    """What a task is to do: mostly to succeed."""
    what = chance.choice(("quick", "quick", "work", "work", "work", "odd"))
    if what == "quick":
        return {"do": "quick", "s": chance.choice((0, 0.1))}
    if what == "work":
        return {"do": "work", "s": round(chance.uniform(0.2, 8), 3)}
    odd: list[str] = [
        name
        for name in ("hang", "raise", "ignore_cancel", "late_answer", "huge_result")
        if name in faults
    ]
    if "raise" in faults:
        odd += ["fail", "refuse"]
    if not odd:
        return {"do": "work", "s": 20}
    return {"do": chance.choice(odd), "s": round(chance.uniform(0.5, 30), 3)}
