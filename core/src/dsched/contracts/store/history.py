"""What a store knows of its own past, so that pods notice when a part of it is gone."""

from abc import ABC, abstractmethod
from enum import StrEnum

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime

MAX_BREAKS = 20  # that are remembered, the newest
MAX_WHY = 500


class Loss(StrEnum):
    """What became of a past that is gone."""

    RESTORED = "restored"  # the store is an older state of itself: a backup, a replica that lagged
    REPLACED = "replaced"  # the store was emptied, or another was put in its place
    DECLARED = "declared"  # an operator said that a backup was put in place
    EMPTIED = "emptied"  # nothing is there and nobody has begun anew; never recorded, only told


@attrs.frozen
class Mark:
    """An entry of the log by which a pod knows a store again: its cursor, and its wall."""

    cursor: str
    at_ms: int


@attrs.frozen(kw_only=True)
class Break:
    """One break of a store's history; all times are wall.

    What happened between ``from_ms`` and ``at_ms``, when the break was recorded, may be forgotten,
    and may have happened twice; ``from_ms`` is None where nothing of the past is left. ``lost`` is
    the identity of the store whose past is gone. ``why``: the reason that an operator gave.
    """

    generation: int
    at_ms: int
    from_ms: int | None
    loss: Loss
    lost: str
    by: str
    why: str = ""


@attrs.frozen(kw_only=True)
class History:
    """Where a store's history stands.

    ``identity``: random, made once with the store. ``generation``: how many breaks there were.
    ``epoch`` and ``revision``: the highest ever given, ``end``: the newest entry of the log, None
    if it has none. About the mark that was asked for: ``known`` is whether it is in the log, None
    if that cannot be told (none was asked for, or the log is trimmed up to there); where it is
    not, ``kept_ms`` is the wall of the last entry before it. ``breaks``: the newest first.
    """

    identity: str
    generation: int
    epoch: int
    revision: int
    end: Mark | None
    known: bool | None = None
    kept_ms: int | None = None
    breaks: tuple[Break, ...] = ()
    time: StoreTime


@attrs.frozen(kw_only=True)
class Lost:
    """What a pod knows of a past that is gone, and the numbers that the store must not fall behind.

    ``generation``, ``epoch`` and ``revision`` are the highest that it has seen. The others:
    `Break`.
    """

    loss: Loss
    identity: str
    generation: int = 0
    epoch: int = 0
    revision: int = 0
    from_ms: int | None = None
    why: str = ""


class Remembering(ABC):
    """What the store knows of its own past.

    No step here takes a fence: whoever sees that the past is gone says so.
    """

    @abstractmethod
    async def history(self, mark: Mark | None) -> History:
        """Where the history stands, and whether the log has this entry, with this wall."""

    @abstractmethod
    async def raise_break(self, read: int, lost: Lost, *, by: str) -> Outcome:
        """Record that a part of the past is gone: ``OK``, or ``MOVED`` unless the generation is
        ``read`` (a repeat, or somebody else was quicker).

        The generation becomes 1 more than the higher of ``read`` and ``lost.generation``. The
        epoch and the last revision become those of ``lost`` where these are higher, so that
        neither is given twice. A term with a lower epoch than ``lost.epoch`` ends: its lock is
        free from now on, and a follower is woken (`ELECTION_WAKEUP`). Writes a ``history`` event.
        """
