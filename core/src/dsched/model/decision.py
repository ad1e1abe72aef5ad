"""`Decision`: the durable record of what happened to a fire, or to a range of them."""

from enum import StrEnum

import attrs


class Verdict(StrEnum):
    """What was decided."""

    FIRED = "fired"
    SKIPPED = "skipped"
    MISSED = "missed"  # overdue and not decided about: nobody led, or the leader did not fire


class SkipReason(StrEnum):
    """Why instants were not fired."""

    MISFIRE = "misfire"  # missed by more than the grace, and the policy drops them
    OVERLAP = "overlap"  # an earlier task of the config was still live
    EDITED = "edited"  # due when the config was changed
    PAUSED = "paused"  # due while, or when, the config was paused
    DELETED = "deleted"  # due when the config was deleted
    DISABLED = "disabled"  # due when its author switched the config off
    OPERATOR = "operator"  # an operator asked for it beforehand
    CALENDAR = "calendar"  # never due: the config's calendar leaves their days out


class MissReason(StrEnum):
    """Why an instant was overdue when somebody noticed."""

    LEADERLESS = "leaderless"  # nobody held the leader lock
    UNFIRED = "unfired"  # somebody did, and did not fire it


@attrs.frozen(kw_only=True)
class SkippedRange:
    """Instants that were owed and will not be fired: first, last (ms, inclusive), how many, why.

    ``trigger`` is the text of the trigger that has them (`dsched.planning.trigger_text`), where the
    ends alone do not say which they are. ``who`` and ``why`` are those of a pause. A range with a
    ``count`` of 0 tells that the trigger had instants of which none was owed: the config was
    disabled, or (reason ``calendar``) they fell on days that its calendar left out.
    """

    first_ms: int
    last_ms: int
    count: int
    reason: SkipReason
    trigger: str = ""
    who: str = ""
    why: str = ""


@attrs.frozen(kw_only=True)
class Decision:
    """One fire (``count`` 1, ``first_ms == last_ms``), skipped range or miss of a config.

    ``late_ms`` is how long after the nominal instant the decision was made; ``term`` the epoch of
    the leader that made it (0 when no leader did); ``detail`` adds to the verdict, such as
    ``held: an earlier run is live``. What became of a fire's task since: ``worker_id`` and
    ``worker_why`` are those of its last dispatch, ``ended`` how it ended (``success``,
    ``cancelled: expired``), empty while it lives. ``missed_at_ms``: when the instant, or one of the
    range, was reported missed before it was fired or skipped after all. ``trigger`` is that of a
    skipped range, as `SkippedRange` has it; ``behind`` the live task because of which an overlap
    policy skipped it.
    """

    config_id: str
    verdict: Verdict
    first_ms: int
    last_ms: int
    count: int = 1
    reason: str = ""
    detail: str = ""
    late_ms: int = 0
    at_ms: int = 0
    term: int = 0
    task_id: str | None = None
    worker_id: str | None = None
    worker_why: str | None = None
    ended: str = ""
    missed_at_ms: int | None = None
    trigger: str = ""
    behind: str | None = None

    @property
    def account(self) -> str:
        """What there is to say beside verdict and reason, in one line for readers."""
        missed = "" if self.missed_at_ms is None else "was reported missed"
        behind = "" if self.behind is None else f"behind {self.behind}"
        return "; ".join(part for part in (self.detail, behind, missed, self.ended) if part)


@attrs.frozen(kw_only=True)
class DecisionUpdate:
    """What became of a fire's task after the fire: what is given replaces what was known."""

    config_id: str
    first_ms: int
    worker_id: str | None = None
    worker_why: str = ""
    ended: str = ""
