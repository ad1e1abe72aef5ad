"""A process that migrates a file and stops in the middle of the step, for the test to kill it
there."""

import asyncio
import sys
import time

from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite
from dsched_store_sqlite.writer import Transaction


async def main() -> None:
    """Migrate; when all is written and nothing is committed, say so and wait for the end."""
    prepare = Transaction.prepare

    def prepare_and_stop(self: Transaction) -> None:
        prepare(self)
        print("in the middle", flush=True)
        time.sleep(60)

    async with open_sqlite(SqliteOptions(path=sys.argv[1]), StoreSettings()) as store:
        Transaction.prepare = prepare_and_stop
        await store.migrate(by="child")


asyncio.run(main())
