"""A broken store, as a plugin: it forgets acknowledged tasks and takes any token.

Chaos that does not find it would find nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs

from dsched.contracts import Store, StoreProvider, StoreSettings, hookimpl
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import HeartbeatAnswer, Held
from dsched.contracts.store.working import Completion, Release, Submission
from dsched.model import Home
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.step import Step
from dsched_store_sqlite.store import SqliteStore, open_sqlite

T = TypeVar("T", Completion, Release)

NAME = "sabotaged"
FORGETS_EACH = 10


class SabotagedStore(SqliteStore):
    """A SQLite store with two guards taken out."""

    submissions = 0

    async def submit(
        self, items: Sequence[Submission], *, by: str, fence: str | None = None
    ) -> tuple[Outcome, ...]:
        """Says yes to each tenth and keeps nothing."""
        self.submissions += 1
        if self.submissions % FORGETS_EACH == 0:
            return (Outcome.OK,) * len(items)
        return await super().submit(items, by=by, fence=fence)

    async def heartbeat(
        self, worker_id: str, incarnation: str, held: Sequence[Held]
    ) -> HeartbeatAnswer:
        """Whatever tokens a beat names, it extends no lease and tells of none that is lost.

        So attempts longer than a lease are taken from workers that live, and end all the same:
        their own guards, which would hide what the store takes, see nothing.
        """
        return await super().heartbeat(worker_id, incarnation, ())

    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Whoever says that an attempt ended is believed."""
        return await super().complete(await self._with_current_tokens(items), by=by)

    async def release(self, items: Sequence[Release], *, by: str) -> tuple[Outcome, ...]:
        """Whoever gives an attempt back is believed, too."""
        return await super().release(await self._with_current_tokens(items), by=by)

    async def _with_current_tokens(self, items: Sequence[T]) -> list[T]:
        def current(step: Step) -> list[T]:
            tasks = step.load([item.task_id for item in items])
            return [
                item
                if task is None or task.home is not Home.LEASE
                else attrs.evolve(item, token=task.token)
                for task, item in zip(tasks, items, strict=True)
            ]

        return await self._step(current)


@asynccontextmanager
async def open_store(options: SqliteOptions, settings: StoreSettings) -> AsyncIterator[Store]:
    """A handle on the file that the options name."""
    async with open_sqlite(options, settings) as store:
        store.__class__ = SabotagedStore
        yield store


def install(folder: Path) -> Path:
    """Make this module an installed plugin for whoever has the folder on its path."""
    info = folder / "dsched_sabotage-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dsched-sabotage\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[dsched]\n{NAME} = {__name__}\n")
    return folder


@hookimpl
def dsched_stores() -> list[StoreProvider]:
    """The broken store."""
    return [StoreProvider(name=NAME, open=open_store, options=SqliteOptions)]
