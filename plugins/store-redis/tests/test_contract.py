"""The store contract on real servers: standalone, and a cluster of three masters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis import limits
from dsched_store_redis.options import ClusterOptions, Durability, RedisOptions
from dsched_store_redis.scripts import LAYOUT
from dsched_store_redis.store import open_store
from dsched_testkit.servers import RedisServer
from dsched_testkit.suites.machine import StoreMachine
from dsched_testkit.suites.store import StoreContract, StoreHarness, WallClock
from dsched_testkit.suites.store.last_places import LastPlaces

# The wall clock of the suite, in place of the server's own; keys live a day longer than they say,
# since the server goes on counting real time while the suite's clock stands still.
VIRTUAL_CLOCK = """
local function wall_clock()
  return tonumber(redis.call('GET', string.sub(KEYS[1], 1, -5) .. 'test:clock'))
end
local function px(ms)
  return ms + 86400000
end
"""


class OnServer(StoreHarness):
    """Opens stores on some server, under the suite's clock."""

    def options(self, clock: WallClock) -> RedisOptions:
        """How this clock's store is reached."""
        raise NotImplementedError

    @asynccontextmanager
    async def open_store(self, clock: WallClock, settings: StoreSettings) -> AsyncIterator[Store]:
        """Open one handle on the clock's store."""
        async with open_store(self.options(clock), settings, time_source=VIRTUAL_CLOCK) as store:
            await store._footing.link.command(
                b"SET", f"{self.options(clock).key_prefix}test:clock".encode(), b"%d" % clock.ms
            )
            clock.shared["link"] = store._footing.link
            yield store

    async def set_wall(self, clock: WallClock) -> None:
        """Make the scripts read this clock."""
        link = clock.shared.get("link")
        if link is not None:
            key = f"{self.options(clock).key_prefix}test:clock".encode()
            await link.command(b"SET", key, b"%d" % clock.ms)

    async def give_format(self, clock: WallClock, number: int) -> bool:
        """The number beside that of the layout; all else is as it was."""
        key = f"{self.options(clock).key_prefix}meta".encode()
        await clock.shared["link"].command(b"HSET", key, b"format", b"%d.%d" % (number, LAYOUT))
        return True


class OnOneServer(OnServer):
    """One server."""

    server: RedisServer

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, shared_server: RedisServer) -> None:
        cls.server = shared_server

    def options(self, clock: WallClock) -> RedisOptions:
        return RedisOptions(
            addr=self.server.addr, key_prefix=f"{clock.name}:", durability=Durability.DEV
        )


class OnCluster(OnServer):
    """A cluster; each store lies in the slot of its own hash tag."""

    nodes: list[RedisServer]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _nodes(cls, shared_cluster: list[RedisServer]) -> None:
        cls.nodes = shared_cluster

    def options(self, clock: WallClock) -> RedisOptions:
        return RedisOptions(
            cluster=ClusterOptions(nodes=tuple(node.addr for node in self.nodes)),
            key_prefix=f"{{{clock.name}}}:",
            durability=Durability.DEV,
        )


class TestRedisStandalone(OnOneServer, StoreContract):
    """The named tests on one server."""


class TestTheLastPlaceInLine(OnOneServer, LastPlaces):
    """Further back than what is told apart, all places are one."""

    limits = limits


@pytest.mark.slow
@pytest.mark.timeout(180)
class TestRedisStandaloneMachine(OnOneServer, StoreMachine):
    """Every answer compared with the reference, on one server."""


@pytest.mark.slow
class TestRedisCluster(OnCluster, StoreContract):
    """The named tests on a cluster."""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(180)
class TestRedisClusterMachine(OnCluster, StoreMachine):
    """Every answer compared with the reference, on a cluster."""
