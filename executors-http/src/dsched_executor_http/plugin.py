"""The entry point: registers the http executor, importing no HTTP client until it is opened."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Executor, ExecutorProvider, hookimpl
from dsched_executor_http.options import HttpOptions
from dsched_executor_http.payload import check_payload


@asynccontextmanager
async def open_executor(options: HttpOptions) -> AsyncIterator[Executor]:
    """Open the executor with one client session of its own; leaving closes its connections."""
    from dsched_executor_http.executor import open_http_executor

    async with open_http_executor(options) as executor:
        yield executor


@hookimpl
def dsched_executors() -> Iterable[ExecutorProvider]:
    """The http executor."""
    return [
        ExecutorProvider(
            name="http",
            protocol="http",
            open=open_executor,
            options=HttpOptions,
            check_payload=check_payload,
        )
    ]
