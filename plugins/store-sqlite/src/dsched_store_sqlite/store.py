"""The store: a handle on one SQLite file, all groups of steps together."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.collecting import SqliteCollecting
from dsched_store_sqlite.configs import SqliteConfigs
from dsched_store_sqlite.connection import check_sqlite_version
from dsched_store_sqlite.dispatching import SqliteDispatching
from dsched_store_sqlite.documents import SqliteDocuments
from dsched_store_sqlite.firing import SqliteFiring
from dsched_store_sqlite.formats import SqliteMigrating
from dsched_store_sqlite.history import SqliteRemembering
from dsched_store_sqlite.hub import join_hub, leave_hub
from dsched_store_sqlite.leadership import SqliteLeadership, SqliteTiming
from dsched_store_sqlite.limits import SqliteLimiting
from dsched_store_sqlite.operating import SqliteOperating
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.reading import SqliteReading
from dsched_store_sqlite.recovering import SqliteRecovering
from dsched_store_sqlite.runs import SqliteRuns
from dsched_store_sqlite.tasklogs import SqliteTaskLogs
from dsched_store_sqlite.watching import SqliteWatching
from dsched_store_sqlite.workers import SqliteWorkers
from dsched_store_sqlite.working import SqliteWorking


class SqliteStore(
    SqliteTiming,
    SqliteLeadership,
    SqliteWorkers,
    SqliteConfigs,
    SqliteFiring,
    SqliteDispatching,
    SqliteLimiting,
    SqliteRuns,
    SqliteRecovering,
    SqliteCollecting,
    SqliteWatching,
    SqliteWorking,
    SqliteTaskLogs,
    SqliteReading,
    SqliteDocuments,
    SqliteOperating,
    SqliteRemembering,
    SqliteMigrating,
    Store,
):
    """A handle. Several, also in several threads and processes, may be open on one file."""


def wall_clock_ms() -> int:
    """The machine's clock, in ms since the epoch."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def open_sqlite(
    options: SqliteOptions,
    settings: StoreSettings,
    *,
    wall: Callable[[], int] = wall_clock_ms,
) -> AsyncIterator[SqliteStore]:
    """Open a handle on the file, creating it if it is not there.

    Raises `StoreRefusedError` for a place or a file that cannot be a store of this format, and
    `StoreUnavailableError` if the file stays locked.
    """
    check_sqlite_version()
    membership = join_hub(options.path, options.synchronous)
    try:
        store = SqliteStore(membership.hub, settings, wall)
        await store.leader()  # opens and checks the file
        yield store
    finally:
        await leave_hub(membership)
