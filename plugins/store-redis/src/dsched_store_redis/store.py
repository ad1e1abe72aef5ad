"""The Redis store: all groups of steps on one handle, and how a handle is opened."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from dsched.contracts.store import Store
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.background import Loop, running
from dsched_store_redis.base import Footing
from dsched_store_redis.checks import AGAIN_S, ServerChecks
from dsched_store_redis.collecting import RedisCollecting
from dsched_store_redis.configs import RedisConfigs
from dsched_store_redis.connections import Dialler
from dsched_store_redis.dispatching import RedisDispatching
from dsched_store_redis.documents import RedisDocuments
from dsched_store_redis.endpoints import ClusterEndpoints, Endpoints, FixedEndpoint
from dsched_store_redis.firing import RedisFiring
from dsched_store_redis.formats import RedisMigrating
from dsched_store_redis.history import RedisRemembering
from dsched_store_redis.known import Known
from dsched_store_redis.leadership import RedisLeadership, RedisTiming
from dsched_store_redis.limits import RedisLimiting
from dsched_store_redis.link import Failed, Link
from dsched_store_redis.operating import RedisOperating
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.reading import RedisReading
from dsched_store_redis.recovering import RedisRecovering
from dsched_store_redis.runs import RedisRuns
from dsched_store_redis.scripts import Scripts
from dsched_store_redis.sentinels import SentinelEndpoints
from dsched_store_redis.startup import (
    check_format,
    check_server,
    check_timeout,
    warn_of_exposure,
    warn_of_profile,
)
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
    RedisLimiting,
    RedisRuns,
    RedisRecovering,
    RedisCollecting,
    RedisWatching,
    RedisWorking,
    RedisTaskLogs,
    RedisReading,
    RedisDocuments,
    RedisOperating,
    RedisRemembering,
    RedisMigrating,
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
    check_timeout(options, settings)
    warn_of_exposure(options, dialler)
    endpoints = _endpoints(options, dialler)
    checks = ServerChecks(options, dialler.timeout_s)
    warn_of_profile(options, who=checks.who)
    link = Link(dialler, endpoints, options.pool_size, checks)
    wakeups = Wakeups(link, options.key_prefix)
    known = Known.by(options)
    try:
        flags = await check_server(link.command, options, warn=checks.warn)
        scripts = Scripts.assemble(flags=flags, time_source=time_source)
        await _begin(link, scripts, known)
        link.started()
        footing = Footing(
            link=link,
            scripts=scripts,
            prefix=options.key_prefix,
            settings=settings,
            wakeups=wakeups,
            replicas=options.replicas if options.durability is Durability.STRICT else 0,
        )
        async with running(**_loops(endpoints, link, checks)):
            yield RedisStore(footing)
    finally:
        known.leave()
        await _close(wakeups, link, endpoints)


async def _close(wakeups: Wakeups, link: Link, endpoints: Endpoints) -> None:
    await wakeups.close()
    await link.close()
    if isinstance(endpoints, SentinelEndpoints):
        await endpoints.close()
    await asyncio.sleep(0)  # connections that were cut are gone after one turn of the loop


async def _begin(link: Link, scripts: Scripts, known: Known) -> None:
    """Give a new store its format and identity; refuse one of another format.

    One that a handle of this process works on must be there: to make it anew would hide its loss.
    """
    expected = b"1" if known.seen else b"0"
    args = [b"0", uuid4().hex.encode(), expected]
    await check_format((await link.run(scripts["init"], known.meta_key, args))[0])
    known.see()


def _loops(endpoints: Endpoints, link: Link, checks: ServerChecks) -> dict[str, Loop]:
    """What goes on beside the steps."""
    loops: dict[str, Loop] = {"server checks": lambda: _check_now_and_then(link, checks)}
    if isinstance(endpoints, SentinelEndpoints):
        loops["sentinels"] = lambda: endpoints.watch(link.relocated)
    return loops


async def _check_now_and_then(link: Link, checks: ServerChecks) -> None:
    while True:
        await asyncio.sleep(AGAIN_S * random.uniform(0.9, 1.1))
        try:
            if checks.due():
                await link.poll()
        except Failed as failed:
            log.debug("the server could not be looked at: %s", failed.error)


def _endpoints(options: RedisOptions, dialler: Dialler) -> Endpoints:
    if options.cluster is not None:
        return ClusterEndpoints(options.cluster.nodes)
    if options.sentinel is None:
        return FixedEndpoint(dialler.address)
    return SentinelEndpoints(options.sentinel, dialler)
