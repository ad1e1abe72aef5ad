"""A cluster for each test: in virtual time, or in real time where the module says REAL_TIME."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from engine_cluster import Cluster, open_cluster

from dsched_testkit.kernel.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    module = item.getparent(pytest.Module)
    if module is not None and getattr(module.obj, "REAL_TIME", False):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualLoop}


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with open_cluster() as opened:
        yield opened
