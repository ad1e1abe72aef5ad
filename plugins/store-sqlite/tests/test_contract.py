"""The embedded store passes the contract that every store must pass."""

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from dsched.contracts.store import Store
from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite import limits
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite
from dsched_testkit.suites.machine import StoreMachine
from dsched_testkit.suites.store import StoreContract, StoreHarness, WallClock
from dsched_testkit.suites.store.last_places import LastPlaces


class OnAFile(StoreHarness):
    """Each clock has a file of its own."""

    @asynccontextmanager
    async def open_store(self, clock: WallClock, settings: StoreSettings) -> AsyncIterator[Store]:
        """All handles of one clock are open on one file."""
        folder = clock.shared.get("folder")
        if folder is None:
            folder = clock.shared["folder"] = Path(tempfile.mkdtemp(prefix="dsched-sqlite-"))
            clock.cleanup.callback(shutil.rmtree, folder)
        options = SqliteOptions(path=str(folder / "store.db"), synchronous="normal")
        async with open_sqlite(options, settings, wall=clock) as store:
            yield store

    async def give_format(self, clock: WallClock, number: int) -> bool:
        """The number that is kept in the file; all else is as it was."""
        with closing(sqlite3.connect(clock.shared["folder"] / "store.db")) as db:
            db.execute(f"PRAGMA user_version = {number:d}")
        return True


class TestSqliteStore(OnAFile, StoreContract):
    """Every named test of the contract."""


class TestTheLastPlaceInLine(OnAFile, LastPlaces):
    """Further back than what is told apart, all places are one."""

    limits = limits


@pytest.mark.slow
@pytest.mark.timeout(180)
class TestSqliteMachine(OnAFile, StoreMachine):
    """However it is driven, it answers as the reference does."""
