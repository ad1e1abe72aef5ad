"""Real servers for the tests of the Redis store, one of each kind for the whole run."""

from collections.abc import Iterator

import pytest

from dsched_testkit.servers import RedisServer, redis_cluster


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    """A server that tests share; each uses a prefix of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[list[RedisServer]]:
    """A cluster of three masters that tests share."""
    with redis_cluster(3) as nodes:
        yield nodes
