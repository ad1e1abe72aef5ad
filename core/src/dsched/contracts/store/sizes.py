"""How many a worker of an id runs at once, where an operator said it: kept over its restarts."""

import attrs

from dsched.contracts.store.documents import Document, Documents
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.standing import DRAIN_KEPT_MS

SIZES = "worker-size"
# As a drain: a random id of one start never comes again, so what is said of it must end.
SIZE_KEPT_MS = DRAIN_KEPT_MS
PAGE = 100


@attrs.frozen(kw_only=True)
class Size:
    """What an operator gave a worker (``capacity``), and what it is configured to have (``own``).

    ``own`` is what the worker itself says at each start, so that the override can be taken back.
    """

    capacity: int
    own: int
    by: str = ""


async def remember_size(store: Documents, worker_id: str, size: Size) -> None:
    """Whoever registers with this id from now on has this capacity, until `forget_size`.

    If a size is known already, its ``own`` stays.
    """
    outcome = Outcome.MOVED
    while outcome is Outcome.MOVED:
        known = await store.get_document(SIZES, worker_id)
        old = _read(known)
        new = size if old is None else attrs.evolve(size, own=old.own)
        outcome = await _put(store, worker_id, new, known)


async def forget_size(store: Documents, worker_id: str, told: Size) -> Size | None:
    """None once nothing is known; else what is known by now instead of ``told``, which stays."""
    outcome = Outcome.MOVED
    while outcome is Outcome.MOVED:
        known = await store.get_document(SIZES, worker_id)
        size = _read(known)
        if size is not None and size != told:
            return size
        if known is None:
            return None
        outcome = await store.drop_document(SIZES, worker_id, read=known.version)
    return None


async def size_of(store: Documents, worker_id: str) -> Size | None:
    """What an operator gave a worker of this id; None if nobody has."""
    return _read(await store.get_document(SIZES, worker_id))


async def size_at_start(store: Documents, worker_id: str, own: int) -> int:
    """The capacity of a worker that starts and is configured to have ``own``, which is noted."""
    while True:
        known = await store.get_document(SIZES, worker_id)
        size = _read(known)
        if size is None:
            return own
        outcome = await _put(store, worker_id, attrs.evolve(size, own=own), known)
        if outcome is not Outcome.MOVED:
            return size.capacity


async def all_sizes(store: Documents) -> dict[str, Size]:
    """What operators gave workers, by id; also of those that do not run now."""
    found: dict[str, Size] = {}
    cursor: str | None = None
    while True:
        page = await store.list_documents(SIZES, cursor, PAGE)
        for known in page.documents:
            size = _read(known)
            if size is not None:
                found[known.id] = size
        cursor = page.cursor
        if cursor is None:
            return found


async def _put(store: Documents, worker_id: str, size: Size, known: Document | None) -> Outcome:
    read = 0 if known is None else known.version
    value = {"capacity": size.capacity, "own": size.own, "by": size.by}
    answer = await store.put_document(SIZES, worker_id, value, read=read, ttl_ms=SIZE_KEPT_MS)
    return answer.outcome


def _read(known: Document | None) -> Size | None:
    value = None if known is None else known.value
    if not isinstance(value, dict):
        return None
    capacity, own, by = value.get("capacity"), value.get("own"), value.get("by", "")
    if not isinstance(capacity, int) or not isinstance(own, int):
        return None
    return Size(capacity=capacity, own=own, by=str(by))
