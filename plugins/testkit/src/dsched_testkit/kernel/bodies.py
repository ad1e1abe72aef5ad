"""What virtual tasks do, by the word in their payload, and the ledger of what really began."""

import asyncio
from collections.abc import Callable, Iterable

import attrs

from dsched.contracts.executor import Executor, TaskFailed
from dsched.contracts.executor.callback import callback_of
from dsched.contracts.executor.context import ExecutionContext
from dsched.model import JsonValue, Task, TaskResult
from dsched_testkit.kernel.process import Process


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
    tokens: dict[int, str] = attrs.field(factory=dict)  # by attempt, of those that are called back

    def begin(self, context: ExecutionContext, task_id: str) -> Execution:
        """An attempt begins now."""
        begun = Execution(
            task_id=task_id,
            attempt=context.attempt,
            worker_id=context.worker_id,
            at_s=self.now_s(),
        )
        self.began.append(begun)
        self.tries[task_id] = self.tries.get(task_id, 0) + 1
        return begun

    def end(self, begun: Execution) -> TaskResult:
        """It returns now; with this result."""
        data: JsonValue = {"task": begun.task_id, "attempt": begun.attempt}
        self.ended.append((attrs.evolve(begun, at_s=self.now_s()), data))
        return TaskResult(data=data)


@attrs.define(kw_only=True)
class Bodies(Executor):
    """The executor of one process. The payload says what happens: ``{"do": word, "s": seconds}``.

    ``kill``: what a task does that takes its whole process down. ``offered``: its functions, if it
    is one of functions.
    """

    process: Process
    ledger: Ledger
    kill: Callable[[], None]
    offered: Callable[[], Iterable[str] | None] = lambda: None

    def offers(self) -> Iterable[str] | None:
        """What it says that it can run now."""
        return self.offered()

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Do what the payload says."""
        await self.process.resumed()
        begun = self.ledger.begin(context, task.id)
        payload = task.spec.payload if task.spec else {}
        other = await self.act(context, task.id, payload["do"], payload["s"])
        if other is not None:
            return other
        await self.process.resumed()
        return self.ledger.end(begun)

    async def act(
        self, context: ExecutionContext, task_id: str, what: str, seconds: float
    ) -> TaskResult | None:
        """Do what the word says. A result replaces the ledger's, which then has no end."""
        match what:
            case "raise" if self.ledger.tries[task_id] == 1:
                raise RuntimeError("the first try fails")
            case "fail":
                raise TaskFailed("always", "failed")
            case "refuse":
                raise TaskFailed("never", "refused", retryable=False)
            case "kill":
                self.kill()
            case "tell":
                context.logger.info("begins")
                context.progress(1, 2)
                await asyncio.sleep(seconds)
                context.logger.info("ends")
                return None
            case "callback":
                await self._called_back(context)
                return None
            case "stubborn":
                await self._stubbornly(seconds)
                return None
        await asyncio.sleep(seconds)
        return None

    async def _called_back(self, context: ExecutionContext) -> None:
        """Let a target know, and wait for what it says, unless that was said to an attempt
        before."""
        callback = callback_of(context)
        if await callback.earlier() is None:
            self.ledger.tokens[context.attempt] = await callback.expect()
            await callback.wait()

    async def _stubbornly(self, seconds: float) -> None:
        """Go on through every cancellation, until the process dies."""
        until_s = self.ledger.now_s() + seconds
        while (rest_s := until_s - self.ledger.now_s()) > 0:
            try:
                await asyncio.sleep(rest_s)
            except asyncio.CancelledError:
                if self.process.dead:
                    raise
