"""The entry point: registers and opens the executor without importing any client of a broker."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Executor, ExecutorProvider, hookimpl
from dsched_executor_mq.options import MqOptions
from dsched_executor_mq.payload import check_payload


@asynccontextmanager
async def open_executor(options: MqOptions) -> AsyncIterator[Executor]:
    """The executor; its connections are made when first needed, and closed at the end."""
    from dsched_executor_mq.executor import MqExecutor

    executor = MqExecutor(options)
    try:
        yield executor
    finally:
        await executor.close()


@hookimpl
def dsched_executors() -> Iterable[ExecutorProvider]:
    """The one executor of this distribution."""
    return [
        ExecutorProvider(
            name="mq",
            protocol="mq",
            open=open_executor,
            options=MqOptions,
            check_payload=check_payload,
        )
    ]
