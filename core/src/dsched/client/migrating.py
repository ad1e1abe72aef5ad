"""The format of the store: what it has, and the step to the newest."""

from dsched.client.asking import Asking, RefusedError
from dsched.contracts.store.formats import StoreFormat
from dsched.contracts.store.outcomes import Outcome

MAX_NAMED = 10


class Migrating(Asking):
    """What operators ask before and after an update that brings a new format."""

    async def store_format(self) -> StoreFormat:
        """The format of the store, the newest that this version knows, and the pods that run and do
        not know that one."""
        return await self._answered(self._store.store_format)

    async def migrate_store(self, *, by: str | None = None) -> StoreFormat:
        """Give the store the newest format, in one step; it may have it already.

        Raises `RefusedError`, naming them, while pods run that do not know it.
        """
        outcome = await self._answered(lambda: self._store.migrate(by=by or self._by))
        found = await self.store_format()
        if outcome is Outcome.OLDER:
            raise RefusedError(outcome, older_pods_told(found))
        return found


def older_pods_told(found: StoreFormat) -> str:
    """Which pods keep the store from the newest format, and what to do."""
    if not found.older_pods:  # they have left meanwhile
        return (
            f"the store keeps format {found.stored}: a pod was in the way and has left; try again"
        )
    shown = ", ".join(f"{pod.name} ({pod.version})" for pod in found.older_pods[:MAX_NAMED])
    if len(found.older_pods) > MAX_NAMED:
        shown += f" and {len(found.older_pods) - MAX_NAMED} more"
    return (
        f"the store keeps format {found.stored}: pods run that do not know format {found.newest}: "
        f"{shown}; update them, or stop them and wait 30 s, and migrate again"
    )
