"""How pods that do not lead report that nobody fires."""

from abc import ABC, abstractmethod

import attrs

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.timing import StoreTime


@attrs.frozen
class MissedInstant:
    """A config that was due at ``due_ms`` (wall) and has not been fired."""

    config_id: str
    due_ms: int


@attrs.frozen(kw_only=True)
class Watched:
    """What a pod that does not lead sees: ``looked`` overdue configs were read, ``missed`` are
    those of them that this call reported.

    ``fence`` is that of the current leader, None if nobody leads.
    """

    time: StoreTime
    fence: str | None
    looked: int
    missed: tuple[MissedInstant, ...] = ()


class Watching(ABC):
    """How pods that do not lead report that nobody fires.

    No step here takes a fence: a report changes nothing that a leader decides on.
    """

    @abstractmethod
    async def raise_missed(self, late_ms: int, skip: int, limit: int, *, by: str) -> Watched:
        """Report the configs that are overdue by ``late_ms`` or more, each once for one due.

        Reads those with due <= wall - ``late_ms`` by (due, id), from position ``skip`` on, at
        most ``limit`` of them. One whose due is not marked as reported is reported: marked, and an
        item of the event ``missed`` (by = ``by``; ``term`` is the epoch of the current leader, 0 if
        nobody leads). The answer names those that this call reported; a repeat reports nothing.
        """

    @abstractmethod
    async def raise_leaderless(self, idle_ms: int, *, by: str) -> Outcome:
        """Report that nobody leads, once after each term.

        ``TAKEN`` (somebody leads), ``EMPTY`` (nobody ever has), ``ALREADY`` (reported since the
        last term), ``EARLY`` (the lock was resigned, or ran out, less than ``idle_ms`` of store
        time ago), in this order; else ``OK`` and the event ``leaderless``.
        """
