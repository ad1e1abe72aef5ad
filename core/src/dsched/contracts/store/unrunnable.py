"""What cannot be run now, as the leader tells every pod: a document that ends by itself."""

from collections.abc import Iterable, Iterator

import attrs

from dsched.contracts.store.documents import Documents
from dsched.contracts.store.standing import CLUSTER
from dsched.model import JsonValue

UNRUNNABLE = "unrunnable"
# A leader tells it anew every few seconds as long as it holds.
KEPT_MS = 45_000


@attrs.frozen(kw_only=True)
class UnrunnableSince:
    """Tasks that no worker can run, for one reason, and since when (wall ms)."""

    reason: str
    tasks: int
    since_ms: int


@attrs.frozen(kw_only=True)
class FullSince:
    """Tasks whose workers are all full while others have room: what they demand, in words, and
    since when the oldest has waited for that (wall ms)."""

    demands: str
    tasks: int
    since_ms: int


@attrs.frozen(kw_only=True)
class LimitSince:
    """A limit or an instance under which tasks wait, and since when the oldest does (wall ms);
    how many of how many places are held (None: any number, and a rate bounds it)."""

    name: str
    tasks: int
    since_ms: int
    held: int
    most: int | None


@attrs.frozen(kw_only=True)
class Told:
    """What the leader told last; of limits those under which most waits."""

    unrunnable: tuple[UnrunnableSince, ...] = ()
    full: tuple[FullSince, ...] = ()
    limits: tuple[LimitSince, ...] = ()


async def tell_unrunnable(
    store: Documents,
    found: Iterable[UnrunnableSince],
    wall_ms: int,
    *,
    full: Iterable[FullSince] = (),
    limits: Iterable[LimitSince] = (),
) -> None:
    """Tell it, or that there is none; whoever else tells at the same time is as right."""
    items = [[one.reason, one.tasks, one.since_ms] for one in found]
    fulls = [[one.demands, one.tasks, one.since_ms] for one in full]
    limited: JsonValue = [[one.name, one.tasks, one.since_ms, one.held, one.most] for one in limits]
    known = await store.get_document(CLUSTER, UNRUNNABLE)
    if items or fulls or limited:
        # With the instant, since an equal value would not live longer.
        value: JsonValue = {"at": wall_ms, "items": items, "full": fulls, "limits": limited}
        read = 0 if known is None else known.version
        await store.put_document(CLUSTER, UNRUNNABLE, value, read=read, ttl_ms=KEPT_MS)
    elif known is not None:
        await store.drop_document(CLUSTER, UNRUNNABLE, read=known.version)


async def told_now(store: Documents) -> Told:
    """What the leader told last; a leader of before says nothing of what is full, and a word of a
    later version is passed over."""
    known = await store.get_document(CLUSTER, UNRUNNABLE)
    value = known.value if known is not None else None
    if not isinstance(value, dict):
        return Told()
    return Told(
        unrunnable=tuple(
            UnrunnableSince(reason=words, tasks=tasks, since_ms=since_ms)
            for words, tasks, since_ms in _rows(value.get("items"))
        ),
        full=tuple(
            FullSince(demands=words, tasks=tasks, since_ms=since_ms)
            for words, tasks, since_ms in _rows(value.get("full"))
        ),
        limits=tuple(_limits(value.get("limits"))),
    )


async def unrunnable_now(store: Documents) -> tuple[UnrunnableSince, ...]:
    """Of what the leader told last that which nobody can run."""
    return (await told_now(store)).unrunnable


def _limits(rows: JsonValue) -> Iterator[LimitSince]:
    for name, tasks, since_ms, held, most in rows if isinstance(rows, list) else ():
        yield LimitSince(
            name=str(name),
            tasks=int(tasks),
            since_ms=int(since_ms),
            held=int(held),
            most=None if most is None else int(most),
        )


def _rows(items: JsonValue) -> Iterator[tuple[str, int, int]]:
    for words, tasks, since_ms in items if isinstance(items, list) else ():
        yield str(words), int(tasks), int(since_ms)
