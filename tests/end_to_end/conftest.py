"""Stores for real pods: a Redis server of its own for each test, or a file."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, Settings, cluster_on

from dsched_testkit.servers import RedisServer

OpenCluster = Callable[..., AbstractAsyncContextManager[Cluster]]

# Every acknowledged write is on disk, so that a killed server may lose none.
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server of its own that keeps what it has acknowledged."""
    with RedisServer(*APPEND_ALWAYS) as server:
        yield server


def redis_settings(server: RedisServer) -> Settings:
    return {
        "store": "redis",
        "redis": {"addr": server.addr, "timeout": "1s"},
        "metrics": {"port": 0},
    }


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(params=["redis", "sqlite"])
def open_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenCluster]:
    """Opens a cluster on either store."""
    if request.param == "sqlite":
        settings = {
            "store": "sqlite",
            "sqlite": {"path": str(tmp_path / "dsched.db")},
            "metrics": {"port": 0},
        }
        yield lambda **more: cluster_on(settings, tmp_path, more)
        return
    with redis_server() as running:
        settings = redis_settings(running)
        yield lambda **more: cluster_on(settings, tmp_path, more)


@pytest.fixture
def open_redis_cluster(server: RedisServer, tmp_path: Path) -> Callable[..., Any]:
    """Opens a cluster on the test's own server."""
    return lambda **more: cluster_on(redis_settings(server), tmp_path, more)
