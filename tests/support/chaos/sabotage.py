"""A broken store, as a plugin: it forgets acknowledged tasks and takes any token.

Chaos that does not find it would find nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from dsched.contracts import Store, StoreProvider, StoreSettings, hookimpl
from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import Completion, Submission
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.step import Step
from dsched_store_sqlite.store import SqliteStore, open_sqlite

NAME = "sabotaged"
FORGETS_EACH = 10


class SabotagedStore(SqliteStore):
    """A SQLite store with two guards taken out."""

    submissions = 0

    async def submit(self, items: Sequence[Submission], *, by: str) -> tuple[Outcome, ...]:
        """Says yes to each tenth and keeps nothing."""
        self.submissions += 1
        if self.submissions % FORGETS_EACH == 0:
            return (Outcome.OK,) * len(items)
        return await super().submit(items, by=by)

    async def complete(self, items: Sequence[Completion], *, by: str) -> tuple[Outcome, ...]:
        """Whoever says that an attempt ended is believed."""

        def current(step: Step) -> list[Completion]:
            tasks = step.load([item.task_id for item in items])
            return [
                item if task is None else attrs.evolve(item, token=task.token)
                for task, item in zip(tasks, items, strict=True)
            ]

        return await super().complete(await self._step(current), by=by)


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
