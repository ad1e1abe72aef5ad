"""The groups of steps by which a store remembers what happened, and notices what did not."""

from abc import ABC, abstractmethod

from dsched.contracts.outcomes import Outcome
from dsched.contracts.steps import (
    EventPage,
    Projection,
)
from dsched.contracts.watched import Watched


class Collecting(ABC):
    """The collector's fenced walk over the log."""

    @abstractmethod
    async def collect(self, fence: str, limit: int) -> EventPage:
        """The entries after the collector's cursor, at most ``limit`` (<= `MAX_EVENT_PAGE`).

        The answer's ``after`` is that cursor, as `project` wants it.
        """

    @abstractmethod
    async def project(self, fence: str, projection: Projection) -> Outcome:
        """Add what the collector made of a part of the log, and move its cursor to ``upto``.

        ``MOVED``, changing nothing, if the cursor is not ``after`` (a repeat, for example). At
        most 10 x `MAX_BATCH` of each, 20 x of rollups. Writes no event. In this order:

        Decisions, in theirs: one whose config, ``first_ms``, verdict and reason are there already
        changes nothing; nor does a *missed* one of an instant that was fired. One that fires or
        skips takes the place of the *missed* ones in its range (at most 10 x `MAX_BATCH`), and its
        ``missed_at_ms`` becomes the ``at_ms`` of the latest of them. Fates change the *fired*
        decision (without reason) of their instant, if it is kept; index entries that are there stay as they are;
        rollups are added to what is kept of their config and hour. Then, for each config with a new
        decision, those beyond the latest ``max_decisions`` (by ``first_ms``, verdict, reason) go, the
        earliest first, at most 10 x `MAX_BATCH`.
        """


class Watching(ABC):
    """How pods that do not lead report that nobody fires.

    No step here takes a fence: a report changes nothing that a leader decides on.
    """

    @abstractmethod
    async def raise_missed(self, late_ms: int, skip: int, limit: int, *, by: str) -> Watched:
        """Report the configs that are overdue by ``late_ms`` or more, each once for one due.

        Looks at those with due <= wall - ``late_ms`` by (due, id), from position ``skip`` on, at
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
