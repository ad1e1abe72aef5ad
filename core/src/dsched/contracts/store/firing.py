"""Due configs become tasks, and what these steps take and answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.operating import Skip
from dsched.contracts.store.outcomes import Outcome, RunOutcome
from dsched.contracts.store.timing import StoreTime
from dsched.model import SkippedRange
from dsched.planning import PlannedRun


@attrs.frozen(kw_only=True)
class DuePage:
    """Configs whose due instant has come, by (due, id), and the next due instant after now."""

    time: StoreTime
    configs: tuple[StoredConfig, ...]
    next_due_ms: int | None


@attrs.frozen(kw_only=True)
class OwnPause:
    """A pause of a config by itself (`pause_due`). ``why``: what its author is told; ``upto_ms``
    (wall, not in the future): up to when owed instants are accounted for.

    The fire that has it is ``REVISED`` and ``MOVED`` like others, ``MOVED`` too unless the config
    has still counted enough; ``EARLY`` if ``upto_ms`` or ``skipped.last_ms`` is later than the
    wall. Then as `Configs.pause`, for good, by `BY_ITSELF`; the ``config`` event names that as
    ``who``. ``ValueError`` for a fire that decides more than that.

    Of a config with ``max_runs`` the tasks that `Firing.fire` makes are counted, held ones too.
    Once that is enough and it has a due, `Firing.due` and `poll` name it at once.
    """

    why: str
    upto_ms: int


@attrs.frozen(kw_only=True)
class Fire:
    """What the planner decided for one due config.

    ``due_ms`` is the score the leader read; ``runs`` ascend; ``next_due_ms`` is later than all
    of them, or None. ``left_out`` are the owed instants that an operator asked not to fire.

    One that ``resumes`` ends a pause instead: ``due_ms`` is the instant until which the config is
    paused, ``skipped`` the gap of the pause, ``next_due_ms`` what is due from then on, which may
    have come. It has no runs.

    One with a ``pause`` pauses the config instead: ``skipped`` is what it owed until then. It has
    no runs and no ``next_due_ms``.

    With ``parked_until_ms`` (wall) nothing else is decided: the leader cannot plan this config, and
    what it owes stays owed, for a leader that can.
    """

    config_id: str
    revision: int
    due_ms: int
    runs: tuple[PlannedRun, ...] = ()
    skipped: SkippedRange | None = None
    left_out: tuple[Skip, ...] = ()
    next_due_ms: int | None = None
    parked_until_ms: int | None = None
    resumes: bool = False
    pause: OwnPause | None = None


@attrs.frozen(kw_only=True)
class FireAnswer:
    """``OK`` with one outcome a run, or ``REVISED``, ``MOVED``, ``EARLY`` and nothing changed."""

    outcome: Outcome
    runs: tuple[RunOutcome, ...] = ()


@attrs.frozen(kw_only=True)
class Replan:
    """A due moved because the clock went back: compared with (revision, due) as it was read."""

    config_id: str
    revision: int
    due_ms: int | None
    next_due_ms: int | None
    last_fired_ms: int | None


class Firing(ABC):
    """Turning due configs into tasks. Every step takes the fence."""

    @abstractmethod
    async def due(self, fence: str, limit: int) -> DuePage:
        """The configs with due <= wall by (due, id), at most ``limit``, and the next due after.

        Of a config that is paused until an instant, that instant counts as its due here. One that
        has counted enough (`pause_due`) is named at once, whatever its due, so that the leader
        pauses it.
        """

    @abstractmethod
    async def fire(self, fence: str, fires: Sequence[Fire]) -> tuple[FireAnswer, ...]:
        """Fire configs: at most `MAX_HEAVY_BATCH` runs over all, ascending, else ValueError.

        Per config: ``REVISED`` unless it exists, is not paused and has this revision; ``MOVED``
        unless the stored due is ``due_ms``; ``EARLY`` if a run or ``skipped.last_ms`` is later
        than the wall, or a ``left_out``. Then ``skipped`` and each of ``left_out`` are recorded,
        each run handled in order, due := ``next_due_ms``, last_fired := the last run if there is
        one; skips before the new due are forgotten. For a fixed-delay config with runs: due :=
        none while a live task exists, else wall + delay.

        A fire that ``resumes``: ``REVISED`` unless the config exists and has this revision;
        ``MOVED`` unless it is paused until ``due_ms``; ``EARLY`` if that is later than the wall.
        Then as `Configs.resume`; the ``config`` event names the instant as ``until``.
        ``ValueError`` for one that decides more than that.

        A fire with a ``pause``: see `OwnPause`; and so for how fires of a config with ``max_runs``
        are counted.

        A config that is parked keeps its due and all else; `due` and `poll` do not name it before
        ``parked_until_ms``, and ``next_due_ms`` of a page is that instant. Whatever sets its due,
        to any value, ends that. ``ValueError`` for a fire that parks and decides something as well.

        A run whose task exists (in any state): ``dup``, nothing changes. One that an operator
        asked to skip: ``skipped``, recorded with that reason. Else by the overlap
        policy, L being the live tasks at that moment, runs of this very call included:
        *allow*: create. *skip*: create if L is empty, else ``skipped`` (reason ``overlap``,
        ``behind`` the first of L by scheduled time and id).
        *queue_one*: create if L is empty; else hold it if none is held; else skip it.
        *queue_all*: create if L is empty; else hold it if fewer than ``misfire_cap`` are held; else
        skip it.
        *cancel_previous*: every task of L (at most `MAX_HEAVY_BATCH`) is cancelled as `cancel`
        does, reason ``superseded``, held ones included and first; create if L is then empty, else
        hold it.
        A created task is ready, or delayed until ``not_before_ms`` if that is later than the
        wall, or held; status pending; it carries the config's snapshot. It need wake nobody: the
        leader that fires knows what it has made.
        """

    @abstractmethod
    async def replan(self, fence: str, items: Sequence[Replan]) -> tuple[Outcome, ...]:
        """After the clock went back: set due and last_fired. ``OK``, ``REVISED`` (as in `fire`),
        ``MOVED``. Writes no event."""
