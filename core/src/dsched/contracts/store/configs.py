"""Configs: stored, edited, paused, deleted, and what these steps take and answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from dsched.contracts.store.operating import Skip
from dsched.contracts.store.outcomes import Outcome
from dsched.model import NOTHING_COUNTED, Counted, SkippedRange, TaskConfig


@attrs.frozen(kw_only=True)
class Pause:
    """A pause. Instants later than ``gap_from_ms`` are not accounted for yet.

    With ``until_ms`` (wall) it ends by itself: then `due` and `poll` name the config, and the
    leader ends the pause by `fire`. That instant is not part of the pause any more.
    """

    who: str
    why: str
    since_ms: int
    gap_from_ms: int
    until_ms: int | None = None


@attrs.frozen(kw_only=True)
class ConfigVersion:
    """What a caller read of a config, for the store to compare. The default: no such config."""

    revision: int = 0
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: bool = False


@attrs.frozen(kw_only=True)
class StoredConfig:
    """A config with what the store knows of it. `due_ms` is None while nothing is due.

    ``skips`` ascend. After an edit they may name instants that the trigger has no more.
    ``counted``: see `Firing.fire` and `Collecting.project`.
    """

    config: TaskConfig
    due_ms: int | None = None
    last_fired_ms: int | None = None
    paused: Pause | None = None
    skips: tuple[Skip, ...] = ()
    counted: Counted = NOTHING_COUNTED

    @property
    def version(self) -> ConfigVersion:
        """What to hand back so that the store can tell whether anything moved since."""
        return ConfigVersion(
            revision=self.config.revision,
            due_ms=self.due_ms,
            last_fired_ms=self.last_fired_ms,
            paused=self.paused is not None,
        )


@attrs.frozen(kw_only=True)
class Rearm:
    """How a put, pause, resume or delete moves a due: planned by the caller, compared by the store.

    ``read`` is what the caller planned from; ``upto_ms`` (wall, not in the future) the instant up
    to which owed instants are accounted for; ``skipped`` those of them that will not be fired.
    ``off_days`` (count 0) are instants that were never owed, as the calendar of the config that
    was there leaves them out: they are told as long as decisions are kept.
    """

    read: ConfigVersion
    upto_ms: int
    skipped: SkippedRange | None = None
    off_days: SkippedRange | None = None
    next_due_ms: int | None = None

    @property
    def ranges(self) -> tuple[SkippedRange, ...]:
        """The ranges to be recorded, in this order."""
        return tuple(one for one in (self.skipped, self.off_days) if one is not None)

    @property
    def latest_ms(self) -> int:
        """The latest instant that is accounted for, which must not be later than the wall."""
        return max([self.upto_ms, *(one.last_ms for one in self.ranges)])

    @property
    def decided_before_ms(self) -> int:
        """Instants before this one are accounted for; what has come may stay owed (see
        `plan_edit`)."""
        accounted_ms = self.upto_ms + 1
        return accounted_ms if self.next_due_ms is None else min(accounted_ms, self.next_due_ms)


@attrs.frozen(kw_only=True)
class PutConfig:
    """A config to create or change. ``config.created_ms`` (wall) counts for a new one only."""

    config: TaskConfig
    rearm: Rearm


@attrs.frozen(kw_only=True)
class PutAnswer:
    """``OK``, ``DUP`` (equal content), ``MOVED`` or ``EARLY``, and what is stored now."""

    outcome: Outcome
    stored: StoredConfig | None


@attrs.frozen(kw_only=True)
class ConfigPage:
    """Configs by ascending id; ``cursor`` continues. Only a cursor of None means the end."""

    configs: tuple[StoredConfig, ...]
    cursor: str | None


class Configs(ABC):
    """Configs. `Rearm` says how each step that moves a due is compared.

    Common checks, in this order, each leaving everything unchanged: ``UNKNOWN`` (no such config;
    not for put); ``MOVED`` (what is stored is not ``rearm.read``); ``EARLY`` (``latest_ms``
    later than the wall). Each of ``ranges`` gives a ``skipped`` event. A fixed-delay
    config with a live task has no due, whatever ``next_due_ms`` says; nor has a paused one.
    """

    @abstractmethod
    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """Create or change configs.

        Content equal to what is stored (revision, created, updated aside): ``DUP``, unchanged,
        before any other check. Else the common checks, then ``OK``: revision := max(last revision
        ever given in this store + 1, store time); created kept, or for a new config
        ``config.created_ms`` (``EARLY`` if later than the wall; 0 means the wall); updated := the
        wall; due := ``next_due_ms``. A pause stays, its ``gap_from_ms`` := ``upto_ms``. What is
        counted stays as `Counted.after_edit` says.
        Answers carry what is stored afterwards (None only for ``MOVED`` against no config).
        """

    @abstractmethod
    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """The configs of these ids, None where there is none."""

    @abstractmethod
    async def list_configs(
        self, cursor: str | None, limit: int, *, origin: str | None = None, prefix: str = ""
    ) -> ConfigPage:
        """A page of configs by ascending id; of one origin, if one is given, and of those whose id
        begins with ``prefix``. Any id is a cursor: the page begins behind it. What it costs
        grows with the page, not with what the store holds: so a page of one origin may be short,
        or empty, while its cursor is not None."""

    @abstractmethod
    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Remove a config: ``OK``, ``UNKNOWN``, ``MOVED``, ``EARLY``. Its tasks live on."""

    @abstractmethod
    async def pause(
        self, config_id: str, rearm: Rearm, *, by: str, why: str, until_ms: int | None = None
    ) -> Outcome:
        """Pause: no due until resumed. ``OK``, ``ALREADY``, ``UNKNOWN``, ``MOVED``, ``EARLY``.

        ``gap_from_ms`` := ``rearm.upto_ms``, ``since_ms`` := the wall. ``ALREADY`` (it is paused
        until the same instant, or also without an end) comes right after ``UNKNOWN`` and changes
        nothing. A pause with another end takes the new end, who and why, and keeps the rest.
        """

    @abstractmethod
    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """End a pause, due := ``next_due_ms``. Outcomes as `pause`; ``ALREADY``: not paused.

        What is counted of the config begins anew.
        """
