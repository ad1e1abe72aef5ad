"""A file that can be read and not written: said in SQLite's own words, and over when it is
mended."""

import resource
import sqlite3

import pytest

from dsched.contracts.store.outcomes import (
    Outcome,
    StoreReadOnlyError,
    StoreRefusedError,
    StoreUnavailableError,
)
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_store_sqlite.errors import again, store_error


def _submission(task_id, size=0):
    return Submission(task_id=task_id, spec=TaskSpec(executor="local", payload="x" * size))


async def test_a_full_disk_takes_no_writes_and_says_so(opened):
    async with opened() as store:
        await store.submit([_submission("a")], by="t")
        await store._step(lambda step: step.db.execute("PRAGMA max_page_count = 60"))
        with pytest.raises(StoreReadOnlyError, match=r"disk is full.*SQLITE_FULL") as refused:
            await store.submit([_submission(f"b{number}", 200_000) for number in range(9)], by="t")
        assert refused.value.maybe_applied is False
        assert await store.submit([_submission("c")], by="t") == (Outcome.OK,)


async def test_a_disk_that_fails_takes_no_writes_and_says_so(opened, tmp_path):
    async with opened() as store:
        await store.submit([_submission("a")], by="t")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The system refuses to let any file grow, which SQLite meets as an error of the disk.
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (tmp_path.joinpath("store.db-wal").stat().st_size, hard)
        )
        try:
            with pytest.raises(StoreReadOnlyError, match=r"SQLITE_(IOERR_WRITE|FULL)"):
                await store.submit([_submission(f"b{n}", 200_000) for n in range(9)], by="t")
            assert (await store.get(["a"]))[0].id == "a"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert await store.submit([_submission("c")], by="t") == (Outcome.OK,)


async def test_a_file_that_became_read_only_is_tried_again(opened):
    async with opened() as store:
        await store.submit([_submission("a")], by="t")
        await store._step(lambda step: step.db.execute("PRAGMA query_only = 1"))
        with pytest.raises(StoreReadOnlyError, match=r"read-only.*SQLITE_READONLY"):
            await store.submit([_submission("b")], by="t")
        # The connection that had the limit was given up.
        assert await store.submit([_submission("b")], by="t") == (Outcome.OK,)


def _error(code):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def test_a_failed_read_is_no_refused_write():
    found = store_error(_error(sqlite3.SQLITE_IOERR_READ), "f", maybe_applied=False)
    assert type(found) is StoreUnavailableError


def test_every_waiter_is_told_the_same_kind_of_error():
    error = store_error(_error(sqlite3.SQLITE_FULL), "f", maybe_applied=True)
    copy = again(error)
    assert (type(copy), str(copy), copy.maybe_applied) == (StoreReadOnlyError, str(error), True)
    refused = store_error(_error(sqlite3.SQLITE_CORRUPT), "f", maybe_applied=False)
    assert type(again(refused)) is StoreRefusedError
