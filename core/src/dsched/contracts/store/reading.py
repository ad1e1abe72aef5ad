"""Reading, never changing: what readers ask, and what they are answered with."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs

from dsched.contracts.store.events import EventPage
from dsched.contracts.store.statistics import Rollup
from dsched.contracts.store.timing import StoreTime
from dsched.model import Decision, Home, MemberLine, Task, TaskStatus


def _home(value: Home | str | None) -> Home | None:
    return None if value is None else Home(value)


def _status(value: TaskStatus | str | None) -> TaskStatus | None:
    return None if value is None else TaskStatus(value)


@attrs.frozen(kw_only=True)
class TaskQuery:
    """Exactly one of the four: what the indexes serve.

    ``home`` (with ``worker_id`` for `Home.QUEUE`): by the order of that home. ``config_id`` or
    ``status`` (terminal): ended tasks, newest end first. ``live_of``: the live tasks of a config.

    ``from_ms`` and ``before_ms`` (wall) bound a list of ended tasks to those whose end is not
    before the one, and before the other. No other list is in the order of an end: there they are
    refused.
    """

    home: Home | None = attrs.field(default=None, converter=_home)
    worker_id: str | None = None
    config_id: str | None = None
    status: TaskStatus | None = attrs.field(default=None, converter=_status)
    live_of: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None


@attrs.frozen(kw_only=True)
class TaskPage:
    """Tasks without spec and result; ``cursor`` continues, None at the end."""

    tasks: tuple[Task, ...]
    cursor: str | None


@attrs.frozen(kw_only=True)
class DecisionPage:
    """Decisions of one config, newest instant first; ``cursor`` continues, None at the end.

    ``kept_from_ms``: decisions about earlier instants may be gone, by age (``result_ttl_ms`` before
    the wall) or by number (the earliest kept, where ``max_decisions`` are).
    """

    decisions: tuple[Decision, ...]
    cursor: str | None
    kept_from_ms: int = 0


@attrs.frozen(kw_only=True)
class Counts:
    """How many tasks there are. Ended ones count as long as the finished index keeps them.

    ``nobody``: of the ready ones those that wait under a class which nobody can run.
    """

    by_status: Mapping[TaskStatus, int]
    by_home: Mapping[Home, int]
    oldest_ready_ms: int | None
    configs: int
    time: StoreTime
    nobody: int = 0


class Reading(ABC):
    """Reading, never changing. Lists are served from indexes only."""

    @abstractmethod
    async def get(self, task_ids: Sequence[str], *, full: bool = False) -> tuple[Task | None, ...]:
        """The tasks, None where unknown or past the result TTL. ``full`` adds spec and result."""

    @abstractmethod
    async def list_tasks(self, query: TaskQuery, cursor: str | None, limit: int) -> TaskPage:
        """A page of tasks by one index. A task that moves meanwhile may be seen twice or not.

        A cursor continues the list of the query that gave it. What a page costs grows with the
        page and with how far the cursor is, not with what lies outside of the query's bounds.
        """

    @abstractmethod
    async def run_lines(self, run_id: str, after: int, limit: int) -> tuple[MemberLine, ...] | None:
        """The lines of a run's member log after the first ``after``, at most ``limit``
        (<= `MAX_EVENT_PAGE`); None where there is no such run (any more), or where it is none."""

    @abstractmethod
    async def events(self, after: str | None, limit: int) -> EventPage:
        """Log entries after a cursor (None: from the oldest kept), at most ``limit``."""

    @abstractmethod
    async def decisions(self, config_id: str, cursor: str | None, limit: int) -> DecisionPage:
        """A page of a config's decisions, newest first_ms first."""

    @abstractmethod
    async def stats(self, config_id: str | None, from_ms: int, to_ms: int) -> tuple[Rollup, ...]:
        """What a config (None: everything), or whatever else rollups name, did in each hour that
        overlaps ``[from_ms, to_ms)``.

        By ascending hour; hours without anything are left out, and so are those that began
        ``stats_ttl_ms`` ago or before. At most `MAX_STATS_HOURS` hours, else `ValueError`.
        """

    @abstractmethod
    async def counts(self) -> Counts:
        """How many tasks and configs there are, from counters and index sizes, without a scan."""
