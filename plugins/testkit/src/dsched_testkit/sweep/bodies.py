"""What the scenarios' tasks do: ``{"do": word, "s": seconds}``."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs

from dsched.contracts.executor import Executor, TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.model import JsonValue, Task, TaskResult
from dsched_testkit.simulation.bodies import Execution, Ledger
from dsched_testkit.sweep.strand import Strand


@attrs.define(kw_only=True)
class Bodies(Executor):
    """The executor of one process; what really begins is written into the ledger."""

    strand: Strand
    ledger: Ledger
    kill: Callable[[], None]

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Do what the payload says."""
        await self.strand.resumed()
        ledger = self.ledger
        begun = Execution(
            task_id=task.id,
            attempt=context.attempt,
            worker_id=context.worker_id,
            at_s=ledger.now_s(),
        )
        ledger.began.append(begun)
        ledger.tries[task.id] = ledger.tries.get(task.id, 0) + 1
        payload: Any = {} if task.spec is None else task.spec.payload
        await self._do(context, task, payload["do"], payload["s"])
        await self.strand.resumed()
        data: JsonValue = {"task": task.id, "attempt": context.attempt}
        ledger.ended.append((attrs.evolve(begun, at_s=ledger.now_s()), data))
        return TaskResult(data=data)

    async def _do(self, context: ExecutionContext, task: Task, what: str, seconds: float) -> None:
        match what:
            case "raise" if self.ledger.tries[task.id] == 1:
                raise RuntimeError("the first try fails")
            case "fail":
                raise TaskFailed("always", "failed")
            case "refuse":
                raise TaskFailed("never", "refused", retryable=False)
            case "kill":
                self.kill()
                await asyncio.sleep(seconds)
            case "tell":
                context.logger.info("begins")
                context.progress(1, 2)
                await asyncio.sleep(seconds)
                context.logger.info("ends")
            case "stubborn":
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
                if self.strand.dead:
                    raise
