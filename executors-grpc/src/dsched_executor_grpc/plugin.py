"""The entry point: registers and opens the executor without importing grpc."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Executor, ExecutorProvider, hookimpl
from dsched_executor_grpc.late import LateExecutor
from dsched_executor_grpc.options import GrpcOptions
from dsched_executor_grpc.payload import check_payload


@asynccontextmanager
async def open_executor(options: GrpcOptions) -> AsyncIterator[Executor]:
    """The executor, with its channels closed at the end. Use it in the loop that opened it."""
    executor = LateExecutor(options)
    try:
        yield executor
    finally:
        await executor.close()


@hookimpl
def dsched_executors() -> Iterable[ExecutorProvider]:
    """The one executor of this distribution."""
    return [
        ExecutorProvider(
            name="grpc",
            protocol="rpc",
            open=open_executor,
            options=GrpcOptions,
            check_payload=check_payload,
        )
    ]
