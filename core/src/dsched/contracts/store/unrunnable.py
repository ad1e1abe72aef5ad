"""What nobody can run, as the leader tells every pod: a document that ends by itself."""

from collections.abc import Iterable

import attrs

from dsched.contracts.store.documents import Documents
from dsched.contracts.store.standing import CLUSTER

UNRUNNABLE = "unrunnable"
# A leader tells it anew every few seconds as long as it holds.
KEPT_MS = 45_000


@attrs.frozen(kw_only=True)
class UnrunnableSince:
    """Tasks that no worker can run, for one reason, and since when (wall ms)."""

    reason: str
    tasks: int
    since_ms: int


async def tell_unrunnable(store: Documents, found: Iterable[UnrunnableSince], wall_ms: int) -> None:
    """Tell it, or that there is none; whoever else tells at the same time is as right."""
    items = [[one.reason, one.tasks, one.since_ms] for one in found]
    known = await store.get_document(CLUSTER, UNRUNNABLE)
    if items:
        # With the instant, since an equal value would not live longer.
        value = {"at": wall_ms, "items": items}
        read = 0 if known is None else known.version
        await store.put_document(CLUSTER, UNRUNNABLE, value, read=read, ttl_ms=KEPT_MS)
    elif known is not None:
        await store.drop_document(CLUSTER, UNRUNNABLE, read=known.version)


async def unrunnable_now(store: Documents) -> tuple[UnrunnableSince, ...]:
    """What the leader told last; a word of a later version is passed over."""
    known = await store.get_document(CLUSTER, UNRUNNABLE)
    value = known.value if known is not None else None
    items = value.get("items") if isinstance(value, dict) else None
    return tuple(
        UnrunnableSince(reason=str(reason), tasks=int(tasks), since_ms=int(since_ms))
        for reason, tasks, since_ms in (items if isinstance(items, list) else ())
    )
