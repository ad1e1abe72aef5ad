"""What waits under classes and why, read a few pages at a time."""

from collections.abc import Iterable, Sequence

import attrs

from dsched.contracts.observer import BlockedClass, BlockedKind, Unrunnable
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.classes import Blocked, Classing, ShutClass
from dsched.engine.leader.assignment import MAX_REASON, why_nobody
from dsched.model import Worker, need_in_words
from dsched.model.pins import demanded_in_words

PAGES_A_LOOK = 10
MAX_WORST = 20
# A task that is put off for its class comes back at the next poll; until then nothing waits.
EMPTY_AFTER_MS = 10_000


class BlockedClasses:
    """The shut classes as they were when they were read last.

    A look reads `PAGES_A_LOOK` pages, from where the one before ended: of ten thousand classes each
    is read at every tenth look.
    """

    def __init__(self) -> None:
        self._before: dict[str, ShutClass] = {}
        self._read: dict[str, ShutClass] = {}
        self._cursor: str | None = None

    async def look(self, store: Classing, shut: int) -> None:
        """Read on, where ``shut`` classes are shut; nothing where none is."""
        if not shut:
            self._before, self._read, self._cursor = {}, {}, None
            return
        for _ in range(PAGES_A_LOOK):
            page = await store.shut_classes(self._cursor, MAX_BATCH)
            self._read.update((one.text, one) for one in page.classes)
            self._cursor = page.cursor
            if page.cursor is None:  # all of them are read: what was not among them is open
                self._before, self._read = self._read, {}
                return

    def classes(self) -> tuple[ShutClass, ...]:
        """Those under which something waits, the most tasks first."""
        known = (self._before | self._read).values()
        waits = (one for one in known if one.waiting)
        return tuple(sorted(waits, key=lambda one: (-one.waiting, one.text)))

    def empty(self, wall_ms: int) -> tuple[str, ...]:
        """Those under which nothing waits, nor is about to."""
        known = (self._before | self._read).values()
        return tuple(
            one.text for one in known if not one.waiting and wall_ms - one.since_ms > EMPTY_AFTER_MS
        )


def unrunnable_of(
    found: Iterable[ShutClass], workers: Sequence[Worker], wall_ms: int
) -> tuple[Unrunnable, ...]:
    """What nobody can run by reason: of several classes with one reason all tasks."""
    present = [one for one in workers if not (one.gone or one.draining)]
    waits: dict[str, Unrunnable] = {}
    for one in found:
        if one.blocked is not Blocked.NOBODY:
            continue
        reason = why_nobody(one.labels, one.need, present)[:MAX_REASON]
        lasted_s = _lasted_s(one, wall_ms)
        known = waits.get(reason, Unrunnable(reason=reason, tasks=0, lasted_s=0.0))
        waits[reason] = attrs.evolve(
            known, tasks=known.tasks + one.waiting, lasted_s=max(known.lasted_s, lasted_s)
        )
    return tuple(waits.values())


def by_kind(found: Iterable[ShutClass], wall_ms: int) -> dict[str, BlockedKind]:
    """How much is blocked of each kind, also where nothing is."""
    kinds = {str(kind): BlockedKind() for kind in Blocked}
    for one in found:
        known = kinds[str(one.blocked)]
        kinds[str(one.blocked)] = BlockedKind(
            classes=known.classes + 1,
            tasks=known.tasks + one.waiting,
            lasted_s=max(known.lasted_s, _lasted_s(one, wall_ms)),
        )
    return kinds


def worst_of(found: Sequence[ShutClass], wall_ms: int) -> tuple[BlockedClass, ...]:
    """The first of those that come by their tasks, the most first."""
    return tuple(
        BlockedClass(
            kind=str(one.blocked),
            demands=in_words(one)[:MAX_REASON],
            tasks=one.waiting,
            lasted_s=_lasted_s(one, wall_ms),
        )
        for one in found[:MAX_WORST]
    )


def full_of(found: Iterable[ShutClass], wall_ms: int) -> tuple[BlockedClass, ...]:
    """Those whose workers are full, the first `MAX_WORST` that come. Of a class through which tasks
    pass all the time only the oldest says whether they wait for long."""
    full = [one for one in found if one.blocked is Blocked.FULL]
    return tuple(
        BlockedClass(
            kind=str(one.blocked),
            demands=in_words(one)[:MAX_REASON],
            tasks=one.waiting,
            lasted_s=max(0, wall_ms - max(one.since_ms, one.oldest_ms or 0)) / 1000,
        )
        for one in full[:MAX_WORST]
    )


def in_words(one: ShutClass) -> str:
    """What a class demands: ``gpu=1, zone=eu, function etl.load``."""
    labels = demanded_in_words(one.labels)
    return ", ".join(part for part in (labels, need_in_words(one.need) if one.need else "") if part)


def _lasted_s(one: ShutClass, wall_ms: int) -> float:
    return max(0, wall_ms - one.since_ms) / 1000
