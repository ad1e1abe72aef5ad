"""Stores to move: `place("redis")` is another one at each call."""

import pytest
from store_places import Place

from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_sqlite.options import SqliteOptions
from dsched_testkit.servers import RedisServer


@pytest.fixture(scope="session")
def server():
    with RedisServer() as one:
        yield one


@pytest.fixture
def place(server, tmp_path):
    made = []

    def at(kind):
        name = f"s{len(made)}-{tmp_path.name[-12:]}"
        made.append(name)
        if kind == "sqlite":
            return Place(kind, SqliteOptions(path=str(tmp_path / f"{name}.db")))
        prefix = f"{name}:"
        options = RedisOptions(addr=server.addr, key_prefix=prefix, durability=Durability.DEV)
        return Place(kind, options)

    return at
