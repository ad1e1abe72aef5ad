"""Wake-ups between the handles of this process, and a listener for those of other processes."""

import asyncio
import logging
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable

from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched_store_sqlite.connection import patiently

log = logging.getLogger("dsched.store.sqlite")

POLL_S = 0.05
_MAX_REMEMBERED = 4096  # wake-ups that perhaps nothing here ever waits for


class Wakeups:
    """Waiters by name. A wake-up wakes one waiter, or is remembered once for the next."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._woken: dict[str, None] = {}
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._waiters = 0
        self._closed = False

    def wake(self, names: Iterable[str]) -> None:
        """Send wake-ups; never blocks, may be called from any thread."""
        for who in names:
            with self._lock:
                first = self._next_waiter(who)
            if first is not None:
                _settle(first, None)

    async def wait(self, who: str, timeout_s: float) -> bool:
        """Wait for a wake-up, at most ``timeout_s``; whether it came."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._refuse_if_closed()
            if who in self._woken:
                del self._woken[who]
                return True
            self._waiting[who].append(future)
            self._waiters += 1
            self._lock.notify_all()
        taken = False
        try:
            async with asyncio.timeout(timeout_s):
                await future
            taken = True
        except TimeoutError:
            return False
        finally:
            self._leave(who, future)
            if not taken and _woke(future):
                self.wake((who,))  # it came just when we gave up: keep it for the next waiter
        return True

    def wait_for_waiters(self, timeout_s: float) -> bool:
        """Block until somebody waits, or the timeout; whether somebody does."""
        with self._lock:
            if not self._waiters and not self._closed:
                self._lock.wait(timeout_s)
            return self._waiters > 0

    def pause(self, timeout_s: float) -> bool:
        """Block for that long or until closed; whether it is still open."""
        with self._lock:
            return not self._lock.wait_for(lambda: self._closed, timeout_s)

    def fail(self, reason: str) -> None:
        """Tell all waiters that no wake-up of another process can be heard now."""
        with self._lock:
            waiting = [one for many in self._waiting.values() for one in many]
        for future in waiting:
            _settle(future, StoreUnavailableError(reason, maybe_applied=False))

    def close(self) -> None:
        """No more waiting: present waiters get `StoreUnavailableError`."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self.fail("the store was closed")

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailableError("the store is closed", maybe_applied=False)

    def _next_waiter(self, who: str) -> asyncio.Future[None] | None:
        waiting = self._waiting.get(who)
        if waiting:
            return waiting.pop(0)
        self._woken[who] = None
        while len(self._woken) > _MAX_REMEMBERED:
            del self._woken[next(iter(self._woken))]
        return None

    def _leave(self, who: str, future: asyncio.Future[None]) -> None:
        with self._lock:
            self._waiters -= 1
            waiting = self._waiting.get(who, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(who, None)


class Listener:
    """The thread that hears other processes: one a file and process, asleep while nobody waits.

    `PRAGMA data_version` only reads shared memory, so that 20 a second cost next to nothing.
    Wake-ups in the file carry a number, which only grows, and the process they come from.
    """

    def __init__(
        self, wakeups: Wakeups, connect: Callable[[], sqlite3.Connection], *, origin: str
    ) -> None:
        self._wakeups = wakeups
        self._connect = connect
        self._origin = origin
        self._heard: int | None = None
        self._db: sqlite3.Connection | None = None
        self._version: int | None = None
        self._unheard = False
        self._thread = threading.Thread(target=self._run, name="dsched-sqlite-wakeups", daemon=True)
        self._thread.start()

    def start_after(self, number: int) -> None:
        """Wake-ups up to this number are from before this process; only the first call counts."""
        if self._heard is None:
            self._heard = number

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, after `Wakeups.close`."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while self._wakeups.pause(0):
                if not self._wakeups.wait_for_waiters(timeout_s=60):
                    continue
                self._try_to_listen()
                self._wakeups.pause(POLL_S)
        finally:
            self._hang_up()

    def _try_to_listen(self) -> None:
        try:
            patiently(self._listen)
        except Exception as error:  # noqa: BLE001 - told to all who wait
            if not self._unheard:
                log.warning("other processes cannot be heard now: %s", error)
            self._unheard = True
            self._hang_up()
            self._wakeups.fail(f"the wake-ups of the store cannot be heard: {error}")
        else:
            self._unheard = False

    def _listen(self) -> None:
        if self._heard is None:
            return  # the file was not opened yet, so nothing can wait for a wake-up
        if self._db is None:
            self._db = self._connect()
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        entries = self._db.execute(
            "SELECT who, rung, origin FROM bell WHERE rung > ? ORDER BY rung", (self._heard,)
        ).fetchall()
        self._version = version
        if entries:
            self._heard = entries[-1][1]
        self._wakeups.wake(who for who, _, origin in entries if origin != self._origin)

    def _hang_up(self) -> None:
        db, self._db, self._version = self._db, None, None
        if db is not None:
            db.close()


def _woke(future: asyncio.Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _settle(future: asyncio.Future[None], error: StoreUnavailableError | None) -> None:
    """Answer a future of whatever loop and thread."""

    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    loop = future.get_loop()
    if _running_loop() is loop:
        settle()
        return
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        log.debug("a wake-up came after its waiter's loop was closed")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
