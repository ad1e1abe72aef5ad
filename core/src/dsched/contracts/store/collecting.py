"""The collector's fenced walk over the event log, and what it makes of it."""

from abc import ABC, abstractmethod

import attrs

from dsched.contracts.store.events import EventPage
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.statistics import Rollup
from dsched.model import Decision, DecisionUpdate, TaskStatus


@attrs.frozen(kw_only=True, slots=False)  # one is made for each task
class Finished:
    """An index entry of a task that ended."""

    task_id: str
    status: TaskStatus
    end_ms: int


@attrs.frozen(kw_only=True)
class Projection:
    """What the collector made of the entries between two cursors."""

    after: str
    upto: str
    decisions: tuple[Decision, ...] = ()
    finished: tuple[Finished, ...] = ()
    updates: tuple[DecisionUpdate, ...] = ()
    rollups: tuple[Rollup, ...] = ()


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
        ``missed_at_ms`` becomes the ``at_ms`` of the latest of them. Updates change the *fired*
        decision (without reason) of their instant, if it is kept; index entries that are there stay
        as they are; rollups are added to what is kept of their config and hour. Then, for each
        config with a new decision, those beyond the latest ``max_decisions`` (by ``first_ms``,
        verdict, reason) go, the earliest first, at most 10 x `MAX_BATCH`.
        """
