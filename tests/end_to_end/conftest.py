"""Stores for real pods: a Redis server of its own for each test, or a file."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from cluster import Cluster, Settings, cluster_on

from dsched_testkit.servers import RedisServer

OpenCluster = Callable[..., AbstractAsyncContextManager[Cluster]]

# Every acknowledged write is on disk, so that a killed server may lose none.
APPEND_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


def redis_settings(server: RedisServer) -> Settings:
    return {
        "store": "redis",
        "redis": {"addr": server.addr, "timeout": "1s"},
        "metrics": {"port": 0},
    }


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of its own that keeps what it has acknowledged."""
    with RedisServer(*APPEND_ALWAYS) as running:
        yield running


@pytest.fixture
def open_redis_cluster(server: RedisServer, tmp_path: Path) -> OpenCluster:
    """Opens a cluster on the test's own server."""
    return lambda **more: cluster_on(redis_settings(server), tmp_path, more)


@pytest.fixture
def open_sqlite_cluster(tmp_path: Path) -> OpenCluster:
    """Opens a cluster on one file."""
    settings = {
        "store": "sqlite",
        "sqlite": {"path": str(tmp_path / "dsched.db")},
        "metrics": {"port": 0},
    }
    return lambda **more: cluster_on(settings, tmp_path, more)


@pytest.fixture(params=["redis", "sqlite"])
def open_cluster(request: pytest.FixtureRequest) -> OpenCluster:
    """Opens a cluster on either store."""
    opener: OpenCluster = request.getfixturevalue(f"open_{request.param}_cluster")
    return opener
