"""What tasks do in simulation: succeed, fail, hang, kill their worker, or not let themselves stop."""

import asyncio
import random
from collections.abc import Callable

import attrs

from dsched.contracts.executor import Executor, TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.model import JsonValue, Task, TaskResult
from dsched.model.json import MAX_RESULT_BYTES
from dsched_testkit.simulation.faults import Wire

TOO_MUCH = "x" * (MAX_RESULT_BYTES + 1)


@attrs.frozen(kw_only=True)
class Execution:
    """One attempt that really began, or returned, and when (virtual s): the ledger's line."""

    task_id: str
    attempt: int
    worker_id: str
    at_s: float


@attrs.define(kw_only=True)
class Ledger:
    """What executors really did, kept outside of the store."""

    now_s: Callable[[], float]
    began: list[Execution] = attrs.field(factory=list)
    ended: list[tuple[Execution, JsonValue]] = attrs.field(factory=list)
    tries: dict[str, int] = attrs.field(factory=dict)


@attrs.define(kw_only=True)
class Bodies(Executor):
    """The executor of one process. The payload says what happens: ``{"do": word, "s": seconds}``."""

    wire: Wire
    ledger: Ledger
    kill: Callable[[], None]

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Do what the payload says."""
        await self.wire.resumed()
        ledger = self.ledger
        began = Execution(
            task_id=task.id,
            attempt=context.attempt,
            worker_id=context.worker_id,
            at_s=ledger.now_s(),
        )
        ledger.began.append(began)
        tries = ledger.tries[task.id] = ledger.tries.get(task.id, 0) + 1
        payload = task.spec.payload if task.spec else {}
        what, seconds = payload["do"], payload["s"]
        if what != "quick":
            context.logger.info("begins")
        await self._do(what, seconds, tries)
        if what == "huge_result":
            return TaskResult(data=TOO_MUCH)
        if what != "quick":
            context.progress(1, 2)
            context.logger.info("ends")
        await self.wire.resumed()
        data: JsonValue = {"task": task.id, "attempt": context.attempt}
        ledger.ended.append((attrs.evolve(began, at_s=ledger.now_s()), data))
        return TaskResult(data=data)

    async def _do(self, what: str, seconds: float, tries: int) -> None:
        match what:
            case "hang":
                await asyncio.sleep(3600)
            case "raise" if tries == 1:
                raise RuntimeError("the first try fails")
            case "refuse":
                await asyncio.sleep(seconds)
                raise TaskFailed("never", "refused", retryable=False)
            case "fail":
                raise TaskFailed("always", "failed")
            case "kill":
                self.kill()
                await asyncio.sleep(seconds)
            case "ignore_cancel":
                await self._stubbornly(seconds)
                raise asyncio.CancelledError
            case "late_answer":
                await self._stubbornly(seconds)
            case _:
                await asyncio.sleep(seconds)

    async def _stubbornly(self, seconds: float) -> None:
        """Go on through every cancellation, but for the death of the process."""
        until_s = self.ledger.now_s() + seconds
        while (rest_s := until_s - self.ledger.now_s()) > 0:
            try:
                await asyncio.sleep(rest_s)
            except asyncio.CancelledError:
                if self.wire.dead:
                    raise


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
