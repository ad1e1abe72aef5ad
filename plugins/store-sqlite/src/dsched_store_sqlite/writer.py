"""The one thread of a process that runs steps on a file, several to a transaction."""

import asyncio
import collections
import copy
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.timing import StoreTime
from dsched_store_sqlite.connection import begin, check_format, connect, rollback
from dsched_store_sqlite.errors import again, is_defect, store_error
from dsched_store_sqlite.files import FileId, file_id
from dsched_store_sqlite.meta import META, PUT_META, Meta
from dsched_store_sqlite.schema import GET_FORMAT
from dsched_store_sqlite.step import Step

log = logging.getLogger("dsched.store.sqlite")

BACKWARDS_MS = 1000  # how far behind the mark the wall may be seen before it counts as a step back
MAX_STEPS = 64  # in one transaction
MAX_TRANSACTION_S = 0.02  # no further step is taken into a transaction as old as this
MAX_WAITING = 10_000
# A step that only reads keeps the mark in memory; it is written once it has moved this far, so
# that reading costs no write, and another process is never further behind than this.
MARK_LAG_MS = 250


@attrs.define(eq=False)
class Job:
    """A step that somebody waits for."""

    run: Callable[[Step], Any]
    wall: Callable[[], int]
    settings: StoreSettings
    answer: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Runs jobs in their order. Each has its own savepoint; all are answered after the commit."""

    def __init__(
        self,
        file: Path,
        *,
        synchronous: str,
        origin: str,
        wake: Callable[[Sequence[str]], None],
        opened: Callable[[int], None],
    ) -> None:
        self.file = file
        self._file_id: FileId | None = file_id(file)
        self._synchronous = synchronous
        self._origin = origin
        self._tell = wake
        self._opened = opened
        self._db: sqlite3.Connection | None = None
        self._mark_ms = 0
        self._jobs: collections.deque[Job] = collections.deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dsched-sqlite-writer", daemon=True)
        self._thread.start()

    # --- from other threads ---

    def submit(self, job: Job) -> None:
        """Put a job on the queue."""
        with self._wake:
            if self._stopping:
                raise StoreUnavailableError("the store is closed", maybe_applied=False)
            if len(self._jobs) >= MAX_WAITING:
                raise StoreUnavailableError(
                    f"{MAX_WAITING} steps wait for {self.file} already", maybe_applied=False
                )
            self._jobs.append(job)
            self._wake.notify()

    def stop(self) -> None:
        """Take no more jobs; those on the queue are still run."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, after `stop`."""
        self._thread.join(timeout_s)

    # --- the thread ---

    def _run(self) -> None:
        try:
            while jobs := self._take():
                rest = self._transact(jobs)
                with self._wake:
                    self._jobs.extendleft(reversed(rest))
        finally:
            self._close()
            self.stop()
            closed = StoreUnavailableError("the store is closed", maybe_applied=False)
            self._fail(self._take_all(), closed)

    def _take(self) -> list[Job]:
        """The next jobs; none when there will be no more."""
        with self._wake:
            while not self._jobs and not self._stopping:
                self._wake.wait(60)
            return [self._jobs.popleft() for _ in range(min(MAX_STEPS, len(self._jobs)))]

    def _take_all(self) -> list[Job]:
        with self._wake:
            jobs = list(self._jobs)
            self._jobs.clear()
        return jobs

    def _transact(self, jobs: list[Job]) -> list[Job]:
        """Run jobs in one transaction and answer them; gives back those it did not get to."""
        done: list[Job] = []
        committing = False
        try:
            db = self._begin()
            transaction = Transaction(db, mark_ms=self._mark_ms, origin=self._origin)
            # Another process may have given it a later format than it had when it was opened.
            check_format(transaction.format, self.file)
            until = time.monotonic() + MAX_TRANSACTION_S
            for job in jobs:
                if done and time.monotonic() > until:
                    break
                done.append(job)
                transaction.run(job)
            transaction.prepare()
            committing = True
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it becomes the answer of those who wait
            self._give_up()
            self._fail(done or jobs, self._translated(error, maybe_applied=committing))
            return jobs[len(done) :] if done else []
        self._mark_ms = transaction.meta.mark_ms
        if transaction.to_wake:  # before the answers: whoever has one may count on the wake-up
            self._tell(sorted(transaction.to_wake))
        _answer(done)
        return jobs[len(done) :]

    def _begin(self) -> sqlite3.Connection:
        if file_id(self.file) != self._file_id:
            raise StoreRefusedError(
                f"{self.file} was removed or replaced while it was open: stop every process "
                "that uses it, put the right file in place, and start again"
            )
        if self._db is None:
            self._db = connect(self.file, self._synchronous)
            (last_ring,) = self._db.execute("SELECT last_ring FROM meta").fetchone()
            self._opened(last_ring)
        begin(self._db)
        return self._db

    def _translated(self, error: Exception, *, maybe_applied: bool) -> Exception:
        if isinstance(error, sqlite3.Error):
            translated = store_error(error, self.file, maybe_applied=maybe_applied)
            translated.__cause__ = error
            return translated
        return error

    def _give_up(self) -> None:
        """Undo the transaction; after an error of the file itself a new connection is safest."""
        if self._db is not None:
            rollback(self._db)
        self._close()

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close()
            except sqlite3.Error as error:
                log.warning("%s was not closed cleanly: %s", self.file, error)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        for job in jobs:
            job.error = again(error)
        _answer(jobs)


