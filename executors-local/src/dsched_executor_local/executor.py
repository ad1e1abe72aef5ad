"""The local executor: registered functions, each in the isolation it asked for."""

import asyncio
import functools
from collections.abc import Iterable
from typing import Any

from dsched.contracts.executor import Executor
from dsched.contracts.executor.context import ExecutionContext
from dsched.functions.registry import Function, Isolation, Registry
from dsched.model import Task, TaskResult
from dsched_executor_local.context import AttemptContext
from dsched_executor_local.options import LocalOptions
from dsched_executor_local.payload import read_call
from dsched_executor_local.processes import ProcessPool
from dsched_executor_local.results import exit_failure, failure_of, result_of
from dsched_executor_local.threads import ThreadPool


class LocalExecutor(Executor):
    """Runs registered functions on the loop, in threads, in child processes.

    Cancelling `execute` ends an async function as any coroutine, kills a child process and its
    group before it returns, and for a thread waits until the function has returned: threads
    cannot be stopped, so the attempt's slot stays taken while the engine completes the attempt.
    """

    def __init__(self, options: LocalOptions, registry: Registry) -> None:
        self._registry = registry
        self.threads = ThreadPool(options.max_threads)
        self.processes = ProcessPool(options)

    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Run the function the payload names, with its arguments."""
        function, args = read_call(task.spec.payload if task.spec else None, self._registry)
        attempt = AttemptContext(context, task)
        positional, named = function.arguments(args, attempt)
        if function.isolation is Isolation.PROCESS:
            return await self.processes.run(function, args, attempt)
        bound = functools.partial(function.call, *positional, **named)
        if function.isolation is Isolation.THREAD:
            return await self._in_a_thread(function, bound, attempt)
        return await _on_the_loop(function, bound, attempt)

    def offers(self) -> Iterable[str]:
        """The functions registered by now."""
        return [function.name for function in self._registry]

    async def close(self) -> None:
        """End every thread and every child process; call it when no attempt runs any more."""
        try:
            await self.processes.close()
        finally:
            await self.threads.close()

    async def _in_a_thread(
        self, function: Function, bound: "functools.partial[Any]", attempt: AttemptContext
    ) -> TaskResult:
        ended = await self.threads.run(bound, attempt)
        error = ended.error
        if error is None:
            return result_of(ended.value, function.name)
        if isinstance(error, SystemExit):
            raise exit_failure(error, function.name) from error
        if isinstance(error, StopIteration) or not isinstance(error, Exception):
            # None of these exceptions may be raised through a coroutine as itself.
            raise failure_of(error) from error
        raise error


async def _on_the_loop(
    function: Function, bound: "functools.partial[Any]", attempt: AttemptContext
) -> TaskResult:
    try:
        value = await bound()
    except asyncio.CancelledError as error:
        if attempt.cancelled:
            raise
        # Something that the function awaited was cancelled, not the attempt.
        raise failure_of(error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if attempt.cancelled:
            attempt.logger.warning("the function raised after it was cancelled", exc_info=error)
            raise asyncio.CancelledError from error
        if isinstance(error, SystemExit):
            raise exit_failure(error, function.name) from error
        raise
    if attempt.cancelled:
        # It swallowed the cancellation; the attempt ends as cancelled all the same.
        raise asyncio.CancelledError
    return result_of(value, function.name)
