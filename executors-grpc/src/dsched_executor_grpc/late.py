"""The executor for a pod that may never make a call: gRPC is imported with the first task."""

import asyncio
from typing import TYPE_CHECKING

from dsched.contracts import ExecutionContext, Executor
from dsched.model import Task, TaskResult
from dsched_executor_grpc.options import GrpcOptions

if TYPE_CHECKING:
    from dsched_executor_grpc.executor import GrpcExecutor


class LateExecutor(Executor):
    """Opens the executor when it is first needed: gRPC takes 12 MB that most pods never use."""

    def __init__(self, options: GrpcOptions) -> None:
        self._options = options
        self._opening = asyncio.Lock()
        self._opened: GrpcExecutor | None = None

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Make the call, at the first time after gRPC has been imported."""
        return await (await self.opened()).execute(context, task)

    async def opened(self) -> "GrpcExecutor":
        """The one executor behind this. Importing takes a thread: it is some tenths of a second."""
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    make = await asyncio.to_thread(_executor_class)
                    self._opened = make(self._options)
        return self._opened

    async def close(self) -> None:
        """Close what was opened."""
        if self._opened is not None:
            await self._opened.close()


def _executor_class() -> "type[GrpcExecutor]":
    from dsched_executor_grpc.executor import GrpcExecutor

    return GrpcExecutor
