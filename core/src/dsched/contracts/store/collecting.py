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
class Streak:
    """How the tasks of a config ended in a part of the log: so many failures in a row at its end,
    ``last`` the last of them and its code. ``anew``: a success, or the end of a pause, came before
    them, so that earlier failures count no more."""

    config_id: str
    anew: bool
    failures: int = 0
    last: str = ""


@attrs.frozen(kw_only=True)
class Projection:
    """What the collector made of the entries between two cursors."""

    after: str
    upto: str
    decisions: tuple[Decision, ...] = ()
    finished: tuple[Finished, ...] = ()
    updates: tuple[DecisionUpdate, ...] = ()
    rollups: tuple[Rollup, ...] = ()
    streaks: tuple[Streak, ...] = ()


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
        as they are; rollups are added to what is kept of their config and hour. Streaks, one a
        config, are added to the failures that are counted of a config with `pause_after_failures`;
        if that is enough, the config is not paused and has a due, `Firing.due` and `poll` name it
        at once, and the leader is woken. Then, for each
        config with a new decision, those beyond the latest ``max_decisions`` (by ``first_ms``,
        verdict, reason) go, the earliest first, at most 10 x `MAX_BATCH`.
        """
