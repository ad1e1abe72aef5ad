"""SQLite: one file that several processes share."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

from chaos.plan import Planned
from chaos.stages.base import Act, Stage


class SqliteStage(Stage):
    """A file. Its trouble is another process that keeps it locked, and the clock of its host.

    The processes of one host have one clock: to step it for one of them alone would be a fault
    that does not exist.
    """

    one_clock = True

    def __init__(self, folder: Path, name: str = "sqlite") -> None:
        super().__init__()
        self._path, self._name = folder / "dsched.db", name

    def settings(self, pod: str | None) -> dict[str, Any]:
        return {"store": self._name, self._name: {"path": str(self._path)}}

    def acts(self) -> dict[str, Act]:
        return {"file_locked": self._lock}

    async def _lock(self, planned: Planned) -> str | None:
        return await asyncio.to_thread(self._hold, planned.lasts_s)

    def _hold(self, seconds: float) -> str | None:
        with contextlib.closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                return str(error)
            time.sleep(seconds)
            db.execute("ROLLBACK")
        return None
