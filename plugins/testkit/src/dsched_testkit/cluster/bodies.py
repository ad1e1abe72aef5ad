"""What tasks do in a test cluster: the user's functions, and stand-ins for what needs a network."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from dsched.contracts.executor import Executor, TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.functions.registry import Registry
from dsched.model import Task, TaskResult
from dsched_testkit.kernel.process import Process

StandIn = Callable[[ExecutionContext, Task], Any]


async def given(process: Process, value: Any) -> TaskResult:
    """What a function gave, as a result; of a coroutine function when it has returned."""
    if inspect.isawaitable(value):
        value = await value
    await process.resumed()
    return value if isinstance(value, TaskResult) else TaskResult(data=value)


class FunctionsContext:
    """A `FunctionContext` over the engine's context, with the facts of the task."""

    cancelled = False  # what is cancelled here gets `asyncio.CancelledError`, at an await

    def __init__(self, context: ExecutionContext, task: Task) -> None:
        self._context = context
        self.task_id = task.id
        self.config_id = task.config_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


@attrs.define(kw_only=True)
class Functions(Executor):
    """Runs what `@dsched.task` registered, on the virtual loop, whatever isolation it asked for.

    A plain function takes no virtual time: nothing else happens until it returns.
    """

    registry: Registry
    process: Process

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Call the function that the payload names."""
        await self.process.resumed()
        payload = task.spec.payload if task.spec else None
        if not isinstance(payload, Mapping):
            raise TaskFailed("the payload must be a mapping", "payload", retryable=False)
        name = str(payload.get("function"))
        function = self.registry.get(name)
        if function is None:
            raise TaskFailed(self.registry.unknown(name), "unknown_function")
        asked = FunctionsContext(context, task)
        positional, named = function.arguments(payload.get("args"), asked)
        return await given(self.process, function.call(*positional, **named))


@attrs.define(kw_only=True)
class Recorded(Executor):
    """Stands in for an executor that needs a network: keeps the call, and answers as it is told."""

    answer: StandIn | None
    process: Process
    calls: list[Task]

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Ask the test's stand-in; without one every call succeeds, with no data."""
        await self.process.resumed()
        self.calls.append(task)
        value = None if self.answer is None else self.answer(context, task)
        return await given(self.process, value)
