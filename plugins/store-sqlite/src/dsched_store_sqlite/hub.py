"""What all handles of one process on one file share: the writer, the wake-ups, the listener."""

import asyncio
import os
import sqlite3
import threading
from pathlib import Path
from uuid import uuid4

import attrs

from dsched.contracts.store.outcomes import StoreRefusedError, StoreUnavailableError
from dsched_store_sqlite.connection import connect
from dsched_store_sqlite.files import FileId, file_id, prepare_file
from dsched_store_sqlite.wakeups import Listener, Wakeups
from dsched_store_sqlite.writer import Writer

_CLOSE_S = 30.0

_Key = tuple[int, FileId]
_hubs: dict[_Key, "Hub"] = {}
_lock = threading.Lock()


class Hub:
    """The shared part; `join_hub` and `leave_hub` count its handles."""

    def __init__(self, file: Path, synchronous: str) -> None:
        origin = uuid4().hex
        self.file = file
        self.synchronous = synchronous
        self.handles = 0
        self.wakeups = Wakeups()
        self.listener = Listener(self.wakeups, self._connect, origin=origin)
        self.writer = Writer(
            file,
            synchronous=synchronous,
            origin=origin,
            wake=self.wakeups.wake,
            opened=self.listener.start_after,
        )

    def _connect(self) -> sqlite3.Connection:
        return connect(self.file, self.synchronous)

    def stop(self) -> None:
        """Let both threads come to their end."""
        self.wakeups.close()
        self.writer.stop()

    def join(self) -> None:
        """Wait until both threads have ended and their connections are closed."""
        self.listener.join(_CLOSE_S)
        self.writer.join(_CLOSE_S)


@attrs.frozen
class Membership:
    """One handle's share in a hub."""

    hub: Hub
    key: _Key


def join_hub(path: str, synchronous: str) -> Membership:
    """Join the hub of this file in this process, making it if this handle is the first."""
    with _lock:
        file = prepare_file(path)
        found = file_id(file)
        if found is None:
            raise StoreUnavailableError(f"{file} was removed just now", maybe_applied=False)
        key = (os.getpid(), found)
        hub = _hubs.get(key)
        if hub is None:
            hub = _hubs[key] = Hub(file, synchronous)
        elif hub.synchronous != synchronous:
            raise StoreRefusedError(
                f"{file} is open in this process with synchronous {hub.synchronous}, and cannot be "
                f"opened with {synchronous} too: set sqlite.synchronous the same everywhere"
            )
        hub.handles += 1
        return Membership(hub, key)


async def leave_hub(membership: Membership) -> None:
    """Leave; the last handle ends the threads and closes the file."""
    hub = membership.hub
    with _lock:
        hub.handles -= 1
        if hub.handles:
            return
        del _hubs[membership.key]
    hub.stop()
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def wait() -> None:
        hub.join()
        loop.call_soon_threadsafe(_set, ended)

    # A thread of its own, ended by the time we return: the loop's pool would keep one.
    closer = threading.Thread(target=wait, name="dsched-sqlite-closer", daemon=True)
    closer.start()
    try:
        await asyncio.shield(ended)
    finally:
        closer.join(_CLOSE_S if ended.done() else 0)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
