"""What a restored store is told before its first pod starts."""

from collections.abc import AsyncIterator

import attrs

from dsched.client import Client
from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.model import from_ms

BY = "restore"
PAGE = 100


@attrs.frozen(kw_only=True)
class Restored:
    """``skipped``: the configs whose instants since the backup are not made up for."""

    skipped: tuple[str, ...] = ()


async def settle_restored(store: Store, *, taken_ms: int, why: str, run_owed: bool) -> Restored:
    """Record the break, and account for the instants since the backup.

    They may have fired in the past that is lost. So unless they are to run, each is recorded as
    skipped, by a pause that ends at once. May be repeated.
    """
    client = Client(store, by=BY)
    said = f"a backup of {from_ms(taken_ms).isoformat(timespec='seconds')} was restored: {why}"
    skipped = []
    if not run_owed:
        wall_ms = (await store.now()).wall_ms
        async for config in _configs(store):
            if config.due_ms is not None and config.due_ms <= wall_ms:
                await client.pause_config(config.config.id, why=said[:500])
                await client.resume_config(config.config.id)
                skipped.append(config.config.id)
    await client.declare_restored(why=why, since=from_ms(taken_ms))
    return Restored(skipped=tuple(skipped))


async def _configs(store: Store) -> AsyncIterator[StoredConfig]:
    cursor: str | None = None
    while True:
        page = await store.list_configs(cursor, PAGE)
        for one in page.configs:
            yield one
        cursor = page.cursor
        if cursor is None:
            return
