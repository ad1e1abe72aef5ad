"""The hooks of this plugin: a store under the name ``sqlite``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dsched.contracts import Store, StoreProvider, StoreSettings, hookimpl
from dsched.contracts.store.moving import Mover
from dsched_store_sqlite.options import SqliteOptions


@asynccontextmanager
async def open_store(options: SqliteOptions, settings: StoreSettings) -> AsyncIterator[Store]:
    """A handle on the file that the options name."""
    from dsched_store_sqlite.store import open_sqlite

    async with open_sqlite(options, settings) as store:
        yield store


def absent(options: SqliteOptions) -> str | None:
    """A sentence that says that the file is not there yet; None if it is there."""
    path = Path(options.path)
    return None if path.exists() else f"{path} does not exist yet; a start creates it"


def mover(options: SqliteOptions, settings: StoreSettings) -> Mover:
    """How the file is read and filled as a whole."""
    from dsched_store_sqlite.moving import SqliteMover

    return SqliteMover(options, settings)


@hookimpl
def dsched_stores() -> list[StoreProvider]:
    """The embedded store: one file, several processes of one host."""
    return [
        StoreProvider(
            name="sqlite", open=open_store, options=SqliteOptions, absent=absent, mover=mover
        )
    ]
