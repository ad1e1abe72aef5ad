"""Registers the store `redis`; the client is imported when one is opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dsched.contracts.hookspecs import hookimpl
from dsched.contracts.providers import StoreProvider
from dsched.contracts.store import Store
from dsched.contracts.store.moving import Mover
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.options import RedisOptions


@asynccontextmanager
async def _open(options: RedisOptions, settings: StoreSettings) -> AsyncIterator[Store]:
    from dsched_store_redis.store import open_store

    async with open_store(options, settings) as store:
        yield store


def _mover(options: RedisOptions, settings: StoreSettings) -> Mover:
    from dsched_store_redis.moving import RedisMover

    return RedisMover(options, settings)


@hookimpl
def dsched_stores() -> tuple[StoreProvider, ...]:
    """The stores of this plugin."""
    return (StoreProvider(name="redis", open=_open, options=RedisOptions, mover=_mover),)
