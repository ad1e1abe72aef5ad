"""The file: where it may be, who may read it, and which files are refused."""

import asyncio
import contextlib
import functools
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import ClassVar

import pytest

from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite import connection
from dsched_store_sqlite.connection import check_sqlite_version
from dsched_store_sqlite.files import file_system_of, prepare_file
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.schema import APPLICATION_ID, FORMAT
from dsched_store_sqlite.store import open_sqlite


async def _open(file):
    async with open_sqlite(SqliteOptions(path=str(file)), StoreSettings()) as store:
        return await store.now()


async def _refusal(file):
    with pytest.raises(StoreRefusedError) as refused:
        await _open(file)
    assert [one.name for one in threading.enumerate() if "sqlite" in one.name] == []
    return str(refused.value)


async def test_the_file_and_its_companions_are_for_their_owner_only(opened, file, tmp_path):
    before = os.umask(0)
    try:
        async with opened() as store:
            await store.acquire("pod", "token", 1000)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert dict.fromkeys(["store.db", "store.db-shm", "store.db-wal"], 0o600) == modes


async def test_a_file_that_other_users_may_read_is_used_with_a_warning(file, caplog):
    await _open(file)
    assert caplog.records == []
    file.chmod(0o644)
    await _open(file)
    assert "mode 644" in caplog.text
    assert "chmod 600" in caplog.text
    assert stat.S_IMODE(file.stat().st_mode) == 0o644  # the operator may have meant it


async def test_a_copy_made_with_vacuum_into_while_the_store_is_open_is_a_store(opened, tmp_path):
    copy = tmp_path / "copy.db"
    async with opened() as store:
        fence = (await store.acquire("pod", "token", 60_000)).fence
        db = sqlite3.connect(tmp_path / "store.db")
        db.execute("VACUUM INTO ?", (str(copy),))
        db.close()
    async with open_sqlite(SqliteOptions(path=str(copy)), StoreSettings()) as store:
        assert fence == await store.leader()


async def test_a_copy_made_with_the_backup_api_is_a_store(opened, tmp_path):
    async with opened() as store:
        fence = (await store.acquire("pod", "token", 60_000)).fence
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as db,
            contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
        ):
            db.backup(copy)
    async with open_sqlite(SqliteOptions(path=str(tmp_path / "copy.db")), StoreSettings()) as store:
        assert fence == await store.leader()


async def test_the_path_is_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await _open("here.db")
    assert (tmp_path / "here.db").is_file()


async def test_a_missing_folder_is_refused_and_not_created(tmp_path):
    told = await _refusal(tmp_path / "nowhere" / "store.db")
    assert "does not exist" in told
    assert "sqlite.path" in told
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    assert "not a regular file" in await _refusal(tmp_path)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(file):
    file.write_bytes(b"my diary, not a database at all, " * 100)
    assert "is not an SQLite database" in await _refusal(file)
    assert file.read_bytes().startswith(b"my diary")


async def test_the_database_of_another_program_is_refused_and_left_alone(file):
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE diary (day TEXT)")
    db.commit()
    db.close()
    before = file.read_bytes()

    assert "of another program" in await _refusal(file)
    assert before == file.read_bytes()


class Watched(sqlite3.Connection):
    """A connection that lets others go ahead of one of its statements."""

    before: ClassVar[dict[str, Callable[[], None]]] = {}

    def execute(self, sql, *given):
        self.before.pop(sql, lambda: None)()
        return super().execute(sql, *given)


@pytest.mark.parametrize("then", ["PRAGMA user_version", "SELECT count(*) FROM sqlite_master"])
def test_a_file_that_another_process_makes_meanwhile_is_nobody_elses(file, then, monkeypatch):
    def another() -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # it may have to wait for ours
            connection.connect(file, "full").close()

    plain = sqlite3.connect
    file.touch()
    monkeypatch.setattr(connection, "BUSY_S", 0.05)
    monkeypatch.setattr(sqlite3, "connect", functools.partial(plain, factory=Watched))
    monkeypatch.setitem(Watched.before, then, another)
    connection.connect(file, "full").close()
    assert not Watched.before, "nobody went ahead"


async def test_another_format_is_refused_naming_both(file):
    await _open(file)
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 4711")
    db.close()

    told = await _refusal(file)
    assert "4711" in told
    assert f"format {FORMAT}" in told


async def test_an_empty_file_that_a_crash_at_its_creation_left_is_furnished(file):
    file.touch(0o600)
    await _open(file)
    assert (await _open(file)).clock_gen == 0


@pytest.mark.slow
async def test_several_processes_may_create_the_same_file_at_once(child, file):
    children = [child("idle", file, "normal", 0.1) for _ in range(4)]
    for one in children:
        assert await asyncio.to_thread(one.line) is not None
        assert one.process.wait(timeout=10) == 0


async def test_a_new_file_says_what_it_is(file):
    await _open(file)
    db = sqlite3.connect(file)
    marks = [db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
    db.close()
    assert marks == [(APPLICATION_ID,), (FORMAT,)]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_a_network_file_system_is_refused_by_name(tmp_path, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/share {tmp_path} {kind} rw 0 0\n")

    with pytest.raises(StoreRefusedError, match=kind.replace(".", r"\.")):
        prepare_file(str(tmp_path / "store.db"), mounts)
    assert not (tmp_path / "store.db").exists()


def test_a_link_to_a_network_file_system_is_refused_too(tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "store.db").symlink_to(tmp_path / "share" / "store.db")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/share {tmp_path}/share nfs rw 0 0\n")

    with pytest.raises(StoreRefusedError, match="nfs"):
        prepare_file(str(tmp_path / "store.db"), mounts)


def test_the_innermost_and_latest_mount_counts(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/ /net nfs rw 0 0\n/dev/sdb /net/local xfs rw 0 0\n"
        "server:/ /with\\040space nfs rw 0 0\n/dev/sdc /twice nfs rw 0 0\n/dev/sdc /twice "
        "ext4 rw 0 0\n"
    )
    found = [
        file_system_of(tmp_path.__class__(path), mounts)
        for path in ("/a", "/net/a", "/net/local/a", "/network/a", "/with space/a", "/twice/a")
    ]
    assert found == ["ext4", "nfs", "xfs", "ext4", "nfs", "ext4"]
    assert file_system_of(tmp_path, tmp_path / "no such file") is None


def test_an_old_sqlite_is_refused_naming_both_versions():
    with pytest.raises(StoreRefusedError, match=r"3\.30\.1.*3\.35\.0"):
        check_sqlite_version((3, 30, 1))
    check_sqlite_version()


@pytest.mark.parametrize("path", ["", ":memory:", "file:store.db?mode=memory", "a\0b"])
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(ValueError, match="path of a file"):
        SqliteOptions(path=path)


def test_an_unknown_durability_is_refused():
    with pytest.raises(ValueError, match="full or normal"):
        SqliteOptions(synchronous="off")


async def test_one_process_cannot_open_a_file_with_two_durabilities(opened):
    async with opened("full"):
        with pytest.raises(StoreRefusedError, match="synchronous full"):
            async with opened("normal"):
                pass


def test_loading_the_plugin_does_not_load_the_store():
    code = (
        "import sys, dsched_store_sqlite.plugin as p; (store,) = p.dsched_stores();"
        "print(store.name, store.options.__name__, 'dsched_store_sqlite.store' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sqlite", "SqliteOptions", "False"]
