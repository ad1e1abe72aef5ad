"""Registers the service ``api`` with dsched."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from dsched.contracts import Service, ServiceProvider, hookimpl
from dsched_api_http.options import ApiOptions

NAME = "api"


@hookimpl
def dsched_services() -> Iterable[ServiceProvider]:
    """The API, as a service of a pod."""
    return [ServiceProvider(name=NAME, open=_open, options=ApiOptions, before=_before)]


# The server is imported when opened: listing plugins costs neither its time nor its memory.


@asynccontextmanager
async def _open(options: ApiOptions) -> AsyncIterator[Service]:
    from dsched_api_http.service import ApiService

    yield ApiService(options)


@asynccontextmanager
async def _before(options: ApiOptions, why: Callable[[], str]) -> AsyncIterator[object]:
    from dsched_api_http.waiting import answering

    async with answering(options, why) as address:
        yield address