class Transaction:
    """Steps between one BEGIN and one COMMIT, with the one row of counters read and written
    once."""

    def __init__(self, db: sqlite3.Connection, *, mark_ms: int, origin: str) -> None:
        self._db = db
        self._origin = origin
        (self.format,) = db.execute(GET_FORMAT).fetchone()
        self.meta = Meta(*db.execute(_GET_META).fetchone())
        self._stored = self.meta.values()
        self._stored_mark_ms = self.meta.mark_ms
        self._changes = db.total_changes
        self.meta.mark_ms = max(self.meta.mark_ms, mark_ms)
        self.to_wake: set[str] = set()

    def run(self, job: Job) -> None:
        """Run a job as one atomic step; its own failure is its answer and leaves nothing behind."""
        if job.answer.cancelled():
            return  # nobody waits for it any more
        db = self._db
        try:
            time_, back = self._read_clock(job.wall())
        except Exception as error:  # noqa: BLE001 - a broken clock is this job's answer
            job.error = error
            return
        meta = copy.copy(self.meta)
        step = Step(db, meta, time_, job.settings, store_format=self.format)
        if back is not None:
            step.note(EventKind.CLOCK_BACK, "store", back)
        db.execute("SAVEPOINT step")
        try:
            job.value = job.run(step)
            step.flush()
        except Exception as error:
            if not is_defect(error):
                raise
            db.execute("ROLLBACK TO step")
            job.error = error
            meta = copy.copy(self.meta)
            step = Step(db, meta, time_, job.settings, store_format=self.format)
            if back is not None:
                # The step has read the clock, whatever became of it.
                step.note(EventKind.CLOCK_BACK, "store", back)
        step.write_events()
        db.execute("RELEASE step")
        self.meta = meta
        self.to_wake |= step.to_wake

    def prepare(self) -> None:
        """Write what the steps have in common, before the commit."""
        meta = self.meta
        if self.to_wake:
            meta.last_ring += 1
            self._db.executemany(
                "INSERT OR REPLACE INTO bell VALUES (?, ?, ?)",
                [(who, meta.last_ring, self._origin) for who in self.to_wake],
            )
        mark_ms, meta.mark_ms = meta.mark_ms, self._stored_mark_ms
        changed = meta.values() != self._stored
        meta.mark_ms = mark_ms
        wrote = changed or self._db.total_changes != self._changes
        if wrote or mark_ms - self._stored_mark_ms >= MARK_LAG_MS:
            self._db.execute(PUT_META, meta.values())

    def _read_clock(self, wall_ms: int) -> tuple[StoreTime, dict[str, int] | None]:
        meta, back = self.meta, None
        seen_ms = wall_ms + meta.offset_ms
        if seen_ms < meta.mark_ms - BACKWARDS_MS:
            behind_ms = meta.mark_ms - seen_ms
            meta.offset_ms += behind_ms
            meta.clock_gen += 1
            back = {"back": behind_ms, "gen": meta.clock_gen}
        meta.mark_ms = max(meta.mark_ms, wall_ms + meta.offset_ms)
        time_ = StoreTime(wall_ms=wall_ms, now_ms=meta.mark_ms, clock_gen=meta.clock_gen)
        return time_, back


_GET_META = f"SELECT {META} FROM meta"  # noqa: S608 - constants


def _answer(jobs: Sequence[Job]) -> None:
    """Hand all answers over, with one wake-up of each event loop."""
    by_loop: collections.defaultdict[asyncio.AbstractEventLoop, list[Job]]
    by_loop = collections.defaultdict(list)
    for job in jobs:
        by_loop[job.answer.get_loop()].append(job)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:
            log.debug("%d answers came after their event loop was closed", len(theirs))


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.answer.done():
            continue
        if job.error is None:
            job.answer.set_result(job.value)
        else:
            job.answer.set_exception(job.error)
