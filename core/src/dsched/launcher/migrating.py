"""``dsched-run --migrate``: gives the store the newest format, or says what prevents it."""

from dsched.assembly import store_opener
from dsched.client import Client
from dsched.client.migrating import older_pods_told
from dsched.config import LoadedSettings
from dsched.contracts.store.formats import StoreFormat
from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.standing import check_cluster, cluster_name
from dsched.loading import Catalogue


async def migrate(loaded: LoadedSettings, catalogue: Catalogue, *, dry_run: bool) -> str:
    """What was done, or would be, in a sentence. No pod is started.

    Raises `RefusedError` while older pods run, and what opening the store raises.
    """
    name = loaded.settings.store
    absent = catalogue.stores[name].provider.absent(loaded.stores[name])
    if absent is not None:
        raise StoreRefusedError(f"there is nothing to migrate: {absent}")
    async with store_opener(loaded, catalogue)() as store:
        check_cluster(await cluster_name(store), loaded.settings.cluster)
        client = Client(store, by="dsched-run --migrate")
        before = await client.store_format()
        if before.stored == before.newest:
            return f"store: {name}: has format {before.stored}, the newest; nothing to do"
        if dry_run:
            return f"store: {name}: {told_of_dry_run(before)}"
        await client.migrate_store()
        return f"store: {name}: migrated from format {before.stored} to {before.newest}"


def told_of_dry_run(found: StoreFormat) -> str:
    """What a migration would do now."""
    if found.older_pods:
        return older_pods_told(found)
    return (
        f"would be migrated from format {found.stored} to {found.newest}; versions that know no "
        f"more than {found.stored} could not use it afterwards"
    )
