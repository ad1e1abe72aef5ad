"""What a store keeps in documents for every pod: drains that outlive a worker, the cluster's
name."""

from dsched.contracts.store import Store
from dsched.contracts.store.documents import Documents
from dsched.contracts.store.outcomes import Outcome, StoreRefusedError
from dsched.model import JsonValue

DRAINS = "worker-drain"
# A random id of one start never comes again, so its drain must end by itself.
DRAIN_KEPT_MS = 90 * 24 * 3600 * 1000
CLUSTER = "cluster"
NAME = "name"


async def remember_drain(
    store: Documents, worker_id: str, by: str, *, give_back: bool = False
) -> None:
    """From now on a worker that registers with this id is drained, until `forget_drain`.

    With ``give_back`` it gives back what runs (`gives_back`).
    """
    outcome = Outcome.MOVED
    while outcome is Outcome.MOVED:
        known = await store.get_document(DRAINS, worker_id)
        read = 0 if known is None else known.version
        value: dict[str, JsonValue] = {"by": by}
        if give_back:
            value["give_back"] = True
        answer = await store.put_document(DRAINS, worker_id, value, read=read, ttl_ms=DRAIN_KEPT_MS)
        outcome = answer.outcome


async def forget_drain(store: Documents, worker_id: str) -> bool:
    """Whether there was one to forget."""
    outcome = Outcome.MOVED
    while outcome is Outcome.MOVED:
        known = await store.get_document(DRAINS, worker_id)
        if known is None:
            return False
        outcome = await store.drop_document(DRAINS, worker_id, read=known.version)
    return True


async def drained_by(store: Documents, worker_id: str) -> str | None:
    """Who asked that a worker of this id takes nothing; None if nobody has."""
    known = await store.get_document(DRAINS, worker_id)
    if known is None:
        return None
    return str(known.value.get("by", "")) if isinstance(known.value, dict) else ""


async def gives_back(store: Documents, worker_id: str) -> bool:
    """Whether a worker of this id is drained and to give back what runs."""
    known = await store.get_document(DRAINS, worker_id)
    value = None if known is None else known.value
    return isinstance(value, dict) and value.get("give_back") is True


async def cluster_name(store: Documents) -> str:
    """The name of the cluster that the store belongs to; "" if it has none yet."""
    known = await store.get_document(CLUSTER, NAME)
    if known is None or not isinstance(known.value, str):
        return ""
    return known.value


async def join_cluster(store: Store, name: str, *, new: bool = False) -> None:
    """Make the store this cluster's, if it has no name. `StoreRefusedError` if it is another's, or
    if nothing was ever in it: then it is not the store of this cluster, unless the cluster is
    ``new``.

    A pod without a name joins any. Nothing is written if the store has the name already.
    """
    while name:
        found = await cluster_name(store)
        check_cluster(found, name)
        if found == name:
            return
        if not new and await _is_blank(store):
            raise StoreRefusedError(
                f"nothing was ever in it, and this pod expects the cluster {name!r} there: it was "
                "emptied, or is another one than before. Put a backup in place, or correct the "
                "store's settings; if the cluster is new, start one pod with --new-cluster"
            )
        await store.put_document(CLUSTER, NAME, name, read=0)


async def _is_blank(store: Store) -> bool:
    """Whether nobody has ever led or declared anything here."""
    terms = await store.terms(None, 1)
    counts = await store.counts()
    return not (terms.terms or counts.configs or any(counts.by_status.values()))


def check_cluster(found: str, name: str) -> None:
    """`StoreRefusedError` if a store of the cluster ``found`` is not for this one."""
    if found and name and found != name:
        raise StoreRefusedError(
            f"it belongs to the cluster {found!r}, and this pod is of {name!r}: two clusters must "
            "not share a store. Give this one another (redis.key_prefix, sqlite.path), or correct "
            "`cluster` in its settings"
        )
