"""The format of a file, and the step to the newest."""

from dsched.contracts.store.events import EventKind
from dsched.contracts.store.formats import STORE_FORMAT, Migrating, StoreFormat, too_old
from dsched.contracts.store.outcomes import Outcome
from dsched_store_sqlite.base import OnSqlite
from dsched_store_sqlite.operating import living_pods
from dsched_store_sqlite.schema import GET_FORMAT, SET_FORMAT
from dsched_store_sqlite.step import Step

# The order of ready tasks of before, which `task_open` has as well.
DROP_READY = "DROP INDEX IF EXISTS task_ready"


class SqliteMigrating(OnSqlite, Migrating):
    """The step to the newest format."""

    async def store_format(self) -> StoreFormat:
        """The format, and the pods that keep the store from a newer one."""
        return await self._step(
            lambda step: StoreFormat(stored=_stored(step), older_pods=too_old(living_pods(step)))
        )

    async def migrate(self, *, by: str) -> Outcome:
        """Give the store the newest format. The number is in the file's first page: it changes with
        the commit of this step, and with nothing else."""

        def run(step: Step) -> Outcome:
            stored = _stored(step)
            if stored == STORE_FORMAT:
                return Outcome.ALREADY
            if too_old(living_pods(step)):
                return Outcome.OLDER
            step.db.execute(SET_FORMAT)
            step.db.execute(DROP_READY)
            step.note(EventKind.MIGRATED, by, {"from": stored, "to": STORE_FORMAT})
            return Outcome.OK

        return await self._step(run)


def _stored(step: Step) -> int:
    (found,) = step.db.execute(GET_FORMAT).fetchone()
    return int(found)
