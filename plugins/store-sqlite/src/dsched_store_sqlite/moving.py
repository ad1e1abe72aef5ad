"""Reading a file as of one moment, also while pods write to it; and filling a new one."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs

from dsched.contracts.store.exporting import Inventory, Listed, ReadSource
from dsched.contracts.store.history import History
from dsched.contracts.store.moving import Mover, Part, Source, Target
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_sqlite.collecting import cursor_text
from dsched_store_sqlite.filling import fill, finish
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.step import Step
from dsched_store_sqlite.store import SqliteStore, open_sqlite

T = TypeVar("T")

LISTS = {
    Listed.ENDED: "SELECT id FROM task WHERE end_ms IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
    Listed.QUEUED: "SELECT id FROM task WHERE home = 'queue' AND id > ? ORDER BY id LIMIT ?",
    Listed.DECIDED: "SELECT config_id FROM decided WHERE config_id > ? ORDER BY config_id LIMIT ?",
    Listed.KINDS: "SELECT DISTINCT kind FROM document WHERE kind > ? ORDER BY kind LIMIT ?",
}
CONTENT = {
    name: f"SELECT count(*) FROM {name}"  # noqa: S608 - constants
    for name in ("config", "task", "document", "event", "decision", "term")
}
PAGE = 1000
WAIT = "SELECT at_ms FROM task WHERE id = ?"


@attrs.frozen
class SqliteMover(Mover):
    """The file that the options name."""

    options: SqliteOptions
    settings: StoreSettings

    def reading(self) -> AbstractAsyncContextManager[Source]:
        """Read a copy that SQLite makes: pods may go on."""
        return self._reading()

    def filling(self) -> AbstractAsyncContextManager[Target]:
        """Fill a file beside the place, and put it there when it is whole."""
        return self._filling()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Source]:
        file = _existing(self.options)
        with tempfile.TemporaryDirectory(prefix=".dsched-read-", dir=file.parent) as folder:
            copy = Path(folder) / "copy.db"
            copy_of(file, copy)
            async with self._open(copy) as store:
                yield ReadSource(store, _Inventory(store))

    @asynccontextmanager
    async def _filling(self) -> AsyncIterator[Target]:
        file = _place(self.options)
        check_empty(file)
        # In the same folder, since only there a file can be renamed in one step.
        with tempfile.TemporaryDirectory(prefix=".dsched-fill-", dir=file.parent) as folder:
            new = Path(folder) / "new.db"
            async with self._open(new) as store:
                yield _Target(store)
            _settle(new)
            check_empty(file)
            for beside in (file, *_beside(file)):
                beside.unlink(missing_ok=True)
            os.replace(new, file)

    def _open(self, file: Path) -> AbstractAsyncContextManager[SqliteStore]:
        return open_sqlite(attrs.evolve(self.options, path=str(file)), self.settings)


def _existing(options: SqliteOptions) -> Path:
    file = Path(options.path).absolute()
    if not file.is_file():
        raise StoreRefusedError(f"{options.path} is not there: name the file of a store")
    return file


def _place(options: SqliteOptions) -> Path:
    file = Path(options.path).absolute()
    if not file.parent.is_dir():
        raise StoreRefusedError(f"the folder {file.parent} does not exist: create it")
    return file


def copy_of(file: Path, copy: Path) -> None:
    """A copy as of one moment; `StoreRefusedError` if what is there is no whole database."""
    copy.touch(mode=0o600)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            _check_size(source, file)
            source.backup(target)
            ((said,), *_) = target.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise StoreRefusedError(
            f"{file} is cut or damaged ({said.splitlines()[-1]}): take another backup"
        )


def _check_size(db: sqlite3.Connection, file: Path) -> None:
    """What was cut at the border of a page has no mark of it inside."""
    ((pages,),) = db.execute("PRAGMA page_count").fetchall()
    ((size,),) = db.execute("PRAGMA page_size").fetchall()
    wal = file.with_name(f"{file.name}-wal")
    if file.stat().st_size < pages * size and not wal.exists():
        raise sqlite3.DatabaseError(f"{pages} pages are named and not all of them are there")


def check_empty(file: Path) -> None:
    """`StoreRefusedError` if a store with anything in it is there, or something else."""
    if not file.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
            counts = {name: _count(db, statement) for name, statement in CONTENT.items()}
    except sqlite3.DatabaseError as error:
        if file.stat().st_size == 0:
            return
        raise StoreRefusedError(f"{file} is there, and is no store ({error}): move it") from error
    if any(counts.values()):
        found = ", ".join(f"{number} of {name}" for name, number in counts.items() if number)
        raise StoreRefusedError(
            f"{file} is not empty ({found}): move it away, or name another place"
        )


def _count(db: sqlite3.Connection, statement: str) -> int:
    ((found,),) = db.execute(statement).fetchall()
    return int(found)


def _beside(file: Path) -> tuple[Path, Path]:
    """What SQLite keeps beside a file in use."""
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def _settle(file: Path) -> None:
    """Have all of it in the one file, on the disk."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Inventory(Inventory):
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def listed(self, what: Listed) -> AsyncIterator[Sequence[str]]:
        after = ""
        while True:
            page = await self._read(lambda step: step.db.execute(LISTS[what], (after, PAGE)))  # noqa: B023
            yield [one for (one,) in page]
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def waits_ms(self, task_ids: Sequence[str]) -> Sequence[int]:
        def run(step: Step) -> list[int]:
            found = [step.db.execute(WAIT, (one,)).fetchone()[0] for one in task_ids]
            return [max(0, at_ms - step.now_ms) for at_ms in found]

        return await self._store.run_step(run)

    async def collected(self) -> str | None:
        number = await self._store.run_step(lambda step: int(step.meta.collected))
        return cursor_text(number) if number else None

    async def _read(self, ask: Callable[[Step], sqlite3.Cursor]) -> list[tuple[str]]:
        return await self._store.run_step(lambda step: ask(step).fetchall())


class _Target(Target):
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def fill(self, part: Part) -> None:
        await self._store.run_step(lambda step: fill(step, part))

    async def finish(self, head: History) -> None:
        await self._store.run_step(lambda step: finish(step, head))
