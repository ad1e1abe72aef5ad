"""Connections: opened and checked; a new file gets its tables."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dsched.contracts.store.formats import KNOWN_FORMATS, is_known
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched_store_sqlite.errors import is_busy
from dsched_store_sqlite.schema import (
    ADDED_STATEMENTS,
    APPLICATION_ID,
    FORMAT,
    GET_FORMAT,
    HAS_ADDED,
    SET_APPLICATION_ID,
    SET_FORMAT,
    STATEMENTS,
)

T = TypeVar("T")

BUSY_S = 5.0  # how long another process may hold the file before it counts as unavailable
MIN_SQLITE = (3, 35, 0)
_RETRY_MS = (0.2, 4.0)


def check_sqlite_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse an SQLite library that is older than what the store was written for."""
    if version < MIN_SQLITE:
        found, least = (".".join(map(str, one)) for one in (version, MIN_SQLITE))
        raise StoreRefusedError(
            f"this Python is built with SQLite {found}; the store needs {least} or newer: "
            "use a Python with a newer SQLite, or another store"
        )


def connect(file: Path, synchronous: str) -> sqlite3.Connection:
    """A connection on a store's file; a new file gets its tables.

    Raises `sqlite3.Error`, or `StoreRefusedError` for a file that is not a store of this format.
    Only for the calling thread.
    """
    # mode=rw: a file that was removed meanwhile must not be made anew, empty.
    uri = f"{file.as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, cached_statements=256)
    try:
        patiently(lambda: _furnish(db, file))
        db.execute(_SYNCHRONOUS[synchronous])
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA cache_size = -16000")
        db.execute("PRAGMA journal_size_limit = 67108864")
        # From here on `begin` waits by itself: SQLite's own waits grow to 100 ms and starve one.
        db.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        db.close()
        raise
    return db


def begin(db: sqlite3.Connection) -> None:
    """BEGIN IMMEDIATE, patiently: never a lock upgrade in the middle of a step (F76)."""
    patiently(lambda: db.execute("BEGIN IMMEDIATE"))


def rollback(db: sqlite3.Connection) -> None:
    """Undo what is open, if anything is; a connection that cannot even do that is closed anyway."""
    if db.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the error that led here is the one to report
            db.execute("ROLLBACK")


def patiently(act: Callable[[], T]) -> T:
    """Do ``act``, again and again for `BUSY_S` while another connection is in the way."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        # Uneven, so that several waiting processes do not keep meeting each other.
        time.sleep(random.uniform(*_RETRY_MS) / 1000)


_SYNCHRONOUS = {"full": "PRAGMA synchronous = FULL", "normal": "PRAGMA synchronous = NORMAL"}


def _furnish(db: sqlite3.Connection, file: Path) -> None:
    new = _check_format(db, file)
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreRefusedError(
            f"{file} cannot be put into WAL mode (it stays {mode!r}): its file system lacks shared "
            "memory or locks; set sqlite.path to a local disk"
        )
    if not new and _has_added(db):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if _check_format(db, file):  # else another process was quicker
            for statement in STATEMENTS:
                db.execute(statement)
            db.execute(SET_APPLICATION_ID)
            db.execute(SET_FORMAT)
        for statement in ADDED_STATEMENTS:
            db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        rollback(db)
        raise


def _has_added(db: sqlite3.Connection) -> bool:
    """Whether the file has the tables that were added later; the first files of this format do
    not."""
    (has,) = db.execute(HAS_ADDED).fetchone()
    return bool(has)


def check_format(found: int, file: Path) -> None:
    """Refuse a file of a format that this version does not know."""
    if not is_known(found):
        raise StoreRefusedError(
            f"{file} has store format {found}; this dsched knows "
            f"{' and '.join(map(str, KNOWN_FORMATS))}: run the version that wrote it or a "
            "newer one, or set sqlite.path to another file"
        )


def _check_format(db: sqlite3.Connection, file: Path) -> bool:
    """Whether the file is still empty; refuse one that is not ours or of another format."""
    application, found, tables = _marks(db)
    if (application, found, tables) == (0, 0, 0):
        return True
    if application != APPLICATION_ID:
        raise StoreRefusedError(
            f"{file} is an SQLite database of another program (application id {application}, "
            f"format {found}; a store of this dsched has {APPLICATION_ID}, format {FORMAT}): "
            "set sqlite.path to another file"
        )
    check_format(found, file)
    return False


def _marks(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Application id, format and number of tables, as of one moment.

    Read one by one, they would show half a store while another process makes it.
    """
    own = not db.in_transaction
    if own:
        db.execute("BEGIN")
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (found,) = db.execute(GET_FORMAT).fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        if own:
            rollback(db)
    return application, found, tables
