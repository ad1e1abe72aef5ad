"""Where operations are kept: documents of those that go on, and of those that ended lately."""

import attrs

from dsched.bulk.operation import BulkOperation, BulkState, read, written
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.documents import Document, Documents
from dsched.contracts.store.outcomes import Outcome

OPEN = "bulk"
# Apart, so that a leader that looks for work reads only what is open.
ENDED = "bulk-ended"
ENDED_KEPT_MS = 7 * 24 * 3600 * 1000
MAX_ENDED = 100


@attrs.frozen(kw_only=True)
class Kept:
    """An operation and the version of its document."""

    operation: BulkOperation
    version: int


async def open_operations(store: Documents) -> list[Kept]:
    """Those that go on, the oldest first; what this version cannot read is left alone."""
    return await _all(store, OPEN)


async def ended_operations(store: Documents) -> list[Kept]:
    """Those that ended, as long as they are kept, the oldest first."""
    return await _all(store, ENDED)


async def find(store: Documents, operation_id: str) -> BulkOperation | None:
    """An operation, whether it goes on or has ended."""
    for kind in (OPEN, ENDED, OPEN):  # it moves from the one to the other
        kept = _read(await store.get_document(kind, operation_id))
        if kept is not None:
            return kept.operation
    return None


async def open_one(store: Documents, operation_id: str) -> Kept | None:
    """One that goes on."""
    return _read(await store.get_document(OPEN, operation_id))


async def put(
    store: Documents, operation: BulkOperation, *, read: int, fence: str | None = None
) -> Kept | None:
    """Write one that goes on; None where somebody else has written it since."""
    answer = await store.put_document(
        OPEN, operation.id, written(operation), read=read, fence=fence
    )
    if answer.outcome is Outcome.MOVED or answer.stored is None:
        return None
    return Kept(operation=operation, version=answer.stored.version)


async def put_away(store: Documents, kept: Kept, fence: str) -> None:
    """Put one that has ended among those that have; the oldest of too many are forgotten."""
    one = kept.operation
    known = await store.get_document(ENDED, one.id)
    # Without the ids of its configs, which only a leader needs that works at it.
    value = written(attrs.evolve(one, config_ids=(), cursor=None))
    version = 0 if known is None else known.version
    await store.put_document(ENDED, one.id, value, read=version, ttl_ms=ENDED_KEPT_MS, fence=fence)
    await store.drop_document(OPEN, one.id, read=kept.version, fence=fence)
    ended = await ended_operations(store)
    for old in ended[: max(0, len(ended) - MAX_ENDED)]:
        await store.drop_document(ENDED, old.operation.id, read=old.version, fence=fence)


def stopping(operation: BulkOperation, by: str, reason: str) -> BulkOperation:
    """The same, asked to stop."""
    return attrs.evolve(operation, state=BulkState.STOPPING, stopped_by=by, stop_reason=reason)


async def _all(store: Documents, kind: str) -> list[Kept]:
    found: list[Kept] = []
    cursor: str | None = None
    while True:
        page = await store.list_documents(kind, cursor, MAX_BATCH)
        found += (kept for kept in map(_read, page.documents) if kept is not None)
        cursor = page.cursor
        if cursor is None:
            return sorted(found, key=lambda kept: (kept.operation.made_ms, kept.operation.id))


def _read(document: Document | None) -> Kept | None:
    if document is None:
        return None
    operation = read(document.id, document.value)
    return None if operation is None else Kept(operation=operation, version=document.version)
