"""The Redis store: all groups of steps on one handle, and how a handle is opened."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.base import Footing
from dsched_store_redis.collecting import RedisCollecting
from dsched_store_redis.configs import RedisConfigs
from dsched_store_redis.connections import Credentials, Dialler
from dsched_store_redis.dispatching import RedisDispatching
from dsched_store_redis.documents import RedisDocuments
from dsched_store_redis.endpoints import (
    Address,
    ClusterEndpoints,
    Endpoints,
    FixedEndpoint,
    SentinelEndpoints,
)
from dsched_store_redis.firing import RedisFiring
from dsched_store_redis.leadership import RedisLeadership, RedisTiming
from dsched_store_redis.link import Link
from dsched_store_redis.operating import RedisOperating
from dsched_store_redis.options import Durability, RedisOptions, SentinelOptions
from dsched_store_redis.reading import RedisReading
from dsched_store_redis.recovering import RedisRecovering
from dsched_store_redis.scripts import Scripts
from dsched_store_redis.startup import check_format, check_server, warn_of_exposure
from dsched_store_redis.tasklogs import RedisTaskLogs
from dsched_store_redis.wakeups import Wakeups
from dsched_store_redis.watching import RedisWatching
from dsched_store_redis.workers import RedisWorkers
from dsched_store_redis.working import RedisWorking

log = logging.getLogger("dsched.store.redis")


class RedisStore(
    RedisTiming,
    RedisLeadership,
    RedisWorkers,
    RedisConfigs,
    RedisFiring,
    RedisDispatching,
    RedisRecovering,
    RedisCollecting,
    RedisWatching,
    RedisWorking,
    RedisTaskLogs,
    RedisReading,
    RedisDocuments,
    RedisOperating,
    Store,
):
    """A handle on the store of one server and prefix."""


@asynccontextmanager
async def open_store(
    options: RedisOptions, settings: StoreSettings, *, time_source: str | None = None
) -> AsyncIterator[RedisStore]:
    """Connect, check the server, and hand over a handle.

    ``time_source`` replaces the server's clock in the scripts; only tests give one.
    """
    try:
        dialler = Dialler(options)
    except ValueError as error:
        raise StoreRefusedError(str(error)) from error
    link = Link(dialler, _endpoints(options, dialler), options.pool_size)
    bells = Wakeups(link, options.key_prefix)
    try:
        warn_of_exposure(options, dialler)
        flags = await check_server(link, options)
        scripts = Scripts.assemble(flags=flags, time_source=time_source)
        meta = f"{options.key_prefix}meta".encode()
        await check_format((await link.run(scripts["init"], meta, [b"0"]))[0])
        yield RedisStore(
            Footing(
                link=link,
                scripts=scripts,
                prefix=options.key_prefix,
                settings=settings,
                bells=bells,
                replicas=options.replicas if options.durability is Durability.STRICT else 0,
            )
        )
    finally:
        await bells.close()
        await link.close()
        # Connections that were cut rather than closed are gone after one turn of the loop.
        await asyncio.sleep(0)


def _endpoints(options: RedisOptions, dialler: Dialler) -> Endpoints:
    if options.cluster is not None:
        return ClusterEndpoints(options.cluster.nodes)
    if options.sentinel is None:
        return FixedEndpoint(dialler.address)
    sentinel: SentinelOptions = options.sentinel
    who = Credentials(username=sentinel.username, password=sentinel.password)

    async def ask(address: Address) -> Address | None:
        return await dialler.ask_sentinel(address, sentinel.master, who)

    return SentinelEndpoints(sentinel, ask)
