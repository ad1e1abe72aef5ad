"""Stores of both kinds on real files and servers, how they are moved, and what `make_rich` puts
in."""

from contextlib import asynccontextmanager

import attrs

from dsched.contracts.store.settings import StoreSettings
from dsched.moving.census import Census
from dsched_store_redis.moving import RedisMover
from dsched_store_redis.store import open_store
from dsched_store_sqlite.moving import SqliteMover
from dsched_store_sqlite.store import open_sqlite

SETTINGS = StoreSettings()
KINDS = ("sqlite", "redis")
HOLDS = {
    "configs": 5,
    "live tasks": 12,
    "ended tasks": 7,
    "documents": 2,
    "passing documents": 1,
    "decisions": 2,
    "hours of statistics": 2,
    "terms": 1,
    "log entries": 27,
}


@attrs.frozen
class Place:
    """A store of a kind, and how it is opened and moved."""

    kind: str
    options: object

    def mover(self):
        made = SqliteMover if self.kind == "sqlite" else RedisMover
        return made(self.options, SETTINGS)

    @asynccontextmanager
    async def opened(self):
        opening = open_sqlite if self.kind == "sqlite" else open_store
        async with opening(self.options, SETTINGS) as store:
            yield store

    def config(self, folder) -> str:
        """A configuration that names it."""
        file = folder / f"{self.kind}-{abs(hash(self.options))}.yaml"
        if self.kind == "sqlite":
            file.write_text(f"store: sqlite\nsqlite: {{path: {self.options.path}}}\n")
        else:
            file.write_text(
                f"store: redis\nredis: {{addr: '{self.options.addr}', durability: dev, "
                f"key_prefix: '{self.options.key_prefix}'}}\n"
            )
        return str(file)


async def all_of(mover) -> Census:
    """What a store holds, as a source tells it."""
    async with mover.reading() as source:
        census = Census(1, SETTINGS)
        async for part in source.parts():
            census.add(part)
    return census
