"""What SQLite's errors mean to a caller of the store."""

import sqlite3

from dsched.contracts.store.outcomes import (
    StoreError,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

# Waiting helps against none of these.
_REFUSED = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; set sqlite.path to another file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup (see the README)",
    sqlite3.SQLITE_PERM: "may not be accessed; fix the permissions of the file and its folder",
    sqlite3.SQLITE_AUTH: "may not be accessed; fix the permissions of the file and its folder",
}

# The file can still be read, and can be written again once the fault is removed.
_READ_ONLY = {
    sqlite3.SQLITE_FULL: "takes no writes: its disk is full; make room there",
    sqlite3.SQLITE_READONLY: "takes no writes: it is read-only; check its file system, and the "
    "permissions of the file and its folder",
    sqlite3.SQLITE_IOERR: "takes no writes: its disk fails; check the disk, its quota and the "
    "system's log",
}
_FAILED_READS = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})


def primary_code(error: sqlite3.Error) -> int:
    """The primary result code of an error (extended codes keep it in the lowest byte)."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection was in the way."""
    return primary_code(error) in BUSY


def is_defect(error: BaseException) -> bool:
    """Whether only the step that raised this is at fault, not the database."""
    if not isinstance(error, sqlite3.Error):
        return True
    # A DataError is a value SQLite cannot take, such as one too big; SQLITE_ERROR is wrong SQL.
    kinds = sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError
    return (
        isinstance(error, kinds | sqlite3.DataError) or primary_code(error) == sqlite3.SQLITE_ERROR
    )


def again(error: Exception) -> Exception:
    """The same error for another waiter: raised in two places, one would gather both tracebacks."""
    fresh: Exception
    if isinstance(error, StoreReadOnlyError):
        fresh = StoreReadOnlyError(
            str(error), maybe_applied=error.maybe_applied, reason=error.reason
        )
    elif isinstance(error, StoreUnavailableError):
        fresh = type(error)(str(error), maybe_applied=error.maybe_applied)
    elif isinstance(error, StoreRefusedError):
        fresh = StoreRefusedError(str(error))
    else:
        return error
    fresh.__cause__ = error.__cause__
    return fresh


def store_error(error: sqlite3.Error, path: object, *, maybe_applied: bool) -> StoreError:
    """The error to raise instead of SQLite's."""
    refused = _REFUSED.get(primary_code(error))
    if refused is not None:
        return StoreRefusedError(f"{path} {refused} ({error})")
    read_only = _READ_ONLY.get(primary_code(error))
    if read_only is not None and getattr(error, "sqlite_errorcode", None) not in _FAILED_READS:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        return StoreReadOnlyError(
            f"{path} {read_only} ({error}, {name})",
            maybe_applied=maybe_applied,
            reason="read_only" if primary_code(error) == sqlite3.SQLITE_READONLY else "disk",
        )
    if is_busy(error):
        text = f"{path} stayed locked by another process"
    else:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        text = f"{path} cannot be used now: {error} ({name})"
    return StoreUnavailableError(text, maybe_applied=maybe_applied)
